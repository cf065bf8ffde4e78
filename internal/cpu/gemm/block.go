package gemm

import "unsafe"

// Sizes of blocks, in elements.
const (
	// blockK is the length of the sums that a micro-kernel keeps in registers. A panel of b, 32 columns of
	// it, fills two thirds of a first-level cache of 48 KiB.
	blockK = 256
	// blockRows is the height of a task's tile: packed, blockRows×blockK of a take a fraction of the
	// second-level cache.
	blockRows = 96
	// spanK bounds the part of k for which b is packed at a time, and packedB that packed part.
	spanK   = 16 * blockK
	packedB = 1 << 21
	// tileWork is the number of multiplications below which a tile is not divided further, some 5 µs.
	tileWork = 1 << 19
	// manyTiles is the number of tiles from which there are enough for any balance.
	manyTiles = 16
	// packWork is the number of elements of b that a task packs.
	packWork = 1 << 15
)

// blocked computes c = a·b or c += a·b where c has the kernels' dtype and rows in one piece.
func blocked(w *Workspace, r runner, ks *kernels, c, a, b Operand, m, n, k int, accumulate bool) {
	span := min(k, spanK)
	width := max(packedB/span/ks.nr, 1) * ks.nr
	for j := 0; j < n; j += width {
		for p := 0; p < k; p += span {
			block{
				ks: ks, c: c.from(0, j), a: a.from(0, p), b: b.from(p, j),
				m: m, n: min(width, n-j), k: min(span, k-p),
				accumulate: accumulate || p > 0,
			}.multiply(w, r)
		}
	}
}

// A block is a product whose right operand is packed as a whole.
type block struct {
	ks         *kernels
	c, a, b    Operand
	m, n, k    int
	accumulate bool
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// depths gives the number of blocks into which k is divided, and their depth (the last may be less).
func (bl *block) depths() (blocks, depth int) {
	blocks = ceilDiv(bl.k, blockK)
	depth = ceilDiv(ceilDiv(bl.k, blocks), 4) * 4
	return ceilDiv(bl.k, depth), depth
}

func (bl block) multiply(w *Workspace, r runner) {
	ks := bl.ks
	size := ks.dtype.Size()
	blocks, depth := bl.depths()
	panels := ceilDiv(bl.n, ks.nr)

	// Packed, b is a sequence of blocks of depth rows, each a sequence of panels of nr columns.
	packed := w.b.grow(bl.k * panels * ks.nr * size)
	each := max(1, packWork/(depth*ks.nr))
	groups := ceilDiv(panels, each)
	r.run(w, blocks*groups, func(w *Workspace, task int) {
		q, first := task/groups, task%groups*each
		p := q * depth
		kb := min(depth, bl.k-p)
		last := min(first+each, panels)
		dst := unsafe.Add(packed, (p*panels+first*kb)*ks.nr*size)
		cols := min(last*ks.nr, bl.n) - first*ks.nr
		ks.packB(w, dst, bl.b.from(p, first*ks.nr), kb, cols)
	})

	rows := ceilDiv(ceilDiv(bl.m, ceilDiv(bl.m, blockRows)), ks.mr) * ks.mr
	down := ceilDiv(bl.m, rows)
	wide := panels
	if down < manyTiles {
		wide = ceilDiv(panels, ceilDiv(manyTiles, down))
		wide = min(panels, max(wide, ceilDiv(tileWork, rows*ks.nr*bl.k)))
	}
	across := ceilDiv(panels, wide)
	r.run(w, down*across, func(w *Workspace, task int) {
		i, j := task/across*rows, task%across*wide
		bl.tile(w, packed, panels, i, min(rows, bl.m-i), j, min(j+wide, panels))
	})
}

// tile computes rows [i, i+m) of panels [j, end) of the result.
func (bl *block) tile(w *Workspace, packed unsafe.Pointer, panels, i, m, j, end int) {
	ks := bl.ks
	size := ks.dtype.Size()
	blocks, depth := bl.depths()
	mine := w.a.grow(m * depth * size)
	for q := range blocks {
		p := q * depth
		kb := min(depth, bl.k-p)
		ks.packA(w, mine, bl.a.from(i, p), m, kb)
		for jp := j; jp < end; jp++ {
			panel := unsafe.Add(packed, (p*panels+jp*kb)*ks.nr*size)
			cols := min(ks.nr, bl.n-jp*ks.nr)
			for row := 0; row < m; {
				h := panelRows(m-row, ks.mr)
				ks.micro(h, kb, unsafe.Add(mine, row*kb*size), h*size, panel, ks.nr*size,
					bl.c.at(i+row, jp*ks.nr), bl.c.RowStride*size, cols, bl.accumulate || q > 0)
				row += h
			}
		}
	}
}

// panelRows is the height of the next panel when rows are left: mr, but two panels of like height at the
// end, because low ones are slow.
func panelRows(rows, mr int) int {
	if rows <= mr || rows >= 2*mr {
		return min(rows, mr)
	}
	return (rows + 1) / 2
}
