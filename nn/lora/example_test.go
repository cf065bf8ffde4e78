package lora_test

import (
	"fmt"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/nn/lora"
	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
)

// A model whose weights are kept in 4 bits learns by adapters of two of its layers.
func ExampleAttach() {
	dev, r := tensor.CPU(), tensor.NewRand(42)
	model := nn.NewGatedMLP(dev, tensor.F32, 64, 128)
	nn.Initialize(model, r)
	if err := nn.Quantize(model, tensor.Q4_0); err != nil {
		panic(err)
	}
	adapter, err := lora.Attach(model, lora.Config{Rank: 4, Alpha: 8, Targets: []string{"up_proj", "down_proj"}}, r)
	if err != nil {
		panic(err)
	}
	grads := tensor.NewGrads(nn.Parameters(model), tensor.F32)
	opt := optim.NewAdamW(optim.Split(nn.Parameters(model), 0.01, 0), optim.AdamWConfig{})
	tape := dev.NewTape()
	defer tape.Close()
	for range 100 {
		x := tensor.Ones(tape, tensor.F32, 1, 64)
		model.Forward(x).AddScalar(-3).Square().Mean().Backward(grads)
		if err := opt.Step(grads); err != nil {
			panic(err)
		}
		grads.Zero()
		tape.Reset()
	}
	s := dev.NewScope()
	defer s.Close()
	fmt.Printf("%d of %d parameters, output %.1f\n", nn.Count(adapter.Parameters()), nn.Count(nn.Parameters(model)), model.Forward(tensor.Ones(s, tensor.F32, 1, 64)).Mean().Item())
	// Output: 1536 of 26112 parameters, output 3.0
}
