package tensor

import "github.com/hone-ml/hone/internal/backend"

// UnfoldOptions are the options of Unfold and Fold: each pair is for rows and columns. The zero value is stride 1,
// no padding, dilation 1.
type UnfoldOptions struct {
	Stride   [2]int // 0 means 1
	Padding  [2]int // zeros on both sides
	Dilation [2]int // distance of the kernel's elements; 0 means 1
}

func (o UnfoldOptions) window(kernel, size [2]int) backend.Window {
	return backend.Window{Kernel: kernel, Stride: o.Stride, Dilation: o.Dilation, Before: o.Padding, After: o.Padding, Size: size}
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
	out := alloc(s, x.view.DType, x.Dim(0), x.Dim(1)*w.Taps(), w.Places())
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
	if x.Dim(1)%w.Taps() != 0 || x.Dim(2) != w.Places() {
		fail("Fold", ins, "images of %d × %d have columns [N, C·%d, %d] for this kernel", size[0], size[1], w.Taps(), w.Places())
	}
	out := alloc(s, x.view.DType, x.Dim(0), x.Dim(1)/w.Taps(), size[0], size[1])
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
		cols := permuted(w.columns(s, &images.view), 2, 0, 1, 3)
		to := backend.NewView(columns.view.Ptr, columns.view.DType, cols.Dims()...)
		s.dev.backend.Copy(&to, &cols)
	})
}

// fold sets images [N, C, H, W] to the sums of columns [N, C·taps, L].
func (w *window) fold(images, columns *Tensor) {
	temporary(images.dev, images.scope, func(s *Scope) {
		n, c := images.Dim(0), images.Dim(1)
		from := columns.view
		if !from.Contiguous() {
			from = contiguousIn(s, &from, from.DType)
		}
		from = permuted(backend.NewView(from.Ptr, from.DType, n, c, w.Taps(), w.Places()), 1, 2, 0, 3)
		cols := alloc(s, images.view.DType.Accumulator(), c, w.Taps(), n, w.Places())
		s.dev.backend.Copy(&cols.view, &from)
		w.sum(s, &images.view, &cols.view)
	})
}
