package cpu

import (
	"math"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

// SwiGLU sets out = silu(gate)·up.
func (*Backend) SwiGLU(out, gate, up *backend.View) {
	switch out.DType {
	case backend.F64:
		swiGLU(out, gate, up, grainMath, func(out, gate, up []float64) {
			for i, g := range gate {
				out[i] = silu(g) * up[i]
			}
		})
	case backend.BF16:
		swiGLU(out, gate, up, grainScalar, simd.SwiGLU[uint16])
	default:
		swiGLU(out, gate, up, grainScalar, simd.SwiGLU[float32])
	}
}

func swiGLU[L lane](out, gate, up *backend.View, grain int, kernel func(out, gate, up []L)) {
	n := newNest(out, gate, up)
	n.computeIn(sizeOf[L]())
	n.run(grain, func(ws *workspace, at *coords, count int) {
		dst := writable[L](n, 0, ws, at, count)
		kernel(dst, read[L](n, 1, ws, at, count), read[L](n, 2, ws, at, count))
		write(n, 0, at, dst)
	})
}

// SwiGLUBackward sets dgate = dy·up·silu'(gate) and dup = dy·silu(gate).
func (*Backend) SwiGLUBackward(dgate, dup, dy, gate, up *backend.View) {
	switch dy.DType {
	case backend.F64:
		swiGLUBackward(dgate, dup, dy, gate, up, grainMath, func(dgate, dup, dy, gate, up []float64) {
			for i, d := range dy {
				g, u := gate[i], up[i]
				s := 1 / (1 + math.Exp(-g))
				dup[i] = d * g * s
				dgate[i] = d * u * s * (1 + g*(1-s))
			}
		})
	case backend.BF16:
		swiGLUBackward(dgate, dup, dy, gate, up, grainScalar, simd.SwiGLUBackward[uint16])
	default:
		swiGLUBackward(dgate, dup, dy, gate, up, grainScalar, simd.SwiGLUBackward[float32])
	}
}

func swiGLUBackward[L lane](dgate, dup, dy, gate, up *backend.View, grain int, kernel func(dgate, dup, dy, gate, up []L)) {
	var n *nest
	switch {
	case dgate != nil && dup != nil:
		n = newNest(dy, gate, up, dgate, dup)
	case dgate != nil:
		n = newNest(dy, gate, up, dgate)
	case dup != nil:
		n = newNest(dy, gate, up, dup)
	default:
		return
	}
	n.computeIn(sizeOf[L]())
	n.run(grain, func(ws *workspace, at *coords, count int) {
		first := writable[L](n, 3, ws, at, count)
		var second []L
		if n.count == 5 {
			second = writable[L](n, 4, ws, at, count)
		} else {
			second = take[L](ws, count) // of the gradient that is not needed
		}
		dg, du := first, second
		if dgate == nil {
			dg, du = second, first
		}
		kernel(dg, du, read[L](n, 0, ws, at, count), read[L](n, 1, ws, at, count), read[L](n, 2, ws, at, count))
		write(n, 3, at, first)
		if n.count == 5 {
			write(n, 4, at, second)
		}
	})
}
