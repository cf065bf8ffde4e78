package tensor_test

import (
	"fmt"

	"github.com/hone-ml/hone/tensor"
)

func ExampleEinsum() {
	s := tensor.CPU().NewScope()
	defer s.Close()
	q := tensor.Ones(s, tensor.F32, 2, 4, 5, 8) // batch, heads, queries, features
	k := tensor.Ones(s, tensor.F32, 2, 4, 7, 8)
	scores := tensor.Einsum("bhqd,bhkd->bhqk", q, k)
	fmt.Println(scores.Shape(), scores.Max().Item())
	x := tensor.FromSlice(s, []float32{1, 2, 3, 4}, 2, 2)
	fmt.Println(tensor.Einsum("ii", x).Item(), tensor.ToSlice[float32](tensor.Einsum("ij->j", x)))
	// Output:
	// [2 4 5 7] 8
	// 5 [4 6]
}

func ExampleTensor_SliceStep() {
	s := tensor.CPU().NewScope()
	defer s.Close()
	x := tensor.Arange(s, tensor.I32, 0, 10, 1)
	fmt.Println(tensor.ToSlice[int32](x.SliceStep(0, 1, 8, 3)))
	fmt.Println(tensor.ToSlice[int32](x.SliceStep(0, -4, x.Len(), 2)))
	// Output:
	// [1 4 7]
	// [6 8]
}

// The logits that targets name, as a loss takes them.
func ExampleTensor_GatherAlong() {
	s := tensor.CPU().NewScope()
	defer s.Close()
	logits := tensor.FromSlice(s, []float32{0.1, 0.9, 0.7, 0.3}, 2, 2)
	targets := tensor.FromSlice(s, []int32{1, 0}, 2, 1)
	fmt.Println(tensor.ToSlice[float32](logits.GatherAlong(1, targets)))
	// Output: [0.9 0.7]
}

// A histogram.
func ExampleTensor_ScatterAdd() {
	s := tensor.CPU().NewScope()
	defer s.Close()
	bins := tensor.FromSlice(s, []int32{2, 0, 2, 2, 1})
	counts := tensor.Zeros(s, tensor.F32, 4).ScatterAdd(0, bins, tensor.Ones(s, tensor.F32, 5))
	fmt.Println(tensor.ToSlice[float32](counts))
	// Output: [1 1 3 0]
}

func ExampleTensor_MaskedSelect() {
	s := tensor.CPU().NewScope()
	defer s.Close()
	x := tensor.FromSlice(s, []float32{-1, 2, -3, 4})
	fmt.Println(tensor.ToSlice[float32](x.MaskedSelect(x.GtScalar(0))))
	fmt.Println(tensor.ToSlice[float32](x.MaskedFill(x.GtScalar(0), 0)))
	// Output:
	// [2 4]
	// [-1 0 -3 0]
}

func ExampleTensor_Split() {
	s := tensor.CPU().NewScope()
	defer s.Close()
	qkv := tensor.Arange(s, tensor.I32, 0, 8, 1)
	p := qkv.Split(0, 4, 2, 2)
	fmt.Println(tensor.ToSlice[int32](p[0]), tensor.ToSlice[int32](p[1]), tensor.ToSlice[int32](p[2]))
	// Output: [0 1 2 3] [4 5] [6 7]
}

func ExampleTensor_Pad() {
	s := tensor.CPU().NewScope()
	defer s.Close()
	x := tensor.FromSlice(s, []int32{1, 2, 3})
	fmt.Println(tensor.ToSlice[int32](x.Pad(0, [2]int{1, 2})))
	fmt.Println(tensor.ToSlice[int32](x.PadReflect([2]int{2, 1})))
	// Output:
	// [0 1 2 3 0 0]
	// [3 2 1 2 3 2]
}
