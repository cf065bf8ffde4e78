package tensor_test

import (
	"fmt"

	"github.com/hone-ml/hone/tensor"
)

// An edge filter over an image of four rows.
func ExampleConv2d() {
	s := tensor.CPU().NewScope()
	defer s.Close()
	image := tensor.FromSlice(s, []float32{
		0, 0, 9, 9,
		0, 0, 9, 9,
		0, 0, 9, 9,
		0, 0, 9, 9,
	}, 1, 1, 4, 4)
	filter := tensor.FromSlice(s, []float32{-1, 1}, 1, 1, 1, 2)
	edges := tensor.Conv2d(image, filter, nil, tensor.Conv2dOptions{})
	fmt.Println(edges.Shape(), tensor.ToSlice[float32](edges.Index(0).Index(0).Index(0)))
	// Output: [1 1 4 3] [0 9 0]
}

// A causal kernel sees an element and those before it, never later ones.
func ExampleConv1d() {
	s := tensor.CPU().NewScope()
	defer s.Close()
	x := tensor.FromSlice(s, []float32{1, 0, 0, 2, 0, 0}, 1, 1, 6)
	echo := tensor.FromSlice(s, []float32{0.25, 0.5, 1}, 1, 1, 3)
	fmt.Println(tensor.ToSlice[float32](tensor.Conv1d(x, echo, nil, tensor.Conv1dOptions{Causal: true})))
	// Output: [1 0.5 0.25 2 1 0.5]
}

func ExampleMaxPool2d() {
	s := tensor.CPU().NewScope()
	defer s.Close()
	x := tensor.Arange(s, tensor.F32, 0, 16, 1).Reshape(1, 1, 4, 4)
	fmt.Println(tensor.ToSlice[float32](tensor.MaxPool2d(x, [2]int{2, 2}, tensor.Pool2dOptions{})))
	fmt.Println(tensor.ToSlice[float32](tensor.AvgPool2d(x, [2]int{2, 2}, tensor.Pool2dOptions{})))
	// Output:
	// [5 7 13 15]
	// [2.5 4.5 10.5 12.5]
}
