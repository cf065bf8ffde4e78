package tensor

import (
	"math"

	"github.com/hone-ml/hone/internal/backend"
)

// Pool1dOptions are the options of MaxPool1d and AvgPool1d. The zero value moves by the kernel's length, so that
// windows do not overlap, and pads nothing.
type Pool1dOptions struct {
	Stride         int  // 0 means the kernel
	Padding        int  // on both sides, at most half of the kernel; a maximum never sees it
	Dilation       int  // distance of a window's elements; 0 means 1
	ExcludePadding bool // a mean divides by the elements of the signal only
}

// Pool2dOptions are the options of MaxPool2d and AvgPool2d: each pair is for rows and columns. The zero value
// moves by the kernel's size, so that windows do not overlap, and pads nothing.
type Pool2dOptions struct {
	Stride         [2]int // 0 means the kernel
	Padding        [2]int // on both sides, at most half of the kernel; a maximum never sees it
	Dilation       [2]int // distance of a window's elements; 0 means 1
	ExcludePadding bool   // a mean divides by the elements of the image only
}

// MaxPool1d is the maximum of windows of a signal x [N, C, L] of a float dtype: [N, C, L'], where
// L' = (L + 2·padding − dilation·(kernel−1) − 1)/stride + 1. NaN wins, and of equal maxima the first one gets the
// gradient; a dilated window that sees nothing but padding gives −Inf. (torch.nn.functional.max_pool1d.)
func MaxPool1d(x *Tensor, kernel int, o Pool1dOptions) *Tensor {
	return maxPool("MaxPool1d", x, signalWindow("MaxPool1d", x, kernel, o))
}

// MaxPool2d is the maximum of windows of images x [N, C, H, W] of a float dtype: [N, C, H', W'], where
// H' = (H + 2·padding − dilation·(kernel−1) − 1)/stride + 1 and W' the same. NaN wins, and of equal maxima the
// first one gets the gradient. (torch.nn.functional.max_pool2d.)
func MaxPool2d(x *Tensor, kernel [2]int, o Pool2dOptions) *Tensor {
	return maxPool("MaxPool2d", x, imageWindow("MaxPool2d", x, kernel, o))
}

// AvgPool1d is the mean of windows of a signal x [N, C, L] of a float dtype: [N, C, L'], with L' as in MaxPool1d.
// Padding counts as zeros unless ExcludePadding. (torch.nn.functional.avg_pool1d, which has no dilation.)
func AvgPool1d(x *Tensor, kernel int, o Pool1dOptions) *Tensor {
	return avgPool("AvgPool1d", x, signalWindow("AvgPool1d", x, kernel, o), o.ExcludePadding)
}

// AvgPool2d is the mean of windows of images x [N, C, H, W] of a float dtype: [N, C, H', W'], with H' and W' as in
// MaxPool2d. Padding counts as zeros unless ExcludePadding. (torch.nn.functional.avg_pool2d, which has no dilation.)
func AvgPool2d(x *Tensor, kernel [2]int, o Pool2dOptions) *Tensor {
	return avgPool("AvgPool2d", x, imageWindow("AvgPool2d", x, kernel, o), o.ExcludePadding)
}

// AdaptiveAvgPool1d is the mean of size windows that share a signal x [N, C, L] of a float dtype as evenly as they
// can: [N, C, size]. Window i is [⌊i·L/size⌋, ⌈(i+1)·L/size⌉). (torch.nn.functional.adaptive_avg_pool1d.)
func AdaptiveAvgPool1d(x *Tensor, size int) *Tensor {
	checkPool("AdaptiveAvgPool1d", x, 3, "[N, C, L]")
	return adaptiveAvgPool("AdaptiveAvgPool1d", x, [2]int{1, size})
}

// AdaptiveAvgPool2d is the mean of size windows that share images x [N, C, H, W] of a float dtype as evenly as they
// can: [N, C, size...], see AdaptiveAvgPool1d. (torch.nn.functional.adaptive_avg_pool2d.)
func AdaptiveAvgPool2d(x *Tensor, size [2]int) *Tensor {
	checkPool("AdaptiveAvgPool2d", x, 4, "[N, C, H, W]")
	return adaptiveAvgPool("AdaptiveAvgPool2d", x, size)
}

func checkPool(op string, x *Tensor, rank int, want string) {
	scopeOf(op, []*Tensor{x})
	if x.view.Rank != rank || !x.view.DType.IsFloat() {
		fail(op, []*Tensor{x}, "needs %s of a float dtype", want)
	}
}

func signalWindow(op string, x *Tensor, kernel int, o Pool1dOptions) window {
	checkPool(op, x, 3, "[N, C, L]")
	if o.Stride == 0 {
		o.Stride = kernel
	}
	pad := [2]int{0, o.Padding}
	return poolWindow(op, x, backend.Window{Kernel: [2]int{1, kernel}, Stride: [2]int{1, o.Stride}, Dilation: [2]int{1, o.Dilation},
		Before: pad, After: pad, Size: [2]int{1, x.Dim(2)}})
}

func imageWindow(op string, x *Tensor, kernel [2]int, o Pool2dOptions) window {
	checkPool(op, x, 4, "[N, C, H, W]")
	for i := range 2 {
		if o.Stride[i] == 0 {
			o.Stride[i] = kernel[i]
		}
	}
	return poolWindow(op, x, backend.Window{Kernel: kernel, Stride: o.Stride, Dilation: o.Dilation,
		Before: o.Padding, After: o.Padding, Size: [2]int{x.Dim(2), x.Dim(3)}})
}

func poolWindow(op string, x *Tensor, from backend.Window) window {
	w := newWindow(op, []*Tensor{x}, from)
	for i := range 2 {
		if w.Before[i] > w.Kernel[i]/2 {
			fail(op, []*Tensor{x}, "a padding of %d is more than half of the kernel %d: a window would see nothing else", w.Before[i], w.Kernel[i])
		}
	}
	return w
}

// pooled is a new tensor for the results of x.
func (w *window) pooled(s *Scope, x *Tensor) *Tensor {
	shape := []int{x.Dim(0), x.Dim(1), w.Result[0], w.Result[1]}
	if x.view.Rank == 3 {
		shape = []int{x.Dim(0), x.Dim(1), w.Result[1]}
	}
	return alloc(s, x.view.DType, shape...)
}

func maxPool(op string, x *Tensor, w window) *Tensor {
	out := w.pooled(x.scope, x)
	b := out.dev.backend
	if fused, ok := backend.Fused[backend.MaxPooler](b); ok {
		index := alloc(x.scope, I32, out.view.Dims()...)
		temporary(out.dev, out.scope, func(s *Scope) {
			images := contiguousIn(s, &x.view, x.view.DType)
			fused.MaxPool(&out.view, &index.view, &images, w.Window)
		})
		return record1(op, out, []*Tensor{x}, []*Tensor{index}, func(g *gradient) {
			dx := g.New(0)
			temporary(g.scope.dev, g.scope, func(s *Scope) {
				dy := contiguousIn(s, &g.Output(0).view, dx.view.DType)
				fused.MaxPoolBackward(&dx.view, &dy, &g.Saved(0).view)
			})
			g.Add(0, dx)
		})
	}
	temporary(out.dev, out.scope, func(s *Scope) {
		images, to := asImages(&x.view), asImages(&out.view)
		frame := w.pad(s, &images, math.Inf(-1))
		first := w.tap(&frame, 0, 0)
		b.Copy(&to, &first)
		w.eachTap(func(i, j int) {
			if v := w.tap(&frame, i, j); i+j > 0 {
				b.Binary(backend.Max, &to, &to, &v)
			}
		})
	})
	return record1(op, out, []*Tensor{x}, []*Tensor{x, out}, func(g *gradient) {
		x, out, dx := g.Saved(0), g.Saved(1), g.New(0)
		temporary(g.scope.dev, g.scope, func(s *Scope) {
			images, y, dy := asImages(&x.view), asImages(&out.view), asImages(&g.Output(0).view)
			frame := w.pad(s, &images, math.Inf(-1))
			dframe := w.frame(s, dx.view.DType, frame.Shape[0], frame.Shape[1])
			b.Fill(&dframe.view, 0)
			zero := backend.View{Ptr: Zeros(s, dx.view.DType).view.Ptr, DType: dx.view.DType, Rank: 4, Shape: y.Shape}
			open, hit, part := Ones(s, Bool, y.Dims()...), alloc(s, Bool, y.Dims()...), alloc(s, y.DType, y.Dims()...)
			w.eachTap(func(i, j int) { // the first that is the maximum takes it all
				v, dv := w.tap(&frame, i, j), w.tap(&dframe.view, i, j)
				b.Binary(backend.Eq, &hit.view, &v, &y)
				b.Binary(backend.And, &hit.view, &hit.view, &open.view)
				b.Binary(backend.Ne, &open.view, &open.view, &hit.view)
				b.Where(&part.view, &hit.view, &dy, &zero)
				b.Binary(backend.Add, &dv, &dv, &part.view)
			})
			to, picture := asImages(&dx.view), w.picture(&dframe.view)
			b.Copy(&to, &picture)
		})
		g.Add(0, dx)
	})
}

func avgPool(op string, x *Tensor, w window, excludePadding bool) *Tensor {
	out, acc := w.pooled(x.scope, x), x.view.DType.Accumulator()
	b := out.dev.backend
	temporary(out.dev, out.scope, func(s *Scope) {
		images := asImages(&x.view)
		frame := w.pad(s, &images, 0)
		sum := alloc(s, acc, images.Shape[0], images.Shape[1], w.Result[0], w.Result[1])
		b.Fill(&sum.view, 0)
		w.eachTap(func(i, j int) {
			v := w.tap(&frame, i, j)
			if v.DType != acc {
				c := alloc(s, acc, v.Dims()...)
				b.Copy(&c.view, &v)
				v = c.view
			}
			b.Binary(backend.Add, &sum.view, &sum.view, &v)
		})
		share := w.shares(s, acc, sum.view.Dims(), excludePadding)
		to := asImages(&out.view)
		b.Binary(backend.Mul, &sum.view, &sum.view, &share)
		b.Copy(&to, &sum.view)
	})
	return record1(op, out, []*Tensor{x}, nil, func(g *gradient) {
		dx, dy := g.New(0), asImages(&g.Output(0).view)
		temporary(g.scope.dev, g.scope, func(s *Scope) {
			part := alloc(s, acc, dy.Dims()...)
			b.Copy(&part.view, &dy)
			share := w.shares(s, acc, dy.Dims(), excludePadding)
			b.Binary(backend.Mul, &part.view, &part.view, &share)
			dframe := w.frame(s, acc, dy.Shape[0], dy.Shape[1])
			b.Fill(&dframe.view, 0)
			w.eachTap(func(i, j int) {
				dv := w.tap(&dframe.view, i, j)
				b.Binary(backend.Add, &dv, &dv, &part.view)
			})
			to, picture := asImages(&dx.view), w.picture(&dframe.view)
			b.Copy(&to, &picture)
		})
		g.Add(0, dx)
	})
}

// shares is what an element of each window counts for in its mean, as a view of shape.
func (w *window) shares(s *Scope, dt DType, shape []int, excludePadding bool) backend.View {
	values := make([]float64, w.Places())
	for i := range values {
		values[i] = 1 / float64(w.Taps())
		if excludePadding {
			values[i] = 1 / float64(w.inside(0, i/w.Result[1])*w.inside(1, i%w.Result[1]))
		}
	}
	t := FromSlice(s, values, w.Result[0], w.Result[1]).To(dt)
	return expand(&t.view, shape)
}

// inside is how many elements of the window at a place of an axis are not padding.
func (w *window) inside(axis, place int) int {
	n := 0
	for k := range w.Kernel[axis] {
		if at := place*w.Stride[axis] + k*w.Dilation[axis] - w.Before[axis]; at >= 0 && at < w.Size[axis] {
			n++
		}
	}
	return n
}

func adaptiveAvgPool(op string, x *Tensor, size [2]int) *Tensor {
	images := asImages(&x.view)
	of := [2]int{images.Shape[2], images.Shape[3]}
	for i, n := range size {
		if n < 1 || n > largestStep || of[i] == 0 {
			fail(op, []*Tensor{x}, "cannot be pooled to %d windows: there must be at least one, and something in it", n)
		}
	}
	w := window{backend.Window{Result: size}}
	out, acc := w.pooled(x.scope, x), x.view.DType.Accumulator()
	b := out.dev.backend
	temporary(out.dev, out.scope, func(s *Scope) {
		wide, means := alloc(s, acc, images.Dims()...), alloc(s, acc, images.Shape[0], images.Shape[1], size[0], size[1])
		b.Copy(&wide.view, &images)
		cells(of, size, func(c cell) {
			from, mean := c.of(&wide.view), c.place(&means.view)
			b.Reduce(backend.Sum, &mean, &from)
			b.Scalar(backend.Div, &mean, &mean, c.len())
		})
		to := asImages(&out.view)
		b.Copy(&to, &means.view)
	})
	return record1(op, out, []*Tensor{x}, nil, func(g *gradient) {
		dx, dy := g.New(0), asImages(&g.Output(0).view)
		to := asImages(&dx.view)
		temporary(g.scope.dev, g.scope, func(s *Scope) {
			sum, wide := alloc(s, acc, to.Dims()...), alloc(s, acc, dy.Dims()...)
			b.Copy(&wide.view, &dy)
			b.Fill(&sum.view, 0)
			cells(of, size, func(c cell) {
				share, into := c.place(&wide.view), c.of(&sum.view)
				b.Scalar(backend.Div, &share, &share, c.len())
				each := expand(&share, into.Dims())
				b.Binary(backend.Add, &into, &into, &each)
			})
			b.Copy(&to, &sum.view)
		})
		g.Add(0, dx)
	})
}

// A cell is a window of an adaptive pool: [lo, hi) of the rows and of the columns, and its place in the result.
type cell struct{ lo, hi, at [2]int }

// cells calls fn for the windows that share images.
func cells(images, size [2]int, fn func(c cell)) {
	for i := range size[0] {
		for j := range size[1] {
			c := cell{at: [2]int{i, j}}
			for axis, k := range c.at {
				n, parts := images[axis], size[axis]
				c.lo[axis], c.hi[axis] = k*n/parts, ((k+1)*n+parts-1)/parts
			}
			fn(c)
		}
	}
}

// of is the window of images.
func (c cell) of(images *backend.View) backend.View {
	rows := images.Slice(2, c.lo[0], c.hi[0])
	return rows.Slice(3, c.lo[1], c.hi[1])
}

// place is the window's place in the results.
func (c cell) place(results *backend.View) backend.View {
	row := results.Slice(2, c.at[0], c.at[0]+1)
	return row.Slice(3, c.at[1], c.at[1]+1)
}

// len is the number of elements of the window.
func (c cell) len() float64 { return float64((c.hi[0] - c.lo[0]) * (c.hi[1] - c.lo[1])) }
