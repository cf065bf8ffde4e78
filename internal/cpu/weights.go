package cpu

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

// weights are the F32 weights that an optimizer trains, in one of their forms; see backend.WeightState.
type weights struct {
	master           []float32 // nil with remainder, and where param is all there is
	param, remainder []uint16  // bfloat16, or nil
	other            *backend.View
}

func newWeights(s backend.WeightState, n int) weights {
	if s.Remainder != nil {
		return weights{param: slice[uint16](s.Param.Ptr, n), remainder: slice[uint16](s.Remainder.Ptr, n)}
	}
	if s.Master == nil {
		return weights{param: slice[uint16](s.Param.Ptr, n)}
	}
	w := weights{master: slice[float32](s.Master.Ptr, n)}
	switch {
	case s.Param == nil:
	case s.Param.DType == backend.BF16:
		w.param = slice[uint16](s.Param.Ptr, n)
	default:
		w.other = s.Param
	}
	return w
}

// load returns the weights [lo, hi): the memory itself, or put together in scratch.
func (w *weights) load(lo, hi int, scratch []float32) []float32 {
	if w.remainder == nil {
		return w.master[lo:hi]
	}
	simd.JoinMasters(scratch[:hi-lo], w.param[lo:hi], w.remainder[lo:hi])
	return scratch[:hi-lo]
}

// store writes what load returned, as from lo.
func (w *weights) store(lo int, x []float32) {
	hi := lo + len(x)
	switch {
	case w.remainder != nil:
		simd.SplitMasters(w.param[lo:hi], w.remainder[lo:hi], x)
	case w.param != nil:
		simd.F32ToBF16(w.param[lo:hi], x)
	case w.other != nil:
		publish(w.other, w.master, lo, hi)
	}
}

// publish converts the elements [lo, hi) of the master weights into param.
func publish[C float](param *backend.View, master []C, lo, hi int) {
	to := param.Flat()
	to = to.Slice(0, lo, hi)
	from := backend.NewView(unsafe.Pointer(unsafe.SliceData(master[lo:hi])), dtypeOf[C](), hi-lo)
	new(Backend).Copy(&to, &from)
}

// loadFlat is the elements [lo, hi) of a contiguous view as float32: the memory itself, or converted into
// scratch.
func loadFlat(v *backend.View, lo, hi int, scratch []float32) []float32 {
	return load(v.DType, unsafe.Add(v.Ptr, lo*v.DType.Size()), 1, hi-lo, scratch)
}

// storeFlat writes what loadFlat returned, as from lo.
func storeFlat(v *backend.View, lo int, x []float32) {
	store(v.DType, unsafe.Add(v.Ptr, lo*v.DType.Size()), 1, x)
}
