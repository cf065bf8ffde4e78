package cpu

import (
	"math"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/pool"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

// AdamW does one step over master, m and v, and sets param to master in its dtype.
func (*Backend) AdamW(param, master, m, v, grad, hyper *backend.View, a backend.AdamWArgs) {
	n := master.Len()
	h := slice[float32](hyper.Ptr, 5)
	if master.DType == backend.F64 {
		w, m, v, g := slice[float64](master.Ptr, n), slice[float64](m.Ptr, n), slice[float64](v.Ptr, n), slice[float64](grad.Ptr, n)
		pool.Run(n, grainScalar, func(lo, hi int) {
			adamW64(w[lo:hi], m[lo:hi], v[lo:hi], g[lo:hi], h, a)
			publish(param, w, lo, hi)
		})
		return
	}
	step := simd.AdamWHyper{
		LR: h[0], WeightDecay: h[1], C1: h[2], C2: h[3], GradScale: h[4],
		Beta1: a.Beta1, Beta2: a.Beta2, Eps: a.Eps,
	}
	w, ms, vs, g := slice[float32](master.Ptr, n), slice[float32](m.Ptr, n), slice[float32](v.Ptr, n), slice[float32](grad.Ptr, n)
	pool.Run(n, grainCheap, func(lo, hi int) {
		if param != nil && param.DType == backend.BF16 && param.Contiguous() {
			simd.AdamW(slice[uint16](param.Ptr, n)[lo:hi], w[lo:hi], ms[lo:hi], vs[lo:hi], g[lo:hi], step)
			return
		}
		simd.AdamW(nil, w[lo:hi], ms[lo:hi], vs[lo:hi], g[lo:hi], step)
		publish(param, w, lo, hi)
	})
}

func adamW64(w, m, v, g []float64, hyper []float32, a backend.AdamWArgs) {
	lr, decay := float64(hyper[0]), float64(hyper[1])
	c1, c2, gradScale := float64(hyper[2]), float64(hyper[3]), float64(hyper[4])
	for i := range w {
		grad := g[i] * gradScale
		m[i] = a.Beta1*m[i] + (1-a.Beta1)*grad
		v[i] = a.Beta2*v[i] + (1-a.Beta2)*grad*grad
		w[i] = w[i]*(1-lr*decay) - lr*(m[i]*c1)/(math.Sqrt(v[i]*c2)+a.Eps)
	}
}

// publish converts the elements [lo, hi) of the master weights into param, if there is one.
func publish[C float](param *backend.View, master []C, lo, hi int) {
	if param == nil {
		return
	}
	to := param.Flat()
	to = to.Slice(0, lo, hi)
	from := backend.NewView(unsafe.Pointer(unsafe.SliceData(master[lo:hi])), dtypeOf[C](), hi-lo)
	new(Backend).Copy(&to, &from)
}
