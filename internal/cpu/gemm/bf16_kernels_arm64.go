//go:build !purego

package gemm

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/cpu/simd"
)

// grids are the paths that multiply BF16 as it is.
var grids = [simd.Levels]multiplyGrid{simd.NEONBF16: multiplyGridNEON}

// The copies to panels, by the form.
var (
	packRows    = [...]func(dst, src *uint16, stride, steps int){asTiles: packRowsToTilesNEON, asPairs: packRowsToPairsNEON}
	packColumns = [...]func(dst *uint16, panel int, src *uint16, stride, panels int){
		asTiles: packColumnsToTilesNEON, asPairs: packColumnsToPairsNEON,
	}
)

// The copies of finished tiles of sums.
var (
	storeTileF32, addTileF32   = storeTileF32Go, addTileF32Go
	storeTileBF16, addTileBF16 = storeTileBF16Go, addTileBF16Go
	streamTileF32              = storeTileF32Go
	streamTileBF16             = storeTileBF16Go
)

// multiplyGridNEON is the multiplyGrid of BFMMLA, in squares of 8×8: eight columns of b stay in the
// first-level cache while a streams past them.
func multiplyGridNEON(rows, cols, steps int, a *uint16, aRow, aTile, aStep, aPanel int, b *uint16, bPanel int,
	in *float32, inRow int, out *float32, outRow int, _, _ *uint16, _ *byte, _, _ int) {
	const square, perTile, perPanel = 8, tileLanes / 8, panelLanes / 8
	for j := range cols * perTile {
		bs := unsafe.Add(unsafe.Pointer(b), j/perPanel*bPanel+j/perTile%2*(stepBytes/2)+j%perTile*square*4)
		for i := range rows * perTile {
			as := unsafe.Add(unsafe.Pointer(a), i/perPanel*aPanel+i/perTile%2*aTile+i%perTile*square*aRow)
			var from unsafe.Pointer
			if in != nil {
				from = unsafe.Add(unsafe.Pointer(in), i*square*inRow+j*square*4)
			}
			to := unsafe.Add(unsafe.Pointer(out), i*square*outRow+j*square*4)
			multiplySquareNEONBF16(steps, (*uint16)(as), aRow, aStep, (*uint16)(bs), (*float32)(from), inRow, (*float32)(to), outRow)
		}
	}
}
