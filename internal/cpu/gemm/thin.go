package gemm

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

const (
	// dotRows is the largest height of a left operand that is multiplied by dot products.
	dotRows = 8
	// dotBytes is how much of the right operand a task reads.
	dotBytes = 1 << 17
	// sumRows is the largest height of a left operand that is multiplied by sums of rows.
	sumRows = 4
	// sumCols is the width of the sums that a task keeps in the first-level cache.
	sumCols = 512
)

// thin computes the product if one of its operands is so low or narrow that it costs less than reading
// the other one. It reports whether it did.
func thin(w *Workspace, r runner, ks *kernels, c, a, b Operand, m, n, k int, accumulate bool) bool {
	if n < m {
		c, a, b, m, n = c.transposed(), b.transposed(), a.transposed(), n, m
	}
	switch {
	case ks.dot4 == nil:
		return false
	case m <= dotRows && (b.RowStride == 1 || k == 1):
		byDots(w, r, ks, c, a, b, m, n, k, accumulate)
	case m <= sumRows && b.ColStride == 1 && b.RowStride > farB:
		bySums(w, r, c, a, b, m, n, k, accumulate)
	default:
		return false
	}
	return true
}

// wideRows copies a few rows to F32.
func wideRows(w *Workspace, a Operand, m, k int) Operand {
	rows := Operand{w.a.grow(m * k * 4), backend.F32, k, 1}
	for i := range m {
		widen(rows.at(i, 0), backend.F32, a.from(i, 0), k)
	}
	return rows
}

// bySums multiplies by a matrix whose rows lie in one piece but far apart: every row of the result is a
// sum of them.
func bySums(w *Workspace, r runner, c, a, b Operand, m, n, k int, accumulate bool) {
	rows := wideRows(w, a, m, k)
	r.run(w, ceilDiv(n, sumCols), func(w *Workspace, task int) {
		lo := task * sumCols
		cols := min(sumCols, n-lo)
		sums := unsafe.Slice((*float32)(w.result.grow(m*cols*4)), m*cols)
		clear(sums)
		wide := unsafe.Slice((*float32)(w.stage.grow(cols*4)), cols)
		for p := range k {
			row := b.from(p, lo)
			if b.DType == backend.F32 {
				wide = unsafe.Slice((*float32)(row.Ptr), cols)
			} else {
				widen(unsafe.Pointer(&wide[0]), backend.F32, row, cols)
			}
			for i := range m {
				simd.Axpy(sums[i*cols:(i+1)*cols], *(*float32)(rows.at(i, p)), wide)
			}
		}
		for i := range m {
			store(w, c.from(i, lo), unsafe.Pointer(&sums[i*cols]), backend.F32, cols, accumulate)
		}
	})
}

// byDots multiplies by a matrix whose columns lie in one piece, as the weights of a linear layer do when
// it decodes one token: every element of the result is a dot product. Four columns at a time are read
// once, and stay in the first-level cache for all the rows. Sums are kept in F32.
func byDots(w *Workspace, r runner, ks *kernels, c, a, b Operand, m, n, k int, accumulate bool) {
	rows := wideRows(w, a, m, k)
	each := max(dotBytes/(k*b.DType.Size())&^3, 4)
	r.run(w, ceilDiv(n, each), func(w *Workspace, task int) {
		lo := task * each
		cols := min(each, n-lo)
		columns := b.from(0, lo).transposed()
		if !(ks.dotBF16 && columns.DType == backend.BF16 && (columns.ColStride == 1 || k == 1)) {
			columns = ks.staged(w, columns, cols, k)
		}
		wide := cols + 3 // dot products come in fours
		out := unsafe.Slice((*float32)(w.result.grow(m*wide*4)), m*wide)
		for j, step := 0, 4; j < cols; j += step {
			four := columns.from(j, 0)
			if j+4 > cols { // the last ones singly, each four times
				four.RowStride, step = 0, 1
			}
			for i := range m {
				x := unsafe.Slice((*float32)(rows.at(i, 0)), k)
				ks.dot4((*[4]float32)(out[i*wide+j:]), x, four)
			}
		}
		for i := range m {
			store(w, c.from(i, lo), unsafe.Pointer(&out[i*wide]), backend.F32, cols, accumulate)
		}
	})
}

// dot4Go is the four products of F32 rows in terms of package simd.
func dot4Go(out *[4]float32, x []float32, rows Operand) {
	for j := range out {
		out[j] = simd.Dot(x, unsafe.Slice((*float32)(rows.at(j, 0)), len(x)))
	}
}
