package tensor_test

import (
	"fmt"
	"testing"

	"github.com/hone-ml/hone/tensor"
)

// benchmark runs step in scope after scope, without poison.
func benchmark(b *testing.B, s *tensor.Scope, step func()) {
	tensor.CPU().Poison(false)
	defer tensor.CPU().Poison(true)
	defer s.Close()
	b.ReportAllocs()
	for b.Loop() {
		step()
		s.Reset()
	}
}

// smallOps are ops on tensors of one element, [1] and [1, 1].
var smallOps = []struct {
	name string
	fn   func(x, matrix T)
}{
	{"Add", func(x, _ T) { x.Add(x) }},
	{"AddScalar", func(x, _ T) { x.AddScalar(1) }},
	{"Exp", func(x, _ T) { x.Exp() }},
	{"Lt", func(x, _ T) { x.Lt(x) }},
	{"broadcast Mul", func(x, m T) { x.Mul(m) }},
	{"To", func(x, _ T) { x.To(tensor.BF16) }},
	{"Reshape", func(x, _ T) { x.Reshape(1, 1) }},
	{"Sum", func(x, _ T) { x.Sum() }},
	{"Where", func(x, _ T) { tensor.Where(x.GtScalar(0), x, x) }},
	{"MatMul", func(_, m T) { m.MatMul(m) }},
}

// What an op costs beside its arithmetic.
func BenchmarkOpOnOneElement(b *testing.B) {
	for _, c := range smallOps {
		for name, open := range map[string]func() *tensor.Scope{"scope": tensor.CPU().NewScope, "tape": tensor.CPU().NewTape} {
			b.Run(c.name+"/"+name, func(b *testing.B) {
				s, w := open(), paramOf(tensor.CPU(), []float32{1})
				tensor.CPU().Poison(false)
				defer tensor.CPU().Poison(true)
				defer s.Close()
				b.ReportAllocs()
				x := w.In(s)
				m := x.Reshape(1, 1)
				for i := 1; b.Loop(); i++ {
					if c.fn(x, m); i%100 == 0 {
						s.Reset()
						x = w.In(s)
						m = x.Reshape(1, 1)
					}
				}
			})
		}
	}
}

// BenchmarkMatMul is the products of a training step of Qwen3-0.6B on 1024 tokens: the forward pass of a layer
// [in → out], the gradient of its input and that of its weight. Of the head it is a tenth of the vocabulary, as
// LinearCrossEntropy takes it.
func BenchmarkMatMul(b *testing.B) {
	layers := []struct {
		name          string
		rows, in, out int
	}{{"q", 1024, 1024, 2048}, {"o", 1024, 2048, 1024}, {"up", 1024, 1024, 3072}, {"down", 1024, 3072, 1024}, {"head", 1024, 1024, 15216}}
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
		for _, l := range layers {
			b.Run(fmt.Sprintf("%v-%s", dt, l.name), func(b *testing.B) {
				d, r := tensor.CPU(), tensor.NewRand(1)
				w, x := tensor.Uniform(d, dt, r, -1, 1, l.out, l.in), tensor.Uniform(d, dt, r, -1, 1, l.rows, l.in)
				dy := tensor.Uniform(d, dt, r, -1, 1, l.rows, l.out)
				pass := func(name string, run func(s *tensor.Scope)) {
					b.Run(name, func(b *testing.B) {
						s := d.NewScope()
						benchmark(b, s, func() { run(s) })
						flop := 2 * float64(l.rows) * float64(l.in) * float64(l.out)
						b.ReportMetric(flop*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
					})
				}
				pass("forward", func(s *tensor.Scope) { tensor.Linear(x.In(s), w, nil) })
				pass("dX", func(s *tensor.Scope) { dy.In(s).MatMul(w) })
				pass("dW", func(s *tensor.Scope) { dy.In(s).T().MatMul(x) })
				for _, t := range []T{w, x, dy} {
					t.Free()
				}
			})
		}
	}
}

func BenchmarkAttention(b *testing.B) {
	d, r := tensor.CPU(), tensor.NewRand(1)
	q, k, v := param(d, r, tensor.F32, 1, 512, 16, 64), param(d, r, tensor.F32, 1, 512, 8, 64), param(d, r, tensor.F32, 1, 512, 8, 64)
	o := tensor.AttentionOptions{Causal: true}
	b.Run("forward", func(b *testing.B) {
		s := d.NewScope()
		benchmark(b, s, func() { tensor.Attention(q.In(s), k, v, o) })
	})
	b.Run("forward and backward", func(b *testing.B) {
		s, g := d.NewTape(), tensor.NewGrads(named(q, k, v), tensor.F32)
		benchmark(b, s, func() { tensor.Attention(q.In(s), k, v, o).Sum().Backward(g) })
	})
}

func BenchmarkLayer(b *testing.B) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
		b.Run(dt.String(), func(b *testing.B) {
			d := tensor.CPU()
			m := newModel(d, dt, 1, 100, 256, 8, 4, 32, 768)
			m.wrap = tensor.Block
			s, g := d.NewTape(), tensor.NewGrads(named(m.params()...), tensor.F32)
			benchmark(b, s, func() { m.loss(s, 2, 128, 0, 0).Backward(g) })
		})
	}
}

func BenchmarkNorm(b *testing.B) {
	d := tensor.CPU()
	p := tensor.Zeros(d, tensor.BF16, 64<<20)
	p.SetTrainable(true)
	g := tensor.NewGrads(named(p), tensor.F32)
	b.SetBytes(64 << 20 * 4)
	for b.Loop() {
		g.Norm()
	}
}

// BenchmarkLinearCrossEntropy is the head of Qwen3-0.6B, forward and backward, for 1,024 tokens that all carry loss.
func BenchmarkLinearCrossEntropy(b *testing.B) {
	const n, hidden, vocab = 1024, 1024, 151936
	d := tensor.CPU()
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
		b.Run(dt.String(), func(b *testing.B) {
			r := tensor.NewRand(1)
			h, w := tensor.Randn(d, dt, r, 1, n, hidden), tensor.Randn(d, dt, r, 0.02, vocab, hidden)
			h.SetTrainable(true)
			w.SetTrainable(true)
			targets, g, s := make([]int32, n), tensor.NewGrads(named(h, w), tensor.F32), d.NewTape()
			for i := range targets {
				targets[i] = int32(i * 131)
			}
			benchmark(b, s, func() {
				tensor.LinearCrossEntropy(h.In(s), w, tensor.FromSlice(s, targets), tensor.CrossEntropyOptions{}).Backward(g)
			})
			b.ReportMetric(3*2*n*hidden*vocab*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			b.ReportMetric(float64(s.Peak())/(1<<20), "MiB")
			for _, t := range []T{h, w, g.Flat()} {
				t.Free()
			}
		})
	}
}
