package nn

import "github.com/hone-ml/hone/tensor"

// KVCache holds the keys and values of one attention layer for a batch of sequences that grow together, so
// that each new position costs one step. It is long-lived memory, for one goroutine at a time.
// (models.Cache is that of a whole language model, with sequences of different lengths.)
type KVCache struct {
	keys, values *tensor.Tensor // [B, capacity, KV, D]
	length       int
}

// NewKVCache makes room for a batch of sequences of capacity positions, with kvHeads heads of headDim.
func NewKVCache(p tensor.Place, dt tensor.DType, batch, capacity, kvHeads, headDim int) *KVCache {
	positive("nn.NewKVCache", "batch", batch, "capacity", capacity, "kvHeads", kvHeads, "headDim", headDim)
	c := &KVCache{keys: tensor.Empty(p, dt, batch, capacity, kvHeads, headDim)}
	whole := false
	defer func() { // out of memory for the second
		if !whole {
			c.keys.Free()
		}
	}()
	c.values = tensor.Empty(p, dt, batch, capacity, kvHeads, headDim)
	whole = true
	return c
}

// Len is the number of positions held of each sequence.
func (c *KVCache) Len() int { return c.length }

// Truncate forgets the positions from n on; 0 begins new sequences. It panics if fewer are held.
func (c *KVCache) Truncate(n int) {
	if n < 0 || n > c.length {
		fail("nn.KVCache", []*tensor.Tensor{c.keys}, "cannot truncate %d positions to %d", c.length, n)
	}
	c.length = n
}

// Free gives the memory back. The cache must not be used then.
func (c *KVCache) Free() {
	c.keys.Free()
	c.values.Free()
}

// Attention appends k and v [B, T, KV, D], and is causal attention of q [B, T, H, D] over all that is held
// then: [B, T, H, D]. It panics if they do not fit, or on a tape: no gradient flows to what is held.
func (c *KVCache) Attention(q, k, v *tensor.Tensor) *tensor.Tensor {
	const op = "nn.KVCache"
	ts := []*tensor.Tensor{q, k, v, c.keys}
	s := scopeOf(op, q)
	if s.Recording() {
		fail(op, ts, "no gradient flows through a cache: use a scope that records nothing")
	}
	for _, t := range []*tensor.Tensor{k, v} {
		if t.Rank() != 4 || t.Dim(0) != c.keys.Dim(0) || t.Dim(2) != c.keys.Dim(2) || t.Dim(3) != c.keys.Dim(3) || t.Dim(1) != k.Dim(1) {
			fail(op, ts, "needs k and v [%d, T, %d, %d]", c.keys.Dim(0), c.keys.Dim(2), c.keys.Dim(3))
		}
	}
	if q.Rank() != 4 || q.Dim(0) != k.Dim(0) || q.Dim(1) != k.Dim(1) {
		fail(op, ts, "needs q [B, T, H, D] beside k [B, T, KV, D]")
	}
	batch, steps, capacity := k.Dim(0), k.Dim(1), c.keys.Dim(1)
	end := c.length + steps
	if end > capacity {
		fail(op, ts, "%d positions are held and %d more do not fit: the capacity is %d", c.length, steps, capacity)
	}
	c.keys.Slice(1, c.length, end).CopyFrom(k)
	c.values.Slice(1, c.length, end).CopyFrom(v)
	segments := make([]tensor.Segment, batch)
	for b := range segments {
		row := int32(b * capacity)
		segments[b] = tensor.Segment{Q0: int32(b * steps), Q1: int32((b + 1) * steps), K0: row, K1: row + int32(end)}
	}
	out := tensor.Attention(q, c.keys.In(s), c.values.In(s), tensor.AttentionOptions{Causal: true, Segments: segments})
	c.length = end
	return out
}
