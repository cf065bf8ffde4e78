// Package gemm multiplies matrices on the CPU.
//
// Large products are packed and blocked after Goto and van de Geijn (2008), "Anatomy of high-performance
// matrix multiplication", and BLIS (Van Zee and van de Geijn 2015): operands are copied, block by block,
// into the order in which a micro-kernel reads them, and the micro-kernel keeps a tile of the result in
// registers over a whole block of k. The copy takes care of transposition and of narrow dtypes, so one
// micro-kernel serves them all. Products of a few rows, which would wait for memory longer than they
// compute, read the other matrix once and in place.
//
// Every element of a result is summed in an order that depends on the shapes and the kernel path only:
// the number of processors and the division into tasks do not change a bit.
package gemm

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/pool"
)

// Operand is a strided matrix of a float dtype: element (i, j) lies i·RowStride + j·ColStride elements
// behind Ptr. Any strides are right; those with one of the two equal to 1 are fast.
type Operand struct {
	Ptr                  unsafe.Pointer
	DType                backend.DType
	RowStride, ColStride int
}

// at is the address of element (i, j).
func (o Operand) at(i, j int) unsafe.Pointer {
	return unsafe.Add(o.Ptr, (i*o.RowStride+j*o.ColStride)*o.DType.Size())
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
	w := GetWorkspace()
	defer w.Put()
	multiply(w, parallel{}, c, a, b, m, n, k, accumulate)
}

// MulSerial is Mul on the calling goroutine, with scratch memory that the caller keeps. It gives the
// same bits as Mul.
func MulSerial(w *Workspace, c, a, b Operand, m, n, k int, accumulate bool) {
	multiply(w, serial{}, c, a, b, m, n, k, accumulate)
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
func multiply(w *Workspace, r runner, c, a, b Operand, m, n, k int, accumulate bool) {
	if m == 0 || n == 0 {
		return
	}
	ks := kernelsFor(a.DType, b.DType)
	if n == 1 {
		c.ColStride = 1
	} else if c.ColStride != 1 && (m == 1 || c.RowStride == 1) {
		// cᵀ = bᵀ·aᵀ has the rows of its result in one piece.
		if m == 1 {
			c.RowStride = 1
		}
		c, a, b, m, n = c.transposed(), b.transposed(), a.transposed(), n, m
	}
	switch {
	case k == 0:
		if !accumulate {
			clearMatrix(c, m, n)
		}
	case thin(w, r, ks, c, a, b, m, n, k, accumulate):
	case c.DType == ks.dtype && c.ColStride == 1:
		blocked(w, r, ks, c, a, b, m, n, k, accumulate)
	default:
		viaScratch(w, r, ks, c, a, b, m, n, k, accumulate)
	}
}

// viaScratch computes blocks of a result that the micro-kernels cannot write, and converts each then.
func viaScratch(w *Workspace, r runner, ks *kernels, c, a, b Operand, m, n, k int, accumulate bool) {
	const rows, cols = 1024, 2048
	for i := 0; i < m; i += rows {
		mb := min(rows, m-i)
		for j := 0; j < n; j += cols {
			nb := min(cols, n-j)
			t := Operand{w.result.grow(mb * nb * ks.dtype.Size()), ks.dtype, nb, 1}
			blocked(w, r, ks, t, a.from(i, 0), b.from(0, j), mb, nb, k, false)
			w.storing = storing{c: c.from(i, j), from: t, m: mb, n: nb, accumulate: accumulate}
			r.run(w, ceilDiv(mb, w.storing.rows()), &w.storing)
		}
	}
	w.storing = storing{}
}

// storing is the job of converting a block of a result.
type storing struct {
	c, from    Operand
	m, n       int
	accumulate bool
}

// rows is the number of rows that a task converts.
func (s *storing) rows() int {
	const perTask = 1 << 15
	return max(1, perTask/s.n)
}

func (s *storing) do(w *Workspace, task int) {
	lo := task * s.rows()
	for i := lo; i < min(lo+s.rows(), s.m); i++ {
		store(w, s.c.from(i, 0), s.from.at(i, 0), s.from.DType, s.n, s.accumulate)
	}
}
