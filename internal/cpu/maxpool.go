package cpu

import (
	"math"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/pool"
)

// MaxPool sets out to the maximum that each window sees, and index to where that is in its image.
func (*Backend) MaxPool(out, index, x *backend.View, w backend.Window) {
	if x.DType == backend.F64 {
		maxPool[float64](out, index, x, &w)
	} else {
		maxPool[float32](out, index, x, &w)
	}
}

func maxPool[T float](out, index, x *backend.View, w *backend.Window) {
	planes, places, size := x.Shape[0]*x.Shape[1], w.Places(), w.Size[0]*w.Size[1]
	pool.Run(planes, 1+grainScalar/max(places*w.Taps(), 1), func(lo, hi int) {
		ws := getWorkspace()
		defer ws.put()
		for i := lo; i < hi; i++ {
			ws.reset()
			image := load(x.DType, unsafe.Add(x.Ptr, i*size*x.DType.Size()), 1, size, take[T](ws, size))
			to := unsafe.Add(out.Ptr, i*places*out.DType.Size())
			best := destination(out.DType, to, 1, places, take[T](ws, places))
			maxOfPlane(best, slice[int32](index.Ptr, planes*places)[i*places:][:places], image, w)
			store(out.DType, to, 1, best)
		}
	})
}

func maxOfPlane[T float](best []T, index []int32, image []T, w *backend.Window) {
	place := 0
	for y := range w.Result[0] {
		top := y*w.Stride[0] - w.Before[0]
		i0, i1 := visible(top, w.Dilation[0], w.Size[0], w.Kernel[0])
		for x := range w.Result[1] {
			left := x*w.Stride[1] - w.Before[1]
			j0, j1 := visible(left, w.Dilation[1], w.Size[1], w.Kernel[1])
			m, at := T(math.Inf(-1)), -1
			if i0 < i1 && j0 < j1 {
				at = (top+i0*w.Dilation[0])*w.Size[1] + left + j0*w.Dilation[1]
				m = image[at]
			}
			for i := i0; i < i1; i++ {
				row := (top+i*w.Dilation[0])*w.Size[1] + left
				for j := j0; j < j1; j++ {
					if v := image[row+j*w.Dilation[1]]; v > m || v != v && m == m {
						m, at = v, row+j*w.Dilation[1]
					}
				}
			}
			best[place], index[place] = m, int32(at)
			place++
		}
	}
}

// MaxPoolBackward sets dx to the sums of what goes to each element, in the order of the places.
func (*Backend) MaxPoolBackward(dx, dy, index *backend.View) {
	if dx.DType == backend.F64 {
		maxPoolBackward[float64](dx, dy, index)
	} else {
		maxPoolBackward[float32](dx, dy, index)
	}
}

func maxPoolBackward[T float](dx, dy, index *backend.View) {
	planes := dx.Shape[0] * dx.Shape[1]
	if planes == 0 {
		return
	}
	size, places := dx.Len()/planes, dy.Len()/planes
	pool.Run(planes, 1+grainScalar/max(size+places, 1), func(lo, hi int) {
		ws := getWorkspace()
		defer ws.put()
		for i := lo; i < hi; i++ {
			ws.reset()
			to := unsafe.Add(dx.Ptr, i*size*dx.DType.Size())
			sums := destination(dx.DType, to, 1, size, take[T](ws, size))
			clear(sums)
			d := load(dy.DType, unsafe.Add(dy.Ptr, i*places*dy.DType.Size()), 1, places, take[T](ws, places))
			for p, at := range slice[int32](index.Ptr, planes*places)[i*places:][:places] {
				if at >= 0 {
					sums[at] += d[p]
				}
			}
			store(dx.DType, to, 1, sums)
		}
	})
}
