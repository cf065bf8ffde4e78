package tensor_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/hone-ml/hone/tensor"
)

// A fused op and its composed twin are the same code on two devices: one has the kernels, the other hides
// them. Both draw the same numbers.

// outcome is an op's result and the gradients of its trainable inputs.
type outcome struct {
	y     []float64
	grads [][]float64
}

// evaluate runs fn, on inputs that make gives, on d; a random projection of the result is the loss.
func evaluate(d *tensor.Device, inputs func(d *tensor.Device) []T, fn func(x ...T) T) outcome {
	in := inputs(d)
	g := tensor.NewGrads(named(in...), tensor.F64)
	s := d.NewTape()
	defer s.Close()
	guests := make([]T, len(in))
	for i, x := range in {
		guests[i] = x.In(s)
	}
	y := fn(guests...)
	p := tensor.Randn(s, y.DType(), tensor.NewRand(99), 1, y.Shape()...)
	y.Mul(p).Sum().Backward(g)
	o := outcome{y: y.Float64s()}
	for _, x := range in {
		if x.Trainable() {
			o.grads = append(o.grads, g.Of(x).Float64s())
		}
	}
	return o
}

// compareTwins checks fused against composed in F64, F32 and BF16. The tolerance of BF16 is a few roundings,
// of which the twin makes more.
func compareTwins(t *testing.T, inputs func(d *tensor.Device, dt tensor.DType) []T, fn func(x ...T) T) {
	t.Helper()
	for _, c := range []struct {
		dt        tensor.DType
		tolerance float64
	}{{tensor.F64, 1e-12}, {tensor.F32, 1e-5}, {tensor.BF16, 0.03}} {
		t.Run(c.dt.String(), func(t *testing.T) {
			in := func(d *tensor.Device) []T { return inputs(d, c.dt) }
			fused := evaluate(tensor.NewTestDevice(0), in, fn)
			composed := evaluate(tensor.NewComposedDevice(), in, fn)
			near(t, "forward", fused.y, composed.y, c.tolerance)
			for i := range fused.grads {
				near(t, fmt.Sprint("gradient ", i), fused.grads[i], composed.grads[i], c.tolerance)
			}
		})
	}
}

func TestFusedSoftmaxEqualsItsTwin(t *testing.T) {
	for _, shape := range [][]int{{7, 33}, {2, 3, 1}, {1, 300}} {
		compareTwins(t, func(d *tensor.Device, dt tensor.DType) []T {
			return []T{param(d, tensor.NewRand(1), dt, shape...)}
		}, func(x ...T) T { return x[0].Softmax() })
	}
}

func TestFusedActivationsEqualTheirTwins(t *testing.T) {
	for name, fn := range map[string]func(T) T{
		"Sigmoid": T.Sigmoid, "Tanh": T.Tanh, "ReLU": T.ReLU, "SiLU": T.SiLU, "GELU": T.GELU, "GELUTanh": T.GELUTanh, "Softplus": T.Softplus,
	} {
		t.Run(name, func(t *testing.T) {
			compareTwins(t, func(d *tensor.Device, dt tensor.DType) []T {
				return []T{param(d, tensor.NewRand(1), dt, 7, 333)}
			}, func(x ...T) T { return fn(x[0]) })
		})
	}
}

func TestFusedLinearEqualsItsTwin(t *testing.T) {
	for _, shape := range [][]int{{7, 33}, {2, 3, 8}, {300}, {40, 65}} {
		out := 21
		inputs := func(d *tensor.Device, dt tensor.DType) []T {
			r := tensor.NewRand(12)
			y := append(slices.Clone(shape[:len(shape)-1]), out)
			return []T{param(d, r, dt, shape...), param(d, r, dt, out, shape[len(shape)-1]), param(d, r, dt, out), param(d, r, dt, y...)}
		}
		compareTwins(t, inputs, func(x ...T) T { return tensor.Linear(x[0], x[1], x[2]).Add(x[3]) })
		compareTwins(t, inputs, func(x ...T) T { return tensor.LinearAdd(x[3], x[0], x[1], nil).Add(x[2]) })
		compareTwins(t, inputs, func(x ...T) T { return tensor.LinearAdd(x[3], x[0], x[1], x[2]) })
		compareTwins(t, inputs, func(x ...T) T { // a residual that is used again
			return tensor.LinearAdd(x[3], x[0], x[1], x[2]).Mul(x[3])
		})
	}
}

func TestFusedRMSNormEqualsItsTwin(t *testing.T) {
	for _, shape := range [][]int{{7, 33}, {2, 3, 8}, {300}} {
		compareTwins(t, func(d *tensor.Device, dt tensor.DType) []T {
			r := tensor.NewRand(2)
			return []T{param(d, r, dt, shape...), param(d, r, dt, shape[len(shape)-1])}
		}, func(x ...T) T { return tensor.RMSNorm(x[0], x[1], 1e-6) })
	}
}

func TestFusedLayerNormEqualsItsTwin(t *testing.T) {
	for _, shape := range [][]int{{7, 33}, {2, 3, 8}, {300}, {150, 9}} {
		compareTwins(t, func(d *tensor.Device, dt tensor.DType) []T {
			r, width := tensor.NewRand(2), shape[len(shape)-1]
			return []T{param(d, r, dt, shape...), param(d, r, dt, width), param(d, r, dt, width)}
		}, func(x ...T) T { return tensor.LayerNorm(x[0], x[1], x[2], 1e-6) })
	}
}

func TestFusedSwiGLUEqualsItsTwin(t *testing.T) {
	for _, shape := range [][]int{{7, 33}, {2, 3, 8}, {300}} {
		compareTwins(t, func(d *tensor.Device, dt tensor.DType) []T {
			r := tensor.NewRand(3)
			return []T{param(d, r, dt, shape...), param(d, r, dt, shape...)}
		}, func(x ...T) T { return tensor.SwiGLU(x[0], x[1]) })
	}
}

func TestFusedRoPEEqualsItsTwin(t *testing.T) {
	for _, shape := range [][]int{{2, 5, 3, 8}, {4, 1, 2}} {
		compareTwins(t, func(d *tensor.Device, dt tensor.DType) []T {
			return []T{param(d, tensor.NewRand(4), dt, shape...)}
		}, func(x ...T) T {
			rows := x[0].Len() / (x[0].Dim(-1) * x[0].Dim(-2))
			cos, sin := tensor.RoPETable(tensor.Arange(x[0].Scope(), tensor.I32, 0, float64(rows), 1), x[0].Dim(-1), 1e4)
			return tensor.RoPE(x[0], cos, sin)
		})
	}
}

// normRoPEInputs are x, w and the tables of angles.
func normRoPEInputs(shape []int) func(d *tensor.Device, dt tensor.DType) []T {
	return func(d *tensor.Device, dt tensor.DType) []T {
		r, width := tensor.NewRand(4), shape[len(shape)-1]
		x := param(d, r, dt, shape...)
		rows := x.Len() / (width * x.Dim(-2))
		angles := tensor.Uniform(d, tensor.F32, r, -3, 3, rows, width/2).Float64s()
		cos, sin := make([]float32, len(angles)), make([]float32, len(angles))
		for i, a := range angles {
			cos[i], sin[i] = float32(math.Cos(a)), float32(math.Sin(a))
		}
		return []T{x, param(d, r, dt, width), tensor.FromSlice(d, cos, rows, width/2), tensor.FromSlice(d, sin, rows, width/2)}
	}
}

func TestFusedRMSNormRoPEEqualsItsTwin(t *testing.T) {
	for _, shape := range [][]int{{2, 5, 3, 8}, {4, 1, 2}, {70, 2, 32}} {
		compareTwins(t, normRoPEInputs(shape), func(x ...T) T { return tensor.RMSNormRoPE(x[0], x[1], x[2], x[3], 1e-6) })
	}
}

func TestRMSNormRoPERoundsWhereTheTwoKernelsDo(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.BF16, tensor.F16} {
		d := tensor.NewTestDevice(0)
		s := d.NewScope()
		x := normRoPEInputs([]int{33, 3, 64})(d, dt)
		in := x[0].In(s)
		same(t, dt.String(), tensor.RMSNormRoPE(in, x[1], x[2], x[3], 1e-6), tensor.RoPE(tensor.RMSNorm(in, x[1], 1e-6), x[2], x[3]))
		s.Close()
	}
}

func TestFusedAttentionEqualsItsTwin(t *testing.T) {
	for _, c := range []struct {
		name              string
		b, t, s, h, kv, d int
		o                 tensor.AttentionOptions
	}{
		{"causal with grouped queries", 2, 37, 37, 6, 2, 16, tensor.AttentionOptions{Causal: true}},
		{"all keys", 1, 9, 21, 2, 2, 8, tensor.AttentionOptions{Scale: 0.2}},
		{"more keys than queries", 2, 5, 70, 4, 1, 8, tensor.AttentionOptions{Causal: true}},
		{"fewer keys than queries", 1, 13, 6, 4, 2, 8, tensor.AttentionOptions{Causal: true}},
		{"packed", 2, 40, 40, 4, 2, 8, tensor.AttentionOptions{Causal: true, SeqStarts: []int32{0, 3, 20, 60, 60}}},
		{"segments", 1, 12, 20, 2, 1, 8, tensor.AttentionOptions{Causal: true, Segments: []tensor.Segment{
			{Q0: 2, Q1: 5, K0: 0, K1: 9}, {Q0: 5, Q1: 5, K0: 0, K1: 3}, {Q0: 5, Q1: 8, K0: 4, K1: 4}, {Q0: 8, Q1: 11, K0: 6, K1: 20}}}},
		{"one row", 1, 1, 1, 1, 1, 1, tensor.AttentionOptions{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			compareTwins(t, func(d *tensor.Device, dt tensor.DType) []T {
				r := tensor.NewRand(5)
				return []T{param(d, r, dt, c.b, c.t, c.h, c.d), param(d, r, dt, c.b, c.s, c.kv, c.d), param(d, r, dt, c.b, c.s, c.kv, c.d)}
			}, func(x ...T) T { return tensor.Attention(x[0], x[1], x[2], c.o) })
		})
	}
}

func TestAttentionOfNonContiguousHeadsEqualsItsTwin(t *testing.T) {
	compareTwins(t, func(d *tensor.Device, dt tensor.DType) []T {
		return []T{param(d, tensor.NewRand(6), dt, 2, 9, 8, 4)} // q, k and v in one projection
	}, func(x ...T) T {
		return tensor.Attention(x[0].Slice(2, 0, 4), x[0].Slice(2, 4, 6), x[0].Slice(2, 6, 8), tensor.AttentionOptions{Causal: true})
	})
}

func TestPackedAttentionEqualsEachSequenceAlone(t *testing.T) {
	d := tensor.NewTestDevice(0)
	s := d.NewScope()
	defer s.Close()
	r := tensor.NewRand(7)
	q := tensor.Randn(s, tensor.F32, r, 1, 1, 11, 4, 8)
	k, v := tensor.Randn(s, tensor.F32, r, 1, 1, 11, 2, 8), tensor.Randn(s, tensor.F32, r, 1, 1, 11, 2, 8)
	packed := tensor.Attention(q, k, v, tensor.AttentionOptions{Causal: true, SeqStarts: []int32{0, 4, 5}})
	for _, p := range [][2]int{{0, 4}, {4, 5}, {5, 11}} {
		cut := func(x T) T { return x.Slice(1, p[0], p[1]) }
		alone := tensor.Attention(cut(q), cut(k), cut(v), tensor.AttentionOptions{Causal: true})
		near(t, fmt.Sprint(p), cut(packed).Float64s(), alone.Float64s(), 1e-6)
	}
}

// lossInputs are hidden [rows, h], weight [v, h] and targets of which some are ignored.
func lossInputs(d *tensor.Device, dt tensor.DType, rows, h, v int) []T {
	r := tensor.NewRand(8)
	targets := make([]int32, rows)
	for i := range targets {
		targets[i] = int32(i * 37 % v)
		if i%5 == 3 {
			targets[i] = -100
		}
	}
	weights := make([]float32, rows)
	for i := range weights {
		weights[i] = float32(i%3) / 2
	}
	return []T{param(d, r, dt, rows, h), param(d, r, dt, v, h), tensor.FromSlice(d, targets), tensor.FromSlice(d, weights)}
}

var lossOptions = map[string]tensor.CrossEntropyOptions{
	"plain":      {},
	"smoothed":   {Smoothing: 0.1},
	"divided":    {Divisor: 17},
	"ignoring 7": {IgnoreIndex: 7, Divisor: 3, Smoothing: 0.3},
}

func TestFusedCrossEntropyEqualsItsTwin(t *testing.T) {
	for name, o := range lossOptions {
		t.Run(name, func(t *testing.T) {
			ignore := o.IgnoreIndex
			if ignore == 0 {
				ignore = -100
			}
			inputs := func(d *tensor.Device, dt tensor.DType) []T {
				in := lossInputs(d, dt, 13, 6, 29)
				v := tensor.ToSlice[int32](in[2])
				for i := range v {
					if v[i] == -100 {
						v[i] = int32(ignore)
					}
				}
				in[2] = tensor.FromSlice(d, v)
				return in
			}
			compareTwins(t, inputs, func(x ...T) T { return tensor.LinearCrossEntropy(x[0], x[1], x[2], o) })
			compareTwins(t, inputs, func(x ...T) T { return tensor.CrossEntropy(tensor.Linear(x[0], x[1], nil), x[2], o) })
			compareTwins(t, inputs, func(x ...T) T {
				o := o
				o.RowWeights = x[3]
				return tensor.LinearCrossEntropy(x[0], x[1], x[2], o)
			})
		})
	}
}

func TestLinearCrossEntropyDoesNotDependOnItsChunks(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F64, tensor.F32, tensor.BF16} {
		for name, o := range lossOptions {
			if o.IgnoreIndex != 0 {
				continue
			}
			tolerance := map[tensor.DType]float64{tensor.F64: 1e-13, tensor.F32: 1e-6, tensor.BF16: 1e-6}[dt]
			run := func(keep, chunk int, o tensor.CrossEntropyOptions) (out outcome) {
				tensor.WithLogitChunks(keep, chunk, func() {
					out = evaluate(tensor.NewTestDevice(0), func(d *tensor.Device) []T { return lossInputs(d, dt, 13, 6, 300) },
						func(x ...T) T { return tensor.LinearCrossEntropy(x[0], x[1], x[2], o) })
				})
				return out
			}
			whole := run(1<<20, 1<<20, o)
			asked := o
			asked.KeepLogits = true
			for _, chunk := range []int{1, 13 * 64, 13 * 100, 13 * 299, 13 * 300} {
				part := run(0, chunk, o)
				kept := run(0, chunk, asked)
				if !slices.Equal(kept.y, part.y) || !slices.Equal(kept.grads[0], part.grads[0]) || !slices.Equal(kept.grads[1], part.grads[1]) {
					t.Errorf("%v %s, parts of %d logits: not the same bits when the logits are kept", dt, name, chunk)
				}
				near(t, fmt.Sprint(dt, name, chunk), part.y, whole.y, tolerance)
				near(t, fmt.Sprint(dt, name, chunk, " d hidden"), part.grads[0], whole.grads[0], tolerance)
				near(t, fmt.Sprint(dt, name, chunk, " d weight"), part.grads[1], whole.grads[1], tolerance)
			}
		}
	}
}

func TestATiedWeightGetsBothGradients(t *testing.T) {
	for _, chunk := range []int{1 << 20, 40} {
		tensor.WithLogitChunks(chunk, chunk, func() {
			compareTwins(t, func(d *tensor.Device, dt tensor.DType) []T {
				return []T{param(d, tensor.NewRand(9), dt, 150, 6)}
			}, func(x ...T) T {
				ids := tensor.FromSlice(x[0].Scope(), []int32{3, 5, 3, 149, 0})
				targets := tensor.FromSlice(x[0].Scope(), []int32{5, 3, 149, 64, -100})
				return tensor.LinearCrossEntropy(tensor.Embedding(x[0], ids).Tanh(), x[0], targets, tensor.CrossEntropyOptions{})
			})
		})
	}
}

func TestAWeightThatIsComputedGetsItsGradientThroughTheLoss(t *testing.T) {
	for _, chunk := range []int{1 << 20, 40} {
		tensor.WithLogitChunks(chunk, chunk, func() {
			compareTwins(t, func(d *tensor.Device, dt tensor.DType) []T {
				r := tensor.NewRand(9)
				return []T{param(d, r, dt, 150, 2), param(d, r, dt, 2, 6), param(d, r, dt, 5, 6)}
			}, func(x ...T) T { // a low-rank weight
				targets := tensor.FromSlice(x[0].Scope(), []int32{5, 63, 64, 149, -100})
				return tensor.LinearCrossEntropy(x[2], x[0].MatMul(x[1]), targets, tensor.CrossEntropyOptions{})
			})
		})
	}
}

func TestLargeLogitsDoNotOverflow(t *testing.T) {
	for _, d := range []*tensor.Device{tensor.NewTestDevice(0), tensor.NewComposedDevice()} {
		s := d.NewScope()
		x := tensor.FromSlice(s, []float32{1e4, -1e4, 9999, 0}, 1, 4)
		loss := tensor.CrossEntropy(x, tensor.FromSlice(s, []int32{2}), tensor.CrossEntropyOptions{}).Item()
		if want := 1 + math.Log1p(math.Exp(-1)); math.Abs(loss-want) > 1e-3 {
			t.Errorf("loss %g, want %g", loss, want)
		}
		near(t, "softmax", x.Softmax().Float64s(), []float64{1 / (1 + math.Exp(-1)), 0, 1 / (1 + math.E), 0}, 1e-6)
		s.Close()
	}
}

func TestFusedConvolutionsAndPoolsEqualTheirTwins(t *testing.T) {
	images := func(weight ...int) func(d *tensor.Device, dt tensor.DType) []T {
		return func(d *tensor.Device, dt tensor.DType) []T {
			r := tensor.NewRand(6)
			return []T{param(d, r, dt, 3, 4, 9, 7), param(d, r, dt, weight...), param(d, r, dt, weight[0])}
		}
	}
	for _, o := range []tensor.Conv2dOptions{{}, {Padding: [2]int{1, 1}}, {Stride: [2]int{2, 1}, Padding: [2]int{0, 2}}, {Dilation: [2]int{2, 3}, Padding: [2]int{2, 1}}} {
		for groups, weight := range map[int][]int{1: {5, 4, 3, 3}, 2: {6, 2, 2, 3}, 4: {4, 1, 3, 2}} {
			o := o
			o.Groups = groups
			compareTwins(t, images(weight...), func(x ...T) T { return tensor.Conv2d(x[0], x[1], x[2], o) })
			compareTwins(t, images(weight...), func(x ...T) T { // not contiguous, and a constant image
				return tensor.Conv2d(x[0].Detach().Transpose(2, 3), x[1], nil, o)
			})
		}
		u := tensor.UnfoldOptions{Stride: o.Stride, Padding: o.Padding, Dilation: o.Dilation}
		compareTwins(t, images(1), func(x ...T) T { return tensor.Unfold(x[0].Transpose(2, 3), [2]int{2, 3}, u) })
		compareTwins(t, images(1), func(x ...T) T {
			return tensor.Fold(tensor.Unfold(x[0], [2]int{2, 3}, u).Square(), [2]int{9, 7}, [2]int{2, 3}, u)
		})
	}
	for _, o := range []tensor.Pool2dOptions{{}, {Stride: [2]int{1, 2}, Padding: [2]int{1, 1}}, {Stride: [2]int{2, 1}, Dilation: [2]int{1, 2}}} {
		compareTwins(t, images(1), func(x ...T) T { return tensor.MaxPool2d(x[0].Transpose(2, 3), [2]int{2, 3}, o) })
	}
	compareTwins(t, images(1), func(x ...T) T { // the window misses the signal between its two elements
		y := tensor.MaxPool1d(x[0].Reshape(3, -1, 2), 2, tensor.Pool1dOptions{Stride: 1, Padding: 1, Dilation: 3})
		return y.MaskedFill(y.GtScalar(-1e30).Not(), 1)
	})
}
