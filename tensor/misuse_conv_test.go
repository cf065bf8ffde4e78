package tensor_test

import (
	"fmt"
	"testing"

	"github.com/hone-ml/hone/tensor"
)

func TestErrorsOfConvolutionsAndPoolsSayWhatWasExpected(t *testing.T) {
	s := tensor.NewTestDevice(0).NewTape()
	defer s.Close()
	f := func(shape ...int) T { return tensor.Ones(s, tensor.F32, shape...) }
	i32 := tensor.Zeros(s, tensor.I32, 1, 1, 4)
	h := tensor.Ones(s, tensor.BF16, 2)
	long := tensor.Ones(tensor.CPU(), tensor.F32, 1, 1, 4)
	c1, c2, p1, p2, u := tensor.Conv1dOptions{}, tensor.Conv2dOptions{}, tensor.Pool1dOptions{}, tensor.Pool2dOptions{}, tensor.UnfoldOptions{}
	k := [2]int{2, 2}
	for _, c := range []struct {
		op   string
		fn   func()
		says []string
	}{
		{"Conv1d", func() { tensor.Conv1d(f(2, 3), f(4, 3, 2), nil, c1) }, []string{"f32[2 3], f32[4 3 2]", "needs x [N, C, L] and weight [O, C/groups, K]"}},
		{"Conv1d", func() { tensor.Conv1d(i32, i32, nil, c1) }, []string{"i32[1 1 4]", "one float dtype"}},
		{"Conv1d", func() { tensor.Conv1d(f(1, 3, 5), f(4, 2, 2), nil, c1) }, []string{"[4 2 2]", "3 channels in 1 groups"}},
		{"Conv1d", func() { tensor.Conv1d(f(1, 4, 5), f(3, 2, 2), nil, tensor.Conv1dOptions{Groups: 2}) }, []string{"4 channels in 2 groups", "multiple of the groups"}},
		{"Conv1d", func() { tensor.Conv1d(f(1, 4, 5), f(3, 2, 2), nil, tensor.Conv1dOptions{Groups: -2}) }, []string{"in -2 groups"}},
		{"Conv1d", func() { tensor.Conv1d(f(1, 3, 5), f(2, 3, 2), f(3), c1) }, []string{"f32[3]", "bias [O]"}},
		{"Conv1d", func() { tensor.Conv1d(f(1, 3, 5), f(2, 3, 2), h, c1) }, []string{"bf16[2]", "bias [O] of the same dtype"}},
		{"Conv1d", func() { tensor.Conv1d(f(1, 3, 5), f(2, 3, 3), nil, tensor.Conv1dOptions{Dilation: 3}) }, []string{"a kernel of 3 with dilation 3 spans 7 elements, the axis has 5"}},
		{"Conv1d", func() { tensor.Conv1d(f(1, 3, 5), f(2, 3, 3), nil, tensor.Conv1dOptions{Causal: true, Padding: 1}) }, []string{"Causal decides the padding"}},
		{"Conv1d", func() { tensor.Conv1d(f(1, 3, 5), f(2, 3, 0), nil, c1) }, []string{"a kernel of 0", "at least 1"}},
		{"Conv1d", func() { tensor.Conv1d(f(1, 3, 5), f(2, 3, 1), nil, tensor.Conv1dOptions{Stride: -1}) }, []string{"stride -1"}},
		{"Conv1d", func() { tensor.Conv1d(f(1, 3, 5), f(2, 3, 1), nil, tensor.Conv1dOptions{Padding: -1}) }, []string{"padding -1"}},
		{"Conv1d", func() { tensor.Conv1d(long, long, nil, c1) }, []string{"every operand is long-lived"}},
		{"Conv2d", func() { tensor.Conv2d(f(2, 3, 4), f(4, 3, 2), nil, c2) }, []string{"f32[2 3 4]", "needs x [N, C, H, W] and weight [O, C/groups, KH, KW]"}},
		{"Conv2d", func() { tensor.Conv2d(f(1, 1, 3, 3), f(1, 1, 2, 4), nil, c2) }, []string{"[1 1 3 3]", "spans 4 elements, the axis has 3"}},
		{"Conv2d", func() {
			tensor.Conv2d(f(1, 1, 3, 3), f(1, 1, 1, 1), nil, tensor.Conv2dOptions{Dilation: [2]int{1, -3}})
		}, []string{"dilation -3"}},
		{"MaxPool1d", func() { tensor.MaxPool1d(f(2, 3), 2, p1) }, []string{"f32[2 3]", "needs [N, C, L] of a float dtype"}},
		{"MaxPool1d", func() { tensor.MaxPool1d(f(2, 3, 4), 2, tensor.Pool1dOptions{Padding: 2}) }, []string{"a padding of 2 is more than half of the kernel 2"}},
		{"MaxPool2d", func() { tensor.MaxPool2d(f(2, 3, 4), k, p2) }, []string{"f32[2 3 4]", "needs [N, C, H, W]"}},
		{"MaxPool2d", func() { tensor.MaxPool2d(f(2, 3, 1, 4), k, p2) }, []string{"[2 3 1 4]", "a kernel of 2 with dilation 1 spans 2 elements, the axis has 1"}},
		{"MaxPool2d", func() { tensor.MaxPool2d(f(2, 3, 4, 4), [2]int{0, 1}, p2) }, []string{"a kernel of 0"}},
		{"AvgPool1d", func() { tensor.AvgPool1d(i32, 2, p1) }, []string{"i32[1 1 4]", "float dtype"}},
		{"AvgPool2d", func() { tensor.AvgPool2d(f(2, 3, 4, 4), k, tensor.Pool2dOptions{Stride: [2]int{-1, 0}}) }, []string{"stride -1"}},
		{"AdaptiveAvgPool1d", func() { tensor.AdaptiveAvgPool1d(f(2, 3, 4), 0) }, []string{"[2 3 4]", "cannot be pooled to 0 windows"}},
		{"AdaptiveAvgPool2d", func() { tensor.AdaptiveAvgPool2d(f(2, 3, 4, 0), k) }, []string{"[2 3 4 0]", "something in it"}},
		{"AdaptiveAvgPool2d", func() { tensor.AdaptiveAvgPool2d(f(2, 3, 4), k) }, []string{"needs [N, C, H, W]"}},
		{"Unfold", func() { tensor.Unfold(f(2, 3, 4), k, u) }, []string{"f32[2 3 4]", "needs x [N, C, H, W]"}},
		{"Unfold", func() { tensor.Unfold(f(2, 3, 4, 1), k, u) }, []string{"spans 2 elements, the axis has 1"}},
		{"Fold", func() { tensor.Fold(f(2, 3, 4), [2]int{3, 3}, k, u) }, []string{"f32[2 3 4]", "images of 3 × 3 have columns [N, C·4, 4]"}},
		{"Fold", func() { tensor.Fold(f(2, 4, 5), [2]int{3, 3}, k, u) }, []string{"f32[2 4 5]", "[N, C·4, 4]"}},
		{"Fold", func() { tensor.Fold(f(2, 4, 4), [2]int{-3, 3}, k, u) }, []string{"cannot make images of -3 × 3"}},
		{"Fold", func() { tensor.Fold(i32, [2]int{3, 3}, k, u) }, []string{"i32[1 1 4]", "float dtype"}},
	} {
		mustSay(t, fmt.Sprint(c.op, c.says), c.fn, append([]string{"tensor: " + c.op}, c.says...)...)
	}
}
