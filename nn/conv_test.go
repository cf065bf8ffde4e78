package nn_test

import (
	"fmt"
	"testing"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
)

func TestConvolutionsHaveTheRightGradients(t *testing.T) {
	d, f64 := tensor.CPU(), tensor.F64
	r := tensor.NewRand(11)
	for _, shape := range [][]int{{2, 4, 5}, {1, 4, 1}, {3, 4, 2}, {0, 4, 3}} {
		x := randn(r, shape...)
		for name, l := range map[string]nn.Layer{
			"causal":    nn.NewConv1d(d, f64, 4, 2, 3, true, tensor.Conv1dOptions{Causal: true}),
			"depthwise": nn.NewConv1d(d, f64, 4, 4, 2, false, tensor.Conv1dOptions{Causal: true, Groups: 4}),
			"padded":    nn.NewConv1d(d, f64, 4, 6, 3, true, tensor.Conv1dOptions{Stride: 2, Padding: 2, Groups: 2}),
		} {
			t.Run(fmt.Sprint(name, shape), func(t *testing.T) {
				checkGradients(t, l, func(x ...T) T { return l.Forward(x[0]) }, x)
			})
		}
	}
	for _, shape := range [][]int{{2, 2, 4, 5}, {1, 2, 2, 2}, {2, 2, 3, 2}, {0, 2, 3, 3}} {
		x := randn(r, shape...)
		for name, l := range map[string]nn.Layer{
			"conv":     nn.NewConv2d(d, f64, 2, 3, [2]int{2, 2}, true, tensor.Conv2dOptions{Padding: [2]int{1, 0}}),
			"grouped":  nn.NewConv2d(d, f64, 2, 2, [2]int{1, 2}, false, tensor.Conv2dOptions{Groups: 2}),
			"max pool": nn.MaxPool2d{Kernel: [2]int{2, 2}},
			"avg pool": nn.AvgPool2d{Kernel: [2]int{2, 1}},
			"small network": nn.Sequential{
				nn.NewConv2d(d, f64, 2, 3, [2]int{3, 3}, true, tensor.Conv2dOptions{Padding: [2]int{1, 1}}), nn.NewBatchNorm(d, f64, 3, 1e-2),
				nn.GELU{}, nn.MaxPool2d{Kernel: [2]int{2, 2}}, nn.Flatten{},
			},
		} {
			t.Run(fmt.Sprint(name, shape), func(t *testing.T) {
				checkGradients(t, l, func(x ...T) T { return l.Forward(x[0]) }, x)
			})
		}
	}
}

func TestConvolutionsSayWhatTheyWant(t *testing.T) {
	d, f32 := tensor.CPU(), tensor.F32
	s := d.NewScope()
	defer s.Close()
	mustSay(t, "groups", func() { nn.NewConv1d(d, f32, 4, 3, 2, true, tensor.Conv1dOptions{Groups: 2}) }, "nn.NewConv1d", "4 and 3 channels do not divide into 2 groups")
	mustSay(t, "kernel", func() { nn.NewConv2d(d, f32, 4, 3, [2]int{0, 1}, true, tensor.Conv2dOptions{}) }, "nn.NewConv2d", "kernel rows is 0")
	mustSay(t, "channels", func() {
		nn.NewConv2d(d, f32, 4, 3, [2]int{1, 1}, true, tensor.Conv2dOptions{}).Forward(tensor.Zeros(s, f32, 1, 3, 2, 2))
	}, "Conv2d f32[1 3 2 2], f32[3 4 1 1]", "channels")
}
