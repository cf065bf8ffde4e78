package main

import (
	"fmt"

	"github.com/hone-ml/hone/internal/gen/arm64"
)

// neonMicroKernels writes the register tiles of matrix multiplication, which keep rows by nv vectors of C
// in registers over the whole of k and multiply by element. There is one family for an A whose columns lie
// in one piece, as packed ones do, and one of half the height for rows in one piece, so that a matrix that
// is hardly reused need not be packed.
func neonMicroKernels(f *arm64.File) {
	for nv := 1; nv <= neonTileCols/4; nv++ {
		for mr := 1; mr <= neonTileRows; mr++ {
			neonMicro(f, mr, nv, false)
		}
	}
	for nv := 1; nv <= neonTileCols/4; nv++ {
		for mr := 1; mr <= neonTileRows/2; mr++ {
			neonMicro(f, mr, nv, true)
		}
	}
}

func neonMicro(f *arm64.File, mr, nv int, byRows bool) {
	const unroll = 4
	name, line := "microColumns", "column"
	if byRows {
		name, line = "microRows", "row"
	}
	a := f.Func(fmt.Sprintf("%s%dx%dNEON", name, mr, 4*nv),
		"func(k int, a *float32, as int, b *float32, bs int, c *float32, cs, cols int, accumulate bool)",
		fmt.Sprintf("sets the %d×cols tile c to a·b, or adds a·b to it. Each %s of a lies in one piece,\n"+
			"as bytes behind the one before; rows of b and c are bs and cs bytes apart. b has %d columns,\n"+
			"of which the first cols, %d < cols, count.", mr, line, 4*nv, 4*(nv-1)))
	k := a.Load("k")
	var left []arm64.R // the address of every row of a, or that of its first column
	var as arm64.R
	if byRows {
		left = neonLines(a, "a", "as", mr)
	} else {
		left, as = []arm64.R{a.Load("a")}, a.Load("as")
	}
	b, bs := a.Load("b"), a.Load("bs")
	c, cs := a.Load("c"), a.Load("cs")
	a.Scope(func() { // C is wanted in the end: it may as well come now
		p := a.R()
		a.I("MOVD %v, %v", c, p)
		for i := range mr {
			a.I("PRFM (%v), PSTL1KEEP", p)
			if i < mr-1 {
				a.I("ADD %v, %v", cs, p)
			}
		}
	})
	acc := make([]arm64.Group, mr)
	for i := range acc {
		acc[i] = a.Vs(nv)
		a.Zero(acc[i])
	}
	whole := arm64.Pieces(16 * nv)
	row := a.Vs(nv)
	readB := func() {
		a.LoadPieces(whole, b, row)
		a.I("ADD %v, %v", bs, b)
	}

	// byColumn multiplies the next column of a by the next row of b.
	byColumn := func() {
		ps := arm64.Pieces(4 * mr)
		column := a.Vs(len(ps))
		a.LoadPieces(ps, left[0], column)
		a.I("ADD %v, %v", as, left[0])
		readB()
		for i := range mr {
			at := len(ps) - 1
			for ps[at].Offset > 4*i {
				at--
			}
			a.FMLALane(acc[i], row, column[at], i-ps[at].Offset/4)
		}
	}
	// byRow multiplies the next elements of all rows of a, one or a vector of each, by as many rows of b.
	byRow := func(elements int) {
		lines := a.Vs(mr)
		for i, p := range left {
			a.I("%s %d(%v), %s", map[int]string{1: "FMOVS.P", 4: "FMOVQ.P"}[elements], 4*elements, p, lines[i].F())
		}
		for u := range elements {
			readB()
			for i := range mr {
				a.FMLALane(acc[i], row, lines[i], u)
			}
		}
	}

	a.I("SUBS $%d, %v", unroll, k)
	a.I("BLT rest")
	a.Label("unrolled")
	if byRows {
		a.Scope(func() { byRow(unroll) })
	} else {
		a.I("PRFM 512(%v), PLDL1KEEP", left[0])
		a.I("PRFM 576(%v), PLDL1KEEP", left[0])
		for range unroll {
			a.Scope(byColumn)
		}
	}
	a.I("SUBS $%d, %v", unroll, k)
	a.I("BGE unrolled")
	a.Label("rest")
	a.I("ADDS $%d, %v", unroll, k)
	a.I("BEQ write")
	a.Label("single")
	if byRows {
		a.Scope(func() { byRow(1) })
	} else {
		a.Scope(byColumn)
	}
	a.I("SUBS $1, %v", k)
	a.I("BNE single")

	a.Label("write")
	add, part := a.LoadBool("accumulate"), a.Load("cols")
	a.I("ANDS $3, %v", part)
	a.I("BNE part")
	neonWriteTile(a, "Whole", acc, row, c, cs, add)
	a.Return()

	a.Label("part")
	frame := a.Frame(16 * mr)
	for i, sums := range acc {
		a.I("FMOVQ %s, %d(%v)", sums[nv-1].F(), 16*i, frame)
		acc[i] = sums[:nv-1]
	}
	if nv > 1 {
		neonWriteTile(a, "Part", acc, row[:nv-1], c, cs, add)
	}
	neonWritePart(a, mr, 16*(nv-1), frame, part, row[0], c, cs, add)
	a.End()
}

// neonWriteTile stores whole vectors of sums to c, or adds them to it. It destroys row and the sums.
func neonWriteTile(a *arm64.Func, name string, acc []arm64.Group, row arm64.Group, c arm64.R, cs, add arm64.R) {
	ps := arm64.Pieces(16 * len(row))
	line := a.R()
	each := func(do func(sums arm64.Group)) {
		a.I("MOVD %v, %v", c, line)
		for i, sums := range acc {
			do(sums)
			if i < len(acc)-1 {
				a.I("ADD %v, %v", cs, line)
			}
		}
	}
	a.I("CBZ %v, store%s", add, name)
	each(func(sums arm64.Group) {
		a.LoadPieces(ps, line, row)
		a.FADD(sums, sums, row)
	})
	a.Label("store" + name)
	each(func(sums arm64.Group) { a.StorePieces(ps, sums, line) })
}

// neonWritePart stores the first n lanes, 0 < n < 4, of the vectors that lie in the frame, one for each
// row, to the columns of c from the given byte on, or adds them to it. It destroys c.
func neonWritePart(a *arm64.Func, rows, offset int, frame, n arm64.R, spare arm64.V, c, cs, add arm64.R) {
	left, to, from, lanes, old := a.R(), a.R(), a.R(), a.R(), a.V()
	a.I("ADD $%d, %v", offset, c)
	a.I("MOVD $%d, %v", rows, left)
	a.Label("partRow")
	a.I("MOVD %v, %v", c, to)
	a.I("MOVD %v, %v", frame, from)
	a.I("MOVD %v, %v", n, lanes)
	a.Label("partLane")
	a.I("FMOVS.P 4(%v), %s", from, spare.F())
	a.I("CBZ %v, partStore", add)
	a.I("FMOVS (%v), %s", to, old.F())
	a.I("FADDS %s, %s", old.F(), spare.F())
	a.Label("partStore")
	a.I("FMOVS.P %s, 4(%v)", spare.F(), to)
	a.I("SUBS $1, %v", lanes)
	a.I("BNE partLane")
	a.I("ADD %v, %v", cs, c)
	a.I("ADD $16, %v", frame)
	a.I("SUBS $1, %v", left)
	a.I("BNE partRow")
}
