package gemm

import (
	"fmt"
	"testing"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

// A benchCase is a product that a transformer makes: N and T say whether a and b are stored as they are
// or transposed.
type benchCase struct {
	name    string
	layout  string
	m, n, k int
}

var benchCases = []benchCase{
	{"square-1024", "NN", 1024, 1024, 1024},
	{"square-1024", "NT", 1024, 1024, 1024},
	{"square-1024", "TN", 1024, 1024, 1024},
	// Layers 128 wide over 1200 tokens: forward, dx, dw.
	{"width-128-forward", "NT", 1200, 128, 128},
	{"width-128-forward", "NT", 1200, 384, 128},
	{"width-128-forward", "NT", 1200, 1024, 128},
	{"width-128-dx", "NN", 1200, 128, 384},
	{"width-128-dx", "NN", 1200, 128, 1024},
	{"width-128-dw", "TN", 128, 128, 1200},
	{"width-128-dw", "TN", 384, 128, 1200},
	{"width-128-dw", "TN", 1024, 128, 1200},
	// Qwen3-0.6B over 512 tokens.
	{"qwen-up-forward", "NT", 512, 3072, 1024},
	{"qwen-down-forward", "NT", 512, 1024, 3072},
	{"qwen-up-dx", "NN", 512, 1024, 3072},
	{"qwen-up-dw", "TN", 3072, 1024, 512},
	// Tiles of attention.
	{"attention-qk", "NT", 100, 100, 32},
	{"attention-pv", "NN", 100, 32, 100},
	// Decoding a few tokens at a time.
	{"decode", "NT", 1, 3072, 1024},
	{"decode", "NT", 4, 3072, 1024},
	{"decode", "NT", 16, 3072, 1024},
}

func (bc benchCase) run(b *testing.B, dtype backend.DType, mul mulFunc) {
	matrix := func(rows, cols int, transposed bool) Operand {
		x := make([]float32, rows*cols)
		for i := range x {
			x[i] = 1
		}
		o := Operand{unsafe.Pointer(&x[0]), dtype, cols, 1}
		if transposed {
			o.RowStride, o.ColStride = 1, rows
		}
		return o
	}
	x, y := matrix(bc.m, bc.k, bc.layout[0] == 'T'), matrix(bc.k, bc.n, bc.layout[1] == 'T')
	out := matrix(bc.m, bc.n, false)
	for b.Loop() {
		mul(out, x, y, bc.m, bc.n, bc.k, false)
	}
	flop := 2 * float64(bc.m) * float64(bc.n) * float64(bc.k)
	b.ReportMetric(flop*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
}

func (bc benchCase) String() string {
	return fmt.Sprintf("%s/%s-%dx%dx%d", bc.name, bc.layout, bc.m, bc.n, bc.k)
}

// BenchmarkMul measures what Mul does on the processors that GOMAXPROCS allows.
func BenchmarkMul(b *testing.B) {
	for _, dtype := range []backend.DType{backend.F32, backend.BF16} {
		for _, bc := range benchCases {
			b.Run(fmt.Sprintf("%v/%v", dtype, bc), func(b *testing.B) { bc.run(b, dtype, Mul) })
		}
	}
}

// BenchmarkMulSerial measures one processor, on every path.
func BenchmarkMulSerial(b *testing.B) {
	var w Workspace
	mul := func(c, a, b Operand, m, n, k int, accumulate bool) { MulSerial(&w, c, a, b, m, n, k, accumulate) }
	simd.ForEachPath(func(path string) {
		for _, bc := range benchCases {
			b.Run(fmt.Sprintf("%s/%v", path, bc), func(b *testing.B) { bc.run(b, backend.F32, mul) })
		}
	})
}

// qwenLayers are the linear layers of Qwen3-0.6B, by the width of what comes in and goes out.
var qwenLayers = []struct {
	name    string
	in, out int
}{
	{"q", 1024, 2048}, {"o", 2048, 1024}, {"up", 1024, 3072}, {"down", 3072, 1024}, {"head", 1024, 151936},
}

// BenchmarkQwen measures the products of a training step of Qwen3-0.6B over 1024 tokens as they are in
// bfloat16: activations and their gradients are BF16, and dW is added to gradients of F32.
func BenchmarkQwen(b *testing.B) {
	const tokens = 1024
	for _, l := range qwenLayers {
		x, w, y := benchMatrix(backend.BF16, tokens, l.in), benchMatrix(backend.BF16, l.out, l.in), benchMatrix(backend.BF16, tokens, l.out)
		dw := benchMatrix(backend.F32, l.out, l.in)
		for _, bc := range []struct {
			name       string
			c, a, b    Operand
			m, n, k    int
			accumulate bool
		}{
			{"forward", y, x, w.transposed(), tokens, l.out, l.in, false},
			{"dx", x, y, w, tokens, l.in, l.out, false},
			{"dw", dw, y.transposed(), x, l.out, l.in, tokens, true},
		} {
			b.Run(l.name+"/"+bc.name, func(b *testing.B) {
				for b.Loop() {
					Mul(bc.c, bc.a, bc.b, bc.m, bc.n, bc.k, bc.accumulate)
				}
				flop := 2 * float64(bc.m) * float64(bc.n) * float64(bc.k)
				b.ReportMetric(flop*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
			})
		}
	}
}

// benchMatrix is a matrix of BF16 or F32 numbers of either sign between a half and two.
func benchMatrix(dtype backend.DType, rows, cols int) Operand {
	x := make([]byte, rows*cols*dtype.Size())
	o := Operand{unsafe.Pointer(&x[0]), dtype, cols, 1}
	halves := unsafe.Slice((*uint16)(o.Ptr), len(x)/2)
	state := uint32(1)
	for i := range halves {
		state = state*1664525 + 1013904223
		halves[i] = uint16(state>>16)&0x80ff | 0x3f00
	}
	return o
}
