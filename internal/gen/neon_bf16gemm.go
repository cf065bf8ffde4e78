package main

import "github.com/hone-ml/hone/internal/gen/arm64"

// neonBFloat16Products writes the product of matrices of bfloat16 with BFMMLA, and the copies that bring
// them into the order in which package gemm packs them for every path: see panelLanes. BFMMLA takes four
// elements of two lanes in a register, which that order gives for one shuffle a register.
func neonBFloat16Products(f *arm64.File) {
	neonRowsToTiles(f)
	neonRowsToPairs(f)
	neonColumnsToTiles(f)
	neonColumnsToPairs(f)
	neonSquare(f)
}

// neonRowsToTiles packs a where its rows lie in one piece.
func neonRowsToTiles(f *arm64.File) {
	a := f.Func("packRowsToTilesNEON", "func(dst, src *uint16, stride, steps int)",
		"copies 32 lanes of 32·steps elements, stride bytes apart, to a panel of tiles\nwhose rows are lanes.")
	dst, src, stride, steps, lane := a.Load("dst"), a.Load("src"), a.Load("stride"), a.Load("steps"), a.R()
	a.Label("step")
	a.I("MOVD %v, %v", src, lane)
	row := a.Vs(4)
	for range panelLanes {
		a.LoadPieces(arm64.Pieces(64), lane, row)
		a.I("ADD %v, %v", stride, lane)
		a.StorePieces(arm64.Pieces(64), row, dst)
		a.I("ADD $64, %v", dst)
	}
	a.I("ADD $64, %v", src)
	a.I("SUBS $1, %v", steps)
	a.I("BNE step")
	a.End()
}

// neonRowsToPairs packs b where its columns lie in one piece: it transposes squares of 4×4 pairs.
func neonRowsToPairs(f *arm64.File) {
	a := f.Func("packRowsToPairsNEON", "func(dst, src *uint16, stride, steps int)",
		"copies 32 lanes of 32·steps elements, stride bytes apart, to a panel of tiles\nwhose rows are pairs of every lane.")
	dst, src, stride, steps, lane := a.Load("dst"), a.Load("src"), a.Load("stride"), a.Load("steps"), a.R()
	a.Label("step")
	a.I("MOVD %v, %v", src, lane)
	for first := 0; first < panelLanes; first += 4 {
		a.Scope(func() {
			var lines [4]arm64.Group
			for l := range lines {
				lines[l] = a.Vs(4)
				a.LoadPieces(arm64.Pieces(64), lane, lines[l])
				a.I("ADD %v, %v", stride, lane)
			}
			spare := a.Vs(4)
			for quarter := range 4 { // of the rows of the lanes: four pairs
				square := arm64.Group{lines[0][quarter], lines[1][quarter], lines[2][quarter], lines[3][quarter]}
				for p, v := range neonTranspose(a, square, spare) {
					a.I("FMOVQ %s, %d(%v)", v.F(), first/tileLanes*tileBytes+(4*quarter+p)*64+first%tileLanes*4, dst)
				}
			}
		})
	}
	a.I("ADD $64, %v", src)
	a.I("ADD $%d, %v", stepBytes, dst)
	a.I("SUBS $1, %v", steps)
	a.I("BNE step")
	a.End()
}

// neonColumnsToTiles packs a where its columns lie in one piece: it transposes squares of 8×8 elements.
func neonColumnsToTiles(f *arm64.File) {
	a := f.Func("packColumnsToTilesNEON", "func(dst *uint16, panel int, src *uint16, stride, panels int)",
		"copies 32 columns, stride bytes apart, of 32·panels lanes to a step of as many\npanels, panel bytes apart, of tiles whose rows are lanes.")
	dst, panel, src, stride, panels, column := a.Load("dst"), a.Load("panel"), a.Load("src"), a.Load("stride"), a.Load("panels"), a.R()
	v, t := a.Vs(8), a.Vs(8)
	a.Label("panel")
	for lane := 0; lane < panelLanes; lane += 8 {
		a.I("ADD $%d, %v, %v", 2*lane, src, column)
		for k := 0; k < 32; k += 8 {
			for _, r := range v {
				a.I("FMOVQ (%v), %s", column, r.F())
				a.I("ADD %v, %v", stride, column)
			}
			// Columns that lie 4, 2 and 1 apart are interleaved in turn, which leaves lanes.
			from, to := v, t
			for range 3 {
				for i := range 4 {
					a.I("VZIP1 %v.H8, %v.H8, %v.H8", from[i+4], from[i], to[2*i])
					a.I("VZIP2 %v.H8, %v.H8, %v.H8", from[i+4], from[i], to[2*i+1])
				}
				from, to = to, from
			}
			for l, r := range from {
				a.I("FMOVQ %s, %d(%v)", r.F(), (lane+l)*64+2*k, dst)
			}
		}
	}
	a.I("ADD $64, %v", src)
	a.I("ADD %v, %v", panel, dst)
	a.I("SUBS $1, %v", panels)
	a.I("BNE panel")
	a.End()
}

// neonColumnsToPairs packs b where its rows lie in one piece: it interleaves two of them.
func neonColumnsToPairs(f *arm64.File) {
	a := f.Func("packColumnsToPairsNEON", "func(dst *uint16, panel int, src *uint16, stride, panels int)",
		"copies 32 rows, stride bytes apart, of 32·panels lanes to a step of as many\npanels, panel bytes apart, of tiles whose rows are pairs of every lane.")
	dst, panel, src, stride, panels, row := a.Load("dst"), a.Load("panel"), a.Load("src"), a.Load("stride"), a.Load("panels"), a.R()
	first, second, pairs := a.Vs(4), a.Vs(4), a.Vs(8)
	a.Label("panel")
	a.I("MOVD %v, %v", src, row)
	for pair := range 16 {
		for _, line := range []arm64.Group{first, second} {
			a.LoadPieces(arm64.Pieces(64), row, line)
			a.I("ADD %v, %v", stride, row)
		}
		for i := range first {
			a.I("VZIP1 %v.H8, %v.H8, %v.H8", second[i], first[i], pairs[2*i])
			a.I("VZIP2 %v.H8, %v.H8, %v.H8", second[i], first[i], pairs[2*i+1])
		}
		for i, v := range pairs { // two tiles
			a.I("FMOVQ %s, %d(%v)", v.F(), i/4*tileBytes+pair*64+i%4*16, dst)
		}
	}
	a.I("ADD $64, %v", src)
	a.I("ADD %v, %v", panel, dst)
	a.I("SUBS $1, %v", panels)
	a.I("BNE panel")
	a.End()
}

// neonSquare writes the product of a quarter of a tile of a, eight lanes, and one of b. Sixteen
// accumulators hold blocks of 2×2 sums.
func neonSquare(f *arm64.File) {
	const lanes, blocks = 8, 4
	a := f.Func("multiplySquareNEONBF16", "func(steps int, a *uint16, aRow, aStep int, b *uint16, in *float32, inRow int, out *float32, outRow int)",
		"sets the 8×8 square out to in + a·b, or to a·b without in. a is 8 rows of a tile and b 8\n"+
			"columns of one; the product is over steps > 0 times 32 elements. Distances are in bytes: rows of a lie aRow\n"+
			"apart and successive steps aStep, rows of in and out inRow and outRow.")
	steps := a.Load("steps")
	rows := neonLines(a, "a", "aRow", lanes)
	next, b := a.Load("aStep"), a.Load("b")
	a.I("SUB $64, %v", next)
	var acc [blocks]arm64.Group
	for i := range acc {
		acc[i] = a.Vs(blocks)
		a.Zero(acc[i])
	}
	left, right, spare := a.Vs(lanes), a.Vs(blocks), a.V()

	a.Label("step")
	for eight := range 4 { // elements of the step
		for i, p := range rows {
			a.I("FMOVQ.P 16(%v), %s", p, left[i].F())
		}
		// quads[h][i] is the h-th four elements of rows 2i and 2i+1.
		var quads [2][blocks]arm64.V
		for i := range blocks {
			x, y := left[2*i], left[2*i+1]
			a.I("VTRN1 %v.D2, %v.D2, %v.D2", y, x, spare)
			a.I("VTRN2 %v.D2, %v.D2, %v.D2", y, x, y)
			quads[0][i], quads[1][i] = spare, y
			left[2*i], left[2*i+1], spare = spare, y, x
		}
		for h, quad := range quads {
			at := (4*eight + 2*h) * 64
			a.I("FLDPQ %d(%v), (%s, %s)", at, b, right[0].F(), right[1].F())
			a.I("FLDPQ %d(%v), (%s, %s)", at+64, b, right[2].F(), right[3].F())
			// Two pairs of each of four lanes become the four elements of two lanes.
			var columns [blocks]arm64.V
			for i := range 2 {
				x, y := right[i], right[i+2]
				a.I("VZIP1 %v.S4, %v.S4, %v.S4", y, x, spare)
				a.I("VZIP2 %v.S4, %v.S4, %v.S4", y, x, y)
				columns[2*i], columns[2*i+1] = spare, y
				right[i], spare = spare, x
			}
			for i, row := range quad {
				for j, column := range columns {
					a.BFMMLA(acc[i][j], row, column)
				}
			}
		}
	}
	for _, p := range rows {
		a.I("ADD %v, %v", next, p)
	}
	a.I("ADD $%d, %v", stepBytes, b)
	a.I("SUBS $1, %v", steps)
	a.I("BNE step")

	in, inRow, out, outRow := a.Load("in"), a.Load("inRow"), a.Load("out"), a.Load("outRow")
	// Of blocks beside each other, the upper rows make a row, and the lower ones the next.
	var sums [lanes]arm64.Group
	for i, block := range acc {
		for j := 0; j < blocks; j += 2 {
			x, y := block[j], block[j+1]
			a.I("VTRN1 %v.D2, %v.D2, %v.D2", y, x, spare)
			a.I("VTRN2 %v.D2, %v.D2, %v.D2", y, x, y)
			sums[2*i], sums[2*i+1] = append(sums[2*i], spare), append(sums[2*i+1], y)
			spare = x
		}
	}
	ps := arm64.Pieces(4 * lanes)
	a.I("CBZ %v, store", in)
	for _, s := range sums {
		a.LoadPieces(ps, in, right[:2])
		a.I("ADD %v, %v", inRow, in)
		a.FADD(s, s, right[:2])
	}
	a.Label("store")
	for _, s := range sums {
		a.StorePieces(ps, s, out)
		a.I("ADD %v, %v", outRow, out)
	}
	a.End()
}
