package cpu

import (
	"math"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/pool"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

// AdamW does one step over weights and moments.
func (*Backend) AdamW(s backend.AdamWState, grad, hyper *backend.View, a backend.AdamWArgs) {
	h := slice[float32](hyper.Ptr, backend.AdamWHyper)
	if s.M.DType == backend.F64 {
		adamW64(s, grad, h, a)
		return
	}
	n := s.M.Len()
	var state simd.AdamWState
	switch s.M.DType {
	case backend.F32:
		state.M, state.V = slice[float32](s.M.Ptr, n), slice[float32](s.V.Ptr, n)
	case backend.BF16:
		state.M16, state.V16 = slice[uint16](s.M.Ptr, n), slice[uint16](s.V.Ptr, n)
	default:
		state.M8, state.V8 = slice[uint8](s.M.Ptr, n), slice[uint8](s.V.Ptr, n)
		state.MScale, state.VScale = slice[float32](s.MScale.Ptr, s.MScale.Len()), slice[float32](s.VScale.Ptr, s.VScale.Len())
	}
	w := newWeights(backend.WeightState{Param: s.Param, Master: s.Master, Remainder: s.Remainder}, n)
	state.Master, state.Param, state.Remainder = w.master, w.param, w.remainder
	if grad.DType == backend.BF16 {
		state.Grad16 = slice[uint16](grad.Ptr, n)
	} else {
		state.Grad = slice[float32](grad.Ptr, n)
	}
	step := simd.AdamWHyper{
		LR: h[0], WeightDecay: h[1], C1: h[2], C2: h[3], GradScale: h[4],
		Beta1: a.Beta1, Beta2: a.Beta2, Eps: a.Eps, Step: uint32(h[5]), Stream: a.Stream,
	}
	pool.Run(n, grainCheap, func(lo, hi int) {
		if a.Coupled {
			coupledAdam(state.Slice(lo, hi), &w, step)
		} else {
			simd.AdamW(state.Slice(lo, hi), step)
		}
		if w.other != nil { // has a dtype that the sweep does not write
			publish(w.other, w.master, lo, hi)
		}
	})
}

// coupledBlock is how many elements go through coupledAdam together: few enough for the second-level cache.
const coupledBlock = 1 << 13

// coupledAdam is AdamW without decay of the weights, with gradients to which it has been added.
func coupledAdam(s simd.AdamWState, w *weights, h simd.AdamWHyper) {
	decay, gradScale := h.WeightDecay, h.GradScale
	if h.WeightDecay = 0; decay == 0 {
		simd.AdamW(s, h)
		return
	}
	h.GradScale = 1
	ws := getWorkspace()
	defer ws.put()
	sum, scratch := take[float32](ws, coupledBlock), take[float32](ws, coupledBlock)
	for lo := 0; lo < s.Len(); lo += coupledBlock {
		b := s.Slice(lo, min(lo+coupledBlock, s.Len()))
		n := b.Len()
		grad := b.Grad
		if b.Grad16 != nil {
			grad, b.Grad16 = sum[:n], nil
			simd.BF16ToF32(grad, s.Grad16[lo:lo+n])
		}
		b.Grad = sum[:n]
		simd.MulScaleAdd(b.Grad, grad, gradScale, w.load(b.First, b.First+n, scratch), decay)
		simd.AdamW(b, h)
	}
}

func adamW64(s backend.AdamWState, grad *backend.View, hyper []float32, a backend.AdamWArgs) {
	n := s.M.Len()
	w, m, v, g := slice[float64](s.Master.Ptr, n), slice[float64](s.M.Ptr, n), slice[float64](s.V.Ptr, n), slice[float64](grad.Ptr, n)
	lr, decay := float64(hyper[0]), float64(hyper[1])
	c1, c2, gradScale := float64(hyper[2]), float64(hyper[3]), float64(hyper[4])
	l2 := 0.0
	if a.Coupled {
		l2, decay = decay, 0
	}
	pool.Run(n, grainScalar, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			grad := g[i]*gradScale + l2*w[i]
			m[i] = a.Beta1*m[i] + (1-a.Beta1)*grad
			v[i] = a.Beta2*v[i] + (1-a.Beta2)*grad*grad
			w[i] = w[i]*(1-lr*decay) - lr*(m[i]*c1)/(math.Sqrt(v[i]*c2)+a.Eps)
		}
		if s.Param != nil {
			publish(s.Param, w, lo, hi)
		}
	})
}
