package tensor

import (
	"fmt"
	"slices"
	"unsafe"
)

// Recompute says which results of a layer backward computes again rather than find them kept: time for
// memory. The gradients are the same to the bit.
type Recompute uint8

// The ways to run a layer.
const (
	// RecomputeNone keeps all that backward needs; see Block.
	RecomputeNone Recompute = iota
	// RecomputeSelective keeps the results of expensive ops only; see Selective.
	RecomputeSelective
	// RecomputeBlock keeps the layer's inputs only; see Checkpoint.
	RecomputeBlock
)

var recomputeNames = []string{RecomputeNone: "none", RecomputeSelective: "selective", RecomputeBlock: "block"}

// String is "none", "selective" or "block".
func (r Recompute) String() string {
	if int(r) < len(recomputeNames) {
		return recomputeNames[r]
	}
	return fmt.Sprintf("Recompute(%d)", uint8(r))
}

// ParseRecompute is the inverse of String.
func ParseRecompute(name string) (Recompute, error) {
	if i := slices.Index(recomputeNames, name); i >= 0 {
		return Recompute(i), nil
	}
	return 0, fmt.Errorf("tensor: recompute is %q, want none, selective or block", name)
}

// Block runs a layer this way: as Block, Selective or Checkpoint do.
func (r Recompute) Block(fn BlockFunc, inputs ...*Tensor) []*Tensor {
	switch r {
	case RecomputeSelective:
		return Selective(fn, inputs...)
	case RecomputeBlock:
		return Checkpoint(fn, inputs...)
	}
	return Block(fn, inputs...)
}

// Selective is Block that keeps for backward the results of expensive ops only, such as matrix products
// and attention. What cheap ops (norms, rotary embeddings, SwiGLU, casts, dropout and everything
// element-wise) made of these, or of the layer's inputs, is freed, and computed again when backward needs
// it. It takes no memory to save memory: an op whose inputs are not kept anyway keeps its result.
// (Korthikanti et al., "Reducing Activation Recomputation in Large Transformer Models", 2022.)
func Selective(fn BlockFunc, inputs ...*Tensor) []*Tensor {
	s := scopeOfAny("Selective", inputs)
	return s.record(true).enclose("Selective", fn, inputs)
}

// A recipe is how the result of a cheap op is computed again from its inputs.
type recipe struct {
	out     *Tensor
	version uint32 // of out's memory
	in      []saved
	compute func(out *Tensor, in []*Tensor)
}

// cheaply has compute fill out, new memory, from in and, in a block that keeps the results of expensive ops
// only, notes that it can be called again in backward, with the same contents at other addresses. compute
// captures nothing but scalars. It returns out.
func cheaply(out *Tensor, in []*Tensor, compute func(out *Tensor, in []*Tensor)) *Tensor {
	compute(out, in)
	if s := out.scope; s != nil && s.selective {
		out.repeatable(in, compute)
	}
	return out
}

// repeatable is the second half of cheaply: t, of a selective block, is what compute has made of in. Ops that
// matter on small tensors call it themselves, and make neither closure nor slice where there is no such block.
func (t *Tensor) repeatable(in []*Tensor, compute func(out *Tensor, in []*Tensor)) {
	r := &recipe{out: t, version: t.mem.version, in: make([]saved, len(in)), compute: compute}
	for i, x := range in {
		r.in[i] = saved{x, x.mem.version}
	}
	t.mem.recipe = r
}

// possible reports whether m, a result of r, can be computed again from what is kept for backward or can
// itself be computed again.
func (r *recipe) possible(m *storage) bool {
	if m.version != r.version {
		return false
	}
	for _, in := range r.in {
		i := in.t.mem
		if i.version != in.version || !i.long && i.uses == 0 && !i.remakeable {
			return false
		}
	}
	return true
}

// forgo decides which memory of s, a selective block that ends, backward will compute again. moved are the
// block's outputs, which stay.
func (s *Scope) forgo(moved map[*storage]bool) {
	for _, m := range s.storages { // an op's inputs come before its result
		m.remakeable = m.recipe != nil && !moved[m] && m.recipe.possible(m)
	}
	for _, m := range s.storages {
		if m.remakeable && m.uses > 0 {
			m.recipe.demand()
		}
	}
}

// demand counts a use of what r computes from.
func (r *recipe) demand() {
	for _, in := range r.in {
		m := in.t.mem
		if m.long {
			continue
		}
		if m.uses++; m.uses == 1 && m.remakeable {
			m.recipe.demand()
		}
	}
}

// done ends the uses that demand counted.
func (r *recipe) done(s *Scope) {
	for _, in := range r.in {
		in.t.mem.done(s)
	}
}

// done ends one use of m by backward, which runs in s. With the last one the memory of a block goes.
func (m *storage) done(s *Scope) {
	if m.long {
		return
	}
	m.uses--
	if m.uses > 0 || !m.inner {
		return
	}
	s.release(m)
	if r := m.recipe; r != nil { // nobody wanted it after all
		m.recipe = nil
		r.done(s)
	}
}

// fetch is the saved tensor as one of s, in which backward runs, computed again if need be. It panics if
// the memory was overwritten since.
func (v *saved) fetch(op string, s *Scope) *Tensor {
	m := v.t.mem
	if m.block == nil && m.remakeable && m.recipe != nil {
		m.remake(op, s)
	}
	v.t.alive(op)
	if m.version != v.version {
		fail(op, []*Tensor{v.t}, "a tensor saved for backward was overwritten by an in-place op")
	}
	return v.t.rebased(s)
}

// remake computes m's contents again, in new memory.
func (m *storage) remake(op string, s *Scope) {
	r := m.recipe
	in := make([]*Tensor, len(r.in))
	for i := range in {
		in[i] = r.in[i].fetch(op, s)
	}
	m.block = s.alloc(r.out.view.DType.Bytes(r.out.view.Len()))
	m.dead = false
	r.compute(r.out.rebased(s), in)
	m.recipe = nil
	r.done(s)
}

// rebased is t as a tensor of s, where its memory is now.
func (t *Tensor) rebased(s *Scope) *Tensor {
	v := t.view
	if m := t.mem; m.remakeable && m.block != nil {
		v.Ptr = unsafe.Add(m.block.Ptr(), uintptr(v.Ptr)-uintptr(m.at))
	}
	return &Tensor{view: v, dev: t.dev, scope: s, mem: t.mem}
}
