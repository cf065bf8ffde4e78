package gemm

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/cpu/simd"
)

// The copies of finished tiles in terms of package simd: for paths without kernels of their own, and the
// reference of those. Rows lie drs and srs bytes apart.

// eachRow calls f with the rows of a tile and of its sums.
func eachRow[T float32 | uint16](dst *T, drs int, src *float32, srs, rows, cols int, f func(dst []T, sums []float32)) {
	for i := range rows {
		d := (*T)(unsafe.Add(unsafe.Pointer(dst), i*drs))
		s := (*float32)(unsafe.Add(unsafe.Pointer(src), i*srs))
		f(unsafe.Slice(d, cols), unsafe.Slice(s, cols))
	}
}

func storeTileF32Go(dst *float32, drs int, src *float32, srs, rows, cols int) {
	eachRow(dst, drs, src, srs, rows, cols, func(dst, sums []float32) { copy(dst, sums) })
}

func addTileF32Go(dst *float32, drs int, src *float32, srs, rows, cols int) {
	eachRow(dst, drs, src, srs, rows, cols, func(dst, sums []float32) { simd.Add(dst, dst, sums) })
}

func storeTileBF16Go(dst *uint16, drs int, src *float32, srs, rows, cols int) {
	eachRow(dst, drs, src, srs, rows, cols, simd.F32ToBF16)
}

func addTileBF16Go(dst *uint16, drs int, src *float32, srs, rows, cols int) {
	var wide [bf16Tile]float32
	eachRow(dst, drs, src, srs, rows, cols, func(dst []uint16, sums []float32) {
		for len(dst) > 0 {
			n := min(len(dst), len(wide))
			simd.BF16ToF32(wide[:n], dst[:n])
			simd.Add(wide[:n], wide[:n], sums[:n])
			simd.F32ToBF16(dst[:n], wide[:n])
			dst, sums = dst[n:], sums[n:]
		}
	})
}
