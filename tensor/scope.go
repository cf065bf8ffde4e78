package tensor

import (
	"runtime"

	"github.com/hone-ml/hone/internal/arena"
	"github.com/hone-ml/hone/internal/backend"
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

	selective bool         // keeps the results of expensive ops only, see Selective
	again     bool         // a Checkpoint computes here for the second time
	mode      trainingMode // see Training

	spare [3]backend.View // operands as kernels see them, see Tensor.spread
}

// NewScope is a scope that records nothing: for inference.
func (d *Device) NewScope() *Scope {
	return &Scope{dev: d, arena: arena.New(lockedSlabs{d}, &d.ledger), rand: NewRand(0)}
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
		m.dead, m.block, m.recipe = true, nil, nil
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

// release frees one storage of the scope before the scope ends, unless that was done before.
func (s *Scope) release(m *storage) {
	if m.block == nil {
		return
	}
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
