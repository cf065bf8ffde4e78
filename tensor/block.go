package tensor

import "slices"

// adopt makes the guest of a parent's tensor in s, through which gradients flow to it.
func (s *Scope) adopt(t *Tensor) *Tensor {
	return &Tensor{view: t.view, dev: t.dev, scope: s, mem: t.mem, guestOf: t, needsGrad: t.needsGrad && s.tape != nil, born: t.born}
}

// surrender moves the outputs of a nested scope to its parent, frees what nobody needs and keeps the rest
// for backward.
func (s *Scope) surrender(op string, outs []*Tensor) []*Tensor {
	for i, o := range outs {
		if o == nil || o.scope != s {
			fail(op, outs[i:i+1], "output %d does not belong to the block: compute it from the block's inputs", i)
		}
	}
	kept := s.storages[:0]
	moved := map[*storage]bool{}
	for i, o := range outs {
		if p := o.guestOf; p != nil && p.scope == s.parent { // an input returned as it came
			outs[i] = p
			continue
		}
		o.scope = s.parent
		moved[o.mem] = true
	}
	if s.selective {
		s.forgo(moved)
	}
	for _, m := range s.storages {
		switch {
		case moved[m]:
			s.parent.storages = append(s.parent.storages, m)
		case m.uses > 0:
			kept = append(kept, m)
			if m.inner = true; m.remakeable {
				m.at = m.block.Ptr()
				s.release(m)
				continue
			}
		default:
			s.release(m)
			m.remakeable = false
		}
		if !moved[m] || !s.parent.selective {
			m.recipe = nil
		}
	}
	clear(s.storages[len(kept):])
	s.storages = kept
	return outs
}

// dissolve leaves what lives in a nested scope to its parent.
func (s *Scope) dissolve() {
	s.parent.storages = append(s.parent.storages, s.storages...)
	s.storages = nil
}

// enclose runs fn in the nested scope s and closes that. If fn panics the parent inherits everything.
func (s *Scope) enclose(op string, fn BlockFunc, inputs []*Tensor) []*Tensor {
	done := false
	defer func() {
		s.closed = true
		if !done {
			s.dissolve()
		}
	}()
	outs := s.surrender(op, fn(s.adoptAll(op, inputs)...))
	done = true
	return outs
}

// A BlockFunc is a layer: it computes its outputs from its inputs and from long-lived tensors.
type BlockFunc = func(x ...*Tensor) []*Tensor

// Block runs fn, a layer, in a nested scope: its outputs move to the scope of the inputs, and of what it
// computed on the way all that backward does not need is freed at once. fn must reach scoped tensors by
// its arguments only: a captured one panics.
func Block(fn BlockFunc, inputs ...*Tensor) []*Tensor {
	s := scopeOfAny("Block", inputs)
	return s.record(s.selective).enclose("Block", fn, inputs)
}

// record is a nested scope that records on the same tape, if there is one.
func (s *Scope) record(selective bool) *Scope {
	inner := s.child(s.tape)
	if s.tape != nil {
		inner.selective = selective
		s.tape.nodes = append(s.tape.nodes, &node{op: "Block", block: inner})
	}
	return inner
}

func (s *Scope) adoptAll(op string, ts []*Tensor) []*Tensor {
	in := make([]*Tensor, len(ts))
	for i, t := range ts {
		switch {
		case t == nil:
			fail(op, ts, "input %d is nil", i)
		case t.scope == nil:
			in[i] = t.In(s)
		default:
			in[i] = s.adopt(t)
		}
	}
	return in
}

// Checkpoint is Block that keeps only its inputs for backward, which runs fn once more (Chen et al.,
// "Training Deep Nets with Sublinear Memory Cost", 2016). Random numbers are drawn again from the same
// place of the stream, so that dropout repeats its mask to the bit. fn must compute the same both times.
func Checkpoint(fn BlockFunc, inputs ...*Tensor) []*Tensor {
	s := scopeOfAny("Checkpoint", inputs)
	if s.tape == nil {
		return Block(fn, inputs...)
	}
	inner := s.child(nil)
	start := *s.rand
	outs := inner.enclose("Checkpoint", fn, inputs)
	ins := bring(s, inputs)
	need := inner.trained
	for _, t := range ins {
		need = need || t.needsGrad
	}
	if !need {
		return outs
	}
	for i, o := range outs { // an output that is an input would be its own gradient's source
		if slices.ContainsFunc(ins, func(t *Tensor) bool { return t.mem == o.mem }) {
			outs[i] = like(o)
			convert("Checkpoint", outs[i], o)
		} else if slices.Contains(outs[:i], o) {
			outs[i] = o.detached() // each place has a gradient of its own
		}
	}
	s.tape.add(&node{op: "Checkpoint", outputs: outs, inputs: ins, backward: func(g *gradient) {
		again := s.child(new(tape))
		defer again.dissolve()
		again.rand, again.again = &start, true
		in := make([]*Tensor, len(ins))
		for i := range ins {
			in[i] = again.adopt(g.Saved(i))
			in[i].guestOf, in[i].needsGrad = nil, ins[i].needsGrad
		}
		outs := fn(in...)
		if !slices.EqualFunc(outs, g.node.outputs, sameDims) {
			fail("Checkpoint (backward)", outs, "the function gave other outputs than the first time")
		}
		again.keepUsed()
		for i, o := range outs {
			if dy := g.Output(i); dy != nil && o.needsGrad {
				o.receive(again.tape, g.scope, dy)
			}
		}
		again.tape.run(g.into, g.scope, len(again.tape.nodes)-1)
		for i, t := range in {
			if t.grad != nil {
				g.Add(i, t.grad)
				t.drop()
			}
		}
		again.free()
	}}, ins)
	return outs
}

// keepUsed frees what backward does not need, and has the rest freed after its last use.
func (s *Scope) keepUsed() {
	kept := s.storages[:0]
	for _, m := range s.storages {
		if m.uses == 0 {
			s.release(m)
			continue
		}
		m.inner = true
		kept = append(kept, m)
	}
	clear(s.storages[len(kept):])
	s.storages = kept
}

// free gives back what a nested scope still holds.
func (s *Scope) free() {
	for _, m := range s.storages {
		m.recipe = nil
		s.release(m)
	}
	s.storages = nil
}
