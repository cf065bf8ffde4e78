package gemm

import "unsafe"

// Panels is the right operand of several products, packed once. The zero value is ready to Pack; memory is
// kept from one operand to the next.
type Panels struct {
	ks   *kernels
	memo buffer
	at   unsafe.Pointer
	k, n int
}

// Pack copies the k×n matrix b of any strides and float dtype.
func (p *Panels) Pack(w *Workspace, b Operand, k, n int) {
	ks := kernelsFor(b.DType, b.DType)
	*p = Panels{ks: ks, memo: p.memo, k: k, n: n}
	p.at = p.memo.grow(k * ceilDiv(n, ks.nr) * ks.nr * ks.dtype.Size())
	if k > 0 {
		ks.packB(w, p.at, b, k, n)
	}
}

// Mul sets c = a·b, or adds a·b to it, for the first k rows and n columns of the packed b. a is m×k and c
// is m×n, both of b's accumulator dtype, c with rows in one piece and a with rows or columns in one.
func (p *Panels) Mul(c, a Operand, m, n, k int, accumulate bool) {
	if m == 0 || n == 0 {
		return
	}
	if k == 0 {
		if !accumulate {
			clearMatrix(c, m, n)
		}
		return
	}
	mulPanels(p.ks, c, a, p.at, p.k*p.ks.nr, p.ks.nr, m, n, k, accumulate)
}

// MulInPlace is Mul for a b that is not packed: its rows lie in one piece, n rounded up to a multiple of 64
// elements of them are readable, and it should not be larger than the second-level cache.
func MulInPlace(c, a, b Operand, m, n, k int, accumulate bool) {
	if m == 0 || n == 0 {
		return
	}
	if k == 0 {
		if !accumulate {
			clearMatrix(c, m, n)
		}
		return
	}
	ks := kernelsFor(b.DType, b.DType)
	mulPanels(ks, c, a, b.Ptr, ks.nr, b.RowStride, m, n, k, accumulate)
}

// mulPanels multiplies by panels of b that lie panel elements apart and have rows stride elements apart.
// a is read where it is, for each panel again, while the panel stays in the first-level cache.
func mulPanels(ks *kernels, c, a Operand, b unsafe.Pointer, panel, stride, m, n, k int, accumulate bool) {
	size := ks.dtype.Size()
	for col := 0; col < n; col += ks.nr {
		cols := min(ks.nr, n-col)
		for row := 0; row < m; {
			h := panelRows(m-row, ks.mr)
			ks.micro(h, k, a.at(row, 0), a.RowStride*size, a.ColStride*size, b, stride*size,
				c.at(row, col), c.RowStride*size, cols, accumulate)
			row += h
		}
		b = unsafe.Add(b, panel*size)
	}
}
