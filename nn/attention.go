package nn

import "github.com/hone-ml/hone/tensor"

// AttentionConfig is the shape of a MultiHeadAttention.
type AttentionConfig struct {
	Width   int   // of the input and the output
	Heads   int   // of queries
	KVHeads int   // of keys and values, which several heads of queries share; divides Heads; 0 means Heads
	HeadDim int   // 0 means Width/Heads
	KVWidth int   // of what CrossForward makes keys and values of; 0 means Width
	Bias    bool  // in all projections
	Causal  bool  // a position sees none behind it
	RoPE    *RoPE // rotates queries and keys; nil for none
}

// MultiHeadAttention is softmax(q·kᵀ/√D)·v in several heads, between linear projections. It has no dropout
// of its weights: the fused kernel makes no matrix of them. torch.nn.MultiheadAttention keeps the first
// three projections in one in_proj_weight, q above k above v; the names here are those of Llama and Qwen.
// (Vaswani et al., "Attention Is All You Need", 2017; Ainslie et al., "GQA", 2023.)
type MultiHeadAttention struct {
	Q Layer `param:"q_proj"` // Width → Heads·HeadDim
	K Layer `param:"k_proj"` // KVWidth → KVHeads·HeadDim
	V Layer `param:"v_proj"` // KVWidth → KVHeads·HeadDim
	O Layer `param:"o_proj"` // Heads·HeadDim → Width

	Config AttentionConfig // without zeros that stand for something else
}

// NewMultiHeadAttention is a MultiHeadAttention whose parameters have no values yet. It panics unless the
// sizes are positive and the heads divide as they must.
func NewMultiHeadAttention(p tensor.Place, dt tensor.DType, c AttentionConfig) *MultiHeadAttention {
	const op = "nn.NewMultiHeadAttention"
	positive(op, "Width", c.Width, "Heads", c.Heads)
	if c.KVHeads == 0 {
		c.KVHeads = c.Heads
	}
	if c.KVWidth == 0 {
		c.KVWidth = c.Width
	}
	if c.HeadDim == 0 {
		if c.Width%c.Heads != 0 {
			fail(op, nil, "%d heads do not divide a width of %d: give HeadDim", c.Heads, c.Width)
		}
		c.HeadDim = c.Width / c.Heads
	}
	positive(op, "KVHeads", c.KVHeads, "KVWidth", c.KVWidth, "HeadDim", c.HeadDim)
	if c.Heads%c.KVHeads != 0 {
		fail(op, nil, "%d heads of keys do not divide %d heads of queries", c.KVHeads, c.Heads)
	}
	if c.RoPE != nil && c.HeadDim%2 != 0 {
		fail(op, nil, "RoPE rotates pairs: HeadDim %d must be even", c.HeadDim)
	}
	return &MultiHeadAttention{
		Q:      NewLinear(p, dt, c.Width, c.Heads*c.HeadDim, c.Bias),
		K:      NewLinear(p, dt, c.KVWidth, c.KVHeads*c.HeadDim, c.Bias),
		V:      NewLinear(p, dt, c.KVWidth, c.KVHeads*c.HeadDim, c.Bias),
		O:      NewLinear(p, dt, c.Heads*c.HeadDim, c.Width, c.Bias),
		Config: c,
	}
}

// Forward is self-attention within each row of x [B, T, Width], as large as x.
func (a *MultiHeadAttention) Forward(x *tensor.Tensor) *tensor.Tensor {
	q, k, v := a.project(x, 0)
	return a.join(tensor.Attention(q, k, v, tensor.AttentionOptions{Causal: a.Config.Causal}))
}

// PaddedForward is Forward of rows of different lengths: of row b of x [B, T, Width] the first lengths[b]
// positions count, and see each other only. Behind them the heads give zeros, so that the result is O's bias.
// It panics unless there are B lengths from 0 to T. (The key_padding_mask of torch.nn.MultiheadAttention.)
func (a *MultiHeadAttention) PaddedForward(x *tensor.Tensor, lengths []int) *tensor.Tensor {
	q, k, v := a.project(x, 0)
	batch, steps := x.Dim(0), x.Dim(1)
	if len(lengths) != batch {
		fail("nn.MultiHeadAttention", []*tensor.Tensor{x}, "%d lengths for %d rows", len(lengths), batch)
	}
	segments := make([]tensor.Segment, batch)
	for b, n := range lengths {
		if n < 0 || n > steps {
			fail("nn.MultiHeadAttention", []*tensor.Tensor{x}, "row %d has %d positions, not %d", b, steps, n)
		}
		lo, hi := int32(b*steps), int32(b*steps+n)
		segments[b] = tensor.Segment{Q0: lo, Q1: hi, K0: lo, K1: hi}
	}
	return a.join(tensor.Attention(q, k, v, tensor.AttentionOptions{Causal: a.Config.Causal, Segments: segments}))
}

// CachedForward is causal self-attention of x [B, T, Width] and all positions before it that the cache
// holds; it appends those of x. So a sequence given piece by piece computes what Forward computes of the
// whole. It panics if the attention is not causal, and as KVCache.Attention does.
func (a *MultiHeadAttention) CachedForward(x *tensor.Tensor, c *KVCache) *tensor.Tensor {
	if !a.Config.Causal {
		fail("nn.MultiHeadAttention", []*tensor.Tensor{x}, "a cache serves causal attention only: set Config.Causal")
	}
	q, k, v := a.project(x, c.Len())
	return a.join(c.Attention(q, k, v))
}

// CrossForward is attention of x [B, T, Width] to all of memory [B, S, KVWidth], as large as x, never
// causal and without positions.
func (a *MultiHeadAttention) CrossForward(x, memory *tensor.Tensor) *tensor.Tensor {
	c := a.Config
	q := a.heads(a.Q, x, c.Heads)
	k, v := a.heads(a.K, memory, c.KVHeads), a.heads(a.V, memory, c.KVHeads)
	return a.join(tensor.Attention(q, k, v, tensor.AttentionOptions{}))
}

// NewCache is an empty cache for a batch of sequences of at most capacity positions; dt is that of the
// activations.
func (a *MultiHeadAttention) NewCache(p tensor.Place, dt tensor.DType, batch, capacity int) *KVCache {
	return NewKVCache(p, dt, batch, capacity, a.Config.KVHeads, a.Config.HeadDim)
}

// project makes the heads of queries, keys and values of x, whose first position is start.
func (a *MultiHeadAttention) project(x *tensor.Tensor, start int) (q, k, v *tensor.Tensor) {
	c := a.Config
	q, k, v = a.heads(a.Q, x, c.Heads), a.heads(a.K, x, c.KVHeads), a.heads(a.V, x, c.KVHeads)
	if c.RoPE != nil {
		cos, sin := c.RoPE.tables(positions(x.Scope(), x.Dim(0), x.Dim(1), start), c.HeadDim)
		q, k = tensor.RoPE(q, cos, sin), tensor.RoPE(k, cos, sin)
	}
	return q, k, v
}

// heads is a projection of x [B, T, ...] as [B, T, heads, HeadDim].
func (a *MultiHeadAttention) heads(l Layer, x *tensor.Tensor, heads int) *tensor.Tensor {
	if x.Rank() != 3 {
		fail("nn.MultiHeadAttention", []*tensor.Tensor{x}, "needs x [B, T, width]")
	}
	return l.Forward(x).Reshape(x.Dim(0), x.Dim(1), heads, a.Config.HeadDim)
}

// join projects the heads' results to the width.
func (a *MultiHeadAttention) join(o *tensor.Tensor) *tensor.Tensor {
	return a.O.Forward(o.Reshape(o.Dim(0), o.Dim(1), a.Config.Heads*a.Config.HeadDim))
}
