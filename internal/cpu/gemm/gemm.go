// Package gemm multiplies matrices on the CPU.
//
// Large products are packed and blocked after Goto and van de Geijn (2008), "Anatomy of high-performance
// matrix multiplication", and BLIS (Van Zee and van de Geijn 2015): operands are copied, block by block,
// into the order in which a micro-kernel reads them, and the micro-kernel keeps a tile of the result in
// registers over a whole block of k. The copy takes care of transposition and of narrow dtypes, so one
// micro-kernel serves them all. Products of a few rows, which would wait for memory longer than they
// compute, read the other matrix once and in place.
//
// Where the processor multiplies BF16 (paths amx, avx512bf16 and neonbf16), products of two BF16 operands use that:
// terms are exact and sums F32, as everywhere, but denormal operands, terms and sums count as zero. NaN and
// infinities propagate.
//
// Every element of a result is summed in an order that depends on the shapes and the kernel path only:
// the number of processors and the division into tasks do not change a bit.
package gemm

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/pool"
)

// Operand is a strided matrix of a float dtype: element (i, j) lies i·RowStride + j·ColStride elements behind
// Ptr. Any strides are right; those with one of the two equal to 1 are fast. The right operand of at most
// ThinRows contiguous rows may be quantised too, with columns of whole blocks: its RowStride is 1.
type Operand struct {
	Ptr                  unsafe.Pointer
	DType                backend.DType
	RowStride, ColStride int
}

// at is the address of element (i, j).
func (o Operand) at(i, j int) unsafe.Pointer {
	return unsafe.Add(o.Ptr, o.DType.Bytes(i*o.RowStride+j*o.ColStride))
}

// from is the part of the matrix that begins at element (i, j).
func (o Operand) from(i, j int) Operand {
	o.Ptr = o.at(i, j)
	return o
}

// transposed is the same memory with rows and columns exchanged.
func (o Operand) transposed() Operand {
	o.RowStride, o.ColStride = o.ColStride, o.RowStride
	return o
}

// Mul sets c = a·b, or adds a·b to c with accumulate. a is m×k, b is k×n and c is m×n; c must not
// overlap a or b. The dtypes may be any floats. Sums are kept in F64 if a or b is F64 and in F32
// otherwise, over the whole of k, and rounded to c's dtype once. With k = 0 the product is zero.
//
// The work is spread over the processors by package pool; see MulSerial for products that are
// themselves part of a parallel loop.
func Mul(c, a, b Operand, m, n, k int, accumulate bool) {
	MulFused(c, a, b, m, n, k, accumulate, Epilogue{})
}

// MulFused is Mul with an epilogue.
func MulFused(c, a, b Operand, m, n, k int, accumulate bool, e Epilogue) {
	w := GetWorkspace()
	defer w.Put()
	multiply(w, parallel{}, product{c, a, b, m, n, k, accumulate, e})
}

// MulSerial is Mul on the calling goroutine, with scratch memory that the caller keeps. It gives the
// same bits as Mul. Once the workspace has grown it does not allocate.
//
// Small products of BF16, such as the tiles of attention, pack both operands each time. They are fastest with
// m and n multiples of 32, k a multiple of 32 up to 512, and an F32 result, which is then written in place;
// rows of the result that lie a multiple of 4 KiB apart compete for the same places in the cache.
func MulSerial(w *Workspace, c, a, b Operand, m, n, k int, accumulate bool) {
	multiply(w, serial{}, product{c: c, a: a, b: b, m: m, n: n, k: k, accumulate: accumulate})
}

// MulBatch does the products of a batch: at gives the operands of the i-th, 0 ≤ i < batch, and is called
// from several goroutines. No result may overlap another or an operand. It is parallel over the batch,
// or within each product where the batch is short.
func MulBatch(batch int, at func(i int) (c, a, b Operand), m, n, k int, accumulate bool) {
	const (
		fewLarge = 8       // a batch shorter than this leaves processors idle at its end,
		large    = 1 << 20 // which matters if one product alone takes this many multiplications
		perTask  = 1 << 17
	)
	if work := m * n * k; batch == 1 || batch < fewLarge && work >= large {
		for i := range batch {
			c, a, b := at(i)
			Mul(c, a, b, m, n, k, accumulate)
		}
		return
	}
	pool.Run(batch, max(1, perTask/max(1, m*n*k)), func(lo, hi int) {
		w := GetWorkspace()
		defer w.Put()
		for i := lo; i < hi; i++ {
			c, a, b := at(i)
			MulSerial(w, c, a, b, m, n, k, accumulate)
		}
	})
}

// A job is work in numbered tasks that do not depend on each other. A task gets the memory of whoever
// runs it.
type job interface{ do(w *Workspace, task int) }

// A runner spreads the tasks of a job, or does them one after the other.
type runner interface {
	run(w *Workspace, tasks int, j job)
}

type serial struct{}

func (serial) run(w *Workspace, tasks int, j job) {
	for task := range tasks {
		j.do(w, task)
	}
}

type parallel struct{}

func (parallel) run(w *Workspace, tasks int, j job) {
	if tasks <= 1 {
		serial{}.run(w, tasks, j)
		return
	}
	pool.RunChunks(tasks, func(task int) {
		w := GetWorkspace()
		defer w.Put()
		j.do(w, task)
	})
}

// multiply chooses the way.
func multiply(w *Workspace, r runner, p product) {
	if p.m == 0 || p.n == 0 {
		return
	}
	ks := kernelsFor(p.a.DType, p.b.DType)
	if p.n == 1 {
		p.c.ColStride = 1
	} else if p.c.ColStride != 1 && (p.m == 1 || p.c.RowStride == 1) {
		// cᵀ = bᵀ·aᵀ has the rows of its result in one piece.
		if p.m == 1 {
			p.c.RowStride = 1
		}
		p = p.transposed()
	}
	switch {
	case p.k == 0:
		p.finishEmpty(w, ks.dtype)
	case thin(w, r, ks, p):
	case mulBF16(w, r, p):
	case p.direct(ks.dtype):
		blocked(w, r, ks, p)
	default:
		viaScratch(w, r, ks.dtype, p, func(sums product) { blocked(w, r, ks, sums) })
	}
}

// finishEmpty computes a product whose sums have no terms.
func (p *product) finishEmpty(w *Workspace, dtype backend.DType) {
	if p.accumulate && p.empty() {
		return
	}
	row := unsafe.Slice((*byte)(w.result.grow(p.n*dtype.Size())), p.n*dtype.Size())
	for i := range p.m {
		clear(row)
		p.finish(w, i, 0, 1, p.n, unsafe.Pointer(&row[0]), p.n, dtype)
	}
}

// viaScratch computes blocks of a result that the micro-kernels cannot write, and finishes each then: mul
// computes a block's sums, of dtype F32 or F64, to scratch memory.
func viaScratch(w *Workspace, r runner, dtype backend.DType, p product, mul func(sums product)) {
	const rows, cols = 1024, 2048
	for i := 0; i < p.m; i += rows {
		for j := 0; j < p.n; j += cols {
			part := p.block(i, j, min(rows, p.m-i), min(cols, p.n-j))
			sums := part
			sums.c = Operand{w.result.grow(part.m * part.n * dtype.Size()), dtype, part.n, 1}
			sums.accumulate, sums.Epilogue = false, Epilogue{}
			mul(sums)
			w.storing = storing{part, sums.c}
			r.run(w, ceilDiv(part.m, w.storing.rows()), &w.storing)
		}
	}
	w.storing = storing{}
}

// storing is the job of finishing a block of a result.
type storing struct {
	product
	sums Operand
}

// rows is the number of rows that a task finishes.
func (s *storing) rows() int {
	const perTask = 1 << 15
	return max(1, perTask/s.n)
}

func (s *storing) do(w *Workspace, task int) {
	lo := task * s.rows()
	s.finish(w, lo, 0, min(s.rows(), s.m-lo), s.n, s.sums.at(lo, 0), s.n, s.sums.DType)
}
