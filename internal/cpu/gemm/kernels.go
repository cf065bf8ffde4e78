package gemm

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

type float interface{ float32 | float64 }

// kernels are the inner loops of one dtype and path. Strides that they take are in bytes.
type kernels struct {
	dtype  backend.DType // F32 or F64: of packed operands and sums
	mr, nr int           // size of the tile that is kept in registers
	vector int           // lanes that packColumns takes at most

	// micro sets, or adds to, the rows×cols tile c the product of rows of a and a panel of b, whose rows of
	// nr elements are brs bytes apart. One of the strides of a is the size of an element. Meanwhile it
	// prefetches the cache lines from next on, one every prefetchSteps of k, and those of c. The addresses
	// need not be valid.
	micro func(rows, k int, a unsafe.Pointer, ars, acs int, b unsafe.Pointer, brs int,
		c unsafe.Pointer, crs, cols int, accumulate bool, next uintptr)
	// packColumns interleaves up to vector lanes that lie srs bytes apart, packRows copies k rows of lanes
	// that lie srs bytes apart. Rows of dst are drs bytes apart and written in order; packColumns writes
	// whole vectors. Both may be nil.
	packColumns func(dst unsafe.Pointer, drs int, src unsafe.Pointer, srs, lanes, k int)
	packRows    func(dst unsafe.Pointer, drs int, src unsafe.Pointer, srs, k, lanes int)

	// thin are the kernels for a few vectors by the dtype of the matrix, each by the number of vectors
	// less one. There is one for F32 or, for sums in F64, none at all.
	thin map[backend.DType][]thinKernel
	// dequantize sets dst to the weights of so many blocks, which are not 0, by their dtype.
	dequantize map[backend.DType]func(dst *float32, src *byte, blocks int)
}

// A thinKernel multiplies rows of k elements of the matrix w, ws bytes apart, by vectors, the rows of x, xs
// bytes apart: element r of row i of out, whose rows are os bytes apart, becomes the product of row i of x
// and row r of w. rows is not 0.
type thinKernel = func(out *float32, os int, x *float32, xs int, w *byte, ws, rows, k int)

// prefetchSteps is the number of steps of k for which a micro-kernel prefetches one cache line.
const prefetchSteps = 4

// kernelsFor are the kernels of the path in use that multiply operands of these dtypes.
func kernelsFor(a, b backend.DType) *kernels {
	if a == backend.F64 || b == backend.F64 {
		return &generic64
	}
	return &paths[simd.Active()]
}

var (
	generic32 = kernels{dtype: backend.F32, mr: 4, nr: 4, micro: microGeneric[float32],
		thin: map[backend.DType][]thinKernel{backend.F32: {thinGeneric}}}
	generic64 = kernels{dtype: backend.F64, mr: 4, nr: 4, micro: microGeneric[float64]}
)

// microGeneric is the micro-kernel in plain Go.
func microGeneric[T float](rows, k int, a unsafe.Pointer, ars, acs int, b unsafe.Pointer, brs int,
	c unsafe.Pointer, crs, cols int, accumulate bool, _ uintptr) {
	size := int(unsafe.Sizeof(T(0)))
	ars /= size
	acs /= size
	brs /= size
	as := unsafe.Slice((*T)(a), (k-1)*acs+(rows-1)*ars+1)
	bs := unsafe.Slice((*T)(b), (k-1)*brs+4)
	for i := 0; i < rows; i += 2 {
		two := i+1 < rows
		var sum [2][4]T
		if two {
			sum = dot2x4(as[i*ars:], ars, acs, bs, brs, k)
		} else {
			sum[0] = dot1x4(as[i*ars:], acs, bs, brs, k)
		}
		for h := range min(2, rows-i) {
			out := unsafe.Slice((*T)(unsafe.Add(c, (i+h)*crs)), cols)
			for j := range out {
				if accumulate {
					out[j] += sum[h][j]
				} else {
					out[j] = sum[h][j]
				}
			}
		}
	}
}

// dot2x4 keeps its sums in eight variables: as many as there are registers for, next to the operands.
func dot2x4[T float](a []T, ars, acs int, b []T, brs int, k int) [2][4]T {
	var s00, s01, s02, s03, s10, s11, s12, s13 T
	x, y := a, a[ars:]
	for i, j := 0, 0; k > 0; k-- {
		u, v, row := x[i], y[i], (*[4]T)(b[j:])
		s00 += u * row[0]
		s10 += v * row[0]
		s01 += u * row[1]
		s11 += v * row[1]
		s02 += u * row[2]
		s12 += v * row[2]
		s03 += u * row[3]
		s13 += v * row[3]
		i += acs
		j += brs
	}
	return [2][4]T{{s00, s01, s02, s03}, {s10, s11, s12, s13}}
}

func dot1x4[T float](a []T, acs int, b []T, brs int, k int) [4]T {
	var s0, s1, s2, s3 T
	for i, j := 0, 0; k > 0; k-- {
		u, row := a[i], (*[4]T)(b[j:])
		s0 += u * row[0]
		s1 += u * row[1]
		s2 += u * row[2]
		s3 += u * row[3]
		i += acs
		j += brs
	}
	return [4]T{s0, s1, s2, s3}
}
