package nn_test

import (
	"fmt"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
)

func ExampleMSE() {
	s := tensor.CPU().NewScope()
	defer s.Close()
	y, target := tensor.FromSlice(s, []float32{1, 2, 5}), tensor.FromSlice(s, []float32{1, 3, 3})
	fmt.Println(nn.MSE(y, target, nn.Sum))
	fmt.Println(nn.MSE(y, target, nn.PerElement))
	fmt.Println(nn.L1(y, target)) // the mean
	fmt.Println(nn.Huber(y, target, 1, nn.PerElement))
	// Output:
	// f32[] 5
	// f32[3] [0 1 4]
	// f32[] 1
	// f32[3] [0 0.5 1.5]
}

func ExampleBCEWithLogits() {
	s := tensor.CPU().NewScope()
	defer s.Close()
	logits := tensor.FromSlice(s, []float32{0, 100, -100})
	target := tensor.FromSlice(s, []bool{true, true, true})
	fmt.Println(nn.BCEWithLogits(logits, target, nil, nn.PerElement))
	// Output: f32[3] [0.6931 0 100]
}

func ExampleKLDiv() {
	s := tensor.CPU().NewScope()
	defer s.Close()
	student := tensor.FromSlice(s, []float32{2, 0, 0, 0, 1, 0}, 2, 3).LogSoftmax()
	teacher := tensor.FromSlice(s, []float32{1, 0, 0, 0, 1, 0}, 2, 3).Softmax()
	fmt.Printf("%.4f\n", nn.KLDiv(student, teacher).Item())
	// Output: 0.0560
}

func ExampleCosineSimilarity() {
	s := tensor.CPU().NewScope()
	defer s.Close()
	x := tensor.FromSlice(s, []float32{1, 0, 1, 1}, 2, 2)
	y := tensor.FromSlice(s, []float32{0, 3, 2, 2}, 2, 2)
	fmt.Println(nn.CosineSimilarity(x, y))
	// Output: f32[2] [0 1]
}

func ExampleConv2d() {
	dev := tensor.CPU()
	net := nn.Sequential{
		nn.NewConv2d(dev, tensor.F32, 1, 8, [2]int{3, 3}, true, tensor.Conv2dOptions{Padding: [2]int{1, 1}}),
		nn.NewGroupNorm(dev, tensor.F32, 2, 8, 1e-5),
		nn.GELU{},
		nn.MaxPool2d{Kernel: [2]int{2, 2}},
		nn.Flatten{},
		nn.NewLinear(dev, tensor.F32, 8*14*14, 10, true),
	}
	nn.Initialize(net, tensor.NewRand(1))
	s := dev.NewScope()
	defer s.Close()
	images := tensor.Zeros(s, tensor.F32, 5, 1, 28, 28)
	fmt.Println(net.Forward(images).Shape(), nn.Count(nn.Parameters(net)))
	// Output: [5 10] 15786
}

func ExampleConv1d() {
	dev := tensor.CPU()
	// Mixes each channel over the last four places: what Mamba has in front of its state.
	conv := nn.NewConv1d(dev, tensor.F32, 16, 16, 4, true, tensor.Conv1dOptions{Causal: true, Groups: 16})
	nn.Initialize(conv, tensor.NewRand(1))
	s := dev.NewScope()
	defer s.Close()
	fmt.Println(conv.Weight.Shape(), conv.Forward(tensor.Zeros(s, tensor.F32, 2, 16, 100)).Shape())
	// Output: [16 1 4] [2 16 100]
}
