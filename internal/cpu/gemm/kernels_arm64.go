//go:build !purego

package gemm

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

// paths are the kernels by path.
var paths = [simd.Levels]kernels{
	simd.Generic:  generic32,
	simd.NEON:     kernelsNEON,
	simd.NEONBF16: kernelsNEON,
}

var kernelsNEON = kernels{
	dtype: backend.F32, mr: 8, nr: 12, vector: 12,
	micro:       microNEON,
	packColumns: packColumnsF32NEON,
	packRows:    packRowsF32NEON,
	thin: map[backend.DType][]thinKernel{
		backend.F32:  {thinF32x1NEON, thinF32x2NEON, thinF32x3NEON, thinF32x4NEON},
		backend.BF16: {thinBF16x1NEON, thinBF16x2NEON, thinBF16x3NEON, thinBF16x4NEON},
	},
}

type microKernelNEON func(k int, a *float32, as int, b *float32, bs int, c *float32, cs, cols int, accumulate bool)

// The micro-kernels of NEON for an a by columns, by the vectors and the rows of their tile, each less one.
var microColumnsNEON = [3][8]microKernelNEON{
	{
		microColumns1x4NEON, microColumns2x4NEON, microColumns3x4NEON, microColumns4x4NEON,
		microColumns5x4NEON, microColumns6x4NEON, microColumns7x4NEON, microColumns8x4NEON,
	},
	{
		microColumns1x8NEON, microColumns2x8NEON, microColumns3x8NEON, microColumns4x8NEON,
		microColumns5x8NEON, microColumns6x8NEON, microColumns7x8NEON, microColumns8x8NEON,
	},
	{
		microColumns1x12NEON, microColumns2x12NEON, microColumns3x12NEON, microColumns4x12NEON,
		microColumns5x12NEON, microColumns6x12NEON, microColumns7x12NEON, microColumns8x12NEON,
	},
}

// The micro-kernels of NEON for an a by rows, which are half as high.
var microRowsNEON = [3][4]microKernelNEON{
	{microRows1x4NEON, microRows2x4NEON, microRows3x4NEON, microRows4x4NEON},
	{microRows1x8NEON, microRows2x8NEON, microRows3x8NEON, microRows4x8NEON},
	{microRows1x12NEON, microRows2x12NEON, microRows3x12NEON, microRows4x12NEON},
}

func microNEON(rows, k int, a unsafe.Pointer, ars, acs int, b unsafe.Pointer, brs int,
	c unsafe.Pointer, crs, cols int, accumulate bool, _ uintptr) {
	nv := (cols - 1) / 4
	if ars == 4 {
		microColumnsNEON[nv][rows-1](k, (*float32)(a), acs, (*float32)(b), brs, (*float32)(c), crs, cols, accumulate)
		return
	}
	for row := 0; row < rows; row += 4 {
		microRowsNEON[nv][min(rows-row, 4)-1](k, (*float32)(unsafe.Add(a, row*ars)), ars, (*float32)(b), brs,
			(*float32)(unsafe.Add(c, row*crs)), crs, cols, accumulate)
	}
}

type packKernelNEON func(dst *float32, drs int, src *float32, srs, k int)

// The copies of NEON, by the width of what they write, less one.
var (
	packColumnsNEON = [12]packKernelNEON{
		packColumns1NEON, packColumns2NEON, packColumns3NEON, packColumns4NEON, packColumns5NEON, packColumns6NEON,
		packColumns7NEON, packColumns8NEON, packColumns9NEON, packColumns10NEON, packColumns11NEON, packColumns12NEON,
	}
	packRowsNEON = [12]packKernelNEON{
		packRows1NEON, packRows2NEON, packRows3NEON, packRows4NEON, packRows5NEON, packRows6NEON,
		packRows7NEON, packRows8NEON, packRows9NEON, packRows10NEON, packRows11NEON, packRows12NEON,
	}
)

func packColumnsF32NEON(dst unsafe.Pointer, drs int, src unsafe.Pointer, srs, lanes, k int) {
	packColumnsNEON[lanes-1]((*float32)(dst), drs, (*float32)(src), srs, k)
}

func packRowsF32NEON(dst unsafe.Pointer, drs int, src unsafe.Pointer, srs, k, lanes int) {
	packRowsNEON[lanes-1]((*float32)(dst), drs, (*float32)(src), srs, k)
}
