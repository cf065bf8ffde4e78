package gemm

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

const (
	// skinnyRows is the largest height of a left operand that is multiplied by dot products.
	skinnyRows = 8
	// skinnyBytes is how much of the right operand a task reads: it fits into the second-level cache, so
	// that all rows but the first find it there.
	skinnyBytes = 1 << 17
)

// skinny computes a product of few rows with a matrix whose columns lie in one piece, as the weights of
// a linear layer do when it decodes one token: every element is a dot product of the two. Sums are kept
// in F32.
func skinny(w *Workspace, r runner, c, a, b Operand, m, n, k int, accumulate bool) {
	rows := Operand{w.a.grow(m * k * 4), backend.F32, k, 1}
	for i := range m {
		widen(rows.at(i, 0), backend.F32, a.from(i, 0), k)
	}
	ks := kernelsFor(backend.F32, backend.F32)
	each := max(skinnyBytes/(k*b.DType.Size())&^3, 4)
	r.run(w, ceilDiv(n, each), func(w *Workspace, task int) {
		lo := task * each
		cols := min(each, n-lo)
		columns := b.from(0, lo).transposed()
		if !(ks.dotBF16 && columns.DType == backend.BF16 && (columns.ColStride == 1 || k == 1)) {
			columns = ks.staged(w, columns, cols, k)
		}
		out := unsafe.Slice((*float32)(w.result.grow((cols+3)*4)), cols+3)
		for i := range m {
			x := unsafe.Slice((*float32)(rows.at(i, 0)), k)
			ks.dots(out, x, columns, cols)
			store(w, c.from(i, lo), unsafe.Pointer(&out[0]), backend.F32, cols, accumulate)
		}
	})
}

// dots sets out[j] to the product of x with row j < n of the matrix. It writes up to three elements more.
func (ks *kernels) dots(out, x []float32, rows Operand, n int) {
	j := 0
	for ; j+4 <= n; j += 4 {
		ks.dot4((*[4]float32)(out[j:]), x, rows.from(j, 0))
	}
	for ; j < n; j++ { // the same row four times
		last := rows.from(j, 0)
		last.RowStride = 0
		ks.dot4((*[4]float32)(out[j:]), x, last)
	}
}

// dot4Go is the four products of F32 rows in terms of package simd.
func dot4Go(out *[4]float32, x []float32, rows Operand) {
	for j := range out {
		out[j] = simd.Dot(x, unsafe.Slice((*float32)(rows.at(j, 0)), len(x)))
	}
}
