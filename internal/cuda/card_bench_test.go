package cuda

import (
	"fmt"
	"math"
	"testing"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cuda/kernels"
)

// These benchmarks are for a card, which HONE_TEST_DEVICE names; see scripts/gpu-check.sh.

// BenchmarkLoadEveryFamily is how long the driver takes to compile all kernels, or to find them in its cache.
func BenchmarkLoadEveryFamily(b *testing.B) {
	dev := openCard(b)
	for b.Loop() {
		for _, family := range kernels.Families() {
			ptx, err := kernels.PTX(family)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := dev.ctx.LoadModule(ptx); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkLaunchOnTheCard is what issuing a kernel costs the host.
func BenchmarkLaunchOnTheCard(b *testing.B) {
	dev := openCard(b)
	p, done := dev.scratch(1 << 10)
	defer done()
	f := dev.function("fill", "fill_words_u32")
	for b.Loop() {
		launch(dev, f, dim3{1, 1, 1}, 256, 0, &fillArgs{p, 1, 256})
	}
	if err := dev.Sync(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkMatMulOnTheCard are the products of a step of Qwen3-0.6B at 2,048 tokens, and a square one: BF16 with sums
// in F32.
func BenchmarkMatMulOnTheCard(b *testing.B) {
	dev := openCard(b)
	for _, s := range []struct {
		name    string
		m, k, n int
	}{{"up", 2048, 1024, 3072}, {"down", 2048, 3072, 1024}, {"queries", 2048, 1024, 2048}, {"head", 1024, 1024, 151936 / 4}, {"square", 8192, 8192, 8192}} {
		for _, layout := range []string{"NN", "NT", "TN"} {
			b.Run(fmt.Sprintf("%s/%s", s.name, layout), func(b *testing.B) {
				x, y, out := filled(b, dev, s.m, s.k), filled(b, dev, s.k, s.n), filled(b, dev, s.m, s.n)
				if layout == "NT" {
					y.Strides[0], y.Strides[1] = 1, s.k
				}
				if layout == "TN" {
					x.Strides[0], x.Strides[1] = 1, s.m
				}
				for b.Loop() {
					dev.MatMul(&out, &x, &y, false)
				}
				if err := dev.Sync(); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(2*float64(s.m)*float64(s.k)*float64(s.n)*float64(b.N)/b.Elapsed().Seconds()/1e12, "TFLOP/s")
			})
		}
	}
}

// BenchmarkAttentionOnTheCard is the causal attention of a layer of Qwen3-0.6B at 2,048 tokens, in BF16.
func BenchmarkAttentionOnTheCard(b *testing.B) {
	const tokens, heads, kvHeads, dim = 2048, 16, 8, 128
	dev := openCard(b)
	q, k, v, out := filled(b, dev, tokens, heads, dim), filled(b, dev, tokens, kvHeads, dim), filled(b, dev, tokens, kvHeads, dim), filled(b, dev, tokens, heads, dim)
	dq, dk, dv, dout := filled(b, dev, tokens, heads, dim), filled(b, dev, tokens, kvHeads, dim), filled(b, dev, tokens, kvHeads, dim), filled(b, dev, tokens, heads, dim)
	lse := filled(b, dev, 2*heads, tokens)
	lse.DType, lse.Shape[0] = backend.F32, heads
	args := backend.AttentionArgs{Segments: []backend.Segment{{Q0: 0, Q1: tokens, K0: 0, K1: tokens}}, Causal: true, Scale: 1 / math.Sqrt(dim)}
	dev.Attention(&out, &lse, &q, &k, &v, args)
	const product = heads * dim * float64(tokens) * tokens // FLOPs of one of the products, of which half are masked
	for _, c := range []struct {
		name     string
		products float64
		run      func()
	}{
		{"forward", 2, func() { dev.Attention(&out, &lse, &q, &k, &v, args) }},
		{"backward", 5, func() { dev.AttentionBackward(&dq, &dk, &dv, &dout, &out, &lse, &q, &k, &v, args) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				c.run()
			}
			if err := dev.Sync(); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(c.products*product*float64(b.N)/b.Elapsed().Seconds()/1e12, "TFLOP/s")
		})
	}
}

// filled is random numbers in BF16 that are freed when the benchmark ends.
func filled(b *testing.B, dev *Backend, shape ...int) backend.View {
	b.Helper()
	v := backend.NewView(nil, backend.BF16, shape...)
	bytes := 2 * v.Len()
	p, err := dev.Alloc(bytes)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { dev.Free(p, bytes) })
	v.Ptr = p
	dev.Random(&v, backend.Normal, 1, 0, 0, 1)
	if err := dev.Sync(); err != nil {
		b.Fatal(err)
	}
	return v
}
