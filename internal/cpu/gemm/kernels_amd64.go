//go:build !purego

package gemm

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

var paths = [...]kernels{
	simd.Generic: generic32,
	simd.AVX2: {
		dtype: backend.F32, mr: 6, nr: 16, vector: 8,
		micro:       microAVX2,
		packColumns: packColumnsF32AVX2,
		packRows:    packRowsF32AVX2,
		dot4:        dot4AVX2,
		dotBF16:     true,
	},
	simd.AVX512: {
		dtype: backend.F32, mr: 12, nr: 32, vector: 16,
		micro:       microAVX512,
		packColumns: packColumnsF32AVX512,
		packRows:    packRowsF32AVX512,
		dot4:        dot4AVX512,
		dotBF16:     true,
	},
}

type microKernel func(k int, a *float32, acs int, b *float32, brs int, c *float32, crs, cols int, accumulate bool)

// The micro-kernels by the vectors and the rows of their tile, each less one.
var microsAVX2 = [2][6]microKernel{
	{
		micro1x8AVX2, micro2x8AVX2, micro3x8AVX2, micro4x8AVX2, micro5x8AVX2, micro6x8AVX2,
	},
	{
		micro1x16AVX2, micro2x16AVX2, micro3x16AVX2, micro4x16AVX2, micro5x16AVX2, micro6x16AVX2,
	},
}

var microsAVX512 = [2][12]microKernel{
	{
		micro1x16AVX512, micro2x16AVX512, micro3x16AVX512, micro4x16AVX512, micro5x16AVX512, micro6x16AVX512,
		micro7x16AVX512, micro8x16AVX512, micro9x16AVX512, micro10x16AVX512, micro11x16AVX512, micro12x16AVX512,
	},
	{
		micro1x32AVX512, micro2x32AVX512, micro3x32AVX512, micro4x32AVX512, micro5x32AVX512, micro6x32AVX512,
		micro7x32AVX512, micro8x32AVX512, micro9x32AVX512, micro10x32AVX512, micro11x32AVX512, micro12x32AVX512,
	},
}

func microAVX2(rows, k int, a unsafe.Pointer, acs int, b unsafe.Pointer, brs int,
	c unsafe.Pointer, crs, cols int, accumulate bool) {
	microsAVX2[(cols-1)/8][rows-1](k, (*float32)(a), acs, (*float32)(b), brs, (*float32)(c), crs, cols, accumulate)
}

func packColumnsF32AVX2(dst unsafe.Pointer, drs int, src unsafe.Pointer, srs, lanes, k int) {
	packColumnsAVX2((*float32)(dst), drs, (*float32)(src), srs, lanes, k)
}

func packRowsF32AVX2(dst unsafe.Pointer, drs int, src unsafe.Pointer, srs, k, lanes int) {
	if lanes > 8 {
		packRows2AVX2((*float32)(dst), drs, (*float32)(src), srs, k, lanes)
		return
	}
	packRows1AVX2((*float32)(dst), drs, (*float32)(src), srs, k, lanes)
}

func microAVX512(rows, k int, a unsafe.Pointer, acs int, b unsafe.Pointer, brs int,
	c unsafe.Pointer, crs, cols int, accumulate bool) {
	microsAVX512[(cols-1)/16][rows-1](k, (*float32)(a), acs, (*float32)(b), brs, (*float32)(c), crs, cols, accumulate)
}

func packColumnsF32AVX512(dst unsafe.Pointer, drs int, src unsafe.Pointer, srs, lanes, k int) {
	packColumnsAVX512((*float32)(dst), drs, (*float32)(src), srs, lanes, k)
}

func packRowsF32AVX512(dst unsafe.Pointer, drs int, src unsafe.Pointer, srs, k, lanes int) {
	if lanes > 16 {
		packRows2AVX512((*float32)(dst), drs, (*float32)(src), srs, k, lanes)
		return
	}
	packRows1AVX512((*float32)(dst), drs, (*float32)(src), srs, k, lanes)
}

func dot4AVX512(out *[4]float32, x []float32, rows Operand) {
	if rows.DType == backend.F32 {
		dot4F32AVX512(out, x, (*float32)(rows.Ptr), rows.RowStride*4)
		return
	}
	dot4BF16AVX512(out, x, (*uint16)(rows.Ptr), rows.RowStride*2)
}

func dot4AVX2(out *[4]float32, x []float32, rows Operand) {
	if rows.DType == backend.F32 {
		dot4F32AVX2(out, x, (*float32)(rows.Ptr), rows.RowStride*4)
		return
	}
	dot4BF16AVX2(out, x, (*uint16)(rows.Ptr), rows.RowStride*2)
	for p := len(x) &^ 7; p < len(x); p++ {
		for j := range out {
			out[j] += x[p] * float32(load(rows.at(j, p), backend.BF16))
		}
	}
}
