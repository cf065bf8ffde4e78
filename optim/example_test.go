package optim_test

import (
	"fmt"
	"log"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
)

// A line is fitted to the points (x, 3x − 1): whole steps, from the data to the new parameters.
func ExampleNewAdamW() {
	dev := tensor.CPU()
	line := nn.NewLinear(dev, tensor.F32, 1, 1, true)
	line.Weight.Fill(0)
	line.Bias.Fill(0)

	params := nn.Parameters(line)
	opt := optim.NewAdamW(optim.Split(params, 0.1, 0), optim.AdamWConfig{})
	schedule := optim.Cosine(10, 300)
	grads := tensor.NewGrads(params, tensor.F32)
	tape := dev.NewTape()
	defer tape.Close()
	for step := range 300 {
		x := tensor.FromSlice(tape, []float32{-1, 0, 1, 2}, 4, 1)
		y := tensor.FromSlice(tape, []float32{-4, -1, 2, 5}, 4, 1)
		loss := line.Forward(x).Sub(y).Square().Mean()
		loss.Backward(grads)
		grads.Clip(1)
		opt.SetFactor(schedule(step))
		if err := opt.Step(grads); err != nil {
			log.Fatal(err)
		}
		grads.Zero()
		tape.Reset()
	}
	fmt.Printf("%.2f·x %+.2f\n", line.Weight.Float64s()[0], line.Bias.Float64s()[0])
	// Output: 3.00·x -1.00
}
