//go:build !purego

package gemm

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

// paths are the kernels by path.
var paths = [simd.Levels]kernels{
	simd.Generic:    generic32,
	simd.AVX2:       kernelsAVX2,
	simd.AVX512:     kernelsAVX512,
	simd.AVX512BF16: kernelsAVX512,
	simd.AMX:        kernelsAVX512,
}

var (
	kernelsAVX2 = kernels{
		dtype: backend.F32, mr: 6, nr: 16, vector: 8,
		micro:       microAVX2,
		packColumns: packColumnsF32AVX2,
		packRows:    packRowsF32AVX2,
		thin: map[backend.DType][]thinKernel{
			backend.F32:  {thinF32x1AVX2, thinF32x2AVX2, thinF32x3AVX2, thinF32x4AVX2},
			backend.BF16: {thinBF16x1AVX2, thinBF16x2AVX2, thinBF16x3AVX2, thinBF16x4AVX2},
			backend.Q8_0: {thinQ8x1AVX2, thinQ8x2AVX2, thinQ8x3AVX2, thinQ8x4AVX2},
			backend.Q4_0: {thinQ4x1AVX2, thinQ4x2AVX2, thinQ4x3AVX2, thinQ4x4AVX2},
		},
		dequantize: map[backend.DType]func(dst *float32, src *byte, blocks int){
			backend.Q8_0: dequantizeQ8AVX2,
			backend.Q4_0: dequantizeQ4AVX2,
		},
	}
	kernelsAVX512 = kernels{
		dtype: backend.F32, mr: 12, nr: 32, vector: 16,
		micro:       microAVX512,
		packColumns: packColumnsF32AVX512,
		packRows:    packRowsF32AVX512,
		thin: map[backend.DType][]thinKernel{
			backend.F32:  {thinF32x1AVX512, thinF32x2AVX512, thinF32x3AVX512, thinF32x4AVX512},
			backend.BF16: {thinBF16x1AVX512, thinBF16x2AVX512, thinBF16x3AVX512, thinBF16x4AVX512},
			backend.Q8_0: {thinQ8x1AVX512, thinQ8x2AVX512, thinQ8x3AVX512, thinQ8x4AVX512},
			backend.Q4_0: {thinQ4x1AVX512, thinQ4x2AVX512, thinQ4x3AVX512, thinQ4x4AVX512},
		},
		dequantize: map[backend.DType]func(dst *float32, src *byte, blocks int){
			backend.Q8_0: dequantizeQ8AVX512,
			backend.Q4_0: dequantizeQ4AVX512,
		},
	}
)

type microKernel func(k int, a *float32, as int, b *float32, bs int, c *float32, cs, cols int, accumulate bool, next uintptr)

// The micro-kernels of AVX2 for an a by columns and by rows, by the vectors and the rows of their tile, each
// less one.
var microsAVX2 = [2][2][6]microKernel{
	{
		{
			microColumns1x8AVX2, microColumns2x8AVX2, microColumns3x8AVX2,
			microColumns4x8AVX2, microColumns5x8AVX2, microColumns6x8AVX2,
		},
		{
			microColumns1x16AVX2, microColumns2x16AVX2, microColumns3x16AVX2,
			microColumns4x16AVX2, microColumns5x16AVX2, microColumns6x16AVX2,
		},
	},
	{
		{
			microRows1x8AVX2, microRows2x8AVX2, microRows3x8AVX2,
			microRows4x8AVX2, microRows5x8AVX2, microRows6x8AVX2,
		},
		{
			microRows1x16AVX2, microRows2x16AVX2, microRows3x16AVX2,
			microRows4x16AVX2, microRows5x16AVX2, microRows6x16AVX2,
		},
	},
}

// The micro-kernels of AVX-512 for an a by columns and by rows, by the vectors and the rows of their tile, each
// less one.
var microsAVX512 = [2][2][12]microKernel{
	{
		{
			microColumns1x16AVX512, microColumns2x16AVX512, microColumns3x16AVX512,
			microColumns4x16AVX512, microColumns5x16AVX512, microColumns6x16AVX512,
			microColumns7x16AVX512, microColumns8x16AVX512, microColumns9x16AVX512,
			microColumns10x16AVX512, microColumns11x16AVX512, microColumns12x16AVX512,
		},
		{
			microColumns1x32AVX512, microColumns2x32AVX512, microColumns3x32AVX512,
			microColumns4x32AVX512, microColumns5x32AVX512, microColumns6x32AVX512,
			microColumns7x32AVX512, microColumns8x32AVX512, microColumns9x32AVX512,
			microColumns10x32AVX512, microColumns11x32AVX512, microColumns12x32AVX512,
		},
	},
	{
		{
			microRows1x16AVX512, microRows2x16AVX512, microRows3x16AVX512,
			microRows4x16AVX512, microRows5x16AVX512, microRows6x16AVX512,
			microRows7x16AVX512, microRows8x16AVX512, microRows9x16AVX512,
			microRows10x16AVX512, microRows11x16AVX512, microRows12x16AVX512,
		},
		{
			microRows1x32AVX512, microRows2x32AVX512, microRows3x32AVX512,
			microRows4x32AVX512, microRows5x32AVX512, microRows6x32AVX512,
			microRows7x32AVX512, microRows8x32AVX512, microRows9x32AVX512,
			microRows10x32AVX512, microRows11x32AVX512, microRows12x32AVX512,
		},
	},
}

func microAVX2(rows, k int, a unsafe.Pointer, ars, acs int, b unsafe.Pointer, brs int,
	c unsafe.Pointer, crs, cols int, accumulate bool, next uintptr) {
	family, as := 0, acs
	if ars != 4 {
		family, as = 1, ars
	}
	microsAVX2[family][(cols-1)/8][rows-1](k, (*float32)(a), as, (*float32)(b), brs, (*float32)(c), crs, cols, accumulate, next)
}

func microAVX512(rows, k int, a unsafe.Pointer, ars, acs int, b unsafe.Pointer, brs int,
	c unsafe.Pointer, crs, cols int, accumulate bool, next uintptr) {
	family, as := 0, acs
	if ars != 4 {
		family, as = 1, ars
	}
	microsAVX512[family][(cols-1)/16][rows-1](k, (*float32)(a), as, (*float32)(b), brs, (*float32)(c), crs, cols, accumulate, next)
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
