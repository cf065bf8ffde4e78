package cuda

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
)

// weights are a parameter's weights for the kernels of optimizers: struct Weights of weights.cuh.
type weights struct {
	Param, Master, Remainder unsafe.Pointer
	DType                    int32 // of Param
}

func weightsOf(s backend.WeightState) weights {
	w := weights{Param: pointerOf(s.Param), Master: pointerOf(s.Master), Remainder: pointerOf(s.Remainder)}
	if s.Param != nil {
		w.DType = int32(s.Param.DType)
	}
	return w
}

// floats are numbers of F32 or BF16 for a kernel: struct Floats of weights.cuh.
type floats struct {
	Data  unsafe.Pointer
	DType int32
}

// floatsOf is v for a kernel, null if v is nil.
func floatsOf(v *backend.View) floats {
	if v == nil {
		return floats{}
	}
	return floats{v.Ptr, int32(v.DType)}
}

// sweepLaunch is the blocks of 256 threads that go over n elements, 256 of them a warp at a time.
func sweepLaunch(n int) dim3 { return dim3{min(ceilDiv(n, 8*256), 2048), 1, 1} }

// adamWConstants are the numbers that stay from step to step: struct Constants of adamw.cu.
type adamWConstants struct {
	Beta1, Rest1, Beta2, Rest2, Eps float32
	Coupled                         uint32
	Stream                          uint64
}

// AdamW does one step over weights and moments in one sweep over memory.
func (b *Backend) AdamW(s backend.AdamWState, grad, hyper *backend.View, a backend.AdamWArgs) {
	n := s.M.Len()
	if n == 0 {
		return
	}
	w, g := weightsOf(backend.WeightState{Param: s.Param, Master: s.Master, Remainder: s.Remainder}), floatsOf(grad)
	if s.M.DType == backend.F64 {
		launch(b, b.function("adamw", "adamw_f64"), dim3{min(ceilDiv(n, 256), 4096), 1, 1}, 256, 0, &struct {
			Param                unsafe.Pointer
			DType                int32
			W, M, V, Grad, Hyper unsafe.Pointer
			Beta1, Beta2, Eps    float64
			Coupled              uint32
			N                    int64
		}{w.Param, w.DType, s.Master.Ptr, s.M.Ptr, s.V.Ptr, grad.Ptr, hyper.Ptr, a.Beta1, a.Beta2, a.Eps, flag(a.Coupled), int64(n)})
		return
	}
	c := adamWConstants{float32(a.Beta1), float32(1 - a.Beta1), float32(a.Beta2), float32(1 - a.Beta2), float32(a.Eps), flag(a.Coupled), a.Stream}
	aligned := flag(aligned16(s.Param, s.Master, s.Remainder, s.M, s.V, grad))
	f := b.function("adamw", "adamw_moments_"+s.M.DType.String())
	if s.M.DType == backend.U8 {
		launch(b, f, sweepLaunch(n), 256, 0, &struct {
			Weights              weights
			M, V, MScale, VScale unsafe.Pointer
			Grad                 floats
			Hyper                unsafe.Pointer
			Constants            adamWConstants
			Maps                 [2]backend.DynamicMap
			N                    int64
			Aligned              uint32
		}{w, s.M.Ptr, s.V.Ptr, s.MScale.Ptr, s.VScale.Ptr, g, hyper.Ptr, c, [2]backend.DynamicMap{*backend.Signed, *backend.Unsigned}, int64(n), aligned})
		return
	}
	launch(b, f, sweepLaunch(n), 256, 0, &struct {
		Weights   weights
		M, V      unsafe.Pointer
		Grad      floats
		Hyper     unsafe.Pointer
		Constants adamWConstants
		N         int64
		Aligned   uint32
	}{w, s.M.Ptr, s.V.Ptr, g, hyper.Ptr, c, int64(n), aligned})
}
