package cpu

import (
	"math"
	"unsafe"

	"github.com/x448/float16"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

// float are the types that float kernels compute in.
type float interface{ float32 | float64 }

// number are the types that element-wise kernels compute in: BF16 and F16 as float32, Bool as uint8.
type number interface {
	float | int32 | int64 | uint8
}

// element are number and what moves as mere bits.
type element interface {
	number | uint16 | uint32 | uint64
}

func sizeOf[T any]() int {
	var x T
	return int(unsafe.Sizeof(x))
}

// slice is the n elements at p.
func slice[T any](p unsafe.Pointer, n int) []T { return unsafe.Slice((*T)(p), n) }

// cast is x as a slice of its own type, which the caller knows and the compiler does not.
func cast[D, S any](x []S) []D { return *(*[]D)(unsafe.Pointer(&x)) }

// storedAs reports whether elements of dt lie in memory as T, so that no conversion is needed.
func storedAs[T element](dt backend.DType) bool { return dt.Size() == sizeOf[T]() }

// load returns n elements, stride apart, as compute type T: the memory itself if it is just that,
// else converted into scratch.
func load[T element](dt backend.DType, p unsafe.Pointer, stride, n int, scratch []T) []T {
	if stride == 1 && storedAs[T](dt) || n == 0 {
		return slice[T](p, n)
	}
	loadInto(scratch[:n], dt, p, stride)
	return scratch[:n]
}

// loadInto fills dst with elements that lie stride apart.
func loadInto[T element](dst []T, dt backend.DType, p unsafe.Pointer, stride int) {
	switch {
	case storedAs[T](dt):
		gather(dst, (*T)(p), stride)
	case dt == backend.BF16:
		f := cast[float32](dst)
		if stride == 1 {
			simd.BF16ToF32(f, slice[uint16](p, len(dst)))
			return
		}
		for i := range f {
			f[i] = math.Float32frombits(uint32(*(*uint16)(unsafe.Add(p, i*stride*2))) << 16)
		}
	default:
		f := cast[float32](dst)
		if stride == 1 {
			simd.F16ToF32(f, slice[uint16](p, len(dst)))
			return
		}
		for i := range f {
			f[i] = float16.Frombits(*(*uint16)(unsafe.Add(p, i*stride*2))).Float32()
		}
	}
}

func gather[T element](dst []T, p *T, stride int) {
	switch stride {
	case 0:
		fill(dst, *p)
	case 1:
		copy(dst, unsafe.Slice(p, len(dst)))
	default:
		at := unsafe.Pointer(p)
		for i := range dst {
			dst[i] = *(*T)(unsafe.Add(at, i*stride*sizeOf[T]()))
		}
	}
}

// fill sets all elements to v. What has been filled is copied on, which is done with wide stores.
func fill[T any](dst []T, v T) {
	const seed, most = 16, 1 << 11
	for i := range dst[:min(seed, len(dst))] {
		dst[i] = v
	}
	for done := seed; done < len(dst); {
		done += copy(dst[done:], dst[:min(done, most)])
	}
}

// destination is where a kernel writes n results of type T that go to p: the memory itself, or scratch
// for store to convert.
func destination[T element](dt backend.DType, p unsafe.Pointer, stride, n int, scratch []T) []T {
	if stride == 1 && storedAs[T](dt) {
		return slice[T](p, n)
	}
	return scratch[:n]
}

// store writes what destination returned to where it belongs, which may be there already.
func store[T element](dt backend.DType, p unsafe.Pointer, stride int, src []T) {
	switch {
	case len(src) == 0:
	case storedAs[T](dt):
		if stride == 1 {
			if unsafe.Pointer(&src[0]) != p {
				copy(slice[T](p, len(src)), src)
			}
			return
		}
		for i, v := range src {
			*(*T)(unsafe.Add(p, i*stride*sizeOf[T]())) = v
		}
	case dt == backend.BF16:
		f := cast[float32](src)
		if stride == 1 {
			simd.F32ToBF16(slice[uint16](p, len(f)), f)
			return
		}
		for i, v := range f {
			*(*uint16)(unsafe.Add(p, i*stride*2)) = bf16(v)
		}
	default:
		if stride == 1 {
			simd.F32ToF16(slice[uint16](p, len(src)), cast[float32](src))
			return
		}
		for i, v := range cast[float32](src) {
			*(*uint16)(unsafe.Add(p, i*stride*2)) = float16.Fromfloat32(v).Bits()
		}
	}
}

// bf16 rounds to nearest even, as simd.F32ToBF16 does.
func bf16(x float32) uint16 {
	b := math.Float32bits(x)
	if x != x {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}
