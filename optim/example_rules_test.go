package optim_test

import (
	"fmt"
	"log"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
)

// fit fits a line to the points (x, 3x − 1) in so many steps and says which it is.
func fit(steps int, schedule optim.Schedule, optimizer func(line *nn.Linear) optim.Optimizer) {
	dev := tensor.CPU()
	line := nn.NewLinear(dev, tensor.F32, 1, 1, true)
	line.Weight.Fill(0)
	line.Bias.Fill(0)
	opt := optimizer(line)
	grads := tensor.NewGrads(nn.Parameters(line), tensor.F32)
	tape := dev.NewTape()
	defer tape.Close()
	for step := range steps {
		x := tensor.FromSlice(tape, []float32{-1, 0, 1, 2}, 4, 1)
		y := tensor.FromSlice(tape, []float32{-4, -1, 2, 5}, 4, 1)
		line.Forward(x).Sub(y).Square().Mean().Backward(grads)
		opt.SetFactor(schedule(step))
		if err := opt.Step(grads); err != nil {
			log.Fatal(err)
		}
		grads.Zero()
		tape.Reset()
	}
	fmt.Printf("%s: %.2f·x %+.2f\n", opt, line.Weight.Float64s()[0], line.Bias.Float64s()[0])
}

func ExampleNewAdam() {
	fit(300, optim.Cosine(0, 300), func(line *nn.Linear) optim.Optimizer {
		return optim.NewAdam(optim.Split(nn.Parameters(line), 0.1, 0), optim.AdamConfig{})
	})
	// Output: Adam with f32 moments: 3.00·x -1.00
}

func ExampleNewSGD() {
	fit(100, optim.Constant(0), func(line *nn.Linear) optim.Optimizer {
		return optim.NewSGD(optim.Split(nn.Parameters(line), 0.05, 0), optim.SGDConfig{Momentum: 0.9, Nesterov: true})
	})
	// Output: SGD with f32 momentum: 3.00·x -1.00
}

// Lion's steps are as large as the learning rate, whatever the gradient: a schedule has to bring it down.
func ExampleNewLion() {
	fit(2000, optim.Linear(0, 2000), func(line *nn.Linear) optim.Optimizer {
		return optim.NewLion(optim.Split(nn.Parameters(line), 0.02, 0), optim.LionConfig{})
	})
	// Output: Lion with f32 momentum: 3.00·x -1.00
}

// Adafactor's steps are relative to the size of a parameter.
func ExampleNewAdafactor() {
	fit(500, optim.Cosine(0, 500), func(line *nn.Linear) optim.Optimizer {
		return optim.NewAdafactor(optim.Split(nn.Parameters(line), 0.5, 0), optim.AdafactorConfig{Eps2: 0.1})
	})
	// Output: Adafactor: 3.00·x -1.00
}

// Muon takes the matrices of hidden layers, AdamW all else.
func ExampleJoin() {
	mlp := nn.NewLinear(tensor.CPU(), tensor.F32, 4, 8, true)
	opt := optim.Join(
		optim.NewMuon([]optim.Group{{Params: []*tensor.Tensor{mlp.Weight}, LR: 0.02}}, optim.MuonConfig{}),
		optim.NewAdamW([]optim.Group{{Params: []*tensor.Tensor{mlp.Bias}, LR: 1e-3}}, optim.AdamWConfig{}),
	)
	fmt.Println(opt)
	for name, t := range opt.State() {
		fmt.Println(name, t.DType(), t.Shape())
	}
	// Output:
	// Muon with f32 moments, AdamW with f32 moments
	// 0.0.0.momentum f32 [8 4]
	// 1.0.0.exp_avg f32 [8]
	// 1.0.0.exp_avg_sq f32 [8]
}

// Five steps up, then a cosine down to a tenth, again and again.
func ExampleSchedule() {
	s := optim.Warmup(5, optim.CosineRestarts(10, 2).Above(0.1))
	for _, step := range []int{0, 1, 4, 5, 10, 14, 15, 25, 34, 35} {
		fmt.Printf("%d: %.3f\n", step, s(step))
	}
	// Output:
	// 0: 0.000
	// 1: 0.200
	// 4: 0.800
	// 5: 1.000
	// 10: 0.550
	// 14: 0.122
	// 15: 1.000
	// 25: 0.550
	// 34: 0.106
	// 35: 1.000
}

// The parameter goes back and forth; its average is evaluated.
func ExampleEMA() {
	p := tensor.Full(tensor.CPU(), tensor.F32, 1, 1)
	p.SetTrainable(true)
	params := func(yield func(string, *tensor.Tensor) bool) { yield("p", p) }
	opt := optim.NewEMA(optim.NewSGD([]optim.Group{{Params: []*tensor.Tensor{p}, LR: 1}}, optim.SGDConfig{}), params, 0.9)
	grads := tensor.NewGrads(params, tensor.F32)
	for step := range 101 {
		grads.Of(p).Fill([]float64{2, -2}[step%2])
		if err := opt.Step(grads); err != nil {
			log.Fatal(err)
		}
	}
	err := opt.With(func() error {
		fmt.Printf("the average: %.2f\n", p.Float64s()[0])
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("the parameter: %.2f\n", p.Float64s()[0])
	// Output:
	// the average: -0.05
	// the parameter: -1.00
}

// What a checkpoint of an optimizer holds beside the parameters: the tensors of State, and Steps.
func ExampleOptimizer() {
	begin := func() (*tensor.Tensor, optim.Optimizer) {
		p := tensor.Full(tensor.CPU(), tensor.F16, 1, 3)
		p.SetTrainable(true)
		return p, optim.NewSGD([]optim.Group{{Params: []*tensor.Tensor{p}, LR: 0.1}}, optim.SGDConfig{Momentum: 0.9})
	}
	step := func(p *tensor.Tensor, opt optim.Optimizer) {
		grads := tensor.NewGrads(func(yield func(string, *tensor.Tensor) bool) { yield("p", p) }, tensor.F32)
		grads.Of(p).Fill(0.5)
		if err := opt.Step(grads); err != nil {
			log.Fatal(err)
		}
	}
	p, opt := begin()
	step(p, opt)
	saved := map[string]*tensor.Tensor{}
	for name, t := range opt.State() {
		saved[name] = t
	}

	q, resumed := begin()
	for name, t := range resumed.State() {
		fmt.Println(name, t.DType(), t.Shape())
		t.CopyFrom(saved[name])
	}
	resumed.SetSteps(opt.Steps())
	resumed.Sync() // F16 parameters come from their masters, others from the model's checkpoint
	step(p, opt)
	step(q, resumed)
	fmt.Println(p.Float64s(), q.Float64s())
	// Output:
	// 0.0.momentum f32 [3]
	// 0.0.master f32 [3]
	// [0.85498046875 0.85498046875 0.85498046875] [0.85498046875 0.85498046875 0.85498046875]
}

func ExampleMoments() {
	for _, name := range []string{"f32", "bf16", "8bit"} {
		moments, err := optim.ParseMoments(name)
		if err != nil {
			log.Fatal(err)
		}
		p := tensor.Zeros(tensor.CPU(), tensor.BF16, 64, 64)
		p.SetTrainable(true)
		opt := optim.NewAdamW([]optim.Group{{Params: []*tensor.Tensor{p}, LR: 1e-3}}, optim.AdamWConfig{Moments: moments})
		bytes := 0
		for _, t := range opt.State() {
			bytes += t.Len() * t.DType().Size()
		}
		fmt.Printf("%s: %.2f bytes a parameter\n", opt, float64(bytes)/64/64)
	}
	// Output:
	// AdamW with f32 moments: 10.00 bytes a parameter
	// AdamW with bf16 moments: 6.00 bytes a parameter
	// AdamW with 8bit moments: 4.03 bytes a parameter
}

// The schedules at a few of 100 steps.
func ExampleOneCycle() {
	for _, s := range []struct {
		name     string
		schedule optim.Schedule
	}{
		{"one cycle", optim.OneCycle(100, optim.OneCycleConfig{})},
		{"step decay", optim.StepDecay(30, 0.5)},
		{"multi-step", optim.MultiStep(0.1, 50, 75)},
		{"exponential", optim.Exponential(0.97)},
		{"constant, then linear", optim.Constant(0).Then(50, optim.Linear(0, 50))},
	} {
		fmt.Printf("%-21s", s.name)
		for _, step := range []int{0, 15, 30, 60, 99} {
			fmt.Printf(" %.3f", s.schedule(step))
		}
		fmt.Println()
	}
	// Output:
	// one cycle             0.040 0.546 0.999 0.589 0.000
	// step decay            1.000 1.000 0.500 0.250 0.125
	// multi-step            1.000 1.000 1.000 0.100 0.010
	// exponential           1.000 0.633 0.401 0.161 0.049
	// constant, then linear 1.000 1.000 1.000 0.800 0.020
}
