package optim_test

import (
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
)

// breadth makes the optimizers of scripts/goldens/breadth_optim.py, by the names that they have there.
var breadth = map[string]func(params []*tensor.Tensor) optim.Optimizer{
	"sgd":           sgd(0, optim.SGDConfig{}),
	"sgd.decay":     sgd(0.1, optim.SGDConfig{}),
	"sgd.momentum":  sgd(0, optim.SGDConfig{Momentum: 0.9}),
	"sgd.dampening": sgd(0.1, optim.SGDConfig{Momentum: 0.9, Dampening: 0.3}),
	"sgd.nesterov":  sgd(0.1, optim.SGDConfig{Momentum: 0.9, Nesterov: true}),
	"adam":          adam(0),
	"adam.decay":    adam(0.1),
	"adafactor": func(params []*tensor.Tensor) optim.Optimizer {
		return optim.NewAdafactor([]optim.Group{{Params: params, LR: 0.01}}, optim.AdafactorConfig{})
	},
	"adafactor.decay": func(params []*tensor.Tensor) optim.Optimizer {
		return optim.NewAdafactor([]optim.Group{{Params: params, LR: 0.5, WeightDecay: 0.1}}, optim.AdafactorConfig{Beta2Decay: -0.6, Eps1: 1e-3, Eps2: 1e-2, D: 1.1})
	},
	"lion": func(params []*tensor.Tensor) optim.Optimizer {
		return optim.NewLion([]optim.Group{{Params: params, LR: 0.01, WeightDecay: 0.1}}, optim.LionConfig{})
	},
}

func sgd(decay float64, c optim.SGDConfig) func(params []*tensor.Tensor) optim.Optimizer {
	return func(params []*tensor.Tensor) optim.Optimizer {
		return optim.NewSGD([]optim.Group{{Params: params, LR: 0.05, WeightDecay: decay}}, c)
	}
}

func adam(decay float64) func(params []*tensor.Tensor) optim.Optimizer {
	return func(params []*tensor.Tensor) optim.Optimizer {
		return optim.NewAdam([]optim.Group{{Params: params, LR: 0.01, WeightDecay: decay}}, optim.AdamConfig{Beta2: 0.99})
	}
}

func breadthParams(g golden, dt tensor.DType) (params []*tensor.Tensor) {
	for _, name := range goldenNames {
		params = append(params, g.parameter(name+".init", dt))
	}
	return params
}

func breadthStep(t *testing.T, g golden, step int, params []*tensor.Tensor, grads *tensor.Grads, o optim.Optimizer) {
	t.Helper()
	for i, name := range goldenNames {
		set(grads.Of(params[i]), g.step(name+".grads", step))
	}
	if err := o.Step(grads); err != nil {
		t.Fatal(err)
	}
}

func TestTwentyStepsOfEveryOptimizerEqualPyTorch(t *testing.T) {
	g := openBreadth(t)
	for name, make := range breadth {
		for _, dt := range []tensor.DType{tensor.F32, tensor.F64} {
			for _, gradType := range []tensor.DType{tensor.F32, tensor.F64} {
				t.Run(fmt.Sprintf("%s/%s/%s gradients", name, dt, gradType), func(t *testing.T) {
					params := breadthParams(g, dt)
					o := make(params)
					grads := tensor.NewGrads(named(params...), gradType)
					for step := range 20 {
						breadthStep(t, g, step, params, grads, o)
						for i, p := range goldenNames {
							wantNear(t, fmt.Sprintf("%s after step %d", p, step+1), params[i].Float64s(), g.step(name+"."+p, step), 2e-6)
						}
					}
				})
			}
		}
	}
}

func TestBF16WeightsOfEveryOptimizerAreF32OnesToTheBit(t *testing.T) {
	for name, make := range breadth {
		// Lengths of less than a vector, of several blocks, and of several ranges for the pool.
		shapes := [][]int{{3}, {2, 700}, {300, 257}}
		var params, exact []*tensor.Tensor
		for i, shape := range shapes {
			params = append(params, drawn(tensor.BF16, uint64(i), shape...))
			exact = append(exact, newParameter(tensor.F32, shape...))
			exact[i].CopyFrom(params[i])
		}
		o, reference := make(params), make(exact)
		for _, gradType := range []tensor.DType{tensor.F32, tensor.BF16} {
			grads, exactGrads := tensor.NewGrads(named(params...), gradType), tensor.NewGrads(named(exact...), gradType)
			for step := range 3 {
				grads.Flat().FillRandn(tensor.NewRand(uint64(step)), 0, 1)
				exactGrads.Flat().CopyFrom(grads.Flat())
				for _, err := range []error{o.Step(grads), reference.Step(exactGrads)} {
					if err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		state := maps.Collect(o.State())
		for i := range params {
			if !slices.Equal(weights(params[i], state[fmt.Sprintf("0.%d.remainder", i)]), tensor.ToSlice[float32](exact[i])) {
				t.Errorf("%s: the weights of parameter %d, %v, are not the float32 ones", name, i, shapes[i])
			}
		}
	}
}

func TestF16ParametersAreTheirMastersRounded(t *testing.T) {
	for name, make := range breadth {
		p := drawn(tensor.F16, 1, 40, 30)
		exact := newParameter(tensor.F32, 40, 30)
		exact.CopyFrom(p)
		o, reference := make([]*tensor.Tensor{p}), make([]*tensor.Tensor{exact})
		steps(t, []*tensor.Tensor{p}, o, 0, 3)
		steps(t, []*tensor.Tensor{exact}, reference, 0, 3)
		master := maps.Collect(o.State())["0.0.master"]
		if !slices.Equal(master.Bytes(), exact.Bytes()) {
			t.Errorf("%s: the master is not the float32 parameter", name)
		}
		before := p.Bytes()
		p.Fill(0)
		if o.Sync(); !slices.Equal(p.Bytes(), before) {
			t.Errorf("%s: the parameter is not its master rounded", name)
		}
	}
}

// mixed are parameters of every dtype.
func mixed() []*tensor.Tensor {
	return []*tensor.Tensor{
		drawn(tensor.F32, 1, 5, 3), drawn(tensor.BF16, 2, 130, 9), drawn(tensor.F16, 3, 2, 2),
		drawn(tensor.F64, 4, 6, 4), drawn(tensor.BF16, 5, 77), drawn(tensor.F32, 6, 2, 3, 4),
	}
}

func TestEveryOptimizerRestoredInTheMiddleGoesOnToTheBit(t *testing.T) {
	for name, make := range breadth {
		params := mixed()
		o := make(params)
		steps(t, params, o, 0, 4)

		resumed := mixed()
		r := make(resumed)
		saved := maps.Collect(o.State())
		restored := 0
		for name, s := range r.State() {
			s.CopyFrom(saved[name])
			restored++
		}
		if restored != len(saved) || restored == 0 {
			t.Fatalf("%s: %d of %d tensors of state", name, restored, len(saved))
		}
		r.SetSteps(o.Steps())
		for i, p := range resumed {
			p.CopyFrom(params[i])
		}
		r.Sync()
		steps(t, params, o, 4, 8)
		steps(t, resumed, r, 4, 8)
		if !maps.Equal(stateOf(r, resumed...), stateOf(o, params...)) {
			t.Errorf("%s: the restored run is not the uninterrupted one", name)
		}
		if o.Steps() != 8 || r.Steps() != 8 {
			t.Errorf("%s: %d and %d steps", name, o.Steps(), r.Steps())
		}
	}
}

func TestStepsAreTheSameBitsOnAnyNumberOfProcessors(t *testing.T) {
	for name, make := range breadth {
		run := func(processors int) map[string]string {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
			params := []*tensor.Tensor{drawn(tensor.F32, 1, 300, 500), drawn(tensor.BF16, 2, 300, 500), drawn(tensor.BF16, 3, 100001)}
			o := make(params)
			steps(t, params, o, 0, 2)
			return stateOf(o, params...)
		}
		if !maps.Equal(run(1), run(4)) {
			t.Errorf("%s: one processor and four give different bits", name)
		}
	}
}

func TestOptimizersLeaveParametersWithoutGradientAlone(t *testing.T) {
	for name, make := range breadth {
		for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
			trained, frozen := drawn(dt, 1, 3, 5), drawn(dt, 2, 3, 5)
			o := make([]*tensor.Tensor{trained, frozen})
			frozen.SetTrainable(false)
			grads := tensor.NewGrads(named(trained, frozen), tensor.F32)
			grads.Flat().Fill(1)
			before := stateOf(o, trained, frozen)
			if err := o.Step(grads); err != nil {
				t.Fatal(err)
			}
			after := stateOf(o, trained, frozen)
			if after["parameter 0"] == before["parameter 0"] {
				t.Errorf("%s, %s: the trained parameter did not move", name, dt)
			}
			for what, is := range after {
				if (what == "parameter 1" || strings.HasPrefix(what, "0.1.")) && is != before[what] {
					t.Errorf("%s, %s: %s of the frozen parameter changed", name, dt, what)
				}
			}
		}
	}
}

func TestClippedGradientsAreTakenWithTheirFactor(t *testing.T) {
	for name, make := range breadth {
		if name == "lion" || strings.HasPrefix(name, "adafactor") {
			continue // the size of gradients hardly matters to them
		}
		p, q := drawn(tensor.BF16, 1, 300), drawn(tensor.BF16, 1, 300)
		a, b := make([]*tensor.Tensor{p}), make([]*tensor.Tensor{q})
		lazy, eager := tensor.NewGrads(named(p), tensor.F32), tensor.NewGrads(named(q), tensor.F32)
		for range 3 {
			s := tensor.CPU().NewTape()
			p.In(s).Square().Sum().Backward(lazy)
			q.In(s).Square().Sum().Backward(eager)
			s.Close()
			eager.Flat() // asks for a view: Clip scales the memory itself
			lazy.Clip(1)
			eager.Clip(1)
			if lazy.Factor() >= 1 {
				t.Fatal("nothing was clipped: the test shows nothing")
			}
			for _, err := range []error{a.Step(lazy), b.Step(eager)} {
				if err != nil {
					t.Fatal(err)
				}
			}
			lazy.Zero()
			eager.Zero()
		}
		wantNear(t, name, p.Float64s(), q.Float64s(), 1e-2) // a place of BF16
	}
}

func TestBF16MomentumIsTheF32OneRounded(t *testing.T) {
	for name, make := range map[string]func(p *tensor.Tensor, m optim.Moments) optim.Optimizer{
		"SGD": func(p *tensor.Tensor, m optim.Moments) optim.Optimizer {
			return optim.NewSGD([]optim.Group{{Params: []*tensor.Tensor{p}, LR: 0.1}}, optim.SGDConfig{Momentum: 0.9, Moments: m})
		},
		"Lion": func(p *tensor.Tensor, m optim.Moments) optim.Optimizer {
			return optim.NewLion([]optim.Group{{Params: []*tensor.Tensor{p}, LR: 0.1}}, optim.LionConfig{Moments: m})
		},
	} {
		p, q := drawn(tensor.F32, 1, 2000), drawn(tensor.F32, 1, 2000)
		exact, packed := make(p, optim.MomentsF32), make(q, optim.MomentsBF16)
		steps(t, []*tensor.Tensor{p}, exact, 0, 1)
		steps(t, []*tensor.Tensor{q}, packed, 0, 1)
		m, want := maps.Collect(packed.State())["0.0.momentum"], maps.Collect(exact.State())["0.0.momentum"]
		if m.DType() != tensor.BF16 || want.DType() != tensor.F32 {
			t.Fatalf("%s: momenta of %s and %s", name, m.DType(), want.DType())
		}
		rounded := tensor.Empty(tensor.CPU(), tensor.BF16, 2000)
		rounded.CopyFrom(want)
		if !slices.Equal(m.Bytes(), rounded.Bytes()) {
			t.Errorf("%s: the BF16 momentum is not the F32 one rounded", name)
		}
		if !slices.Equal(p.Bytes(), q.Bytes()) {
			t.Errorf("%s: the first update was made of the rounded momentum", name)
		}
	}
}

func TestOptimizersSayWhatTheyAre(t *testing.T) {
	for want, o := range map[string]fmt.Stringer{
		"Adafactor":              optim.NewAdafactor(nil, optim.AdafactorConfig{}),
		"SGD":                    optim.NewSGD(nil, optim.SGDConfig{}),
		"SGD with bf16 momentum": optim.NewSGD(nil, optim.SGDConfig{Momentum: 0.5, Moments: optim.MomentsBF16}),
		"Lion with f32 momentum": optim.NewLion(nil, optim.LionConfig{}),
		"Adam with 8bit moments": optim.NewAdam(nil, optim.AdamConfig{Moments: optim.Moments8Bit}),
		"AdamW with f32 moments": optim.NewAdamW(nil, optim.AdamWConfig{}),
	} {
		if o.String() != want {
			t.Errorf("%q, want %q", o, want)
		}
	}
}

func TestMisuseOfOptimizersPanicsAndSaysWhat(t *testing.T) {
	p, constant := drawn(tensor.F32, 1, 2, 3), tensor.Zeros(tensor.CPU(), tensor.F32, 5)
	for name, make := range map[string]func(g []optim.Group){
		"NewSGD":       func(g []optim.Group) { optim.NewSGD(g, optim.SGDConfig{}) },
		"NewAdam":      func(g []optim.Group) { optim.NewAdam(g, optim.AdamConfig{}) },
		"NewLion":      func(g []optim.Group) { optim.NewLion(g, optim.LionConfig{}) },
		"NewAdafactor": func(g []optim.Group) { optim.NewAdafactor(g, optim.AdafactorConfig{}) },
	} {
		group := func(lr, decay float64, params ...*tensor.Tensor) func() {
			return func() { make([]optim.Group{{}, {Params: params, LR: lr, WeightDecay: decay}}) }
		}
		wantPanic(t, group(1, 0, p, constant), "optim: "+name+": parameter 1 of group 1, f32[5], is not trainable")
		wantPanic(t, group(1, 0, p, p), "optim: "+name+": parameter 1 of group 1, f32[2 3], occurs twice")
		wantPanic(t, group(-1, 0, p), "optim: "+name+": group 1 has learning rate -1 and weight decay 0; neither can be negative")
		wantPanic(t, group(1, math.NaN(), p), "optim: "+name, "weight decay NaN")
		wantPanic(t, func() { make([]optim.Group{{Params: []*tensor.Tensor{p}}, {Params: []*tensor.Tensor{p}}}) },
			"optim: "+name+": parameter 0 of group 1, f32[2 3], occurs twice")
	}
	wantPanic(t, func() { optim.NewSGD(nil, optim.SGDConfig{Momentum: 1}) }, "optim: NewSGD: momentum is 1 and dampening 0, want 0 to 1")
	wantPanic(t, func() { optim.NewSGD(nil, optim.SGDConfig{Dampening: -1}) }, "optim: NewSGD: momentum is 0 and dampening -1")
	wantPanic(t, func() { optim.NewSGD(nil, optim.SGDConfig{Nesterov: true}) }, "optim: NewSGD: Nesterov needs a momentum and no dampening, not 0 and 0")
	wantPanic(t, func() { optim.NewSGD(nil, optim.SGDConfig{Nesterov: true, Momentum: 0.9, Dampening: 0.1}) }, "not 0.9 and 0.1")
	wantPanic(t, func() { optim.NewSGD(nil, optim.SGDConfig{Moments: optim.Moments8Bit}) }, "optim: NewSGD: the momentum is f32 or bf16, not 8bit")
	wantPanic(t, func() { optim.NewLion(nil, optim.LionConfig{Moments: optim.Moments8Bit}) }, "optim: NewLion: the momentum is f32 or bf16, not 8bit")
	wantPanic(t, func() { optim.NewLion(nil, optim.LionConfig{Beta1: 1}) }, "optim: NewLion: beta is 1, want 0 to 1")
	wantPanic(t, func() { optim.NewLion(nil, optim.LionConfig{Beta2: -1}) }, "optim: NewLion: beta is -1, want 0 to 1")
	wantPanic(t, func() { optim.NewAdafactor(nil, optim.AdafactorConfig{Beta2Decay: 1}) }, "optim: NewAdafactor: beta2 decay is 1, eps 0 and 0.001, d 1; want it negative")
	wantPanic(t, func() { optim.NewAdafactor(nil, optim.AdafactorConfig{D: 0.5}) }, "optim: NewAdafactor", "d 0.5; want it negative, 0 or more, positive, 1 or more")
	wantPanic(t, func() { optim.NewAdam(nil, optim.AdamConfig{Beta1: 2}) }, "optim: NewAdam: beta is 2, want 0 to 1")
}

func TestALearningRateThatIsNotFiniteIsAnErrorOfEveryOptimizer(t *testing.T) {
	for name, make := range breadth {
		params := mixed()
		o := make(params)
		grads := tensor.NewGrads(named(params...), tensor.F32)
		grads.Flat().Fill(1)
		o.SetFactor(math.Inf(1))
		before := stateOf(o, params...)
		err := o.Step(grads)
		if err == nil || !strings.HasSuffix(err.Error(), ": the learning rate of group 0 is +Inf") || !strings.HasPrefix(err.Error(), "optim: ") {
			t.Errorf("%s: error %v", name, err)
		}
		if !maps.Equal(stateOf(o, params...), before) || o.Steps() != 0 {
			t.Errorf("%s: and yet something changed", name)
		}
	}
}

func TestClippingByValueEqualsPyTorch(t *testing.T) {
	g := openBreadth(t)
	p := g.parameter("clip.grad", tensor.F32)
	grads := tensor.NewGrads(named(p), tensor.F32)
	grads.Of(p).CopyFrom(p)
	grads.ClipValue(0.5)
	if want := g.floats("clip.clipped"); !slices.Equal(grads.Of(p).Float64s(), want) {
		t.Errorf("%v, want %v", grads.Of(p).Float64s(), want)
	}
}

func TestAdamWithPackedMomentsAddsTheDecayToTheGradientToo(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
		for _, gradType := range []tensor.DType{tensor.F32, tensor.BF16} {
			first := func(moments optim.Moments, decay float64) []float64 {
				p := drawn(dt, 1, 90, 300)
				o := optim.NewAdam([]optim.Group{{Params: []*tensor.Tensor{p}, LR: 0.1, WeightDecay: decay}}, optim.AdamConfig{Moments: moments})
				grads := tensor.NewGrads(named(p), gradType)
				grads.Flat().FillRandn(tensor.NewRand(2), 0, 1)
				if err := o.Step(grads); err != nil {
					t.Fatal(err)
				}
				return p.Float64s()
			}
			// The first update is made before the moments are packed.
			for _, moments := range []optim.Moments{optim.MomentsBF16, optim.Moments8Bit} {
				what := fmt.Sprintf("%s, %s gradients, %s moments", dt, gradType, moments)
				got, want := first(moments, 2), first(optim.MomentsF32, 2)
				wantNear(t, what, got, want, map[tensor.DType]float64{tensor.F32: 1e-6, tensor.BF16: 4e-3}[dt])
				if apart(want, first(moments, 0)) < 1e-3 {
					t.Errorf("%s: the decay changes nothing: the test shows nothing", what)
				}
			}
		}
	}
}
