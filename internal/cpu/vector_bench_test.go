package cpu_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu"
)

// BenchmarkVector are the kernels beside matrix products and attention, in the shapes of a step of
// Qwen3-0.6B over 1,024 tokens. Bytes are those that must be read and written at least.
func BenchmarkVector(b *testing.B) {
	for _, dt := range []backend.DType{backend.F32, backend.BF16} {
		hiddenKernels(b, dt, 1024, 1024)
		mlpKernels(b, dt, 1024, 3072)
		headKernels(b, dt, 1024, 16, 128)
		rowKernels(b, dt, 256, 1024)
		lossKernels(b, dt, 64, 151936)
	}
}

// measure runs a kernel over elements that each take so many bytes.
func measure(b *testing.B, name string, dt backend.DType, elements, bytes int, kernel func()) {
	b.Run(fmt.Sprintf("%s/%v", name, dt), func(b *testing.B) {
		b.SetBytes(int64(elements) * int64(bytes))
		for b.Loop() {
			kernel()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(elements), "ns/element")
	})
}

func hiddenKernels(b *testing.B, dt backend.DType, t, h int) {
	c, size, n := cpu.New(), dt.Size(), t*h
	x, y, out := random(b, dt, t, h), random(b, dt, t, h), random(b, dt, t, h)
	w, rstd, dw := random(b, dt, h), random(b, backend.F32, t), random(b, backend.F32, h)
	bias := *w
	bias.Rank, bias.Shape, bias.Strides = 2, x.Shape, [backend.MaxRank]int{0, 1}
	column := *random(b, dt, t, 1)
	column.Shape, column.Strides = x.Shape, [backend.MaxRank]int{1, 0}
	flipped := *x
	flipped.Strides[0], flipped.Strides[1] = 1, t
	mask := random(b, backend.F32, t, h)
	where := backend.NewView(random(b, backend.F32, t, h).Ptr, backend.Bool, t, h)
	c.Binary(backend.Gt, &where, mask, x32(b, t, h))
	sumRows, sumColumns, sumAll := random(b, dt, t, 1), random(b, dt, 1, h), random(b, dt, 1, 1)
	index := backend.NewView(random(b, backend.F32, t, 1).Ptr, backend.I32, t, 1)
	measure(b, "Add", dt, n, 3*size, func() { c.Binary(backend.Add, out, x, y) })
	measure(b, "AddBias", dt, n, 2*size, func() { c.Binary(backend.Add, out, x, &bias) })
	measure(b, "MulColumn", dt, n, 2*size, func() { c.Binary(backend.Mul, out, x, &column) })
	measure(b, "Max", dt, n, 3*size, func() { c.Binary(backend.Max, out, x, y) })
	measure(b, "Gt", dt, n, 2*size+1, func() { c.Binary(backend.Gt, &where, x, y) })
	measure(b, "Where", dt, n, 3*size+1, func() { c.Where(out, &where, x, y) })
	measure(b, "Scale", dt, n, 2*size, func() { c.Scalar(backend.Mul, out, x, 0.5) })
	for op, name := range map[backend.UnaryOp]string{
		backend.Abs: "Abs", backend.Exp: "Exp", backend.Log: "Log", backend.Sqrt: "Sqrt", backend.Rsqrt: "Rsqrt", backend.Sin: "Sin",
		backend.Tanh: "Tanh", backend.SiLU: "SiLU", backend.ReLU: "ReLU", backend.Reciprocal: "Reciprocal",
	} {
		measure(b, name, dt, n, 2*size, func() { c.Unary(op, out, x) })
	}
	measure(b, "Copy", dt, n, 2*size, func() { c.Copy(out, x) })
	measure(b, "CopyTransposed", dt, n, 2*size, func() { c.Copy(out, &flipped) })
	if dt == backend.F32 {
		half, short := random(b, backend.BF16, t, h), random(b, backend.F16, t, h)
		measure(b, "CopyToBF16", dt, n, 6, func() { c.Copy(half, x) })
		measure(b, "CopyFromBF16", dt, n, 6, func() { c.Copy(x, half) })
		measure(b, "CopyToF16", dt, n, 6, func() { c.Copy(short, x) })
		measure(b, "CopyFromF16", dt, n, 6, func() { c.Copy(x, short) })
	}
	measure(b, "Fill", dt, n, size, func() { c.Fill(out, 1) })
	measure(b, "SumLastAxis", dt, n, size, func() { c.Reduce(backend.Sum, sumRows, x) })
	measure(b, "SumFirstAxis", dt, n, size, func() { c.Reduce(backend.Sum, sumColumns, x) })
	measure(b, "SumAll", dt, n, size, func() { c.Reduce(backend.Sum, sumAll, x) })
	measure(b, "MaxFirstAxis", dt, n, size, func() { c.Reduce(backend.ReduceMax, sumColumns, x) })
	measure(b, "ArgMax", dt, n, size, func() { c.Reduce(backend.ArgMax, &index, x) })
	measure(b, "RMSNorm", dt, n, 2*size, func() { c.RMSNorm(out, rstd, x, w, 1e-6) })
	measure(b, "RMSNormBackward", dt, n, 3*size, func() { c.RMSNormBackward(out, dw, y, x, w, rstd) })
	mean, db := random(b, backend.F32, t), random(b, backend.F32, h)
	measure(b, "LayerNorm", dt, n, 2*size, func() { c.LayerNorm(out, mean, rstd, x, w, w, 1e-6) })
	measure(b, "LayerNormBackward", dt, n, 3*size, func() { c.LayerNormBackward(out, dw, db, y, x, w, mean, rstd) })
}

// x32 is a matrix of zeros.
func x32(b *testing.B, t, h int) *backend.View {
	v := random(b, backend.F32, t, h)
	cpu.New().Fill(v, 0)
	return v
}

func mlpKernels(b *testing.B, dt backend.DType, t, m int) {
	c, size, n := cpu.New(), dt.Size(), t*m
	gate, up, dy := random(b, dt, t, m), random(b, dt, t, m), random(b, dt, t, m)
	dgate, dup := random(b, dt, t, m), random(b, dt, t, m)
	measure(b, "SwiGLU", dt, n, 3*size, func() { c.SwiGLU(dy, gate, up) })
	measure(b, "SwiGLUBackward", dt, n, 5*size, func() { c.SwiGLUBackward(dgate, dup, dy, gate, up) })
}

func headKernels(b *testing.B, dt backend.DType, t, heads, d int) {
	c, size, n := cpu.New(), dt.Size(), t*heads*d
	x, out, dy := random(b, dt, t, heads, d), random(b, dt, t, heads, d), random(b, dt, t, heads, d)
	cos, sin := random(b, backend.F32, t, d/2), random(b, backend.F32, t, d/2)
	w, rstd, dw := random(b, dt, d), random(b, backend.F32, t*heads), random(b, backend.F32, d)
	measure(b, "NormRoPE", dt, n, 2*size, func() { c.NormRoPE(out, rstd, x, w, cos, sin, 1e-6) })
	measure(b, "NormRoPEBackward", dt, n, 3*size, func() { c.NormRoPEBackward(out, dw, dy, x, w, rstd, cos, sin) })
	rows := func(v *backend.View) *backend.View {
		r := backend.NewView(v.Ptr, dt, t*heads, d)
		return &r
	}
	measure(b, "RoPE", dt, n, 2*size, func() { c.RoPE(out, x, cos, sin, false) })
	measure(b, "QKNorm", dt, n, 2*size, func() { c.RMSNorm(rows(out), rstd, rows(x), w, 1e-6) })
	measure(b, "QKNormBackward", dt, n, 3*size, func() { c.RMSNormBackward(rows(out), dw, rows(dy), rows(x), w, rstd) })
}

func rowKernels(b *testing.B, dt backend.DType, rows, width int) {
	c, size, n := cpu.New(), dt.Size(), rows*width
	x, y, out := random(b, dt, rows, width), random(b, dt, rows, width), random(b, dt, rows, width)
	measure(b, "Softmax", dt, n, 2*size, func() { c.Softmax(out, x) })
	measure(b, "SoftmaxBackward", dt, n, 3*size, func() { c.SoftmaxBackward(out, x, y) })
}

// lossKernels have logits in F32; dt is that of their gradients.
func lossKernels(b *testing.B, dt backend.DType, t, vocab int) {
	c, n := cpu.New(), t*vocab
	logits, loss, lse, scale := random(b, backend.F32, t, vocab), random(b, backend.F32, t), random(b, backend.F32, t), random(b, backend.F32, t)
	d := random(b, dt, t, vocab)
	ids := make([]int32, t)
	for i := range ids {
		ids[i] = int32(rand.IntN(vocab))
	}
	targets := backend.NewView(unsafe.Pointer(&ids[0]), backend.I32, t)
	if dt == backend.F32 {
		measure(b, "CrossEntropy", dt, n, 4, func() { c.CrossEntropy(loss, lse, logits, &targets, backend.CrossEntropyArgs{}) })
	}
	c.CrossEntropy(loss, lse, logits, &targets, backend.CrossEntropyArgs{})
	measure(b, "CrossEntropyBackward", dt, n, 4+dt.Size(), func() {
		c.CrossEntropyBackward(d, logits, lse, &targets, scale, backend.CrossEntropyArgs{})
	})
}
