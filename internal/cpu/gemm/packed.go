package gemm

import "unsafe"

// Packed is the right operand of several products, packed once. The zero value is ready to Pack; memory is
// kept from one operand to the next.
type Packed struct {
	ks   *kernels
	memo buffer
	base unsafe.Pointer
	k, n int
}

// Pack copies the k×n matrix b of any strides and float dtype. k and n are at least 1.
func (p *Packed) Pack(w *Workspace, b Operand, k, n int) {
	p.ks, p.k, p.n = kernelsFor(b.DType, b.DType), k, n
	p.base = p.memo.grow(k * ceilDiv(n, p.ks.nr) * p.ks.nr * p.ks.dtype.Size())
	p.ks.packB(w, p.base, b, k, n)
}

// Mul sets c = a·b, or adds a·b to it, for the first k ≥ 1 rows and n columns of the packed b. a is m×k and
// c is m×n, both of b's accumulator dtype, c with rows in one piece and a with rows or columns in one.
func (p *Packed) Mul(c, a Operand, m, n, k int, accumulate bool) {
	mulPanels(p.ks, c, a, p.base, p.k*p.ks.nr, p.ks.nr, m, n, k, accumulate)
}

// MulInPlace is Mul for a b that is small and used so little that it need not be packed. It is of an
// accumulator dtype, and so many elements behind its last row are readable as make n a multiple of 64.
func MulInPlace(c, a, b Operand, m, n, k int, accumulate bool) {
	ks := kernelsFor(b.DType, b.DType)
	mulPanels(ks, c, a, b.Ptr, ks.nr, b.RowStride, m, n, k, accumulate)
}

// mulPanels multiplies by panels of b that lie panel elements apart and have rows stride elements apart.
// a is read where it is, for each panel again, while the panel stays in the first-level cache.
func mulPanels(ks *kernels, c, a Operand, b unsafe.Pointer, panel, stride, m, n, k int, accumulate bool) {
	size := ks.dtype.Size()
	for col := 0; col < n; col += ks.nr {
		cols := min(ks.nr, n-col)
		next := uintptr(b) + uintptr(panel*size)
		for row := 0; row < m; {
			h := panelRows(m-row, ks.mr)
			ks.micro(h, k, a.at(row, 0), a.RowStride*size, a.ColStride*size, b, stride*size,
				c.at(row, col), c.RowStride*size, cols, accumulate, next)
			next += uintptr(k / prefetchSteps * cacheLine)
			row += h
		}
		b = unsafe.Add(b, panel*size)
	}
}

// Transpose copies the rows×cols matrix src of F32, with rows in one piece, to dst: element (i, j) goes to
// place i of row j. Rows of dst lie stride elements apart, rows rounded up to a multiple of 16 or more.
func Transpose(dst []float32, stride int, src Operand, rows, cols int) {
	ks := kernelsFor(src.DType, src.DType)
	ks.packPanel(unsafe.Pointer(unsafe.SliceData(dst)), stride, src, rows, cols)
}
