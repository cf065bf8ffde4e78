package cpu

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/pool"
)

// RoPE rotates the pairs (x[j], x[j+D/2]) of each head by the angles whose cosines and sines are given.
func (*Backend) RoPE(out, x, cos, sin *backend.View, inverse bool) {
	switch x.DType {
	case backend.F64:
		rope[float64, float64](out, x, cos, sin, inverse)
	case backend.BF16:
		rope[uint16, float32](out, x, cos, sin, inverse)
	default:
		rope[float32, float32](out, x, cos, sin, inverse)
	}
}

func rope[L lane, A float](out, x, cos, sin *backend.View, inverse bool) {
	n, heads, d := x.Shape[0], x.Shape[1], x.Shape[2]
	if d == 0 {
		return
	}
	pool.Run(n, 1+grainScalar/max(heads*d, 1), func(lo, hi int) {
		ws := getWorkspace()
		defer ws.put()
		angles := newAngles[A](ws, x.DType, cos, sin, inverse)
		scratch := take[L](ws, d)
		for i := lo; i < hi; i++ {
			c, s := angles.row(i)
			for h := range heads {
				p := headAt(out, i, h)
				in := load(x.DType, headAt(x, i, h), 1, d, scratch)
				o := destination(out.DType, p, 1, d, scratch)
				rotate(o[:d/2], o[d/2:], in[:d/2], in[d/2:], c, s)
				store(out.DType, p, 1, o)
			}
		}
	})
}

// angles reads the cosines and sines of a rotation, rounded as a dtype has them.
type angles[A float] struct {
	dtype       backend.DType
	cos, sin    *backend.View
	inverse     bool
	c, s, store []A
}

func newAngles[A float](ws *workspace, dt backend.DType, cos, sin *backend.View, inverse bool) *angles[A] {
	half := cos.Shape[1]
	return &angles[A]{dt, cos, sin, inverse, take[A](ws, half), take[A](ws, half), take[A](ws, half)}
}

// row gives those of row i, valid until the next call.
func (a *angles[A]) row(i int) (cos, sin []A) {
	loadInto(a.c, a.cos.DType, rowAt(a.cos, i), a.cos.Strides[1])
	loadInto(a.s, a.sin.DType, rowAt(a.sin, i), a.sin.Strides[1])
	if a.inverse {
		scale(a.s, a.s, -1)
	}
	round(a.c, a.dtype, a.store)
	round(a.s, a.dtype, a.store)
	return a.c, a.s
}

// round makes x what it would be if it had been stored as dt.
func round[C float](x []C, dt backend.DType, scratch []C) {
	if storedAs[C](dt) {
		return
	}
	p := unsafe.Pointer(unsafe.SliceData(scratch))
	store(dt, p, 1, x)
	loadInto(x, dt, p, 1)
}
