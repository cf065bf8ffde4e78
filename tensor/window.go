package tensor

import "github.com/hone-ml/hone/internal/backend"

// A window is how a kernel moves over the last two axes of images [N, C, H, W]. Signals [N, C, L] are images
// of height 1.
type window struct {
	kernel, stride, dilation [2]int
	before, after            [2]int // what is padded in front of an axis and behind it
	size, result             [2]int // of the image, and how many places the kernel has
}

// largestStep bounds what a window is made of, so that products of two of them do not overflow.
const largestStep = 1 << 28

// newWindow fills in defaults (a stride and a dilation of 0 mean 1) and checks that the kernel fits.
func newWindow(op string, ins []*Tensor, w window) window {
	for i := range 2 {
		if w.stride[i] == 0 {
			w.stride[i] = 1
		}
		if w.dilation[i] == 0 {
			w.dilation[i] = 1
		}
		k, s, d := w.kernel[i], w.stride[i], w.dilation[i]
		if k < 1 || s < 1 || d < 1 || max(k, s, d) > largestStep {
			fail(op, ins, "a kernel of %d, stride %d, dilation %d: each must be at least 1", k, s, d)
		}
		if w.before[i] < 0 || w.after[i] < 0 || max(w.before[i], w.after[i]) > largestStep {
			fail(op, ins, "the padding %d is not allowed: it must be at least 0", min(w.before[i], w.after[i]))
		}
		span, length := (k-1)*d+1, w.size[i]+w.before[i]+w.after[i]
		if span > length {
			fail(op, ins, "a kernel of %d with dilation %d spans %d elements, the axis has %d with its padding", k, d, span, length)
		}
		w.result[i] = (length-span)/s + 1
	}
	return w
}

// padded reports whether there is any padding.
func (w *window) padded() bool { return w.before != [2]int{} || w.after != [2]int{} }

// places is the number of places that the kernel has on an image.
func (w *window) places() int { return w.result[0] * w.result[1] }

// taps is the number of elements of the kernel.
func (w *window) taps() int { return w.kernel[0] * w.kernel[1] }

// frame is a new tensor for images [n, c, H, W] with their padding, contents undefined.
func (w *window) frame(s *Scope, dt DType, n, c int) *Tensor {
	return alloc(s, dt, n, c, w.before[0]+w.size[0]+w.after[0], w.before[1]+w.size[1]+w.after[1])
}

// picture is the part of a frame without its padding.
func (w *window) picture(frame *backend.View) backend.View {
	v := frame.Slice(2, w.before[0], w.before[0]+w.size[0])
	return v.Slice(3, w.before[1], w.before[1]+w.size[1])
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
	v := frame.Slice(2, i*w.dilation[0], frame.Shape[2])
	v = v.Slice(3, j*w.dilation[1], frame.Shape[3])
	for axis := range 2 {
		v.Shape[2+axis] = w.result[axis]
		v.Strides[2+axis] *= w.stride[axis]
	}
	return v
}

// eachTap calls fn for the elements of the kernel in row-major order.
func (w *window) eachTap(fn func(i, j int)) {
	for i := range w.kernel[0] {
		for j := range w.kernel[1] {
			fn(i, j)
		}
	}
}

// patches is everything that the kernel sees of a frame [n, c, H, W], as a view: [c, kernel..., n, result...].
func (w *window) patches(frame *backend.View) backend.View {
	v := backend.View{Ptr: frame.Ptr, DType: frame.DType, Rank: 6}
	v.Shape = [MaxRank]int{frame.Shape[1], w.kernel[0], w.kernel[1], frame.Shape[0], w.result[0], w.result[1]}
	s := &frame.Strides
	v.Strides = [MaxRank]int{s[1], s[2] * w.dilation[0], s[3] * w.dilation[1], s[0], s[2] * w.stride[0], s[3] * w.stride[1]}
	return v
}

// spread adds columns [c, taps, n, places] to where they come from in a frame, tap by tap.
func (w *window) spread(dev *Device, frame, columns *backend.View) {
	w.eachTap(func(i, j int) {
		v := permuted(*columns, 2, 0, 1, 3) // [n, c, taps, places]
		v = v.Slice(2, i*w.kernel[1]+j, i*w.kernel[1]+j+1)
		v.Shape[2], v.Strides[2] = w.result[0], w.result[1]*v.Strides[3]
		v.Shape[3] = w.result[1]
		to := w.tap(frame, i, j)
		dev.backend.Binary(backend.Add, &to, &to, &v)
	})
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
