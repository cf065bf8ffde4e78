package tensor

import "slices"

// A CustomOp is an op that a third party adds: what it computes and its derivative, in one place.
type CustomOp struct {
	Name string

	// Forward computes the outputs in s from inputs, all of which live in s; nothing that it does is
	// recorded. saved lists what Backward needs, among inputs, outputs and other tensors of s.
	Forward func(s *Scope, inputs []*Tensor) (outputs, saved []*Tensor)

	// Backward gives the gradient of each input from those of the outputs (nil where nothing depends on
	// an output) and from saved, in the order of Forward. A gradient may be nil: then it is zero, or its
	// input wants none, which needs says. It works in a scope that records nothing. A nil Backward makes
	// the outputs constants.
	Backward func(dy, saved []*Tensor, needs []bool) (dx []*Tensor)
}

// Custom runs op on inputs, long-lived ones included, and records it. It panics if Forward or Backward
// returns tensors that do not fit.
func Custom(op CustomOp, inputs ...*Tensor) []*Tensor {
	s := scopeOfAny(op.Name, inputs)
	ins := bring(s, inputs)
	plain := make([]*Tensor, len(ins))
	for i, t := range ins {
		plain[i] = t.detached()
	}
	outs, saved := op.Forward(s, plain)
	for i, o := range outs {
		if o == nil || o.scope != s {
			fail(op.Name, outs[i:i+1], "output %d does not live in the scope of the inputs", i)
		}
		outs[i] = o.detached() // not an input itself, nor a tensor with a history
	}
	if op.Backward == nil || len(outs) == 0 {
		return outs
	}
	record(op.Name, outs, ins, saved, op.differentiate)
	return outs
}

func (op *CustomOp) differentiate(g *gradient) {
	n := g.node
	dy := make([]*Tensor, len(n.outputs))
	for i := range dy {
		dy[i] = g.Output(i)
	}
	kept := make([]*Tensor, len(n.saved))
	for i := range kept {
		kept[i] = g.Saved(i)
	}
	needs := make([]bool, len(n.inputs))
	for i := range needs {
		needs[i] = g.Needs(i)
	}
	dx := op.Backward(dy, kept, needs)
	if len(dx) != len(n.inputs) {
		fail(op.Name+" (backward)", n.inputs, "gave %d gradients for %d inputs", len(dx), len(n.inputs))
	}
	dx = slices.Clone(dx)
	for i, d := range dx { // one tensor may be the gradient of several inputs: nobody may add to it yet
		if dx[i] = nil; d != nil && needs[i] {
			dx[i] = g.own(d, d.view.DType)
			dx[i].mem.refs++
		}
	}
	for i, d := range dx {
		if d != nil {
			g.Add(i, d)
		}
	}
	for _, d := range dx {
		if d != nil {
			d.mem.refs--
		}
	}
}
