package cpu_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu"
)

// random is a contiguous tensor of normal numbers, freed when the benchmark ends.
func random(b *testing.B, dt backend.DType, shape ...int) *backend.View {
	v := backend.NewView(nil, dt, shape...)
	bytes := v.Len() * dt.Size()
	p, err := cpu.New().Alloc(bytes)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { cpu.New().Free(p, bytes) })
	v.Ptr = p
	cpu.New().Random(&v, backend.Normal, rand.Uint64(), 0, 0, 1)
	return &v
}

func BenchmarkAttention(b *testing.B) {
	shapes := []struct {
		segments, queries, keys, heads, kvHeads, dim int
	}{
		{12, 100, 100, 4, 2, 32},
		{1, 128, 128, 16, 8, 128},
		{8, 128, 128, 16, 8, 128},
		{1, 512, 512, 16, 8, 128},
		{1, 1024, 1024, 16, 8, 128},
		{1, 2048, 2048, 16, 8, 128},
		{1, 4096, 4096, 16, 8, 128},
		{1, 1, 1024, 16, 8, 128},
		{8, 1, 128, 4, 2, 32},
	}
	for _, s := range shapes {
		for _, dt := range []backend.DType{backend.F32, backend.BF16} {
			q, k, v := random(b, dt, s.segments*s.queries, s.heads, s.dim), random(b, dt, s.segments*s.keys, s.kvHeads, s.dim), random(b, dt, s.segments*s.keys, s.kvHeads, s.dim)
			out, dout := random(b, dt, q.Dims()...), random(b, dt, q.Dims()...)
			dq, dk, dv := random(b, dt, q.Dims()...), random(b, dt, k.Dims()...), random(b, dt, v.Dims()...)
			lse := random(b, backend.F32, s.heads, s.segments*s.queries)
			a := backend.AttentionArgs{Causal: true, Scale: 1 / math.Sqrt(float64(s.dim))}
			for i := range s.segments {
				a.Segments = append(a.Segments, backend.Segment{
					Q0: int32(i * s.queries), Q1: int32((i + 1) * s.queries), K0: int32(i * s.keys), K1: int32((i + 1) * s.keys),
				})
			}
			visible := float64(s.segments*s.queries) * (float64(s.keys) - float64(s.queries-1)/2)
			flops := 4 * visible * float64(s.heads*s.dim)
			name := fmt.Sprintf("%dx%dx%d/h%d/kv%d/d%d/%v", s.segments, s.queries, s.keys, s.heads, s.kvHeads, s.dim, dt)
			b.Run("forward/"+name, func(b *testing.B) {
				for b.Loop() {
					cpu.New().Attention(out, lse, q, k, v, a)
				}
				b.ReportMetric(flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
			b.Run("backward/"+name, func(b *testing.B) {
				for b.Loop() {
					cpu.New().AttentionBackward(dq, dk, dv, dout, out, lse, q, k, v, a)
				}
				b.ReportMetric(2.5*flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}

// BenchmarkProjections are the products around the attention of 12 segments of 100 tokens.
func BenchmarkProjections(b *testing.B) {
	const tokens, hidden, queries, keys = 1200, 128, 128, 64
	x, q, kv := random(b, backend.F32, tokens, hidden), random(b, backend.F32, tokens, queries), random(b, backend.F32, tokens, keys)
	wq, wk := random(b, backend.F32, hidden, queries), random(b, backend.F32, hidden, keys)
	for b.Loop() {
		cpu.New().MatMul(q, x, wq, false)
		cpu.New().MatMul(kv, x, wk, false)
		cpu.New().MatMul(kv, x, wk, false)
		cpu.New().MatMul(x, q, wq, false)
	}
}

func BenchmarkSmallAdd(b *testing.B) {
	x := random(b, backend.F32, 64)
	for b.Loop() {
		cpu.New().Binary(backend.Add, x, x, x)
	}
}

func BenchmarkScatterAdd(b *testing.B) {
	const vocab, width, tokens = 151936, 1024, 1024
	out, x := random(b, backend.F32, vocab, width), random(b, backend.F32, tokens, width)
	index := backend.NewView(nil, backend.I32, tokens)
	ids := make([]int32, tokens)
	for i := range ids {
		ids[i] = int32(rand.IntN(vocab))
	}
	index.Ptr = unsafe.Pointer(&ids[0])
	b.Run("ScatterAdd", func(b *testing.B) {
		for b.Loop() {
			cpu.New().ScatterAdd(out, &index, x)
		}
	})
	b.Run("Gather", func(b *testing.B) {
		for b.Loop() {
			cpu.New().Gather(x, out, &index)
		}
	})
}
