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
func thin(w *Workspace, r runner, ks *kernels, p product) bool {
	if p.n < p.m {
		p = p.transposed()
	}
	if ks.dot4 == nil {
		return false
	}
	w.thin = thinProduct{product: p, ks: ks}
	t := &w.thin
	switch {
	case p.m <= dotRows && (p.b.RowStride == 1 || p.k == 1):
		t.readRows(w)
		r.run(w, ceilDiv(p.n, t.dotCols()), dotting{t})
	case p.m <= sumRows && p.b.ColStride == 1 && p.b.RowStride > farB:
		t.readRows(w)
		r.run(w, ceilDiv(p.n, sumCols), summing{t})
	default:
		return false
	}
	w.thin = thinProduct{}
	return true
}

// A thinProduct is a product whose left operand has a few rows only. Sums are kept in F32.
type thinProduct struct {
	product
	ks   *kernels
	rows Operand // the left operand in F32
}

func (t *thinProduct) readRows(w *Workspace) {
	t.rows = Operand{w.a.grow(t.m * t.k * 4), backend.F32, t.k, 1}
	for i := range t.m {
		widen(t.rows.at(i, 0), backend.F32, t.a.from(i, 0), t.k)
	}
}

// row is row i of the left operand.
func (t *thinProduct) row(i int) []float32 {
	return unsafe.Slice((*float32)(t.rows.at(i, 0)), t.k)
}

// summing is the job of multiplying by a matrix whose rows lie in one piece but far apart: every row of
// the result is a sum of them.
type summing struct{ *thinProduct }

func (t summing) do(w *Workspace, task int) {
	lo := task * sumCols
	cols := min(sumCols, t.n-lo)
	sums := unsafe.Slice((*float32)(w.result.grow(t.m*cols*4)), t.m*cols)
	clear(sums)
	wide := unsafe.Slice((*float32)(w.stage.grow(cols*4)), cols)
	for p := range t.k {
		row := t.b.from(p, lo)
		if row.DType == backend.F32 {
			wide = unsafe.Slice((*float32)(row.Ptr), cols)
		} else {
			widen(unsafe.Pointer(&wide[0]), backend.F32, row, cols)
		}
		for i := range t.m {
			simd.Axpy(sums[i*cols:(i+1)*cols], t.row(i)[p], wide)
		}
	}
	t.finish(w, 0, lo, t.m, cols, unsafe.Pointer(&sums[0]), cols, backend.F32)
}

// dotting is the job of multiplying by a matrix whose columns lie in one piece, as the weights of a
// linear layer do when it decodes one token: every element of the result is a dot product. Four columns
// at a time are read once, and stay in the first-level cache for all the rows.
type dotting struct{ *thinProduct }

// dotCols is the number of columns that a task of dotting does.
func (t *thinProduct) dotCols() int { return max(dotBytes/(t.k*t.b.DType.Size())&^3, 4) }

func (t dotting) do(w *Workspace, task int) {
	ks := t.ks
	lo := task * t.dotCols()
	cols := min(t.dotCols(), t.n-lo)
	columns := t.b.from(0, lo).transposed()
	if !(ks.dotBF16 && columns.DType == backend.BF16 && (columns.ColStride == 1 || t.k == 1)) {
		columns = ks.staged(w, columns, cols, t.k)
	}
	wide := cols + 3 // dot products come in fours
	out := unsafe.Slice((*float32)(w.result.grow(t.m*wide*4)), t.m*wide)
	for j, step := 0, 4; j < cols; j += step {
		four := columns.from(j, 0)
		if j+4 > cols { // the last ones singly, each four times
			four.RowStride, step = 0, 1
		}
		for i := range t.m {
			ks.dot4((*[4]float32)(out[i*wide+j:]), t.row(i), four)
		}
	}
	t.finish(w, 0, lo, t.m, cols, unsafe.Pointer(&out[0]), wide, backend.F32)
}

// dot4Go is the four products of F32 rows in terms of package simd.
func dot4Go(out *[4]float32, x []float32, rows Operand) {
	for j := range out {
		out[j] = simd.Dot(x, unsafe.Slice((*float32)(rows.at(j, 0)), len(x)))
	}
}
