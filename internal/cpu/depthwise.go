package cpu

import (
	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/pool"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

// Depthwise convolves every channel with a kernel of its own.
func (*Backend) Depthwise(out, x, weight *backend.View, w backend.Window) {
	if x.DType == backend.F64 {
		depthwise[float64](out, x, weight, &w)
	} else {
		depthwise[float32](out, x, weight, &w)
	}
}

// DepthwiseBackward sets dx and adds to dw.
func (*Backend) DepthwiseBackward(dx, dw, dy, x, weight *backend.View, w backend.Window) {
	if dy.DType == backend.F64 {
		depthwiseBackward[float64](dx, dw, dy, x, weight, &w)
	} else {
		depthwiseBackward[float32](dx, dw, dy, x, weight, &w)
	}
}

// A stage is where planes lie with their padding. With a stride of 1 the results have rows as long as the padded
// image's, so that what an element of the kernel sees, and what comes of it, each are one run of memory; what
// stands behind the end of a row is no result.
type stage struct {
	w             *backend.Window
	height, width int // of a padded plane
	row, run      int // distance of rows of results, and how many elements they span
}

func newStage(w *backend.Window) stage {
	s := stage{w: w, height: w.Before[0] + w.Size[0] + w.After[0], width: w.Before[1] + w.Size[1] + w.After[1]}
	s.row = w.Result[1]
	if w.Stride == [2]int{1, 1} {
		s.row = s.width
	}
	s.run = (w.Result[0]-1)*s.row + w.Result[1]
	return s
}

// pad copies an image into a padded plane that is 0 around it.
func pad[T float](s *stage, plane, image []T) {
	for y := range s.w.Size[0] {
		copy(plane[(y+s.w.Before[0])*s.width+s.w.Before[1]:], image[y*s.w.Size[1]:][:s.w.Size[1]])
	}
}

// each calls fn for the elements of the kernel with pairs of runs that belong together, of results and of a padded
// plane, whose elements lie step apart.
func (s *stage) each(fn func(k, result, at, count, step int)) {
	w := s.w
	for k := range w.Taps() {
		from := k/w.Kernel[1]*w.Dilation[0]*s.width + k%w.Kernel[1]*w.Dilation[1]
		if w.Stride == [2]int{1, 1} {
			fn(k, 0, from, s.run, 1)
			continue
		}
		for y := range w.Result[0] {
			fn(k, y*s.row, from+y*w.Stride[0]*s.width, w.Result[1], w.Stride[1])
		}
	}
}

func depthwise[T float](out, x, weight *backend.View, w *backend.Window) {
	n, c := x.Shape[0], x.Shape[1]
	s, taps, places, size := newStage(w), w.Taps(), w.Places(), w.Size[0]*w.Size[1]
	images, results, kernels := slice[T](x.Ptr, n*c*size), slice[T](out.Ptr, n*c*places), slice[T](weight.Ptr, c*taps)
	pool.Run(n*c, 1+grainCheap/max(taps*s.run, 1), func(lo, hi int) {
		ws := getWorkspace()
		defer ws.put()
		plane, sums := take[T](ws, s.height*s.width), take[T](ws, s.run)
		clear(plane)
		for task := lo; task < hi; task++ {
			pad(&s, plane, images[task*size:])
			kernel := kernels[task%c*taps:][:taps]
			clear(sums)
			s.each(func(k, result, at, count, step int) { strideAxpy(sums[result:][:count], kernel[k], plane[at:], step) })
			for y := range w.Result[0] {
				copy(results[task*places+y*w.Result[1]:][:w.Result[1]], sums[y*s.row:])
			}
		}
	})
}

func depthwiseBackward[T float](dx, dw, dy, x, weight *backend.View, w *backend.Window) {
	n, c := dy.Shape[0], dy.Shape[1]
	s, taps, places, size := newStage(w), w.Taps(), w.Places(), w.Size[0]*w.Size[1]
	images, gradients, kernels := slice[T](x.Ptr, n*c*size), slice[T](dy.Ptr, n*c*places), slice[T](weight.Ptr, c*taps)
	pool.Run(c, 1+grainCheap/max(n*taps*s.run, 1), func(lo, hi int) {
		ws := getWorkspace()
		defer ws.put()
		plane, dplane, d := take[T](ws, s.height*s.width), take[T](ws, s.height*s.width), take[T](ws, s.run)
		totals := take[float64](ws, taps)
		clear(plane)
		clear(d) // what is no result has no gradient
		for channel := lo; channel < hi; channel++ {
			kernel := kernels[channel*taps:][:taps]
			clear(totals)
			for image := range n {
				i := image*c + channel
				for y := range w.Result[0] {
					copy(d[y*s.row:], gradients[i*places+y*w.Result[1]:][:w.Result[1]])
				}
				if dw != nil {
					pad(&s, plane, images[i*size:])
					s.each(func(k, result, at, count, step int) { totals[k] += strideDot(d[result:][:count], plane[at:], step) })
				}
				if dx != nil {
					clear(dplane)
					s.each(func(k, result, at, count, step int) { strideAxpyInto(dplane[at:], kernel[k], d[result:][:count], step) })
					to := slice[T](dx.Ptr, n*c*size)[i*size:][:size]
					for y := range w.Size[0] {
						copy(to[y*w.Size[1]:][:w.Size[1]], dplane[(y+w.Before[0])*s.width+w.Before[1]:])
					}
				}
			}
			if dw != nil {
				to := slice[T](dw.Ptr, c*taps)[channel*taps:][:taps]
				for k, v := range totals {
					to[k] += T(v)
				}
			}
		}
	})
}

// strideAxpy sets y += a·x, where the elements of x lie step apart.
func strideAxpy[T float](y []T, a T, x []T, step int) {
	if step == 1 && isFloat32[T]() {
		simd.Axpy(cast[float32](y), float32(a), cast[float32](x[:len(y)]))
		return
	}
	for i := range y {
		y[i] += a * x[i*step]
	}
}

// strideAxpyInto sets y += a·x, where the elements of y lie step apart.
func strideAxpyInto[T float](y []T, a T, x []T, step int) {
	if step == 1 {
		strideAxpy(y[:len(x)], a, x, 1)
		return
	}
	for i, v := range x {
		y[i*step] += a * v
	}
}

// strideDot is Σ x·y, where the elements of y lie step apart.
func strideDot[T float](x, y []T, step int) float64 {
	if step == 1 {
		return rowDot(x, y[:len(x)])
	}
	var sum float64
	for i, v := range x {
		sum += float64(v) * float64(y[i*step])
	}
	return sum
}
