package tensor_test

import (
	"math"

	"github.com/hone-ml/hone/tensor"
)

// A layer is a small transformer layer as in Qwen3, for tests of what many ops do together.
type layer struct {
	heads, kv, headDim    int
	norm1, q, k, v, o     T
	norm2, gate, up, down T
	dropout               float64
}

func newLayer(d *tensor.Device, r *tensor.Rand, dt tensor.DType, hidden, heads, kv, headDim, inner int) *layer {
	w := func(out, in int) T {
		p := tensor.Randn(d, dt, r, 1/math.Sqrt(float64(in)), out, in)
		p.SetTrainable(true)
		return p
	}
	norm := func() T {
		p := tensor.Ones(d, dt, hidden)
		p.SetTrainable(true)
		return p
	}
	return &layer{heads: heads, kv: kv, headDim: headDim,
		norm1: norm(), q: w(heads*headDim, hidden), k: w(kv*headDim, hidden), v: w(kv*headDim, hidden), o: w(hidden, heads*headDim),
		norm2: norm(), gate: w(inner, hidden), up: w(inner, hidden), down: w(hidden, inner)}
}

func (l *layer) params() []T {
	return []T{l.norm1, l.q, l.k, l.v, l.o, l.norm2, l.gate, l.up, l.down}
}

// forward is the layer on x[0] [B, T, hidden] with the rotary tables x[1] and x[2].
func (l *layer) forward(x ...T) []T {
	h, cos, sin := x[0], x[1], x[2]
	b, t := h.Dim(0), h.Dim(1)
	n := tensor.RMSNorm(h, l.norm1, 1e-6)
	heads := func(w T, heads int) T { return tensor.Linear(n, w, nil).Reshape(b, t, heads, l.headDim) }
	q, k := tensor.RoPE(heads(l.q, l.heads), cos, sin), tensor.RoPE(heads(l.k, l.kv), cos, sin)
	a := tensor.Attention(q, k, heads(l.v, l.kv), tensor.AttentionOptions{Causal: true})
	a = tensor.Linear(a.Reshape(b, t, l.heads*l.headDim), l.o, nil)
	h = h.Add(tensor.Dropout(a, l.dropout))
	n = tensor.RMSNorm(h, l.norm2, 1e-6)
	m := tensor.Linear(tensor.SwiGLU(tensor.Linear(n, l.gate, nil), tensor.Linear(n, l.up, nil)), l.down, nil)
	return []T{h.Add(tensor.Dropout(m, l.dropout))}
}

// A model is an embedding, layers, and the embedding again as the head.
type model struct {
	embedding, norm T
	layers          []*layer
	wrap            func(fn tensor.BlockFunc, inputs ...T) []T // how a layer is run: tensor.Block, tensor.Checkpoint, or direct
}

func direct(fn tensor.BlockFunc, inputs ...T) []T { return fn(inputs...) }

func newModel(d *tensor.Device, dt tensor.DType, layers, vocab, hidden, heads, kv, headDim, inner int) *model {
	r := tensor.NewRand(42)
	m := &model{embedding: param(d, r, dt, vocab, hidden), norm: tensor.Ones(d, dt, hidden), wrap: direct}
	m.norm.SetTrainable(true)
	for range layers {
		m.layers = append(m.layers, newLayer(d, r, dt, hidden, heads, kv, headDim, inner))
	}
	return m
}

func tinyModel(d *tensor.Device, dt tensor.DType) *model {
	return newModel(d, dt, 2, 19, 16, 4, 2, 6, 24)
}

func (m *model) params() []T {
	ps := []T{m.embedding, m.norm}
	for _, l := range m.layers {
		ps = append(ps, l.params()...)
	}
	return ps
}

// loss is the mean cross-entropy of predicting each next id of rows of ids, which differ by seed. divisor is
// that of CrossEntropyOptions.
func (m *model) loss(s *tensor.Scope, rows, length, seed int, divisor float64) T {
	return m.slice(s, rows, length, 0, rows, seed, divisor)
}

// slice is the loss of rows [lo, hi) alone.
func (m *model) slice(s *tensor.Scope, rows, length, lo, hi, seed int, divisor float64) T {
	vocab := m.embedding.Dim(0)
	ids, targets := make([]int32, rows*length), make([]int32, rows*length)
	for i := range ids {
		at := func(i int) int32 { return int32((seed*131 + i*i*7 + i/length*5) % vocab) }
		ids[i], targets[i] = at(i), at(i+1)
		if i%length == length-1 {
			targets[i] = -100
		}
	}
	n := hi - lo
	ids, targets = ids[lo*length:hi*length], targets[lo*length:hi*length]
	h := tensor.Embedding(m.embedding, tensor.FromSlice(s, ids, n, length))
	positions := tensor.Arange(s, tensor.I32, 0, float64(length), 1).Expand(n, length)
	cos, sin := tensor.RoPETable(positions, m.layers[0].headDim, 1e4)
	for _, l := range m.layers {
		h = m.wrap(l.forward, h, cos, sin)[0]
	}
	h = tensor.RMSNorm(h, m.norm, 1e-6)
	return tensor.LinearCrossEntropy(h, m.embedding, tensor.FromSlice(s, targets, n, length), tensor.CrossEntropyOptions{Divisor: divisor})
}

// train runs one forward and backward and returns the loss, the gradients and the scope's peak.
func (m *model) train(d *tensor.Device) (loss float64, g *tensor.Grads, peak int) {
	g = tensor.NewGrads(named(m.params()...), tensor.F32)
	s := d.NewTape()
	defer s.Close()
	s.UseRand(tensor.NewRand(5))
	l := m.loss(s, 3, 12, 0, 0)
	l.Backward(g)
	return l.Item(), g, s.Peak()
}
