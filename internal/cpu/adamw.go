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
	bare := w.master == nil && w.remainder == nil // BF16 and nothing beside
	if grad.DType == backend.BF16 {
		state.Grad16 = slice[uint16](grad.Ptr, n)
	} else {
		state.Grad = slice[float32](grad.Ptr, n)
	}
	step := simd.AdamWHyper{
		LR: h[0], WeightDecay: h[1], C1: h[2], C2: h[3], GradScale: h[4],
		Beta1: a.Beta1, Beta2: a.Beta2, Eps: a.Eps, Step: uint32(h[5]), Stream: a.Stream,
	}
	l2 := float32(0)
	if a.Coupled {
		l2, step.WeightDecay = step.WeightDecay, 0
		if s.M.DType == backend.F32 {
			l2, step.L2 = 0, l2 // the sweep adds it
		}
	}
	pool.Run(n, grainCheap, func(lo, hi int) {
		if part := state.Slice(lo, hi); bare {
			bareAdam(part, step, l2)
		} else {
			sweepAdam(part, step, l2, w.load)
		}
		if w.other != nil { // has a dtype that the sweep does not write
			publish(w.other, w.master, lo, hi)
		}
	})
}

// penalisedLen is how many elements go through sweepAdam together: few enough for the second-level cache.
const penalisedLen = 1 << 13

// sweepAdam is the sweep with l2 times the weights added to the gradients. load gives the weights [lo, hi) of the
// parameter, for which there is scratch.
func sweepAdam(s simd.AdamWState, h simd.AdamWHyper, l2 float32, load func(lo, hi int, scratch []float32) []float32) {
	if l2 == 0 {
		simd.AdamW(s, h)
		return
	}
	ws := getWorkspace()
	defer ws.put()
	sum, scratch := take[float32](ws, penalisedLen), take[float32](ws, penalisedLen)
	gradScale := h.GradScale
	h.GradScale = 1
	for lo := 0; lo < s.Len(); lo += penalisedLen {
		b := s.Slice(lo, min(lo+penalisedLen, s.Len()))
		n := b.Len()
		grad := b.Grad
		if b.Grad16 != nil {
			grad = sum[:n]
			simd.BF16ToF32(grad, b.Grad16)
		}
		b.Grad, b.Grad16 = sum[:n], nil
		simd.MulScaleAdd(b.Grad, grad, gradScale, load(b.First, b.First+n, scratch), l2)
		simd.AdamW(b, h)
	}
}

// bareAdam is the sweep over weights that are BF16, which it rounds stochastically: they are F32 in the cache only.
func bareAdam(s simd.AdamWState, h simd.AdamWHyper, l2 float32) {
	ws := getWorkspace()
	defer ws.put()
	scratch := take[float32](ws, penalisedLen)
	for lo := 0; lo < s.Len(); lo += penalisedLen {
		b := s.Slice(lo, min(lo+penalisedLen, s.Len()))
		param := b.Param
		b.Master, b.Param = scratch[:b.Len()], nil
		simd.BF16ToF32(b.Master, param)
		sweepAdam(b, h, l2, func(_, _ int, _ []float32) []float32 { return b.Master })
		for i := 0; i < len(param); i += 8 {
			noise := backend.WeightNoises(h.Stream, h.Step, (b.First+i)/8)
			for j, x := range b.Master[i:min(i+8, len(param))] {
				param[i+j] = backend.StochasticBF16(x, noise[j])
			}
		}
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
