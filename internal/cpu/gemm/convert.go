package gemm

import (
	"math"
	"unsafe"

	"github.com/x448/float16"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

// load reads one element.
func load(p unsafe.Pointer, dtype backend.DType) float64 {
	switch dtype {
	case backend.F64:
		return *(*float64)(p)
	case backend.BF16:
		return float64(math.Float32frombits(uint32(*(*uint16)(p)) << 16))
	case backend.F16:
		return float64(float16.Frombits(*(*uint16)(p)).Float32())
	default:
		return float64(*(*float32)(p))
	}
}

// store sets, or adds to, the first n elements of the row dst from consecutive ones of dtype F32 or F64.
// It uses w.old.
func store(w *Workspace, dst Operand, src unsafe.Pointer, dtype backend.DType, n int, accumulate bool) {
	if dtype == backend.F64 {
		for j, v := range unsafe.Slice((*float64)(src), n) {
			p := dst.at(0, j)
			if accumulate {
				v += load(p, dst.DType)
			}
			if dst.DType == backend.F64 {
				*(*float64)(p) = v
			} else {
				narrow(p, dst.DType, float32(v))
			}
		}
		return
	}
	s := unsafe.Slice((*float32)(src), n)
	if dst.ColStride == 1 && dst.DType == backend.F32 {
		if d := unsafe.Slice((*float32)(dst.Ptr), n); accumulate {
			simd.Add(d, d, s)
		} else {
			copy(d, s)
		}
		return
	}
	if dst.ColStride == 1 && dst.DType == backend.BF16 {
		d := unsafe.Slice((*uint16)(dst.Ptr), n)
		if accumulate {
			old := unsafe.Slice((*float32)(w.old.grow(4*n)), n)
			simd.BF16ToF32(old, d)
			simd.Add(old, old, s)
			s = old
		}
		simd.F32ToBF16(d, s)
		return
	}
	for j, v := range s {
		p := dst.at(0, j)
		switch {
		case dst.DType == backend.F64 && accumulate:
			*(*float64)(p) += float64(v)
		case dst.DType == backend.F64:
			*(*float64)(p) = float64(v)
		case accumulate:
			narrow(p, dst.DType, float32(load(p, dst.DType))+v)
		default:
			narrow(p, dst.DType, v)
		}
	}
}

// narrow writes one element of F32, BF16 or F16.
func narrow(p unsafe.Pointer, dtype backend.DType, v float32) {
	switch dtype {
	case backend.BF16:
		*(*uint16)(p) = simd.BF16(v)
	case backend.F16:
		*(*uint16)(p) = float16.Fromfloat32(v).Bits()
	default:
		*(*float32)(p) = v
	}
}
