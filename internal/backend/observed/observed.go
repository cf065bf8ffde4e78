// Package observed wraps a backend so that somebody sees every kernel that runs: what it was called with,
// how long it took, and what it cost in bytes and arithmetic. Traces, profiles by op and the search for
// NaNs are built on it. Where nothing observes, nothing is wrapped and nothing is paid.
package observed

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
)

// A Call is one call of a kernel.
type Call struct {
	Kernel string // "MatMul", "Exp", "AttentionBackward"
	Out    []*backend.View
	In     []*backend.View
	FLOPs  float64 // arithmetic operations, a division or an exponential counted as one; 0 for copies
}

// Bytes is the size of what the call reads and writes, each view counted once and broadcast axes once.
func (c *Call) Bytes() int {
	n := 0
	for _, vs := range [][]*backend.View{c.Out, c.In} {
		for _, v := range vs {
			n += footprint(v)
		}
	}
	return n
}

// An Observer is told of every call. Before may be called again before After: kernels that call others
// do so below this layer, but several goroutines may use one backend.
type Observer interface {
	// Around runs the kernel by calling run, once.
	Around(c *Call, run func())
}

// Backend runs the kernels of another one under the eyes of an Observer. It has every optional kernel of
// package backend; use backend.Fused to learn whether the one below has it too.
type Backend struct {
	backend.Backend // what is no kernel passes through: Info, Alloc, Free, CopyIn, CopyOut, Sync
	observer        Observer
}

// New is b seen by an observer.
func New(b backend.Backend, o Observer) *Backend { return &Backend{b, o} }

// Unwrap is the backend that does the work.
func (b *Backend) Unwrap() backend.Backend { return b.Backend }

type views = []*backend.View

// present are the views that are there.
func present(vs ...*backend.View) views {
	kept := vs[:0]
	for _, v := range vs {
		if v != nil {
			kept = append(kept, v)
		}
	}
	return kept
}

func (b *Backend) run(kernel string, flops float64, out, in views, f func()) {
	b.observer.Around(&Call{Kernel: kernel, Out: out, In: in, FLOPs: flops}, f)
}

func elements(v *backend.View) float64 { return float64(v.Len()) }

// footprint is the number of bytes that lie behind a view.
func footprint(v *backend.View) int {
	n := 1
	for i, d := range v.Dims() {
		if v.Strides[i] != 0 || d == 0 {
			n *= d
		}
	}
	return v.DType.Bytes(n)
}

// fused is an optional kernel of the backend below. Callers have asked backend.Fused before.
func fused[T any](b *Backend) T { return b.Backend.(T) }

// UsesHostMemory implements backend.HostMemory; see backend.Fused.
func (b *Backend) UsesHostMemory() { fused[backend.HostMemory](b).UsesHostMemory() }

// Poison implements backend.Poisoner; see backend.Fused.
func (b *Backend) Poison(p unsafe.Pointer, bytes int) { fused[backend.Poisoner](b).Poison(p, bytes) }

// The core kernels.

func (b *Backend) Fill(out *backend.View, value float64) {
	b.run("Fill", 0, views{out}, nil, func() { b.Backend.Fill(out, value) })
}

func (b *Backend) Arange(out *backend.View, start, step float64) {
	b.run("Arange", elements(out), views{out}, nil, func() { b.Backend.Arange(out, start, step) })
}

func (b *Backend) Random(out *backend.View, d backend.Dist, key, counter uint64, lo, hi float64) {
	b.run("Random", 0, views{out}, nil, func() { b.Backend.Random(out, d, key, counter, lo, hi) })
}

func (b *Backend) Copy(out, x *backend.View) {
	b.run("Copy", 0, views{out}, views{x}, func() { b.Backend.Copy(out, x) })
}

func (b *Backend) Unary(op backend.UnaryOp, out, x *backend.View) {
	b.run(op.String(), elements(out), views{out}, views{x}, func() { b.Backend.Unary(op, out, x) })
}

func (b *Backend) Binary(op backend.BinaryOp, out, x, y *backend.View) {
	b.run(op.String(), elements(out), views{out}, views{x, y}, func() { b.Backend.Binary(op, out, x, y) })
}

func (b *Backend) Scalar(op backend.BinaryOp, out, x *backend.View, s float64) {
	b.run(op.String()+"Scalar", elements(out), views{out}, views{x}, func() { b.Backend.Scalar(op, out, x, s) })
}

func (b *Backend) Where(out, cond, x, y *backend.View) {
	b.run("Where", 0, views{out}, views{cond, x, y}, func() { b.Backend.Where(out, cond, x, y) })
}

func (b *Backend) Reduce(op backend.ReduceOp, out, x *backend.View) {
	b.run("Reduce"+op.String(), elements(x), views{out}, views{x}, func() { b.Backend.Reduce(op, out, x) })
}

func (b *Backend) MatMul(out, x, y *backend.View, accumulate bool) {
	b.run("MatMul", products(out, x), views{out}, views{x, y}, func() { b.Backend.MatMul(out, x, y, accumulate) })
}

func (b *Backend) Gather(out, x, index *backend.View) {
	// Of x no more is read than what is written.
	b.run("Gather", 0, views{out}, views{out, index}, func() { b.Backend.Gather(out, x, index) })
}

func (b *Backend) ScatterAdd(out, index, x *backend.View) {
	b.run("ScatterAdd", elements(x), views{x}, views{x, index}, func() { b.Backend.ScatterAdd(out, index, x) })
}

// products is the cost of a matrix product.
func products(out, x *backend.View) float64 {
	return 2 * elements(out) * float64(x.Shape[x.Rank-1])
}

var _ backend.Backend = (*Backend)(nil)
