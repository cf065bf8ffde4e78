package gemm

import (
	"runtime"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

// ThinRows is the largest height of a left operand that is multiplied by dot products: of a matrix whose
// columns lie in one piece.
const ThinRows = 8

const (
	// dotTask and dotLongTask bound how much of the right operand a task reads: the longer its piece of
	// memory, the better it comes, but every processor should get a few.
	dotTask     = 1 << 17
	dotLongTask = 1 << 20
	// dotCall is how much of it a call of a kernel reads, some 4 µs, and dotShare what still lies in the
	// first-level cache when it is read for the next vectors.
	dotCall  = 1 << 16
	dotShare = 1 << 14
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
	if ks.thin == nil {
		return false
	}
	w.thin = thinProduct{product: p, ks: ks}
	t := &w.thin
	switch {
	case p.m <= ThinRows && (p.b.RowStride == 1 || p.k == 1):
		t.readRows(w)
		t.cols = t.dotCols()
		r.run(w, ceilDiv(p.n, t.cols), dotting{t})
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
	cols int     // of b, that a task of dotting does
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
// linear layer do when it decodes one token: every element of the result is a dot product. How the columns
// are divided into tasks changes no sum, so it may depend on the number of processors.
type dotting struct{ *thinProduct }

// dotCols is the number of columns that a task of dotting is to do.
func (t *thinProduct) dotCols() int {
	column := t.b.DType.Bytes(t.k)
	share := t.n * column / (4 * runtime.GOMAXPROCS(0))
	return max(min(max(share, dotTask), dotLongTask)/column, 1)
}

func (t dotting) do(w *Workspace, task int) {
	lo := task * t.cols
	cols := min(t.cols, t.n-lo)
	columns := t.b.from(0, lo).transposed()
	kernels := t.ks.thin[columns.DType]
	if kernels == nil || columns.ColStride != 1 && t.k > 1 {
		columns = t.ks.staged(w, columns, cols, t.k)
		kernels = t.ks.thin[backend.F32]
	}
	groups := ceilDiv(t.m, len(kernels))
	vectors := ceilDiv(t.m, groups)
	step := dotCall
	if groups > 1 {
		step = dotShare
	}
	stride := columns.DType.Bytes(columns.RowStride)
	step = max(step/columns.DType.Bytes(t.k), 1)
	out := Operand{w.result.grow(t.m * cols * 4), backend.F32, cols, 1}
	for j := 0; j < cols; j += step {
		for i := 0; i < t.m; i += vectors {
			kernels[min(vectors, t.m-i)-1]((*float32)(out.at(i, j)), cols*4, (*float32)(t.rows.at(i, 0)), t.k*4,
				(*byte)(columns.at(j, 0)), stride, min(step, cols-j), t.k)
		}
	}
	t.finish(w, 0, lo, t.m, cols, out.Ptr, cols, backend.F32)
}

// thinGeneric is the thinKernel of one vector and a matrix of F32, in terms of package simd.
func thinGeneric(out *float32, _ int, x *float32, _ int, w *byte, ws, rows, k int) {
	xs := unsafe.Slice(x, k)
	for r, sums := 0, unsafe.Slice(out, rows); r < rows; r++ {
		sums[r] = simd.Dot(xs, unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(w), r*ws)), k))
	}
}
