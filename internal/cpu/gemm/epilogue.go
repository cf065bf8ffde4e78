package gemm

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

// Epilogue is what is added to a product before it is rounded to the result's dtype,
//
//	c = a·b + bias + residual,
//
// while the sums are still in the cache. Both terms are m×n matrices of any float dtype and any strides,
// and are left out where Ptr is nil; a bias of one row has a RowStride of 0. Neither may overlap c.
type Epilogue struct{ Bias, Residual Operand }

func (e *Epilogue) empty() bool { return e.Bias.Ptr == nil && e.Residual.Ptr == nil }

// A product is c = a·b + epilogue, or c += a·b + epilogue with accumulate: a is m×k, b is k×n, c is m×n.
type product struct {
	c, a, b    Operand
	m, n, k    int
	accumulate bool
	Epilogue
}

// transposed is the same product as cᵀ = bᵀ·aᵀ + epilogueᵀ.
func (p product) transposed() product {
	return product{
		c: p.c.transposed(), a: p.b.transposed(), b: p.a.transposed(), m: p.n, n: p.m, k: p.k,
		accumulate: p.accumulate, Epilogue: Epilogue{p.Bias.transposed(), p.Residual.transposed()},
	}
}

// block is the part of the product with rows i to i+m and columns j to j+n of the result.
func (p product) block(i, j, m, n int) product {
	p.c, p.a, p.b, p.m, p.n = p.c.from(i, j), p.a.from(i, 0), p.b.from(0, j), m, n
	if p.Bias.Ptr != nil {
		p.Bias = p.Bias.from(i, j)
	}
	if p.Residual.Ptr != nil {
		p.Residual = p.Residual.from(i, j)
	}
	return p
}

// direct says that sums of this dtype can be written to c as they are, and be finished by amend.
func (p *product) direct(sums backend.DType) bool { return p.c.DType == sums && p.c.ColStride == 1 }

// finish writes a tile of c from its sums, rows stride elements apart, which have the dtype F32 or F64:
// it adds the epilogue to them, in place, and what c holds if the product accumulates, and rounds once.
// The tile is rows i to i+rows and columns j to j+cols. finish uses w.old.
func (p *product) finish(w *Workspace, i, j, rows, cols int, sums unsafe.Pointer, stride int, dtype backend.DType) {
	for r := range rows {
		row := unsafe.Add(sums, r*stride*dtype.Size())
		p.addEpilogue(w, i+r, j, row, cols, dtype)
		store(w, p.c.from(i+r, j), row, dtype, cols, p.accumulate)
	}
}

// amend adds the epilogue to a tile of a direct c that holds everything else.
func (p *product) amend(w *Workspace, i, j, rows, cols int) {
	if p.empty() {
		return
	}
	for r := range rows {
		p.addEpilogue(w, i+r, j, p.c.at(i+r, j), cols, p.c.DType)
	}
}

// addEpilogue adds the epilogue of row i, columns from j on, to n sums. It uses w.old.
func (p *product) addEpilogue(w *Workspace, i, j int, sums unsafe.Pointer, n int, dtype backend.DType) {
	for _, term := range [...]*Operand{&p.Bias, &p.Residual} {
		if term.Ptr == nil {
			continue
		}
		row := term.from(i, j)
		switch {
		case dtype == backend.F64:
			for q, s := 0, unsafe.Slice((*float64)(sums), n); q < n; q++ {
				s[q] += load(row.at(0, q), row.DType)
			}
		case row.DType == backend.F32 && row.ColStride == 1:
			s := unsafe.Slice((*float32)(sums), n)
			simd.Add(s, s, unsafe.Slice((*float32)(row.Ptr), n))
		default:
			wide, s := unsafe.Slice((*float32)(w.old.grow(4*n)), n), unsafe.Slice((*float32)(sums), n)
			widen(unsafe.Pointer(&wide[0]), backend.F32, row, n)
			simd.Add(s, s, wide)
		}
	}
}
