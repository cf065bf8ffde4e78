package tensor

import "github.com/hone-ml/hone/internal/backend"

// A window is how a kernel moves over the last two axes of images [N, C, H, W]. Signals [N, C, L] are images
// of height 1.
type window struct{ backend.Window }

// largestStep bounds what a window is made of, so that products of two of them do not overflow.
const largestStep = 1 << 28

// newWindow fills in defaults (a stride and a dilation of 0 mean 1) and checks that the kernel fits.
func newWindow(op string, ins []*Tensor, w backend.Window) window {
	for i := range 2 {
		if w.Stride[i] == 0 {
			w.Stride[i] = 1
		}
		if w.Dilation[i] == 0 {
			w.Dilation[i] = 1
		}
		k, s, d := w.Kernel[i], w.Stride[i], w.Dilation[i]
		if k < 1 || s < 1 || d < 1 || max(k, s, d) > largestStep {
			fail(op, ins, "a kernel of %d, stride %d, dilation %d: each must be at least 1", k, s, d)
		}
		if w.Before[i] < 0 || w.After[i] < 0 || max(w.Before[i], w.After[i]) > largestStep {
			fail(op, ins, "the padding %d is not allowed: it must be at least 0", min(w.Before[i], w.After[i]))
		}
		span, length := (k-1)*d+1, w.Size[i]+w.Before[i]+w.After[i]
		if span > length {
			fail(op, ins, "a kernel of %d with dilation %d spans %d elements, the axis has %d with its padding", k, d, span, length)
		}
		w.Result[i] = (length-span)/s + 1
	}
	return window{w}
}

// padded reports whether there is any padding.
func (w *window) padded() bool { return w.Before != [2]int{} || w.After != [2]int{} }

// frame is a new tensor for images [n, c, H, W] with their padding, contents undefined.
func (w *window) frame(s *Scope, dt DType, n, c int) *Tensor {
	return alloc(s, dt, n, c, w.Before[0]+w.Size[0]+w.After[0], w.Before[1]+w.Size[1]+w.After[1])
}

// picture is the part of a frame without its padding.
func (w *window) picture(frame *backend.View) backend.View {
	v := frame.Slice(2, w.Before[0], w.Before[0]+w.Size[0])
	return v.Slice(3, w.Before[1], w.Before[1]+w.Size[1])
}

// pad is images x [n, c, H, W] with value around them, or x itself without padding.
func (w *window) pad(s *Scope, x *backend.View, value float64) backend.View {
	if !w.padded() {
		return *x
	}
	b, f := s.dev.backend, w.frame(s, x.DType, x.Shape[0], x.Shape[1])
	b.Fill(&f.view, value)
	v := w.picture(&f.view)
	b.Copy(&v, x)
	return f.view
}

// tap is what element (i, j) of the kernel sees of a frame: [n, c, result...].
func (w *window) tap(frame *backend.View, i, j int) backend.View {
	v := frame.Slice(2, i*w.Dilation[0], frame.Shape[2])
	v = v.Slice(3, j*w.Dilation[1], frame.Shape[3])
	for axis := range 2 {
		v.Shape[2+axis] = w.Result[axis]
		v.Strides[2+axis] *= w.Stride[axis]
	}
	return v
}

// eachTap calls fn for the elements of the kernel in row-major order.
func (w *window) eachTap(fn func(i, j int)) {
	for i := range w.Kernel[0] {
		for j := range w.Kernel[1] {
			fn(i, j)
		}
	}
}

// columns is what the kernel sees of images [n, c, H, W]: [c, taps, n, places].
func (w *window) columns(s *Scope, images *backend.View) backend.View {
	n, c := images.Shape[0], images.Shape[1]
	cols := alloc(s, images.DType, c, w.Taps(), n, w.Places())
	if fused, ok := backend.Fused[backend.Unfolder](s.dev.backend); ok {
		x := contiguousIn(s, images, images.DType)
		fused.Unfold(&cols.view, &x, w.Window)
		return cols.view
	}
	frame := w.pad(s, images, 0)
	patches := backend.View{Ptr: frame.Ptr, DType: frame.DType, Rank: 6}
	patches.Shape = [MaxRank]int{c, w.Kernel[0], w.Kernel[1], n, w.Result[0], w.Result[1]}
	st := &frame.Strides
	patches.Strides = [MaxRank]int{st[1], st[2] * w.Dilation[0], st[3] * w.Dilation[1], st[0], st[2] * w.Stride[0], st[3] * w.Stride[1]}
	to := backend.NewView(cols.view.Ptr, cols.view.DType, patches.Dims()...)
	s.dev.backend.Copy(&to, &patches)
	return cols.view
}

// sum sets images [n, c, H, W] to the sums of columns [c, taps, n, places] of the accumulator's dtype, contiguous,
// where they come from. It may overwrite the columns.
func (w *window) sum(s *Scope, images, columns *backend.View) {
	b, acc := s.dev.backend, columns.DType
	n, c := images.Shape[0], images.Shape[1]
	if fused, ok := backend.Fused[backend.Unfolder](b); ok {
		sums := *images
		if acc != sums.DType || !sums.Contiguous() {
			sums = alloc(s, acc, images.Dims()...).view
		}
		fused.Fold(&sums, columns, w.Window)
		if sums.Ptr != images.Ptr {
			b.Copy(images, &sums)
		}
		return
	}
	frame := w.frame(s, acc, n, c)
	b.Fill(&frame.view, 0)
	w.eachTap(func(i, j int) {
		k := i*w.Kernel[1] + j
		part := permuted(columns.Slice(1, k, k+1), 2, 0, 1, 3) // [n, c, 1, places]
		part.Shape[2], part.Strides[2] = w.Result[0], w.Result[1]*part.Strides[3]
		part.Shape[3] = w.Result[1]
		to := w.tap(&frame.view, i, j)
		b.Binary(backend.Add, &to, &to, &part)
	})
	picture := w.picture(&frame.view)
	b.Copy(images, &picture)
}

// permuted is v with its axes in another order.
func permuted(v backend.View, axes ...int) backend.View {
	w := v
	for i, a := range axes {
		w.Shape[i], w.Strides[i] = v.Shape[a], v.Strides[a]
	}
	return w
}

// asImages is a view of rank 4 as it is, and one of rank 3, [N, C, L], as [N, C, 1, L].
func asImages(v *backend.View) backend.View {
	if v.Rank != 3 {
		return *v
	}
	w := *v
	w.Rank = 4
	w.Shape[2], w.Strides[2] = 1, v.Shape[2]*v.Strides[2]
	w.Shape[3], w.Strides[3] = v.Shape[2], v.Strides[2]
	return w
}
