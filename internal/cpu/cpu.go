// Package cpu is the backend that runs on the processor: float32 loops in SIMD (package simd), blocked
// matrix products (package gemm), and a pool of workers (package pool) under both.
//
// Kernels are written once, generically over the type of the elements that they read and write: float32,
// float64, or the bits of a BF16, which the loops below widen, compute with in float32 and round in one
// pass. Rows of F16 are converted into scratch on their way in and out, a block of a thousand elements at
// a time, so that they stay in the first-level cache.
//
// Work is cut into chunks by the shapes alone and sums are folded in the order of the chunks, so the
// results are the same bits for any GOMAXPROCS within one SIMD path.
package cpu

import (
	"runtime"
	"sync"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

// A Backend runs kernels in the calling goroutine and the worker pool; they have finished when a method
// returns. It holds no state: all its values are equal, and any goroutine may use one.
type Backend struct{}

// New returns the CPU.
func New() *Backend { return &Backend{} }

// UsesHostMemory implements backend.HostMemory.
func (*Backend) UsesHostMemory() {}

var (
	_ backend.Backend        = (*Backend)(nil)
	_ backend.HostMemory     = (*Backend)(nil)
	_ backend.Scanner        = (*Backend)(nil)
	_ backend.Sorter         = (*Backend)(nil)
	_ backend.Softmaxer      = (*Backend)(nil)
	_ backend.MatMulAdder    = (*Backend)(nil)
	_ backend.RMSNormer      = (*Backend)(nil)
	_ backend.RoPEr          = (*Backend)(nil)
	_ backend.NormRoPEr      = (*Backend)(nil)
	_ backend.LayerNormer    = (*Backend)(nil)
	_ backend.SwiGLUer       = (*Backend)(nil)
	_ backend.Attentioner    = (*Backend)(nil)
	_ backend.CrossEntropyer = (*Backend)(nil)
	_ backend.AdamWer        = (*Backend)(nil)
	_ backend.Muoner         = (*Backend)(nil)
	_ backend.SGDer          = (*Backend)(nil)
	_ backend.Lioner         = (*Backend)(nil)
	_ backend.Adafactorer    = (*Backend)(nil)
	_ backend.SquareSummer   = (*Backend)(nil)

	_ backend.Unfolder           = (*Backend)(nil)
	_ backend.DepthwiseConvolver = (*Backend)(nil)
	_ backend.MaxPooler          = (*Backend)(nil)

	_ backend.Quantizer         = (*Backend)(nil)
	_ backend.QuantizedMatMuler = (*Backend)(nil)
)

// architecture stands in where the system does not name its processor.
const architecture = runtime.GOARCH

var machine = sync.OnceValue(func() backend.Info {
	return backend.Info{Name: "cpu", Model: processorModel(), Memory: totalMemory()}
})

// Info names the processor, the SIMD path in use and the memory that the machine and its cgroup allow.
func (*Backend) Info() backend.Info {
	info := machine()
	info.Path = simd.Path()
	return info
}

// CopyIn copies src to dst.
func (*Backend) CopyIn(dst unsafe.Pointer, src []byte) {
	copy(unsafe.Slice((*byte)(dst), len(src)), src)
}

// CopyOut copies len(dst) bytes from src.
func (*Backend) CopyOut(dst []byte, src unsafe.Pointer) {
	copy(dst, unsafe.Slice((*byte)(src), len(dst)))
}

// Sync returns nil: nothing is ever pending.
func (*Backend) Sync() error { return nil }
