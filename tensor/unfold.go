package tensor

import "github.com/hone-ml/hone/internal/backend"

// UnfoldOptions are the options of Unfold and Fold: each pair is for rows and columns. The zero value is stride 1,
// no padding, dilation 1.
type UnfoldOptions struct {
	Stride   [2]int // 0 means 1
	Padding  [2]int // zeros on both sides
	Dilation [2]int // distance of the kernel's elements; 0 means 1
}

func (o UnfoldOptions) window(kernel, size [2]int) window {
	return window{kernel: kernel, stride: o.Stride, dilation: o.Dilation, before: o.Padding, after: o.Padding, size: size}
}

// Unfold is what a kernel sees of images x [N, C, H, W] at each of its L places, as columns: [N, C·KH·KW, L]. Its
// derivative is Fold. (torch.nn.functional.unfold, also called im2col.)
func Unfold(x *Tensor, kernel [2]int, o UnfoldOptions) *Tensor {
	ins := []*Tensor{x}
	s := scopeOf("Unfold", ins)
	if x.view.Rank != 4 {
		fail("Unfold", ins, "needs x [N, C, H, W]")
	}
	w := newWindow("Unfold", ins, o.window(kernel, [2]int{x.Dim(2), x.Dim(3)}))
	out := alloc(s, x.view.DType, x.Dim(0), x.Dim(1)*w.taps(), w.places())
	w.unfold(out, x)
	return record1("Unfold", out, ins, nil, func(g *gradient) {
		dx := g.New(0)
		w.fold(dx, g.Output(0))
		g.Add(0, dx)
	})
}

// Fold adds columns x [N, C·KH·KW, L] of a float dtype up to images [N, C, size...], each where Unfold takes it
// from. Its derivative is Unfold. (torch.nn.functional.fold, also called col2im.)
func Fold(x *Tensor, size, kernel [2]int, o UnfoldOptions) *Tensor {
	ins := []*Tensor{x}
	s := scopeOf("Fold", ins)
	if x.view.Rank != 3 || !x.view.DType.IsFloat() {
		fail("Fold", ins, "needs x [N, C·KH·KW, L] of a float dtype")
	}
	if size[0] < 0 || size[1] < 0 || max(size[0], size[1]) > largestStep {
		fail("Fold", ins, "cannot make images of %d × %d", size[0], size[1])
	}
	w := newWindow("Fold", ins, o.window(kernel, size))
	if x.Dim(1)%w.taps() != 0 || x.Dim(2) != w.places() {
		fail("Fold", ins, "images of %d × %d have columns [N, C·%d, %d] for this kernel", size[0], size[1], w.taps(), w.places())
	}
	out := alloc(s, x.view.DType, x.Dim(0), x.Dim(1)/w.taps(), size[0], size[1])
	w.fold(out, x)
	return record1("Fold", out, ins, nil, func(g *gradient) {
		dx := g.New(0)
		w.unfold(dx, g.Output(0))
		g.Add(0, dx)
	})
}

// unfold sets columns [N, C·taps, L] to the patches of images [N, C, H, W].
func (w *window) unfold(columns, images *Tensor) {
	temporary(columns.dev, columns.scope, func(s *Scope) {
		frame := w.pad(s, &images.view, 0)
		patches := permuted(w.patches(&frame), 3, 0, 1, 2, 4, 5)
		to := backend.NewView(columns.view.Ptr, columns.view.DType, patches.Dims()...)
		s.dev.backend.Copy(&to, &patches)
	})
}

// fold sets images [N, C, H, W] to the sums of columns [N, C·taps, L].
func (w *window) fold(images, columns *Tensor) {
	temporary(images.dev, images.scope, func(s *Scope) {
		b, acc := s.dev.backend, images.view.DType.Accumulator()
		n, c := images.Dim(0), images.Dim(1)
		cols := alloc(s, acc, n, c*w.taps(), w.places())
		b.Copy(&cols.view, &columns.view)
		frame := w.frame(s, acc, n, c)
		b.Fill(&frame.view, 0)
		from := backend.NewView(cols.view.Ptr, acc, n, c, w.taps(), w.places())
		first := permuted(from, 1, 2, 0, 3)
		w.spread(s.dev, &frame.view, &first)
		picture := w.picture(&frame.view)
		b.Copy(&images.view, &picture)
	})
}
