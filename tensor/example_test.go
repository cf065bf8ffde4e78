package tensor_test

import (
	"errors"
	"fmt"

	"github.com/hone-ml/hone/tensor"
)

// A linear regression: y = 2·x − 1 is found from ten points by gradient descent.
func Example() {
	cpu := tensor.CPU()
	weight, bias := tensor.Zeros(cpu, tensor.F32, 1, 1), tensor.Zeros(cpu, tensor.F32, 1)
	weight.SetTrainable(true)
	bias.SetTrainable(true)
	params := func(yield func(string, *tensor.Tensor) bool) { _ = yield("weight", weight) && yield("bias", bias) }
	grads := tensor.NewGrads(params, tensor.F32)

	tape := cpu.NewTape()
	defer tape.Close()
	for range 300 {
		x := tensor.Arange(tape, tensor.F32, 0, 1, 0.1).Reshape(10, 1)
		y := x.MulScalar(2).AddScalar(-1)
		loss := tensor.Linear(x, weight, bias).Sub(y).Square().Mean()
		loss.Backward(grads)
		for _, p := range []*tensor.Tensor{weight, bias} {
			step := grads.Of(p).In(tape).MulScalar(-0.5)
			p.CopyFrom(p.Detach().In(tape).Add(step))
		}
		grads.Zero()
		tape.Reset()
	}
	fmt.Printf("y = %.2f·x + %.2f\n", weight.Item(), bias.Item())
	// Output: y = 2.00·x + -1.00
}

func ExampleTensor() {
	s := tensor.CPU().NewScope()
	defer s.Close()
	x := tensor.FromSlice(s, []float32{1, 2, 3, 4, 5, 6}, 2, 3)
	fmt.Println(x)
	fmt.Println(x.T().MatMul(x)) // T copies nothing
	fmt.Println(x.Sub(x.MeanKeep(-1)))
	fmt.Println(x.To(tensor.BF16).Sum(0))
	// Output:
	// f32[2 3]
	// [[1 2 3]
	//  [4 5 6]]
	// f32[3 3]
	// [[17 22 27]
	//  [22 29 36]
	//  [27 36 45]]
	// f32[2 3]
	// [[-1  0  1]
	//  [-1  0  1]]
	// bf16[3] [5 7 9]
}

// A step of inference or training is a scope: what it computes is freed at once.
func ExampleScope() {
	cpu := tensor.CPU()
	w := tensor.FromSlice(cpu, []float32{3, 4}, 2) // long-lived
	s := cpu.NewScope()
	defer s.Close()
	var best *tensor.Tensor
	for step := range 3 {
		x := tensor.Full(s, tensor.F32, float64(step), 2)
		best = s.Keep(x.Mul(w).Sum()) // long-lived too
		s.Reset()
	}
	fmt.Println(best, s.InUse())
	// Output: f32[] 14 0
}

// The op y = x³ of a third party.
func ExampleCustom() {
	cube := func(x *tensor.Tensor) *tensor.Tensor {
		return tensor.Custom(tensor.CustomOp{
			Name: "Cube",
			Forward: func(_ *tensor.Scope, in []*tensor.Tensor) (outputs, saved []*tensor.Tensor) {
				return []*tensor.Tensor{in[0].Square().Mul(in[0])}, in
			},
			Backward: func(dy, saved []*tensor.Tensor, _ []bool) []*tensor.Tensor {
				return []*tensor.Tensor{saved[0].Square().MulScalar(3).Mul(dy[0])}
			},
		}, x)[0]
	}

	cpu := tensor.CPU()
	x := tensor.FromSlice(cpu, []float32{1, 2, 3})
	x.SetTrainable(true)
	grads := tensor.NewGrads(func(yield func(string, *tensor.Tensor) bool) { yield("x", x) }, tensor.F32)
	tape := cpu.NewTape()
	defer tape.Close()
	y := cube(x.In(tape))
	y.Sum().Backward(grads)
	fmt.Println(y, grads.Of(x))
	// Output: f32[3] [1 8 27] f32[3] [3 12 27]
}

// Layers under Checkpoint keep their inputs only and compute the rest once more in backward.
func ExampleCheckpoint() {
	cpu := tensor.CPU()
	w := tensor.Full(cpu, tensor.F32, 0.01, 64, 64)
	w.SetTrainable(true)
	grads := tensor.NewGrads(func(yield func(string, *tensor.Tensor) bool) { yield("w", w) }, tensor.F32)
	layer := func(x ...*tensor.Tensor) []*tensor.Tensor {
		h := tensor.Linear(x[0], w, nil)
		return []*tensor.Tensor{x[0].Add(tensor.Linear(h.SiLU(), w, nil))}
	}

	var norms []float64
	var peaks []int
	for _, run := range []func(tensor.BlockFunc, ...*tensor.Tensor) []*tensor.Tensor{
		func(layer tensor.BlockFunc, x ...*tensor.Tensor) []*tensor.Tensor { return layer(x...) },
		tensor.Checkpoint,
	} {
		tape := cpu.NewTape()
		x := tensor.Ones(tape, tensor.F32, 100, 64)
		for range 24 {
			x = run(layer, x)[0]
		}
		grads.Zero()
		x.Mean().Backward(grads)
		norms, peaks = append(norms, grads.Norm()), append(peaks, tape.Peak())
		tape.Close()
	}
	fmt.Println("the same gradients:", norms[0] == norms[1])
	fmt.Println("in less than half of the memory:", peaks[1] < peaks[0]/2)
	// Output:
	// the same gradients: true
	// in less than half of the memory: true
}

func ExampleTry() {
	s := tensor.CPU().NewScope()
	defer s.Close()
	x := tensor.Zeros(s, tensor.F32, 2, 3)
	err := tensor.Try(func() { x.MatMul(x) })
	fmt.Println(err)
	var misuse *tensor.Error
	fmt.Println(errors.As(err, &misuse), misuse.Op)
	// Output:
	// tensor: MatMul f32[2 3], f32[2 3]: the inner dimensions 3 and 2 differ
	// true MatMul
}
