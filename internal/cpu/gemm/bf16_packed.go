package gemm

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/cpu/simd"
)

// Products of BF16 whose operands are kept packed, for a caller that uses each several times or makes it
// in that form itself. Rows of a left operand and columns of a right one are lanes; lanes come in tiles of
// 16, two to a panel, and the elements of a sum in steps of 32. What is missing of the last step or tile
// is zero.

// MultipliesBF16 reports whether the path in use has instructions for products of BF16, without which
// Left and Right do not multiply.
func MultipliesBF16() bool { return grids[simd.Active()] != nil }

// Left is a left operand. Pack or Rows makes one. The zero value is ready.
type Left struct {
	memo                   buffer
	base                   unsafe.Pointer
	row, tile, step, panel int // bytes from one to the next
}

// Pack copies the m×k matrix a of BF16.
func (l *Left) Pack(w *Workspace, a Operand, m, k int) {
	p := newPanels(&l.memo, m, k, max(ceilDiv(k, tileK), 1)*tileK)
	p.packAll(w, a, asTiles)
	l.base, l.row, l.tile, l.step, l.panel = p.base, tileK*2, stepBytes/2, stepBytes, p.steps(0)*stepBytes
}

// Rows makes l the matrix whose rows lie stride elements apart, where they are: as many as whole tiles
// take, and as long as whole steps.
func (l *Left) Rows(rows []uint16, stride int) {
	l.base, l.row = unsafe.Pointer(unsafe.SliceData(rows)), stride*2
	l.tile, l.step, l.panel = tileLanes*l.row, tileK*2, panelLanes*l.row
}

// Right is a right operand. Pack or Make makes one. The zero value is ready.
type Right struct {
	memo  buffer
	base  unsafe.Pointer
	panel int // bytes from one to the next
}

// Pack copies the k×n matrix b of BF16.
func (r *Right) Pack(w *Workspace, b Operand, k, n int) {
	p := newPanels(&r.memo, n, k, max(ceilDiv(k, tileK), 1)*tileK)
	p.packAll(w, b.transposed(), asPairs)
	r.base, r.panel = p.base, p.steps(0)*stepBytes
}

// Make gives the memory of a k×n matrix for the caller to fill: a panel has k/32 steps, a step two tiles,
// a tile 16 rows of pairs of successive elements of 16 columns. Panels are panel elements apart.
func (r *Right) Make(k, n int) (pairs []uint16, panel int) {
	panels, steps := ceilDiv(n, panelLanes), ceilDiv(k, tileK)
	r.panel = steps * stepBytes
	r.base = r.memo.grow(panels * r.panel)
	return unsafe.Slice((*uint16)(r.base), panels*r.panel/2), r.panel / 2
}

// MulPacked sets c = a·b, or adds a·b to it. c has rows of F32 that lie stride elements apart. m and n
// count in whole tiles of 16, k in whole steps of 32 of which a and b have at least as many, the sum
// beginning at a's step from. a begins with its row first, a multiple of 32.
func MulPacked(c []float32, stride int, a *Left, first, from int, b *Right, m, n, k int, accumulate bool) {
	if m == 0 || n == 0 {
		return
	}
	out := &c[0]
	var in *float32
	if accumulate {
		in = out
	}
	grids[simd.Active()](ceilDiv(m, tileLanes), ceilDiv(n, tileLanes), ceilDiv(k, tileK),
		(*uint16)(unsafe.Add(a.base, first/panelLanes*a.panel+from*a.step)), a.row, a.tile, a.step, a.panel,
		(*uint16)(unsafe.Add(b.base, from*stepBytes)), b.panel, in, stride*4, out, stride*4, nil, nil, nil, 0, 0)
}
