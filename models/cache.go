package models

import (
	"fmt"
	"slices"

	"github.com/hone-ml/hone/tensor"
)

// A Cache holds the keys and values of sequences that are being generated, so that each new token costs
// one step. It is long-lived memory, for one goroutine at a time.
//
// The sequences of a batch, in their order, are those that Select chose; at first, all of them.
type Cache struct {
	keys, values []*tensor.Tensor // a layer: [sequences, capacity, KV, D]
	capacity     int
	lengths      []int32 // tokens held of each sequence
	rows         []int   // the sequences that the next batch continues
}

// NewCache makes room for sequences of capacity tokens in a model of the given shape. It panics with a
// *tensor.OOMError, and keeps nothing, if that does not fit.
func NewCache(p tensor.Place, dt tensor.DType, layers, sequences, capacity, kvHeads, headDim int) *Cache {
	c := &Cache{capacity: capacity, lengths: make([]int32, sequences)}
	whole := false
	defer func() { // out of memory in the midst of it
		if !whole {
			c.Free()
		}
	}()
	for range layers {
		c.keys = append(c.keys, tensor.Empty(p, dt, sequences, capacity, kvHeads, headDim))
		c.values = append(c.values, tensor.Empty(p, dt, sequences, capacity, kvHeads, headDim))
	}
	whole = true
	c.rows = make([]int, sequences)
	for i := range c.rows {
		c.rows[i] = i
	}
	return c
}

// Select chooses which sequences the next batches continue, in order.
func (c *Cache) Select(sequences []int) {
	c.rows = append(c.rows[:0], sequences...)
}

// Len is the number of tokens held of a sequence.
func (c *Cache) Len(sequence int) int { return int(c.lengths[sequence]) }

// Copy makes the cache hold of sequence to what it holds of from, so that both go on from there.
func (c *Cache) Copy(to, from int) {
	n := int(c.lengths[from])
	for _, held := range slices.Concat(c.keys, c.values) {
		held.Index(to).Slice(0, 0, n).CopyFrom(held.Index(from).Slice(0, 0, n))
	}
	c.lengths[to] = int32(n)
}

// Free gives the memory back.
func (c *Cache) Free() {
	for _, t := range slices.Concat(c.keys, c.values) {
		t.Free()
	}
}

// spans are the sequences of b, which continue the selected ones. It panics if their numbers differ.
func (c *Cache) spans(b Batch) []span {
	spans := b.spans()
	if c != nil && len(spans) != len(c.rows) {
		panic(fmt.Sprintf("models: a batch of %d sequences for a cache of %d selected ones", len(spans), len(c.rows)))
	}
	return spans
}

// Attention is causal attention of one layer's q [B, T, H, D] over the batch's own k, v [B, T, KV, D] and
// over what the cache holds of its sequences; it appends k and v, and the last layer's call advances the
// sequences. A nil cache attends within the batch only. It panics if a sequence outgrows the cache.
func (c *Cache) Attention(layer int, q, k, v *tensor.Tensor, b Batch) *tensor.Tensor {
	if c == nil {
		return tensor.Attention(q, k, v, tensor.AttentionOptions{Causal: true, SeqStarts: b.SeqStarts})
	}
	spans := c.spans(b)
	segments := make([]tensor.Segment, len(spans))
	flat := func(t *tensor.Tensor) *tensor.Tensor { return t.Reshape(-1, t.Dim(2), t.Dim(3)) }
	kf, vf := flat(k.Detach()), flat(v.Detach())
	for i, s := range spans {
		row := c.rows[i]
		at := int(c.lengths[row])
		end := at + int(s.hi-s.lo)
		if end > c.capacity {
			panic(fmt.Sprintf("models: sequence %d has %d tokens, the cache holds %d", row, end, c.capacity))
		}
		c.keys[layer].Index(row).Slice(0, at, end).CopyFrom(kf.Slice(0, int(s.lo), int(s.hi)))
		c.values[layer].Index(row).Slice(0, at, end).CopyFrom(vf.Slice(0, int(s.lo), int(s.hi)))
		base := int32(row * c.capacity)
		segments[i] = tensor.Segment{Q0: s.lo, Q1: s.hi, K0: base, K1: base + int32(end)}
	}
	scope := q.Scope()
	out := tensor.Attention(q, c.keys[layer].In(scope), c.values[layer].In(scope), tensor.AttentionOptions{Causal: true, Segments: segments})
	if layer == len(c.keys)-1 {
		for i, s := range spans {
			c.lengths[c.rows[i]] += s.hi - s.lo
		}
	}
	return out
}
