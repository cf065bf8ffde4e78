package tensor

import "slices"

// tape is what a scope recorded, in order.
type tape struct {
	nodes      []*node
	running    bool
	generation uint32 // how often the tape was cleared: what was recorded before has no history any more
}

// node is one recorded op.
type node struct {
	op       string
	outputs  []*Tensor
	inputs   []*Tensor
	saved    []saved
	backward func(*gradient)
	block    *Scope // marks the start of a Block: when backward gets here its memory is free

	few struct { // where the lists of most ops are
		outputs [1]*Tensor
		inputs  [3]*Tensor
		saved   [2]saved
	}
}

type saved struct {
	t       *Tensor
	version uint32
}

func (tp *tape) clear() {
	for _, n := range slices.Backward(tp.nodes) {
		if n != nil && n.block != nil {
			n.block.dissolve()
		}
	}
	clear(tp.nodes)
	tp.nodes = tp.nodes[:0]
	tp.generation++
}

// record puts an op on the tape of its outputs' scope, if there is one and an input needs a gradient.
// keep lists what backward needs: the tape owns these until backward has run. The closure captures
// nothing but scalars and reaches tensors through its gradient.
func record(op string, outputs, inputs, keep []*Tensor, backward func(*gradient)) {
	s := outputs[0].scope
	if s.tape == nil {
		return
	}
	for _, t := range inputs {
		if t != nil && t.needsGrad {
			n := &node{op: op, backward: backward}
			n.outputs = append(n.few.outputs[:0], outputs...)
			n.inputs = append(n.few.inputs[:0], inputs...)
			s.tape.add(n, keep)
			return
		}
	}
}

// record1 is record for the usual op with one output, which it returns.
func record1(op string, out *Tensor, inputs, keep []*Tensor, backward func(*gradient)) *Tensor {
	record(op, []*Tensor{out}, inputs, keep, backward)
	return out
}

func (tp *tape) add(n *node, keep []*Tensor) {
	if tp.running {
		fail(n.op, n.outputs, "an op was recorded on a tape while its Backward runs")
	}
	n.saved = n.few.saved[:0]
	for _, t := range keep {
		var v saved
		if t != nil {
			if !t.mem.long {
				t.mem.uses++
			}
			v = saved{t, t.mem.version}
		}
		n.saved = append(n.saved, v)
	}
	for _, o := range n.outputs {
		if o.view.DType.IsFloat() {
			o.needsGrad, o.born = true, tp.generation
		}
	}
	tp.nodes = append(tp.nodes, n)
}

// Backward adds d loss / d p to g for every trainable tensor p that loss depends on; gradients of tensors
// that are not in g are not computed further than needed. loss has one element and lives on a tape.
// Backward may run once: it frees what blocks kept for it, as soon as it is done with it. If it panics, g holds a part
// of the gradients, and the tape is as after Backward.
func (loss *Tensor) Backward(g *Grads) {
	loss.alive("Backward")
	if g == nil {
		fail("Backward", []*Tensor{loss}, "there are no gradients to add to; see NewGrads")
	}
	if loss.Len() != 1 {
		fail("Backward", []*Tensor{loss}, "the loss must have one element")
	}
	if loss.scope == nil || loss.scope.tape == nil {
		fail("Backward", []*Tensor{loss}, "the loss was not computed on a tape (Device.NewTape)")
	}
	if loss.scope.closed {
		fail("Backward", []*Tensor{loss}, "the loss belongs to a Block that has ended")
	}
	if !loss.needsGrad {
		fail("Backward", []*Tensor{loss}, "the loss depends on no trainable tensor")
	}
	g.multiply()
	tp := loss.scope.tape
	gs := loss.scope.child(nil)
	gs.backward = true
	one := alloc(gs, loss.view.DType, loss.view.Dims()...)
	one.Fill(1)
	if p := loss.parameter(); p != nil {
		if g.has(p) {
			g.add(gs, p, one)
		}
	} else {
		loss.receive(tp, gs, one)
	}
	defer func() {
		tp.clear()
		gs.dissolve()
		if gs.dev.watch != nil {
			gs.dev.at("")
		}
	}()
	tp.run(g, gs, len(tp.nodes)-1)
	gs.free()
}

// run walks the tape backwards from node last. Gradients live in gs.
func (tp *tape) run(into *Grads, gs *Scope, last int) {
	tp.running = true
	defer func() { tp.running = false }()
	for i := last; i >= 0; i-- {
		n := tp.nodes[i]
		tp.nodes[i] = nil
		if n.block != nil {
			n.block.free()
			continue
		}
		reached := false
		for _, o := range n.outputs {
			reached = reached || o.grad != nil
		}
		if reached {
			g := gradient{node: n, tape: tp, into: into, scope: gs}
			if gs.dev.watch != nil {
				gs.dev.at(n.op + " (backward)")
			}
			n.backward(&g)
			for _, o := range n.outputs {
				o.drop()
			}
			gs.sweep()
		}
		for _, v := range n.saved {
			if v.t != nil {
				v.t.mem.done(gs)
			}
		}
	}
}

// sweep frees the gradients and temporaries of gs that nobody waits for.
func (gs *Scope) sweep() {
	kept := gs.storages[:0]
	for _, m := range gs.storages {
		if m.refs > 0 {
			kept = append(kept, m)
		} else {
			gs.release(m)
		}
	}
	clear(gs.storages[len(kept):])
	gs.storages = kept
}

// source is the tensor whose gradient t's is: a guest of a parent scope stands for another tensor.
func (t *Tensor) source() *Tensor {
	for t.guestOf != nil && t.guestOf.scope != nil {
		t = t.guestOf
	}
	return t
}

// parameter is the long-lived tensor for which t stands, nil if there is none.
func (t *Tensor) parameter() *Tensor { return t.source().guestOf }

// receive adds d, which Backward made, to t's gradient, in place where nobody else waits for that memory.
func (t *Tensor) receive(tp *tape, gs *Scope, d *Tensor) {
	if t.born != tp.generation {
		fail("Backward", []*Tensor{t}, "the loss depends on a tensor that was computed before an earlier Backward, which has used up its history: call Backward once for the sum, or Detach the tensor")
	}
	switch {
	case t.grad == nil:
		t.grad = d
		d.mem.refs++
	case t.grad.mem.refs == 1 && t.grad.mem != d.mem && t.grad.view.Contiguous():
		gs.dev.backend.Binary(addOp, &t.grad.view, &t.grad.view, &d.view)
	default:
		sum := like(t.grad)
		gs.dev.backend.Binary(addOp, &sum.view, &t.grad.view, &d.view)
		t.drop()
		t.grad = sum
		sum.mem.refs++
	}
}

// drop lets go of t's gradient.
func (t *Tensor) drop() {
	if t.grad != nil {
		t.grad.mem.refs--
		t.grad = nil
	}
}

// A gradient is what an op's backward sees: the gradients of its outputs, what it saved, and where the
// gradients of its inputs go. All tensors that it gives, and all that are made from them, live in a
// scope of Backward that records nothing.
type gradient struct {
	node  *node
	tape  *tape
	into  *Grads
	scope *Scope

	target *Tensor // what Target gave for a kernel to overwrite
}

// Output is the gradient of output i, with its shape and dtype; nil if nothing depends on that output.
func (g *gradient) Output(i int) *Tensor { return g.node.outputs[i].grad }

// Saved is the i-th tensor that was saved. It panics if the tensor was overwritten since.
func (g *gradient) Saved(i int) *Tensor {
	s := &g.node.saved[i]
	if s.t == nil {
		return nil
	}
	return s.fetch(g.node.op+" (backward)", g.scope)
}

// Needs reports whether input i wants a gradient; computing one that is not wanted is waste.
func (g *gradient) Needs(i int) bool {
	t := g.node.inputs[i]
	if t == nil || !t.needsGrad {
		return false
	}
	p := t.parameter()
	return p == nil || g.into.has(p)
}

// Add adds d to the gradient of input i; d has the input's shape. It may be a view of Output's, and of
// another float dtype than the input.
func (g *gradient) Add(i int, d *Tensor) {
	if !g.Needs(i) {
		return
	}
	t := g.node.inputs[i].source()
	if !sameDims(t, d) {
		fail(g.node.op+" (backward)", []*Tensor{t, d}, "gradient %d has another shape than its input", i)
	}
	if p := t.guestOf; p != nil {
		if d != g.target { // otherwise it is there
			g.into.add(g.scope, p, d)
		}
		return
	}
	t.receive(g.tape, g.scope, g.own(d, t.view.DType))
}

// own is d in memory of Backward and of dtype dt: what backward gives may be a constant or a saved tensor,
// which nobody must add to.
func (g *gradient) own(d *Tensor, dt DType) *Tensor {
	if d.scope != nil && d.scope != g.scope {
		fail(g.node.op+" (backward)", []*Tensor{d}, "the gradient belongs to another scope than the gradients of the outputs")
	}
	d = d.In(g.scope)
	if d.view.DType == dt && d.mem.transient {
		return d
	}
	out := alloc(g.scope, dt, d.view.Dims()...)
	g.scope.dev.backend.Copy(&out.view, &d.view)
	return out
}

// isParameter reports whether the gradient of input i goes to the caller's Grads, which are more precise
// than the input may be.
func (g *gradient) isParameter(i int) bool { return g.node.inputs[i].parameter() != nil }

// Sink is where a kernel may put the gradient of input i itself. If it returns accumulate, the kernel
// must add to dst, which belongs to the caller's Grads; otherwise it must overwrite dst, and then Add it.
// dst has the input's dtype or F32.
func (g *gradient) Sink(i int) (dst *Tensor, accumulate bool) {
	t := g.node.inputs[i].source()
	dt := t.view.DType
	if p := t.guestOf; p != nil {
		if v := g.into.of(p); v.view.DType == F32 || v.view.DType == dt {
			g.into.fill(p)
			return v.In(g.scope), true
		}
		dt = dt.Accumulator()
	}
	return alloc(g.scope, dt, t.view.Dims()...), false
}

// Target is Sink for kernels that write every element: the first gradient of a parameter overwrites what the
// caller's Grads hold from before Zero.
func (g *gradient) Target(i int) (dst *Tensor, accumulate bool) {
	t := g.node.inputs[i].source()
	if p := t.guestOf; p != nil && g.into.blank[p] {
		if v := g.into.of(p); v.view.DType == F32 || v.view.DType == t.view.DType {
			delete(g.into.blank, p)
			g.target = v.In(g.scope)
			return g.target, false
		}
	}
	return g.Sink(i)
}

// New is a tensor like input i in the scope of Backward, contents undefined.
func (g *gradient) New(i int) *Tensor {
	t := g.node.inputs[i]
	return alloc(g.scope, t.view.DType, t.view.Dims()...)
}

func sameDims(a, b *Tensor) bool {
	return a.view.Rank == b.view.Rank && a.view.Shape == b.view.Shape
}
