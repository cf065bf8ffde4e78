package tensor_test

import (
	"math"
	"slices"

	"github.com/hone-ml/hone/tensor"
)

// windowRef describes a kernel over [N, C, H, W] as the references see it.
type windowRef struct{ kernel, stride, dilation, before, after [2]int }

// filled gives what is 0 its meaning.
func (w windowRef) filled(stride [2]int) windowRef {
	for i := range 2 {
		if w.stride[i] == 0 {
			w.stride[i] = stride[i]
		}
		w.dilation[i] = max(w.dilation[i], 1)
	}
	return w
}

// result is the number of places on an image.
func (w windowRef) result(h, wd int) (int, int) {
	n := [2]int{h, wd}
	for i := range n {
		n[i] = (n[i]+w.before[i]+w.after[i]-w.dilation[i]*(w.kernel[i]-1)-1)/w.stride[i] + 1
	}
	return n[0], n[1]
}

// each calls fn for the elements that the kernel sees at a place, padding left out.
func (w windowRef) each(h, wd, oy, ox int, fn func(i, j, y, x int)) {
	for i := range w.kernel[0] {
		for j := range w.kernel[1] {
			y, x := oy*w.stride[0]+i*w.dilation[0]-w.before[0], ox*w.stride[1]+j*w.dilation[1]-w.before[1]
			if y >= 0 && y < h && x >= 0 && x < wd {
				fn(i, j, y, x)
			}
		}
	}
}

// asImagesRef is [N, C, L] as [N, C, 1, L].
func asImagesRef(x nd) nd {
	if len(x.shape) == 3 {
		return nd{[]int{x.shape[0], x.shape[1], 1, x.shape[2]}, x.data}
	}
	return x
}

// like3 drops the height again if the operand had none.
func like3(rank int, y nd) nd {
	if rank == 3 {
		return nd{[]int{y.shape[0], y.shape[1], y.shape[3]}, y.data}
	}
	return y
}

func convRef(w windowRef, groups int) func(x []nd) nd {
	groups = max(groups, 1)
	return func(in []nd) nd {
		x, k := asImagesRef(in[0]), asImagesRef(in[1])
		w := w
		w.kernel = [2]int{k.shape[2], k.shape[3]}
		w = w.filled([2]int{1, 1})
		oh, ow := w.result(x.shape[2], x.shape[3])
		perGroup := k.shape[0] / groups
		return like3(len(in[0].shape), build([]int{x.shape[0], k.shape[0], oh, ow}, func(at []int) float64 {
			sum := 0.0
			if len(in) > 2 {
				sum = in[2].data[at[1]]
			}
			for c := range k.shape[1] {
				w.each(x.shape[2], x.shape[3], at[2], at[3], func(i, j, y, xx int) {
					sum += *x.at(at[0], at[1]/perGroup*k.shape[1]+c, y, xx) * *k.at(at[1], c, i, j)
				})
			}
			return sum
		}))
	}
}

func poolRef(w windowRef, fold func(values []float64, taps int) float64) func(x []nd) nd {
	return func(in []nd) nd {
		x, w := asImagesRef(in[0]), w.filled(w.kernel)
		oh, ow := w.result(x.shape[2], x.shape[3])
		return like3(len(in[0].shape), build([]int{x.shape[0], x.shape[1], oh, ow}, func(at []int) float64 {
			var seen []float64
			w.each(x.shape[2], x.shape[3], at[2], at[3], func(_, _, y, xx int) { seen = append(seen, *x.at(at[0], at[1], y, xx)) })
			return fold(seen, w.kernel[0]*w.kernel[1])
		}))
	}
}

func sumOf(x []float64) float64 {
	s := 0.0
	for _, v := range x {
		s += v
	}
	return s
}

func maxRef(x []float64, _ int) float64     { return slices.Max(x) }
func meanOfAll(x []float64, n int) float64  { return sumOf(x) / float64(n) }
func meanInside(x []float64, _ int) float64 { return sumOf(x) / float64(len(x)) }

// convolutionCases are those of convolutions, pools, Unfold and Fold.
func convolutionCases() []opCase {
	var cases []opCase
	add := func(op string, fn func(x []T) T, ref func(x []nd) nd, in ...operand) {
		cases = append(cases, opCase{op, in, fn, ref})
	}
	pair := func(a, b int) [2]int { return [2]int{a, b} }

	for _, c := range []struct {
		x, w []int
		o    tensor.Conv1dOptions
	}{
		{[]int{2, 3, 7}, []int{4, 3, 3}, tensor.Conv1dOptions{}},
		{[]int{2, 4, 8}, []int{6, 2, 3}, tensor.Conv1dOptions{Stride: 2, Padding: 1, Groups: 2}},
		{[]int{1, 2, 9}, []int{2, 2, 3}, tensor.Conv1dOptions{Dilation: 2, Causal: true}},
		{[]int{2, 3, 6}, []int{3, 1, 4}, tensor.Conv1dOptions{Causal: true, Groups: 3}},
		{[]int{1, 2, 5}, []int{4, 1, 2}, tensor.Conv1dOptions{Padding: 2, Groups: 2, Stride: 3}},
		{[]int{1, 1, 1}, []int{1, 1, 1}, tensor.Conv1dOptions{}},
		{[]int{0, 2, 4}, []int{3, 2, 2}, tensor.Conv1dOptions{}},
	} {
		w := windowRef{stride: pair(1, c.o.Stride), dilation: pair(1, c.o.Dilation), before: pair(0, c.o.Padding), after: pair(0, c.o.Padding)}
		if c.o.Causal {
			w.before[1] = (c.w[2] - 1) * max(c.o.Dilation, 1)
		}
		add("Conv1d", func(x []T) T { return tensor.Conv1d(x[0], x[1], nil, c.o) }, convRef(w, c.o.Groups), n(c.x...), n(c.w...))
		add("Conv1d", func(x []T) T { return tensor.Conv1d(x[0], x[1], x[2], c.o) }, convRef(w, c.o.Groups), n(c.x...), n(c.w...), n(c.w[0]))
	}
	for _, c := range []struct {
		x, w []int
		o    tensor.Conv2dOptions
	}{
		{[]int{2, 2, 4, 5}, []int{3, 2, 3, 2}, tensor.Conv2dOptions{}},
		{[]int{1, 4, 5, 4}, []int{2, 2, 3, 3}, tensor.Conv2dOptions{Stride: pair(2, 1), Padding: pair(1, 2), Groups: 2}},
		{[]int{1, 1, 6, 5}, []int{2, 1, 2, 3}, tensor.Conv2dOptions{Dilation: pair(2, 1), Padding: pair(0, 1)}},
		{[]int{2, 3, 4, 3}, []int{3, 1, 3, 3}, tensor.Conv2dOptions{Padding: pair(1, 1), Groups: 3}},
		{[]int{2, 3, 3, 2}, []int{2, 3, 1, 1}, tensor.Conv2dOptions{}},
		{[]int{1, 1, 1, 1}, []int{1, 1, 1, 1}, tensor.Conv2dOptions{}},
		{[]int{0, 1, 3, 3}, []int{2, 1, 2, 2}, tensor.Conv2dOptions{}},
		{[]int{1, 0, 3, 3}, []int{2, 0, 2, 2}, tensor.Conv2dOptions{}},
	} {
		w := windowRef{stride: c.o.Stride, dilation: c.o.Dilation, before: c.o.Padding, after: c.o.Padding}
		add("Conv2d", func(x []T) T { return tensor.Conv2d(x[0], x[1], nil, c.o) }, convRef(w, c.o.Groups), n(c.x...), n(c.w...))
		add("Conv2d", func(x []T) T { return tensor.Conv2d(x[0], x[1], x[2], c.o) }, convRef(w, c.o.Groups), n(c.x...), n(c.w...), n(c.w[0]))
	}

	for _, c := range []struct {
		x []int
		k int
		o tensor.Pool1dOptions
	}{
		{[]int{2, 3, 8}, 2, tensor.Pool1dOptions{}},
		{[]int{1, 2, 7}, 3, tensor.Pool1dOptions{Stride: 2, Padding: 1}},
		{[]int{1, 1, 7}, 2, tensor.Pool1dOptions{Stride: 1, Padding: 1, Dilation: 3, ExcludePadding: true}},
		{[]int{1, 1, 1}, 1, tensor.Pool1dOptions{}},
		{[]int{0, 2, 4}, 2, tensor.Pool1dOptions{}},
	} {
		w := windowRef{kernel: pair(1, c.k), stride: pair(1, c.o.Stride), dilation: pair(1, c.o.Dilation), before: pair(0, c.o.Padding), after: pair(0, c.o.Padding)}
		mean := meanOfAll
		if c.o.ExcludePadding {
			mean = meanInside
		}
		if w.stride[1] == 0 {
			w.stride[1] = c.k
		}
		add("MaxPool1d", func(x []T) T { return tensor.MaxPool1d(x[0], c.k, c.o) }, poolRef(w, maxRef), n(c.x...))
		add("AvgPool1d", func(x []T) T { return tensor.AvgPool1d(x[0], c.k, c.o) }, poolRef(w, mean), n(c.x...))
	}
	for _, c := range []struct {
		x []int
		k [2]int
		o tensor.Pool2dOptions
	}{
		{[]int{2, 2, 4, 6}, pair(2, 2), tensor.Pool2dOptions{}},
		{[]int{1, 2, 5, 5}, pair(3, 2), tensor.Pool2dOptions{Stride: pair(2, 1), Padding: pair(1, 1)}},
		{[]int{1, 1, 5, 6}, pair(2, 3), tensor.Pool2dOptions{Stride: pair(1, 2), Padding: pair(0, 1), Dilation: pair(2, 1), ExcludePadding: true}},
		{[]int{1, 1, 1, 1}, pair(1, 1), tensor.Pool2dOptions{}},
		{[]int{0, 2, 4, 4}, pair(2, 2), tensor.Pool2dOptions{}},
	} {
		w := windowRef{kernel: c.k, stride: c.o.Stride, dilation: c.o.Dilation, before: c.o.Padding, after: c.o.Padding}
		mean := meanOfAll
		if c.o.ExcludePadding {
			mean = meanInside
		}
		add("MaxPool2d", func(x []T) T { return tensor.MaxPool2d(x[0], c.k, c.o) }, poolRef(w, maxRef), n(c.x...))
		add("AvgPool2d", func(x []T) T { return tensor.AvgPool2d(x[0], c.k, c.o) }, poolRef(w, mean), n(c.x...))
	}
	adaptive := func(h, w int) func(x []nd) nd {
		return func(in []nd) nd {
			x := asImagesRef(in[0])
			return like3(len(in[0].shape), build([]int{x.shape[0], x.shape[1], h, w}, func(at []int) float64 {
				sum, count := 0.0, 0.0
				for y := at[2] * x.shape[2] / h; float64(y) < math.Ceil(float64((at[2]+1)*x.shape[2])/float64(h)); y++ {
					for xx := at[3] * x.shape[3] / w; float64(xx) < math.Ceil(float64((at[3]+1)*x.shape[3])/float64(w)); xx++ {
						sum += *x.at(at[0], at[1], y, xx)
						count++
					}
				}
				return sum / count
			}))
		}
	}
	for _, s := range [][2]int{{1, 1}, {2, 3}, {5, 4}, {6, 2}} {
		add("AdaptiveAvgPool2d", func(x []T) T { return tensor.AdaptiveAvgPool2d(x[0], s) }, adaptive(s[0], s[1]), n(2, 2, 5, 4))
		add("AdaptiveAvgPool1d", func(x []T) T { return tensor.AdaptiveAvgPool1d(x[0], s[1]) }, adaptive(1, s[1]), n(2, 2, 5))
	}
	add("AdaptiveAvgPool2d", func(x []T) T { return tensor.AdaptiveAvgPool2d(x[0], pair(1, 1)) }, adaptive(1, 1), n(0, 2, 3, 3))

	for _, c := range []struct {
		x []int
		k [2]int
		o tensor.UnfoldOptions
	}{
		{[]int{2, 2, 4, 5}, pair(2, 3), tensor.UnfoldOptions{}},
		{[]int{1, 2, 5, 4}, pair(3, 2), tensor.UnfoldOptions{Stride: pair(2, 1), Padding: pair(1, 2), Dilation: pair(1, 2)}},
		{[]int{1, 1, 1, 1}, pair(1, 1), tensor.UnfoldOptions{}},
		{[]int{0, 1, 3, 3}, pair(2, 2), tensor.UnfoldOptions{}},
	} {
		w := windowRef{kernel: c.k, stride: c.o.Stride, dilation: c.o.Dilation, before: c.o.Padding, after: c.o.Padding}.filled(pair(1, 1))
		oh, ow := w.result(c.x[2], c.x[3])
		columns := []int{c.x[0], c.x[1] * c.k[0] * c.k[1], oh * ow}
		visit := func(fn func(image, column []int)) {
			indices([]int{c.x[0], c.x[1], oh, ow}, func(at []int) {
				w.each(c.x[2], c.x[3], at[2], at[3], func(i, j, y, x int) {
					fn([]int{at[0], at[1], y, x}, []int{at[0], (at[1]*c.k[0]+i)*c.k[1] + j, at[2]*ow + at[3]})
				})
			})
		}
		add("Unfold", func(x []T) T { return tensor.Unfold(x[0], c.k, c.o) }, func(x []nd) nd {
			y := zeros(columns...)
			visit(func(image, column []int) { *y.at(column...) = *x[0].at(image...) })
			return y
		}, n(c.x...))
		add("Fold", func(x []T) T { return tensor.Fold(x[0], pair(c.x[2], c.x[3]), c.k, c.o) }, func(x []nd) nd {
			y := zeros(c.x...)
			visit(func(image, column []int) { *y.at(image...) += *x[0].at(column...) })
			return y
		}, n(columns...))
	}
	return cases
}
