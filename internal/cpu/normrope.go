package cpu

import (
	"math"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/pool"
)

// NormRoPE sets rstd = 1/√(mean(x²)+eps) over each head and rotates T(x·rstd)·w.
func (*Backend) NormRoPE(out, rstd, x, w, cos, sin *backend.View, eps float64) {
	switch x.DType {
	case backend.F64:
		normRoPE[float64, float64](out, rstd, x, w, cos, sin, eps)
	case backend.BF16:
		normRoPE[uint16, float32](out, rstd, x, w, cos, sin, eps)
	default:
		normRoPE[float32, float32](out, rstd, x, w, cos, sin, eps)
	}
}

func normRoPE[L lane, A float](out, rstd, x, w, cos, sin *backend.View, eps float64) {
	n, heads, d := x.Shape[0], x.Shape[1], x.Shape[2]
	if d == 0 || heads == 0 {
		return
	}
	half := x.DType == backend.F16
	pool.Run(n, 1+grainScalar/(heads*d), func(lo, hi int) {
		ws := getWorkspace()
		defer ws.put()
		weight := load(w.DType, w.Ptr, w.Strides[0], d, take[L](ws, d))
		angles := newAngles[A](ws, x.DType, cos, sin, false)
		scratch, rounding := take[L](ws, d), take[float32](ws, d)
		for i := lo; i < hi; i++ {
			c, s := angles.row(i)
			for h := range heads {
				p := headAt(out, i, h)
				in := load(x.DType, headAt(x, i, h), 1, d, scratch)
				r := A(1 / math.Sqrt(inBlocks(in, rowSquares)/float64(d)+eps))
				if rstd != nil {
					slice[A](rstd.Ptr, n*heads)[i*heads+h] = r
				}
				o := destination(out.DType, p, 1, d, scratch)
				if half {
					f := cast[float32](o)
					normalizeHalf(f, cast[float32](in), cast[float32](weight), float32(r), rounding)
					round(f, x.DType, rounding)
					rotate(o[:d/2], o[d/2:], o[:d/2], o[d/2:], c, s)
				} else {
					normRotate(o, in, weight, c, s, float64(r))
				}
				store(out.DType, p, 1, o)
			}
		}
	})
}

// NormRoPEBackward turns dy back and goes on as RMSNormBackward.
func (*Backend) NormRoPEBackward(dx, dw, dy, x, w, rstd, cos, sin *backend.View) {
	switch x.DType {
	case backend.F64:
		normRoPEBackward[float64, float64](dx, dw, dy, x, w, rstd, cos, sin)
	case backend.BF16:
		normRoPEBackward[uint16, float32](dx, dw, dy, x, w, rstd, cos, sin)
	default:
		normRoPEBackward[float32, float32](dx, dw, dy, x, w, rstd, cos, sin)
	}
}

func normRoPEBackward[L lane, A float](dx, dw, dy, x, w, rstd, cos, sin *backend.View) {
	n, heads, d := x.Shape[0], x.Shape[1], x.Shape[2]
	if n == 0 || heads == 0 || d == 0 {
		return
	}
	rstds := slice[A](rstd.Ptr, n*heads)
	sums := newRowSums[A](n, d)
	defer sums.put()
	sums.run(func(ws *workspace, lo, hi int, acc []A) {
		weight := load(w.DType, w.Ptr, w.Strides[0], d, take[L](ws, d))
		angles := newAngles[A](ws, x.DType, cos, sin, true)
		xs, gs, rounding := take[L](ws, d), take[L](ws, d), take[L](ws, d)
		for i := lo; i < hi; i++ {
			c, s := angles.row(i)
			for h := range heads {
				in := load(x.DType, headAt(x, i, h), 1, d, xs)
				g := load(dy.DType, headAt(dy, i, h), 1, d, gs)
				rotate(gs[:d/2], gs[d/2:], g[:d/2], g[d/2:], c, s)
				if x.DType == backend.F16 {
					round(cast[float32](gs), x.DType, cast[float32](rounding))
				}
				var p unsafe.Pointer
				if dx != nil {
					p = headAt(dx, i, h)
				}
				rmsNormBackwardRow(x.DType, p, acc, gs, in, weight, gs, float64(rstds[i*heads+h]))
			}
		}
	})
	sums.addTo(dw, 0)
}
