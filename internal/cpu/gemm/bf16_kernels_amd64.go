//go:build !purego

package gemm

import "github.com/hone-ml/hone/internal/cpu/simd"

// grids are the paths that multiply BF16 as it is.
var grids = [simd.Levels]multiplyGrid{
	simd.AVX512BF16: multiplyGridAVX512BF16,
	simd.AMX:        multiplyGridAMX,
}

// The copies to panels, by the form.
var (
	packRows    = [...]func(dst, src *uint16, stride, steps int){asTiles: packRowsToTilesAVX512, asPairs: packRowsToPairsAVX512}
	packColumns = [...]func(dst *uint16, panel int, src *uint16, stride, panels int){
		asTiles: packColumnsToTilesAVX512, asPairs: packColumnsToPairsAVX512,
	}
)

// The copies of finished tiles of sums.
var (
	storeTileF32, addTileF32   = storeTileF32AVX512, addTileF32AVX512
	storeTileBF16, addTileBF16 = storeTileBF16AVX512, addTileBF16AVX512
	streamTileF32              = streamTileF32AVX512
	streamTileBF16             = streamTileBF16AVX512
)
