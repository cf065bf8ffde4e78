//go:build !(amd64 || arm64) || purego

package gemm

import "github.com/hone-ml/hone/internal/cpu/simd"

// No path multiplies BF16 as it is.
var (
	grids       [simd.Levels]multiplyGrid
	packRows    [2]func(dst, src *uint16, stride, steps int)
	packColumns [2]func(dst *uint16, panel int, src *uint16, stride, panels int)

	storeTileF32, addTileF32   = storeTileF32Go, addTileF32Go
	storeTileBF16, addTileBF16 = storeTileBF16Go, addTileBF16Go
	streamTileF32              = storeTileF32Go
	streamTileBF16             = storeTileBF16Go
)
