package gemm

import (
	"runtime"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

// multiplyGrid sets a grid of rows×cols squares of 16×16 elements of F32 to the product of packed panels of
// BF16 plus in, which may be nil. See multiplyGridAMX for the layout. The parameters from nextA on are hints
// that change no result: what is used next, and where the sums will go.
type multiplyGrid func(rows, cols, steps int, a *uint16, aRow, aTile, aStep, aPanel int, b *uint16, bPanel int,
	in *float32, inRow int, out *float32, outRow int, nextA, nextB *uint16, result *byte, resultRow, resultSquare int)

// Sizes, in elements.
const (
	// A panel is packed of tiles of tileLanes lanes, rows of a or columns of b, by tileK elements of k.
	tileLanes  = 16
	panelLanes = 2 * tileLanes
	tileK      = 32
	// A step is a panel's part of tileK elements.
	stepBytes = panelLanes * tileK * 2

	// sliceK bounds the sums that the registers hold: a panel of b, 32 KiB, stays in a first-level cache of 48 KiB
	// while a streams past it.
	sliceK = 512
	// bf16SpanK bounds the part of k that is done at a time, bf16Packed what of an operand is packed at a
	// time for all tasks. Where k is divided at all, a tile's part of an operand, 1 MiB of bf16LongSpanK, is to
	// stay in the second-level cache.
	bf16SpanK     = 4096
	bf16LongSpanK = 2048
	bf16Packed    = 1 << 21
	// A task's tile: its slice of a, its slice of b and its sums take less than half of a second-level cache of
	// 2 MiB.
	bf16Tile = 256
	// ownTiles is the number of tiles a processor along the longer side of the result from which each task packs
	// that side's operand for itself: what another processor has packed comes slowly from its cache.
	ownTiles = 2
	// a is read where it is if it serves at most inPlaceCols columns, unless rows lie a multiple of farRows bytes
	// apart, which compete for the same places in the caches. Packed tiles are read a tenth faster.
	inPlaceCols = 2048
	farRows     = 8192
	// bf16TileWork is the number of multiplications below which a tile is not divided further, some 4 µs.
	bf16TileWork = 1 << 22
)

// mulBF16 computes the product if the path has instructions that multiply its dtypes: both operands BF16, the
// result F32 or BF16 with rows in one piece. It reports whether it did.
func mulBF16(w *Workspace, r runner, p product) bool {
	grid := grids[simd.Active()]
	if grid == nil || p.a.DType != backend.BF16 || p.b.DType != backend.BF16 || p.c.ColStride != 1 {
		return false
	}
	switch {
	case p.c.DType == backend.BF16 && p.k > bf16SpanK:
		viaScratch(w, r, backend.F32, p, func(sums product) { tiled(w, r, grid, sums) })
	case p.c.DType == backend.BF16 || p.c.DType == backend.F32:
		tiled(w, r, grid, p)
	default:
		return false
	}
	return true
}

// tiled computes a product whose result is F32 or, with k ≤ bf16SpanK, BF16.
//
// Operands are packed for all tasks, unless one is large: then each task packs the panels that no other
// needs, just before it uses them, and the other operand is packed in parts, or read where it is. How a product is
// divided changes no sum, so it may depend on the number of processors.
func tiled(w *Workspace, r runner, grid multiplyGrid, p product) {
	span := p.k
	if p.k > bf16SpanK {
		span = ceilDiv(ceilDiv(p.k, ceilDiv(p.k, bf16LongSpanK)), tileK) * tileK
	}
	shared := max(bf16Packed/span/bf16Tile, 1) * bf16Tile // lanes of an operand that is packed for all
	height, width := p.m, p.n
	aOwn, bOwn := false, false
	long := max(p.m, p.n)
	if long > shared || long >= ownTiles*bf16Tile*runtime.GOMAXPROCS(0) {
		if p.m > p.n {
			aOwn, width = true, min(p.n, shared)
		} else {
			bOwn, height = true, min(p.m, shared)
		}
	}
	for at := 0; at < p.k; at += span {
		for i := 0; i < p.m; i += height {
			for j := 0; j < p.n; j += width {
				part := p.block(i, j, min(height, p.m-i), min(width, p.n-j))
				part.a, part.b, part.k = part.a.from(0, at), part.b.from(at, 0), min(span, p.k-at)
				part.accumulate = p.accumulate || at > 0
				if at+span < p.k {
					part.Epilogue = Epilogue{}
				}
				w.tiling = tiledProduct{product: part, grid: grid, aOwn: aOwn, bOwn: bOwn}
				w.tiling.multiply(w, r)
			}
		}
	}
	w.tiling = tiledProduct{}
}

// A tiledProduct is divided into tiles of rows×cols elements of the result, the last of which are smaller.
type tiledProduct struct {
	product
	grid       multiplyGrid
	aOwn, bOwn bool // every task packs its own part of the operand

	rows, cols       int
	down, across     int // tiles
	depth            int // of slices of k
	packedA, packedB panels
	packTasksA       int // of the tasks of packing, those that pack a
}

func (t *tiledProduct) multiply(w *Workspace, r runner) {
	t.divide()
	t.depth = ceilDiv(ceilDiv(t.k, ceilDiv(t.k, sliceK)), tileK) * tileK
	tasksB := 0
	switch {
	case t.aOwn:
	case t.readsA():
		t.packedA = panelsInPlace(t.a, t.m, t.k, t.depth)
	default:
		t.packedA = newPanels(&w.a, t.m, t.k, t.depth)
		t.packTasksA = t.packedA.tasks()
	}
	if !t.bOwn {
		t.packedB = newPanels(&w.b, t.n, t.k, t.depth)
		tasksB = t.packedB.tasks()
	}
	r.run(w, t.packTasksA+tasksB, packingTiles{t})
	tasks := t.down * t.across
	if t.aOwn {
		tasks = t.down
	} else if t.bOwn {
		tasks = t.across
	}
	r.run(w, tasks, multiplyingTiles{t})
}

// readsA says that a need not be packed.
func (t *tiledProduct) readsA() bool {
	return t.a.ColStride == 1 && t.m%panelLanes == 0 && t.k%tileK == 0 && t.n <= inPlaceCols && t.a.RowStride*2%farRows != 0
}

// divide chooses the size of tiles.
func (t *tiledProduct) divide() {
	t.rows, t.cols = bf16Tile, bf16Tile
	for {
		t.down, t.across = ceilDiv(t.m, t.rows), ceilDiv(t.n, t.cols)
		if t.down*t.across >= manyTiles || min(t.rows, t.m)*min(t.cols, t.n)*t.k < 2*bf16TileWork {
			break
		}
		if min(t.rows, t.m) >= min(t.cols, t.n) {
			t.rows = ceilDiv(min(t.rows, t.m), 2*panelLanes) * panelLanes
		} else {
			t.cols = ceilDiv(min(t.cols, t.n), 2*panelLanes) * panelLanes
		}
	}
	t.rows = ceilDiv(ceilDiv(t.m, t.down), panelLanes) * panelLanes
	t.cols = ceilDiv(ceilDiv(t.n, t.across), panelLanes) * panelLanes
	t.down, t.across = ceilDiv(t.m, t.rows), ceilDiv(t.n, t.cols)
}

// packingTiles is the job of packing what all tasks share.
type packingTiles struct{ *tiledProduct }

func (t packingTiles) do(w *Workspace, task int) {
	p, src, f := &t.packedA, t.a, asTiles
	if task >= t.packTasksA {
		p, src, f = &t.packedB, t.b.transposed(), asPairs
		task -= t.packTasksA
	}
	p.packTask(w, src, task, f)
}

// multiplyingTiles is the job of multiplying: a task a tile, or as many tiles as need the operand that the
// task packs for itself.
type multiplyingTiles struct{ *tiledProduct }

func (t multiplyingTiles) do(w *Workspace, task int) {
	switch {
	case t.aOwn:
		i := task * t.rows
		own := newPanels(&w.a, min(t.rows, t.m-i), t.k, t.depth)
		own.packAll(w, t.a.from(i, 0), asTiles)
		for j := 0; j < t.n; j += t.cols {
			t.tile(w, i, j, &own, 0, &t.packedB, j/panelLanes)
		}
	case t.bOwn:
		j := task * t.cols
		own := newPanels(&w.b, min(t.cols, t.n-j), t.k, t.depth)
		own.packAll(w, t.b.from(0, j).transposed(), asPairs)
		for i := 0; i < t.m; i += t.rows {
			t.tile(w, i, j, &t.packedA, i/panelLanes, &own, 0)
		}
	default:
		i, j := task/t.across*t.rows, task%t.across*t.cols
		t.tile(w, i, j, &t.packedA, i/panelLanes, &t.packedB, j/panelLanes)
	}
}

// tile computes the tile at element (i, j) from the panels of a from ai on and those of b from bj on.
func (t *tiledProduct) tile(w *Workspace, i, j int, a *panels, ai int, b *panels, bj int) {
	rows, cols := min(t.rows, t.m-i), min(t.cols, t.n-j)
	down, across := ceilDiv(rows, tileLanes), ceilDiv(cols, tileLanes)
	p := t.product
	// Sums of one slice go to whole squares of F32 in place, and what is there comes first; those of several
	// slices are added at the end. This depends on k alone, so that no element depends on the division.
	stream := t.streams(i, j)
	direct := !stream && p.c.DType == backend.F32 && rows%tileLanes == 0 && cols%tileLanes == 0 && a.slices() == 1
	sums := Operand{p.c.at(i, j), backend.F32, p.c.RowStride, 1}
	first := p.c.DType == backend.F32 && p.accumulate && a.slices() == 1
	if !direct {
		sums.RowStride = ceilDiv(cols, panelLanes)*panelLanes + tileLanes // no power of two
		sums.Ptr = w.sums.grow(down * tileLanes * sums.RowStride * 4)
		if first {
			storeTileF32((*float32)(sums.Ptr), sums.RowStride*4, (*float32)(p.c.at(i, j)), p.c.RowStride*4, rows, cols)
			p.accumulate = false
		}
	}
	size := p.c.DType.Size()
	for s := range a.slices() {
		var in *float32
		if s > 0 || first {
			in = (*float32)(sums.Ptr)
		}
		nextA, nextB := a.at(s, ai), b.at(s, bj)
		var result *byte
		var resultRow, resultSquare int
		if s+1 < a.slices() {
			nextA, nextB = a.at(s+1, ai), b.at(s+1, bj)
			if a.inPlace {
				nextA = nextB // rows are not one piece
			}
		} else if !direct && !stream {
			result, resultRow, resultSquare = (*byte)(p.c.at(i, j)), p.c.RowStride*size, panelLanes*size
		}
		t.grid(down, across, a.steps(s), (*uint16)(a.at(s, ai)), a.row, a.tile, a.step, a.panel(s),
			(*uint16)(b.at(s, bj)), b.steps(s)*stepBytes,
			in, sums.RowStride*4, (*float32)(sums.Ptr), sums.RowStride*4,
			(*uint16)(nextA), (*uint16)(nextB), result, resultRow, resultSquare)
	}
	switch {
	case direct:
		p.amend(w, i, j, rows, cols)
	case p.empty():
		p.storeTile(i, j, rows, cols, sums, stream)
	default:
		p.finish(w, i, j, rows, cols, sums.Ptr, sums.RowStride, backend.F32)
	}
}

// streams says whether the tile at element (i, j) goes to memory past the caches, where writing then costs no
// reading. It must not be read soon: so it is with products of a transposed and a plain matrix, the gradients of
// weights, which wait for the optimizer, if they are larger than a processor's caches.
func (t *tiledProduct) streams(i, j int) bool {
	const least, line = 4 << 20, 64
	size := t.c.DType.Size()
	return !t.accumulate && t.empty() && t.a.RowStride == 1 && t.b.ColStride == 1 && t.m*t.n*size >= least &&
		uintptr(t.c.at(i, j))%line == 0 && t.c.RowStride*size%line == 0
}

// storeTile is finish without an epilogue.
func (p *product) storeTile(i, j, rows, cols int, sums Operand, stream bool) {
	dst, drs := p.c.at(i, j), p.c.RowStride*p.c.DType.Size()
	src, srs := (*float32)(sums.Ptr), sums.RowStride*4
	switch {
	case p.c.DType == backend.F32 && p.accumulate:
		addTileF32((*float32)(dst), drs, src, srs, rows, cols)
	case stream && p.c.DType == backend.F32:
		streamTileF32((*float32)(dst), drs, src, srs, rows, cols)
	case stream:
		streamTileBF16((*uint16)(dst), drs, src, srs, rows, cols)
	case p.c.DType == backend.F32:
		storeTileF32((*float32)(dst), drs, src, srs, rows, cols)
	case p.accumulate:
		addTileBF16((*uint16)(dst), drs, src, srs, rows, cols)
	default:
		storeTileBF16((*uint16)(dst), drs, src, srs, rows, cols)
	}
}
