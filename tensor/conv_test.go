package tensor_test

import (
	"math"
	"runtime"
	"testing"

	"github.com/hone-ml/hone/tensor"
)

// convStep is a step of training of a layer of kernels, the larger the batch the more parts it has.
func convStep(d *tensor.Device, dt tensor.DType, batch, groups int) outcome {
	o := tensor.Conv2dOptions{Padding: [2]int{1, 1}, Groups: groups}
	return evaluate(d, func(d *tensor.Device) []T {
		r := tensor.NewRand(1)
		return []T{param(d, r, dt, batch, 8, 20, 20), param(d, r, dt, 8, 8/groups, 3, 3), param(d, r, dt, 8)}
	}, func(x ...T) T { return tensor.Conv2d(x[0], x[1], x[2], o) })
}

func TestConvolutionsOfLowPrecisionRoundOnce(t *testing.T) {
	d := tensor.NewTestDevice(0)
	for _, groups := range []int{1, 8} {
		for dt, tolerance := range map[tensor.DType]float64{tensor.BF16: 0x1p-8, tensor.F16: 0x1p-11} {
			convert := func(x ...T) []T {
				out := make([]T, len(x))
				for i := range x {
					out[i] = x[i].To(dt).To(tensor.F32)
				}
				return out
			}
			inputs := func(want tensor.DType) func(d *tensor.Device) []T {
				return func(d *tensor.Device) []T {
					s, r := d.NewScope(), tensor.NewRand(3)
					defer s.Close()
					in := convert(tensor.Randn(s, tensor.F32, r, 1, 3, 8, 9, 9), tensor.Randn(s, tensor.F32, r, 1, 8, 8/groups, 3, 3), tensor.Randn(s, tensor.F32, r, 1, 8))
					for i := range in {
						in[i] = s.Keep(in[i].To(want))
						in[i].SetTrainable(true)
					}
					return in
				}
			}
			fn := func(x ...T) T {
				return tensor.Conv2d(x[0], x[1], x[2], tensor.Conv2dOptions{Padding: [2]int{1, 1}, Groups: groups})
			}
			got, want := evaluate(d, inputs(dt), fn), evaluate(d, inputs(tensor.F32), fn)
			near(t, dt.String(), got.y, want.y, tolerance)
			for i := range want.grads { // the projection is rounded too
				near(t, dt.String()+" gradient", got.grads[i], want.grads[i], 2*tolerance)
			}
		}
	}
}

func TestConvolutionsAreTheSameBitsForAnyGOMAXPROCS(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, groups := range []int{1, 2, 8} {
		runtime.GOMAXPROCS(1)
		one := convStep(tensor.NewTestDevice(0), tensor.F32, 40, groups)
		runtime.GOMAXPROCS(3)
		three := convStep(tensor.NewTestDevice(0), tensor.F32, 40, groups)
		near(t, "forward", three.y, one.y, 0)
		for i := range one.grads {
			near(t, "gradient", three.grads[i], one.grads[i], 0)
		}
	}
}

func TestConvolutionsInPartsEqualThoseAtOnce(t *testing.T) {
	run := func(patches, groups int) (o outcome) {
		tensor.WithPatches(patches, func() { o = convStep(tensor.NewTestDevice(0), tensor.F64, 7, groups) })
		return o
	}
	for _, groups := range []int{1, 2, 8} {
		whole := run(1<<30, groups)
		for _, patches := range []int{1, 3 * 8 * 9 * 400} {
			parts := run(patches, groups)
			near(t, "forward", parts.y, whole.y, 1e-13)
			for i := range whole.grads {
				near(t, "gradient", parts.grads[i], whole.grads[i], 1e-13)
			}
		}
	}
}

func TestTheMaximumOfAPoolIsNaNWhereThereIsOneAndNeverItsPadding(t *testing.T) {
	s := tensor.CPU().NewScope()
	defer s.Close()
	x := tensor.FromSlice(s, []float32{-3, -2, float32(math.NaN()), -4}, 1, 1, 4)
	y := tensor.ToSlice[float32](tensor.MaxPool1d(x, 2, tensor.Pool1dOptions{Padding: 1, Stride: 2}))
	if y[0] != -3 || y[1] == y[1] || y[2] != -4 {
		t.Errorf("got %v, want [-3 NaN -4]", y)
	}
}

func TestTheFirstOfEqualMaximaOfAPoolGetsTheGradient(t *testing.T) {
	d := tensor.CPU()
	x := paramOf(d, []float64{2, 2, 1, 2, 0, 0, 0, 0}, 1, 1, 2, 4)
	g := tensor.NewGrads(named(x), tensor.F64)
	s := d.NewTape()
	defer s.Close()
	tensor.MaxPool2d(x.In(s), [2]int{2, 2}, tensor.Pool2dOptions{}).Sum().Backward(g)
	near(t, "dx", g.Of(x).Float64s(), []float64{1, 0, 0, 1, 0, 0, 0, 0}, 0)
}

func BenchmarkConv2dStep(b *testing.B) {
	d := tensor.CPU()
	for _, c := range []struct {
		name    string
		x, w    []int
		groups  int
		needsDX bool
	}{
		{"digits 32x1x28x28 to 16", []int{32, 1, 28, 28}, []int{16, 1, 3, 3}, 1, false},
		{"second 32x16x14x14 to 32", []int{32, 16, 14, 14}, []int{32, 16, 3, 3}, 1, true},
		{"wide 8x64x28x28 to 64", []int{8, 64, 28, 28}, []int{64, 64, 3, 3}, 1, true},
		{"depthwise 8x64x28x28", []int{8, 64, 28, 28}, []int{64, 1, 3, 3}, 64, true},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := tensor.NewRand(1)
			x, w, bias := tensor.Randn(d, tensor.F32, r, 1, c.x...), param(d, r, tensor.F32, c.w...), param(d, r, tensor.F32, c.w[0])
			x.SetTrainable(c.needsDX)
			g := tensor.NewGrads(named(x, w, bias), tensor.F32)
			s := d.NewTape()
			defer s.Close()
			for b.Loop() {
				y := tensor.Conv2d(x.In(s), w, bias, tensor.Conv2dOptions{Padding: [2]int{1, 1}, Groups: c.groups})
				y.Sum().Backward(g)
				s.Reset()
			}
		})
	}
}

func BenchmarkMaxPool2dStep(b *testing.B) {
	d := tensor.CPU()
	x := param(d, tensor.NewRand(1), tensor.F32, 32, 16, 28, 28)
	g := tensor.NewGrads(named(x), tensor.F32)
	s := d.NewTape()
	defer s.Close()
	for b.Loop() {
		tensor.MaxPool2d(x.In(s), [2]int{2, 2}, tensor.Pool2dOptions{}).Sum().Backward(g)
		s.Reset()
	}
}

func BenchmarkConv1dCausalDepthwiseStep(b *testing.B) {
	d := tensor.CPU()
	r := tensor.NewRand(1)
	x, w := param(d, r, tensor.F32, 4, 256, 512), param(d, r, tensor.F32, 256, 1, 4)
	g := tensor.NewGrads(named(x, w), tensor.F32)
	s := d.NewTape()
	defer s.Close()
	for b.Loop() {
		tensor.Conv1d(x.In(s), w, nil, tensor.Conv1dOptions{Causal: true, Groups: 256}).Sum().Backward(g)
		s.Reset()
	}
}
