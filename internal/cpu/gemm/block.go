package gemm

import "unsafe"

// Sizes of blocks, in elements.
const (
	// blockK is the length of the sums that a micro-kernel keeps in registers: the longer, the rarer a tile
	// of the result is read and written again. A panel of b, 32 columns of it, then no longer fits the
	// first-level cache; it streams from the second, which costs less.
	blockK = 512
	// blockRows is the height of a task's tile: blockRows×blockK of a take a fraction of the second-level
	// cache, while each panel of b is used blockRows/mr times, which leaves time to prefetch the next.
	blockRows = 96
	// spanK bounds the part of k that is done at a time, packedA and packedB what of a and b is packed at a
	// time, 16 MiB each: packing an operand twice costs more than the caches that they overflow.
	spanK   = 8 * 256
	packedA = 1 << 22
	packedB = 1 << 22
	// packWork is the number of elements that a task packs, some 5 µs; where lanes lie in one piece they
	// are slabK×slabLanes of them.
	packWork  = 1 << 15
	slabK     = 16
	slabLanes = packWork / slabK
	// tileWork is the number of multiplications below which a tile is not divided further, some 5 µs.
	tileWork = 1 << 19
	// manyTiles is the number of tiles from which there are enough for any balance.
	manyTiles = 16
	// ownRows is the least height of tiles whose tasks pack the rows of a that they need themselves, into memory
	// that stays in their processor's cache, and ownB what b may have of elements then: such tiles go through
	// all of it, 2 MiB at most. Beyond, it costs 3 to 12 % of the products of a large step.
	ownRows = 48
	ownB    = 1 << 19
	// The micro-kernel reads an operand of its dtype where it is if copying it would not be regained soon:
	// a for up to so many columns of b, unless it goes by columns further apart than farA, which compete for
	// the same places in the cache, and b for up to so many rows of a, unless b's rows lie further
	// apart than farB, each on a page of its own.
	inPlaceA = 512
	farA     = 768
	inPlaceB = 256
	farB     = 512
)

// blocked computes a product whose c is direct.
func blocked(w *Workspace, r runner, ks *kernels, p product) {
	if p.m == 1 && p.a.ColStride == 1 {
		p.a.RowStride = p.k // not 1: it is the row that lies in one piece
	}
	span := min(p.k, ceilDiv(ceilDiv(p.k, ceilDiv(p.k, spanK)), blockK)*blockK)
	height := max(packedA/span/blockRows, 1) * blockRows
	width := max(packedB/span/ks.nr, 1) * ks.nr
	aInPlace := p.a.DType == ks.dtype && p.n <= inPlaceA && (p.a.RowStride == 1 && p.a.ColStride <= farA || p.a.ColStride == 1)
	bInPlace := p.b.DType == ks.dtype && p.m <= inPlaceB && p.b.ColStride == 1 && p.b.RowStride <= farB
	for at := 0; at < p.k; at += span {
		for i := 0; i < p.m; i += height {
			for j := 0; j < p.n; j += width {
				part := p.block(i, j, min(height, p.m-i), min(width, p.n-j))
				part.a, part.b, part.k = part.a.from(0, at), part.b.from(at, 0), min(span, p.k-at)
				part.accumulate = p.accumulate || at > 0
				if at+span < p.k {
					part.Epilogue = Epilogue{}
				}
				w.block = block{
					product: part, ks: ks,
					aInPlace: aInPlace, bInPlace: bInPlace,
					aIsPacked: j > 0, bIsPacked: i > 0 && p.n <= width,
				}
				w.block.multiply(w, r)
			}
		}
	}
	w.block = block{}
}

// A block is a product whose operands are packed as a whole, or not at all.
type block struct {
	product
	ks *kernels

	aInPlace, bInPlace   bool // the micro-kernel reads the operand where it is; in b, whole panels only
	aIsOwn               bool // a tile's task packs its rows of a
	aIsPacked, bIsPacked bool // the workspace has it from the block before

	rows         int // the height of a tile: all have the same, but for the last
	depth        int // k is divided into blocks of this depth, whole slabs; the last may be less deep
	packTasksA   int // of the tasks of packing, those that pack a
	across, cols int // tiles side by side, and their width

	// Packed, a is a sequence of blocks of depth columns, each a sequence of panels of mr rows, and b one
	// of blocks of depth rows, each a sequence of panels of nr columns, the columns from unpackedB on.
	packedA, packedB unsafe.Pointer
	unpackedB        int
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

func (bl *block) multiply(w *Workspace, r runner) {
	ks := bl.ks
	bl.depth = ceilDiv(ceilDiv(bl.k, ceilDiv(bl.k, blockK)), slabK) * slabK
	if bl.bInPlace {
		bl.unpackedB = bl.n / ks.nr * ks.nr
	}
	panels := ceilDiv(bl.n, ks.nr)
	bl.rows = ceilDiv(ceilDiv(bl.m, ceilDiv(bl.m, blockRows)), ks.mr) * ks.mr
	wide := panels
	if bl.aIsOwn = !bl.aInPlace && bl.m >= manyTiles*ownRows && bl.n*bl.k <= ownB; bl.aIsOwn {
		bl.rows = min(bl.rows, bl.m/manyTiles/ks.mr*ks.mr)
	} else if down := ceilDiv(bl.m, bl.rows); down < manyTiles {
		wide = ceilDiv(panels, ceilDiv(manyTiles, down))
		wide = min(panels, max(wide, ceilDiv(tileWork, bl.rows*ks.nr*bl.k)))
	}
	bl.across, bl.cols = ceilDiv(panels, wide), wide*ks.nr
	bl.pack(w, r)
	r.run(w, ceilDiv(bl.m, bl.rows)*bl.across, tiling{bl})
}

// pack packs what is neither read in place nor packed already.
func (bl *block) pack(w *Workspace, r runner) {
	ks := bl.ks
	size := ks.dtype.Size()
	depths, slabs := ceilDiv(bl.k, bl.depth), ceilDiv(bl.k, slabK)

	bl.packTasksA = 0
	if !bl.aInPlace && !bl.aIsOwn {
		tiles := ceilDiv(bl.m, bl.rows)
		bl.packedA = w.a.grow(bl.m*bl.k*size + depths*tiles*slack)
		switch {
		case bl.aIsPacked:
		case bl.a.RowStride == 1:
			bl.packTasksA = slabs * ceilDiv(bl.m, bl.slabRows())
		default:
			bl.packTasksA = depths * tiles
		}
	}
	tasksB := 0
	if cols := bl.n - bl.unpackedB; cols > 0 {
		bl.packedB = w.b.grow(bl.k * ceilDiv(cols, ks.nr) * ks.nr * size)
		switch {
		case bl.bIsPacked:
		case bl.b.ColStride == 1:
			tasksB = slabs * ceilDiv(cols, bl.slabCols())
		default:
			tasksB = depths * ceilDiv(cols, bl.packCols())
		}
	}
	r.run(w, bl.packTasksA+tasksB, packing{bl})
}

// packCols is the number of columns of b that a task packs where rows lie in one piece.
func (bl *block) packCols() int { return max(1, packWork/(bl.depth*bl.ks.nr)) * bl.ks.nr }

// slabRows and slabCols are the rows of a and the columns of b in a slab: whole tiles, and whole panels.
func (bl *block) slabRows() int { return ceilDiv(slabLanes, bl.rows) * bl.rows }
func (bl *block) slabCols() int { return ceilDiv(slabLanes, bl.ks.nr) * bl.ks.nr }

// packing is the job of packing both operands.
type packing struct{ *block }

func (bl packing) do(w *Workspace, task int) {
	depths, slabs := ceilDiv(bl.k, bl.depth), ceilDiv(bl.k, slabK)
	inA := task < bl.packTasksA
	if !inA {
		task -= bl.packTasksA
	}
	depth := func(p int) int { return min(bl.depth, bl.k-p) }
	switch {
	case inA && bl.a.RowStride == 1:
		bl.slabOfA(w, task/slabs*bl.slabRows(), task%slabs*slabK)
	case inA:
		i, p := task/depths*bl.rows, task%depths*bl.depth
		bl.ks.packA(w, bl.panelsOfA(p, depth(p), i), bl.a.from(i, p), min(bl.rows, bl.m-i), depth(p))
	case bl.b.ColStride == 1:
		bl.slabOfB(w, bl.unpackedB+task/slabs*bl.slabCols(), task%slabs*slabK)
	default:
		j, p := bl.unpackedB+task/depths*bl.packCols(), task%depths*bl.depth
		panel, _ := bl.panelOfB(p, depth(p), j)
		bl.ks.packB(w, panel, bl.b.from(p, j), depth(p), min(bl.packCols(), bl.n-j))
	}
}

// slabOfA packs a few columns of a, each in one piece, from row i on: it reads long rows of memory, of
// which every panel gets a little.
func (bl *block) slabOfA(w *Workspace, i, p int) {
	ks, size := bl.ks, bl.ks.dtype.Size()
	k, rows := min(slabK, bl.k-p), min(bl.slabRows(), bl.m-i)
	first := p / bl.depth * bl.depth
	kb := min(bl.depth, bl.k-first)
	a := ks.staged(w, bl.a.from(i, p), rows, k)
	for tile := 0; tile < rows; tile += bl.rows {
		panels := bl.panelsOfA(first, kb, i+tile)
		height := min(bl.rows, rows-tile)
		for row := 0; row < height; {
			h := panelRows(height-row, ks.mr)
			ks.packPanel(unsafe.Add(panels, (row*kb+(p-first)*h)*size), h, a.from(tile+row, 0), h, k)
			row += h
		}
	}
}

// slabOfB packs a few rows of b, each in one piece, from column j on.
func (bl *block) slabOfB(w *Workspace, j, p int) {
	ks := bl.ks
	k, cols := min(slabK, bl.k-p), min(bl.slabCols(), bl.n-j)
	first := p / bl.depth * bl.depth
	kb := min(bl.depth, bl.k-first)
	b := ks.staged(w, bl.b.from(p, j).transposed(), cols, k)
	for col := 0; col < cols; col += ks.nr {
		panel, pitch := bl.panelOfB(first, kb, j+col)
		ks.packPanel(unsafe.Add(panel, (p-first)*pitch), ks.nr, b.from(col, 0), min(ks.nr, cols-col), k)
	}
}

// panelsOfA is the address of the packed rows of the tile at row i, columns from p on, kb deep. There is
// slack behind each tile: tasks must not write into each other's.
func (bl *block) panelsOfA(p, kb, i int) unsafe.Pointer {
	tiles := p/bl.depth*ceilDiv(bl.m, bl.rows) + i/bl.rows
	return unsafe.Add(bl.packedA, (p*bl.m+kb*i)*bl.ks.dtype.Size()+tiles*slack)
}

// panelOfB is the address and the row stride in bytes of the panel at column j, from row p on, kb deep.
func (bl *block) panelOfB(p, kb, j int) (unsafe.Pointer, int) {
	size := bl.ks.dtype.Size()
	if j < bl.unpackedB {
		return bl.b.at(p, j), bl.b.RowStride * size
	}
	width := ceilDiv(bl.n-bl.unpackedB, bl.ks.nr) * bl.ks.nr
	return unsafe.Add(bl.packedB, (p*width+kb*(j-bl.unpackedB))*size), bl.ks.nr * size
}

// tiling is the job of multiplying what has been packed: a task a tile of the result.
type tiling struct{ *block }

func (bl tiling) do(w *Workspace, task int) {
	i, j := task/bl.across*bl.rows, task%bl.across*bl.cols
	m, end := min(bl.rows, bl.m-i), min(j+bl.cols, bl.n)
	ks := bl.ks
	size := ks.dtype.Size()
	for p := 0; p < bl.k; p += bl.depth {
		kb := min(bl.depth, bl.k-p)
		var panelsA unsafe.Pointer
		if bl.aIsOwn {
			panelsA = w.a.grow(m * kb * size)
			ks.packA(w, panelsA, bl.a.from(i, p), m, kb)
		} else if !bl.aInPlace {
			panelsA = bl.panelsOfA(p, kb, i)
		}
		var nextA ahead
		if after := p + bl.depth; after < bl.k && !bl.aInPlace && !bl.aIsOwn {
			deep := min(bl.depth, bl.k-after)
			nextA = ahead{uintptr(bl.panelsOfA(after, deep, i)), m * deep * size}
		}
		for col := j; col < end; col += ks.nr {
			b, brs := bl.panelOfB(p, kb, col)
			var nextB ahead
			if col+ks.nr < end {
				nextB = bl.aheadB(p, col+ks.nr)
			} else if after := p + bl.depth; after < bl.k {
				nextB = bl.aheadB(after, j)
			}
			for row := 0; row < m; {
				h := panelRows(m-row, ks.mr)
				a, ars, acs := bl.a.at(i+row, p), bl.a.RowStride*size, bl.a.ColStride*size
				if !bl.aInPlace {
					a, ars, acs = unsafe.Add(panelsA, row*kb*size), size, h*size
				}
				next := uintptr(b)
				if nextB.bytes > 0 {
					next = nextB.take(kb)
				} else if nextA.bytes > 0 {
					next = nextA.take(kb)
				}
				ks.micro(h, kb, a, ars, acs, b, brs, bl.c.at(i+row, col), bl.c.RowStride*size,
					min(ks.nr, end-col), bl.accumulate || p > 0, next)
				row += h
			}
		}
	}
	bl.amend(w, i, j, m, end-j)
}

// ahead is memory that is to be in the cache soon: micro-kernels prefetch it while they compute. Its
// address is a number, because prefetching may run past the end of what it belongs to.
type ahead struct {
	at    uintptr
	bytes int
}

// take gives the address of the part that a micro-kernel prefetches during kb steps.
func (a *ahead) take(kb int) uintptr {
	at := a.at
	n := kb / prefetchSteps * cacheLine
	a.at, a.bytes = at+uintptr(n), a.bytes-n
	return at
}

// aheadB is the panel of b at column j, rows from p on, if it is packed.
func (bl *block) aheadB(p, j int) ahead {
	if j < bl.unpackedB {
		return ahead{}
	}
	kb := min(bl.depth, bl.k-p)
	panel, pitch := bl.panelOfB(p, kb, j)
	return ahead{uintptr(panel), kb * pitch}
}

// panelRows is the height of the next panel when rows are left: mr, but two panels of like height at the
// end, because low ones are slow.
func panelRows(rows, mr int) int {
	if rows <= mr || rows >= 2*mr {
		return min(rows, mr)
	}
	return (rows + 1) / 2
}
