package nn_test

import (
	"fmt"
	"testing"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
)

func attentionCases() []layerCase {
	d, f32 := tensor.CPU(), tensor.F32
	packed := nn.AttentionConfig{Width: 12, Heads: 3, Bias: true}
	causal := packed
	causal.Causal = true
	cross := nn.NewMultiHeadAttention(d, f32, nn.AttentionConfig{Width: 12, Heads: 4, KVHeads: 2, HeadDim: 3, KVWidth: 7, Bias: true, Causal: true})
	cases := []layerCase{
		of("attention", nn.NewMultiHeadAttention(d, f32, packed)),
		of("attention_causal", nn.NewMultiHeadAttention(d, f32, causal)),
		of("attention_grouped", nn.NewMultiHeadAttention(d, f32, nn.AttentionConfig{Width: 12, Heads: 4, KVHeads: 2, HeadDim: 6, Causal: true, RoPE: &nn.RoPE{}})),
		of("attention_one_kv", nn.NewMultiHeadAttention(d, f32, nn.AttentionConfig{Width: 12, Heads: 4, KVHeads: 1, HeadDim: 2, Bias: true, RoPE: &nn.RoPE{Theta: 100}})),
		{name: "attention_cross", module: cross, inputs: "x memory", forward: func(x []T) []T { return []T{cross.CrossForward(x[0], x[1])} }},
	}
	for i := range cases {
		switch cases[i].name {
		case "attention", "attention_causal", "attention_cross": // without positions a softmax does not see a shift of all keys
			cases[i].zero = "k_proj.bias"
		}
	}
	return cases
}

func TestAttentionEqualsPyTorchs(t *testing.T) {
	g := openGoldens(t, "attention.safetensors")
	for _, c := range attentionCases() {
		t.Run(c.name, func(t *testing.T) { c.compare(t, g) })
	}
	g.allRead(t)
}

func TestAttentionHasTheRightGradients(t *testing.T) {
	d, f64 := tensor.CPU(), tensor.F64
	r := tensor.NewRand(14)
	for _, size := range [][2]int{{2, 3}, {1, 1}, {1, 4}, {0, 2}} {
		x, memory := randn(r, size[0], size[1], 4), randn(r, size[0], size[1]+1, 3)
		for name, c := range map[string]nn.AttentionConfig{
			"plain":   {Width: 4, Heads: 2, Bias: true},
			"grouped": {Width: 4, Heads: 4, KVHeads: 2, HeadDim: 2, Causal: true, RoPE: &nn.RoPE{Theta: 10}},
		} {
			t.Run(fmt.Sprint(name, size), func(t *testing.T) {
				a := nn.NewMultiHeadAttention(d, f64, c)
				checkGradients(t, a, func(x ...T) T { return a.Forward(x[0]) }, x)
				c.KVWidth = 3
				cross := nn.NewMultiHeadAttention(d, f64, c)
				checkGradients(t, cross, func(x ...T) T { return cross.CrossForward(x[0], x[1]) }, x, memory)
			})
		}
		heads := randn(r, size[0], size[1], 2, 4)
		checkGradients(t, struct{}{}, func(x ...T) T { return nn.RoPE{Theta: 10}.From(x[0], 3) }, heads)
	}
}

func TestAttentionByPiecesEqualsTheWhole(t *testing.T) {
	d, f32 := tensor.CPU(), tensor.F32
	r := tensor.NewRand(15)
	for _, c := range []nn.AttentionConfig{
		{Width: 8, Heads: 2, Causal: true},
		{Width: 8, Heads: 4, KVHeads: 2, Causal: true, RoPE: &nn.RoPE{}},
	} {
		a := nn.NewMultiHeadAttention(d, f32, c)
		nn.Initialize(a, r)
		cache := a.NewCache(d, f32, 3, 10)
		s := d.NewScope()
		x := tensor.Randn(s, f32, r, 1, 3, 9, 8)
		want := a.Forward(x).Float64s()
		for range 2 { // the second time in a cache that was used before
			cache.Truncate(0)
			var pieces []T
			for _, n := range []int{4, 1, 0, 3, 1} {
				pieces = append(pieces, a.CachedForward(x.Slice(1, cache.Len(), cache.Len()+n), cache))
			}
			near(t, "in pieces", tensor.Cat(1, pieces...).Float64s(), want, 1e-6)
		}
		cache.Truncate(5) // and goes on from the midst
		near(t, "from the midst", a.CachedForward(x.Slice(1, 5, 9), cache).Float64s(), tensor.FromSlice(s, want, 3, 9, 8).Slice(1, 5, 9).Float64s(), 1e-6)
		s.Close()
		cache.Free()
	}
}

func TestPaddedRowsAreAsRowsAlone(t *testing.T) {
	d, f32 := tensor.CPU(), tensor.F32
	r := tensor.NewRand(17)
	lengths := []int{3, 5, 0, 1}
	for _, causal := range []bool{false, true} {
		a := nn.NewMultiHeadAttention(d, f32, nn.AttentionConfig{Width: 8, Heads: 4, KVHeads: 2, Bias: true, Causal: causal, RoPE: &nn.RoPE{}})
		nn.Initialize(a, r)
		s := d.NewScope()
		x := tensor.Randn(s, f32, r, 1, 4, 5, 8)
		y := a.PaddedForward(x, lengths)
		for b, n := range lengths {
			got := y.Slice(0, b, b+1)
			alone := a.Forward(x.Slice(0, b, b+1).Slice(1, 0, n))
			near(t, "a row", got.Slice(1, 0, n).Float64s(), alone.Float64s(), 1e-6)
			bias := a.O.(*nn.Linear).Bias.In(s).Expand(1, 5-n, 8)
			near(t, "behind it", got.Slice(1, n, 5).Float64s(), bias.Float64s(), 0)
		}
		s.Close()
	}
	a := nn.NewMultiHeadAttention(d, tensor.F64, nn.AttentionConfig{Width: 4, Heads: 2, Causal: true})
	checkGradients(t, a, func(x ...T) T { return a.PaddedForward(x[0], []int{2, 0, 3}) }, randn(r, 3, 3, 4))
}

func TestRoPEDependsOnDistanceOnly(t *testing.T) {
	s := tensor.CPU().NewScope()
	defer s.Close()
	r := tensor.NewRand(16)
	q, k := tensor.Randn(s, tensor.F64, r, 1, 1, 1, 1, 8), tensor.Randn(s, tensor.F64, r, 1, 1, 1, 1, 8)
	product := func(at, from int) float64 {
		rope := nn.RoPE{Theta: 100}
		return rope.From(q, at).Mul(rope.From(k, from)).Sum().Item()
	}
	near(t, "products at distance 3", []float64{product(13, 10), product(3, 0)}, []float64{product(8, 5), product(8, 5)}, 1e-5)
	if d := product(4, 0) - product(3, 0); d == 0 {
		t.Error("the distance does not count")
	}
	at := tensor.FromSlice(s, []int32{5}, 1, 1)
	near(t, "given positions", nn.RoPE{}.At(q, at).Float64s(), nn.RoPE{Theta: 1e4}.From(q, 5).Float64s(), 0)
}

func TestAttentionSaysWhatItWants(t *testing.T) {
	d, f32 := tensor.CPU(), tensor.F32
	s := d.NewScope()
	defer s.Close()
	const op = "nn.NewMultiHeadAttention"
	build := func(c nn.AttentionConfig) func() { return func() { nn.NewMultiHeadAttention(d, f32, c) } }
	mustSay(t, "width", build(nn.AttentionConfig{Heads: 2}), op, "Width is 0; it must be positive")
	mustSay(t, "heads", build(nn.AttentionConfig{Width: 8, Heads: 3}), op, "3 heads do not divide a width of 8: give HeadDim")
	mustSay(t, "groups", build(nn.AttentionConfig{Width: 8, Heads: 4, KVHeads: 3}), op, "3 heads of keys do not divide 4 heads of queries")
	mustSay(t, "odd heads", build(nn.AttentionConfig{Width: 9, Heads: 3, RoPE: &nn.RoPE{}}), op, "HeadDim 3 must be even")

	a := nn.NewMultiHeadAttention(d, f32, nn.AttentionConfig{Width: 8, Heads: 2, Causal: true})
	nn.Initialize(a, tensor.NewRand(1))
	x := tensor.Zeros(s, f32, 2, 3, 8)
	mustSay(t, "rank", func() { a.Forward(tensor.Zeros(s, f32, 3, 8)) }, "nn.MultiHeadAttention f32[3 8]", "needs x [B, T, width]")
	mustSay(t, "lengths", func() { a.PaddedForward(x, []int{3}) }, "nn.MultiHeadAttention f32[2 3 8]", "1 lengths for 2 rows")
	mustSay(t, "a length", func() { a.PaddedForward(x, []int{3, 4}) }, "nn.MultiHeadAttention f32[2 3 8]", "row 1 has 3 positions, not 4")
	cache := a.NewCache(d, f32, 2, 4)
	a.CachedForward(x, cache)
	mustSay(t, "capacity", func() { a.CachedForward(x, cache) }, "nn.KVCache f32[2 3 2 4], f32[2 3 2 4], f32[2 3 2 4], f32[2 4 2 4]", "3 positions are held and 3 more do not fit: the capacity is 4")
	mustSay(t, "batch", func() { a.CachedForward(tensor.Zeros(s, f32, 1, 1, 8), cache) }, "nn.KVCache", "needs k and v [2, T, 2, 4]")
	mustSay(t, "queries", func() {
		kv := tensor.Zeros(s, f32, 2, 1, 2, 4)
		cache.Attention(tensor.Zeros(s, f32, 2, 2, 2, 4), kv, kv)
	}, "nn.KVCache", "needs q [B, T, H, D]")
	mustSay(t, "truncate", func() { cache.Truncate(4) }, "nn.KVCache", "cannot truncate 3 positions to 4")
	mustSay(t, "cache", func() { nn.NewKVCache(d, f32, 1, 0, 1, 1) }, "nn.NewKVCache", "capacity is 0")
	tape := d.NewTape()
	defer tape.Close()
	mustSay(t, "tape", func() { a.CachedForward(tensor.Zeros(tape, f32, 2, 1, 8), cache) }, "nn.KVCache", "no gradient flows through a cache")
	a.Config.Causal = false
	mustSay(t, "not causal", func() { a.CachedForward(x, cache) }, "nn.MultiHeadAttention f32[2 3 8]", "set Config.Causal")
	mustSay(t, "rope, rank", func() { nn.RoPE{}.Forward(x) }, "nn.RoPE f32[2 3 8]", "needs x [B, T, H, D]")
	mustSay(t, "rope, odd", func() { nn.RoPE{}.Forward(tensor.Zeros(s, f32, 1, 2, 2, 3)) }, "nn.RoPE f32[1 2 2 3]", "D even")
}
