package gemm

import "unsafe"

// MulSymmetric sets the n×n matrix c = a·b, or adds a·b to it, where a·b is known to be symmetric, and c too if it
// is added to: b is aᵀ, or both are powers of one symmetric matrix. a is n×k, b is k×n; all are F32, c has its
// rows in one piece and does not overlap the others. Only the blocks on and below the diagonal are multiplied
// (BLAS: SYRK); the others are their mirror images, so that c is symmetric to the bit, and the same to the bit
// as by Mul.
func MulSymmetric(c, a, b Operand, n, k int, accumulate bool) {
	w := GetWorkspace()
	defer w.Put()
	symmetric(w, parallel{}, c, a, b, n, k, accumulate)
}

// MulSymmetricSerial is MulSymmetric as MulSerial is Mul.
func MulSymmetricSerial(w *Workspace, c, a, b Operand, n, k int, accumulate bool) {
	symmetric(w, serial{}, c, a, b, n, k, accumulate)
}

func symmetric(w *Workspace, r runner, c, a, b Operand, n, k int, accumulate bool) {
	height := stripHeight(n)
	whole := product{c: c, a: a, b: b, m: n, n: n, k: k, accumulate: accumulate}
	for i := 0; i < n; i += height {
		rows := min(height, n-i)
		multiply(w, r, whole.block(i, 0, rows, i+rows))
	}
	w.mirror = mirroring{c, n}
	r.run(w, ceilDiv(n, height), &w.mirror)
	w.mirror = mirroring{}
}

// stripHeight is the number of rows that are multiplied at a time: the fewer, the less is multiplied in vain
// above the diagonal, the more, the better a product uses the processors.
func stripHeight(n int) int {
	const small, few = 32, 8
	if n <= small*few {
		return small
	}
	return ceilDiv(ceilDiv(n, few), blockRows) * blockRows
}

// mirroring is the job of copying what is below the diagonal of an n×n matrix to above it, a task a strip.
type mirroring struct {
	c Operand
	n int
}

func (m *mirroring) do(_ *Workspace, task int) {
	i := task * stripHeight(m.n)
	if i == 0 {
		return
	}
	ks := kernelsFor(m.c.DType, m.c.DType)
	ks.transpose(m.c.at(0, i), m.c.RowStride, m.c.from(i, 0), min(stripHeight(m.n), m.n-i), i)
}

// TransposeTight copies the rows×cols matrix src of F32, with rows in one piece, to dst, whose rows are rows
// elements long and follow each other without a gap.
func TransposeTight(dst []float32, src Operand, rows, cols int) {
	kernelsFor(src.DType, src.DType).transpose(unsafe.Pointer(unsafe.SliceData(dst)), rows, src, rows, cols)
}

// transpose is packPanel that writes nothing beyond the lanes.
func (ks *kernels) transpose(dst unsafe.Pointer, pitch int, src Operand, lanes, k int) {
	whole := lanes
	if ks.vector > 0 {
		whole = lanes / ks.vector * ks.vector
	}
	if whole > 0 {
		ks.packPanel(dst, pitch, src, whole, k)
	}
	if whole < lanes {
		packStrided[float32](unsafe.Add(dst, whole*ks.dtype.Size()), pitch, src.from(whole, 0), lanes-whole, k)
	}
}
