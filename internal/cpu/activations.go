package cpu

import (
	"fmt"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

// ActivationBackward sets dx = dy·f'(x), by blocks that stay in the first-level cache between the steps.
func (*Backend) ActivationBackward(op backend.UnaryOp, dx, dy, kept *backend.View) {
	if dx.DType == backend.F64 {
		activationBackward(op, dx, dy, kept, grainMath, slopes64[op])
	} else {
		activationBackward(op, dx, dy, kept, grainScalar, slopes32[op])
	}
}

// A slope sets out to the derivative of an activation, given its kept input or output. room is of out's length.
type slope[C float] func(out, room, kept []C)

func activationBackward[C float](op backend.UnaryOp, dx, dy, kept *backend.View, grain int, slope slope[C]) {
	if slope == nil && op != backend.ReLU {
		panic(fmt.Sprintf("cpu: unary operation %d is no activation", op))
	}
	n := newNest(dx, dy, kept)
	n.computeIn(sizeOf[C]())
	n.run(grain, func(ws *workspace, at *coords, count int) {
		dst := writable[C](n, 0, ws, at, count)
		d, k := read[C](n, 1, ws, at, count), read[C](n, 2, ws, at, count)
		size := min(blockLen, count)
		first, second, mask := take[C](ws, size), take[C](ws, size), take[uint8](ws, size)
		for lo := 0; lo < count; lo += size {
			hi := min(lo+size, count)
			m := hi - lo
			if op == backend.ReLU {
				whereNot0(dst[lo:hi], d[lo:hi], k[lo:hi], first[:m], mask[:m])
				continue
			}
			slope(first[:m], second[:m], k[lo:hi])
			mul(dst[lo:hi], d[lo:hi], first[:m])
		}
		write(n, 0, at, dst)
	})
}

// whereNot0 sets out to x where y is not 0 and to 0 elsewhere. zeros and mask are room.
func whereNot0[C float](out, x, y, zeros []C, mask []uint8) {
	clear(zeros)
	if isFloat32[C]() {
		simd.NotEqual(mask, cast[float32](y), cast[float32](zeros))
		simd.Where(cast[uint32](out), mask, cast[uint32](x), cast[uint32](zeros))
		return
	}
	for i, v := range y {
		if out[i] = x[i]; v == 0 {
			out[i] = 0
		}
	}
}

// slopes32 and slopes64 are the derivatives, of Sigmoid and Tanh in terms of the output y.
var slopes32 = [backend.UnaryOps]slope[float32]{
	backend.Sigmoid: func(out, _, y []float32) { // (1 − y)·y
		simd.Scale(out, y, -1)
		simd.AddScalar(out, out, 1)
		simd.Mul(out, out, y)
	},
	backend.Tanh: func(out, _, y []float32) { // 1 − y²
		simd.Mul(out, y, y)
		simd.Scale(out, out, -1)
		simd.AddScalar(out, out, 1)
	},
	backend.SiLU: func(out, room, x []float32) { // σ(x)·(1 + x·(1 − σ(x)))
		simd.Sigmoid(room, x)
		simd.Scale(out, room, -1)
		simd.AddScalar(out, out, 1)
		simd.Mul(out, out, x)
		simd.AddScalar(out, out, 1)
		simd.Mul(out, out, room)
	},
	backend.GELU:     func(out, _, x []float32) { simd.GELUSlope(out, x) },
	backend.GELUTanh: func(out, _, x []float32) { simd.GELUTanhSlope(out, x) },
	backend.Softplus: func(out, _, x []float32) { simd.Sigmoid(out, x) },
}

var slopes64 = [backend.UnaryOps]slope[float64]{
	backend.Sigmoid: each(func(y float64) float64 { return (1 - y) * y }),
	backend.Tanh:    each(func(y float64) float64 { return 1 - y*y }),
	backend.SiLU: each(func(x float64) float64 {
		s := sigmoid(x)
		return s * (1 + x*(1-s))
	}),
	backend.GELU:     each(simd.GELUSlope64),
	backend.GELUTanh: each(simd.GELUTanhSlope64),
	backend.Softplus: each(sigmoid),
}

// each is a slope by a function of one number.
func each(f func(float64) float64) slope[float64] {
	return func(out, _, kept []float64) {
		for i, v := range kept {
			out[i] = f(v)
		}
	}
}
