package cpu

import (
	"math"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

// Float32 functions that a few SIMD loops make up, a block at a time. What those lose is given back by a
// correction of first order: log1p(x) = log(u)·x/(u − 1), where u = 1 + x is rounded, and the like for expm1
// (Kahan; see Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 1.14).

const composedBlock = 256

// composed32 is the loop of an op that is made of SIMD loops; nil if there is none.
func composed32(op backend.UnaryOp) func(out, x []float32) {
	switch op {
	case backend.Log1p:
		return inComposedBlocks(log1p32)
	case backend.Expm1:
		return inComposedBlocks(expm132)
	case backend.Softplus:
		return inComposedBlocks(softplus32)
	}
	return nil
}

// inComposedBlocks runs f over blocks, with scratch of three times their length.
func inComposedBlocks(f func(out, x, scratch []float32)) func(out, x []float32) {
	return func(out, x []float32) {
		ws := getWorkspace()
		defer ws.put()
		scratch := take[float32](ws, 3*composedBlock)
		for len(x) > composedBlock {
			f(out[:composedBlock], x[:composedBlock], scratch)
			out, x = out[composedBlock:], x[composedBlock:]
		}
		f(out, x, scratch)
	}
}

func log1p32(out, x, scratch []float32) {
	u, l := scratch[:len(x)], scratch[composedBlock:][:len(x)]
	for i, v := range x {
		u[i] = 1 + v
	}
	simd.Log(l, u)
	out = out[:len(x)]
	for i, v := range x {
		switch d := u[i] - 1; {
		case d == 0:
			out[i] = v
		case d > math.MaxFloat32:
			out[i] = l[i]
		default:
			out[i] = l[i] * (v / d)
		}
	}
}

func expm132(out, x, scratch []float32) {
	u, l := scratch[:len(x)], scratch[composedBlock:][:len(x)]
	simd.ScaledExp(u, x, 0, 1, 0)
	simd.Log(l, u)
	out = out[:len(x)]
	for i, v := range x {
		switch d := u[i] - 1; {
		case d == 0:
			out[i] = v
		case v < -0.5 || v > 0.5: // no digit is lost
			out[i] = d
		default:
			out[i] = d * (v / l[i])
		}
	}
}

// softplus32 is max(x, 0) + log1p(exp(−|x|)).
func softplus32(out, x, scratch []float32) {
	e := scratch[2*composedBlock:][:len(x)]
	simd.Abs(e, x)
	simd.Scale(e, e, -1)
	simd.ScaledExp(e, e, 0, 1, 0)
	log1p32(e, e, scratch)
	out = out[:len(x)]
	for i, v := range x {
		out[i] = max(v, 0) + e[i]
	}
}
