package main

import (
	"fmt"

	"github.com/hone-ml/hone/internal/gen/arm64"
)

// The register tile of matrix multiplication: 8×12 are 24 accumulators, and leave registers for a column
// of A and a row of B.
const neonTileRows, neonTileCols = 8, 12

// neonPackKernels writes the copies that bring operands of matrix multiplication into the order in which
// the micro-kernels read them, one for each width of a panel.
func neonPackKernels(f *arm64.File) {
	for n := 1; n <= neonTileCols; n++ {
		neonPackTransposed(f, n)
	}
	for n := 1; n <= neonTileCols; n++ {
		neonPackStraight(f, n)
	}
}

// neonPackStraight copies rows of n elements.
func neonPackStraight(f *arm64.File, n int) {
	a := f.Func(fmt.Sprintf("packRows%dNEON", n), "func(dst *float32, drs int, src *float32, srs, k int)",
		fmt.Sprintf("copies k > 0 rows of %d elements that lie srs bytes apart to rows drs bytes apart.", n))
	dst, drs, src, srs, k := a.Load("dst"), a.Load("drs"), a.Load("src"), a.Load("srs"), a.Load("k")
	ps := arm64.Pieces(4 * n)
	row := a.Vs(len(ps))
	a.Label("row")
	a.LoadPieces(ps, src, row)
	a.I("ADD %v, %v", srs, src)
	a.StorePieces(ps, row, dst)
	a.I("ADD %v, %v", drs, dst)
	a.I("SUBS $1, %v", k)
	a.I("BNE row")
	a.End()
}

// neonPackTransposed copies n rows, four elements of each at a time.
func neonPackTransposed(f *arm64.File, n int) {
	a := f.Func(fmt.Sprintf("packColumns%dNEON", n), "func(dst *float32, drs int, src *float32, srs, k int)",
		fmt.Sprintf("transposes %d rows, srs bytes apart, of k elements: element p of row r goes to place r\n"+
			"of the p-th row of dst. Rows of dst are drs bytes apart.", n))
	dst, drs := a.Load("dst"), a.Load("drs")
	rows, k := neonLines(a, "src", "srs", n), a.Load("k")
	ps := arm64.Pieces(4 * n)
	store := func(column arm64.Group) {
		a.StorePieces(ps, neonRowRegisters(a, ps, column), dst)
		a.I("ADD %v, %v", drs, dst)
	}

	a.I("SUBS $4, %v", k)
	a.I("BLT tail")
	a.Label("block")
	a.Scope(func() {
		groups := (n + 3) / 4
		lines, spare := a.Vs(4*groups), a.Vs(4)
		for i, v := range lines {
			if i < n {
				a.I("FMOVQ.P 16(%v), %s", rows[i], v.F())
			}
		}
		columns := make([]arm64.Group, 4) // columns[p] holds element p of all rows
		for g := range groups {
			for p, v := range neonTranspose(a, lines[4*g:4*g+4], spare) {
				columns[p] = append(columns[p], v)
			}
		}
		for _, column := range columns {
			store(column)
		}
	})
	a.I("SUBS $4, %v", k)
	a.I("BGE block")
	a.Label("tail")
	a.I("ADDS $4, %v", k)
	a.I("BEQ done")
	a.Label("single")
	a.Scope(func() {
		column := a.Vs((n + 3) / 4)
		for i, p := range rows {
			a.I("VLD1.P 4(%v), %v.S[%d]", p, column[i/4], i%4)
		}
		store(column)
	})
	a.I("SUBS $1, %v", k)
	a.I("BNE single")
	a.Label("done")
	a.End()
}

// neonRowRegisters gives the registers whose lowest lanes are the pieces of a row that lies four elements
// to a register: of the last, the third element is not at the bottom.
func neonRowRegisters(a *arm64.Func, ps []arm64.Piece, row arm64.Group) arm64.Group {
	g := make(arm64.Group, len(ps))
	for i, p := range ps {
		g[i] = row[p.Offset/16]
		if p.Offset%16 == 8 {
			g[i] = a.V()
			a.I("VDUP %v.S[2], %v.S4", row[p.Offset/16], g[i])
		}
	}
	return g
}

// neonTranspose gives the columns of the 4×4 matrix with rows v, which it destroys, as it does t.
func neonTranspose(a *arm64.Func, v, t arm64.Group) arm64.Group {
	a.I("VTRN1 %v.S4, %v.S4, %v.S4", v[1], v[0], t[0])
	a.I("VTRN2 %v.S4, %v.S4, %v.S4", v[1], v[0], t[1])
	a.I("VTRN1 %v.S4, %v.S4, %v.S4", v[3], v[2], t[2])
	a.I("VTRN2 %v.S4, %v.S4, %v.S4", v[3], v[2], t[3])
	a.I("VTRN1 %v.D2, %v.D2, %v.D2", t[2], t[0], v[0])
	a.I("VTRN1 %v.D2, %v.D2, %v.D2", t[3], t[1], v[1])
	a.I("VTRN2 %v.D2, %v.D2, %v.D2", t[2], t[0], v[2])
	a.I("VTRN2 %v.D2, %v.D2, %v.D2", t[3], t[1], v[3])
	return v
}
