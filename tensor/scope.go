package tensor

import (
	"runtime"
	"slices"

	"github.com/hone-ml/hone/internal/arena"
)

// A Scope holds what one step of training or inference computes. Its memory comes from an arena of its
// own and is freed at once by Close or Reset. A scope is for one goroutine at a time.
type Scope struct {
	dev      *Device
	arena    *arena.Arena // shared by nested scopes
	parent   *Scope       // of a nested scope
	tape     *tape        // nil: records nothing
	rand     *Rand
	storages []*storage // what lives here, in the order of allocation
	guests   []*Tensor  // long-lived tensors in use here: kernels see addresses, which keep nothing alive
	trained  bool       // a trainable tensor came in
	backward bool       // holds the gradients of a Backward
	closed   bool
}

// NewScope is a scope that records nothing: for inference.
func (d *Device) NewScope() *Scope {
	return &Scope{dev: d, arena: arena.New(lockedSlabs{d}), rand: NewRand(0)}
}

// NewTape is a scope that records ops for Backward.
func (d *Device) NewTape() *Scope {
	s := d.NewScope()
	s.tape = new(tape)
	return s
}

func (s *Scope) place() (*Device, *Scope) {
	if s.closed {
		panic(&Error{Op: "Scope", Reason: "the scope is used after Close"})
	}
	return s.dev, s
}

// Device is where the scope's tensors live.
func (s *Scope) Device() *Device { return s.dev }

// Recording reports whether the scope is a tape.
func (s *Scope) Recording() bool { return s.tape != nil }

// Rand is the scope's stream of random numbers, see UseRand.
func (s *Scope) Rand() *Rand { return s.rand }

// UseRand makes r the stream that random ops of the scope draw from. Without it the stream has seed 0.
func (s *Scope) UseRand(r *Rand) { s.rand = r }

// Close frees everything that lives in the scope. Tensors of the scope must not be used any more; an op
// on one panics. Closing twice does nothing.
func (s *Scope) Close() {
	if s.closed {
		return
	}
	s.clear()
	s.arena.Release()
	s.closed = true
}

// Reset frees everything that lives in the scope and keeps its memory for the next step: the same ops
// then get the same addresses, once a step has grown the memory that it needs.
func (s *Scope) Reset() {
	if s.closed {
		panic(&Error{Op: "Reset", Reason: "the scope is used after Close"})
	}
	s.clear()
	s.arena.Reset()
}

func (s *Scope) clear() {
	if s.parent != nil {
		panic(&Error{Op: "Scope", Reason: "the scope of a Block is closed by Block itself"})
	}
	if s.tape != nil {
		s.tape.clear()
	}
	for _, m := range s.storages {
		if m.block != nil {
			s.dev.scribble(m.block)
		}
		m.dead, m.block = true, nil
	}
	clear(s.storages)
	s.storages = s.storages[:0]
	clear(s.guests)
	s.guests = s.guests[:0]
}

// Keep is a long-lived copy of t on the scope's device.
func (s *Scope) Keep(t *Tensor) *Tensor {
	t.alive("Keep")
	t.blocksInOrder("Keep")
	out := alloc(s.dev, t.view.DType, t.view.Dims()...)
	convert("Keep", out, t)
	runtime.KeepAlive(t)
	return out
}

// InUse is the number of bytes that live in the scope and the scopes nested in it; Peak is the largest
// it has been since the scope was made.
func (s *Scope) InUse() int { return s.arena.InUse() }

// Peak is the largest InUse so far.
func (s *Scope) Peak() int { return s.arena.Peak() }

func (s *Scope) alloc(n int) *arena.Block {
	b, err := s.arena.Alloc(n)
	if err != nil {
		panic(err)
	}
	return b
}

// release frees one storage of the scope before the scope ends.
func (s *Scope) release(m *storage) {
	s.dev.scribble(m.block)
	s.arena.Free(m.block)
	m.dead, m.block = true, nil
}

func (s *Scope) sawTrainable() {
	for ; s != nil; s = s.parent {
		s.trained = true
	}
}

// child is a nested scope. It shares the arena; its random stream is the parent's.
func (s *Scope) child(t *tape) *Scope {
	return &Scope{dev: s.dev, arena: s.arena, parent: s, tape: t, rand: s.rand}
}

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
	for _, m := range s.storages {
		switch {
		case moved[m]:
			s.parent.storages = append(s.parent.storages, m)
		case m.saved:
			kept = append(kept, m)
		default:
			s.release(m)
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
	inner := s.child(s.tape)
	if s.tape != nil {
		s.tape.nodes = append(s.tape.nodes, &node{op: "Block", block: inner})
	}
	return inner.enclose("Block", fn, inputs)
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
		again.rand = &start
		in := make([]*Tensor, len(ins))
		for i := range ins {
			in[i] = again.adopt(g.Saved(i))
			in[i].guestOf, in[i].needsGrad = nil, ins[i].needsGrad
		}
		outs := fn(in...)
		if !slices.EqualFunc(outs, g.node.outputs, sameDims) {
			fail("Checkpoint (backward)", outs, "the function gave other outputs than the first time")
		}
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
		for _, m := range again.storages {
			again.release(m)
		}
		again.storages = nil
	}}, ins)
	return outs
}

// scopeOf is the one scope of ts. It panics if two scopes meet, if none is there, a tensor is dead, or one is
// quantised.
func scopeOf(op string, ts []*Tensor) *Scope {
	for _, t := range ts {
		if t != nil && t.view.DType.IsQuantized() {
			fail(op, ts, "%s", onlyWeights)
		}
	}
	return scopeOfAny(op, ts)
}

// scopeOfAny is scopeOf for ops that take quantised tensors too.
func scopeOfAny(op string, ts []*Tensor) *Scope {
	var s *Scope
	for _, t := range ts {
		if t == nil {
			continue
		}
		t.alive(op)
		switch {
		case t.scope == nil || t.scope == s:
		case s == nil:
			s = t.scope
		default:
			fail(op, ts, "the operands belong to two scopes; a tensor reaches a Block only as its argument")
		}
	}
	if s == nil {
		fail(op, ts, "every operand is long-lived: bring one into a scope with In")
	}
	if s.closed {
		fail(op, ts, "the scope is used after Close")
	}
	if s.dev.watch != nil && !s.backward { // what a backward is made of counts as that
		s.dev.at(op)
	}
	return s
}

// bring takes long-lived tensors into s as guests. The slice is a new one.
func bring(s *Scope, ts []*Tensor) []*Tensor {
	in := make([]*Tensor, len(ts))
	for i, t := range ts {
		if t != nil {
			in[i] = t.In(s)
		}
	}
	return in
}
