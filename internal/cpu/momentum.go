package cpu

import (
	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/pool"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

// The optimizers of at most one moment. Weights, moment and gradient go through memory once: a block of
// them stays in the first-level cache for all loops over it.

// momentumBlock is a block of elements: weights and moment in place or in scratch, u free to write to.
type momentumBlock struct{ w, m, grad, u []float32 }

// overMomentum calls step for blocks of a state. What it leaves in w and m is stored.
func overMomentum(s backend.MomentumState, grad *backend.View, step func(b momentumBlock)) {
	n := grad.Len()
	w := newWeights(s.WeightState, n)
	pool.Run(n, grainCheap, func(first, last int) {
		ws := getWorkspace()
		defer ws.put()
		scratchW, scratchG, scratchM, u := take[float32](ws, blockLen), take[float32](ws, blockLen), take[float32](ws, blockLen), take[float32](ws, blockLen)
		for lo := first; lo < last; lo += blockLen {
			hi := min(lo+blockLen, last)
			b := momentumBlock{w: w.load(lo, hi, scratchW), grad: loadFlat(grad, lo, hi, scratchG), u: u[:hi-lo]}
			if s.M != nil {
				b.m = loadFlat(s.M, lo, hi, scratchM)
			}
			step(b)
			if s.M != nil {
				storeFlat(s.M, lo, b.m)
			}
			w.store(lo, b.w)
		}
	})
}

// SGD does one step of stochastic gradient descent.
func (*Backend) SGD(s backend.MomentumState, grad, hyper *backend.View, a backend.SGDArgs) {
	h := slice[float32](hyper.Ptr, backend.SGDHyper)
	lr, decay, gradScale, fresh := h[0], h[1], h[2], h[3]
	momentum := float32(a.Momentum)
	keep := float32(1 - float64(lr)*float64(decay))
	overMomentum(s, grad, func(b momentumBlock) {
		if b.m == nil {
			simd.MulScaleAdd(b.w, b.w, keep, b.grad, -lr*gradScale)
			return
		}
		simd.MulScaleAdd(b.u, b.grad, gradScale, b.w, decay)
		simd.MulScaleAdd(b.m, b.m, momentum, b.u, fresh)
		if a.Nesterov {
			simd.Axpy(b.u, momentum, b.m)
		} else {
			b.u = b.m
		}
		simd.Axpy(b.w, -lr, b.u)
	})
}

// Lion does one step of Lion.
func (*Backend) Lion(s backend.MomentumState, grad, hyper *backend.View, a backend.LionArgs) {
	h := slice[float32](hyper.Ptr, backend.LionHyper)
	lr, keep, gradScale := h[0], float32(1-float64(h[0])*float64(h[1])), float64(h[2])
	overMomentum(s, grad, func(b momentumBlock) {
		simd.MulScaleAdd(b.u, b.m, float32(a.Beta1), b.grad, float32((1-a.Beta1)*gradScale))
		simd.MulScaleAdd(b.m, b.m, float32(a.Beta2), b.grad, float32((1-a.Beta2)*gradScale))
		units(b.u)
		simd.MulScaleAdd(b.w, b.w, keep, b.u, -lr)
	})
}

// units makes of each element its sign, 0 of zeros, in loops of SIMD: the least float32 times 2²⁰⁰ is more than 1.
// NaN stays.
func units(x []float32) {
	simd.Scale(x, x, 0x1p100)
	simd.Scale(x, x, 0x1p100)
	simd.LargerScalar(x, x, -1)
	simd.SmallerScalar(x, x, 1)
}
