package nn

import (
	"slices"

	"github.com/hone-ml/hone/tensor"
)

// A cell is a step of a recurrent network, forward beside backward. Vectors of the hidden width lie on the
// axis before the last: G gates, K vectors that backward needs, D derivatives.
type cell interface {
	// counts are the numbers of gates, of kept vectors and of derivatives.
	counts() (gates, kept, derivatives int)

	// biased reports whether the hidden bias has to be in the product with the hidden state, and cannot be
	// added before.
	biased() bool

	// step gives the next state, h first, from what the input gives to the gates, x [B, G, H], the state
	// before it and the hidden weight and bias; and the vectors that backward needs, [B, H] or [B, n, H].
	step(x *tensor.Tensor, state []*tensor.Tensor, weight, bias *tensor.Tensor) (next, keep []*tensor.Tensor)

	// slopes are what the gradients of a step are multiples of, for all steps at once: from what was kept
	// [T, B, K, H] and from the states [T, B, H] before and after each step.
	slopes(kept *tensor.Tensor, before, after []*tensor.Tensor) []*tensor.Tensor

	// back gives the derivatives of a step [B, n, H], of which the first G are those of the gates' products
	// with the hidden state, and what flows to the state before it on other ways than these products (nil
	// for nothing): from the gradient of the state and the slopes of the step.
	back(d []*tensor.Tensor, slopes []*tensor.Tensor) (derivatives, direct []*tensor.Tensor)

	// inputs is the gradient of x of all steps, [T, B, G, H], in their derivatives [T, B, D, H].
	inputs(derivatives *tensor.Tensor) *tensor.Tensor
}

// pass is a layer's way over time in one direction, as one op: recorded step by step it would keep, and run
// through, ten times as many tensors. The products with the input are one for all steps, and so are those
// of the weights' gradients.
type pass struct {
	cell
	reverse bool
}

// run gives the states h [T, B, H] after each step, in the order of the input, and the final state.
func (p pass) run(name string, x *tensor.Tensor, w passWeights, start []*tensor.Tensor) (hs *tensor.Tensor, end []*tensor.Tensor) {
	s := x.Scope()
	acc := accumulator(x)
	bias := w.bih
	if w.bhh != nil && !p.biased() {
		bias = w.bih.In(s).Add(w.bhh)
	}
	inputs := append([]*tensor.Tensor{tensor.Linear(x, w.ih, bias).To(acc), w.hh.In(s).To(acc)}, start...)
	if w.bhh != nil && p.biased() {
		inputs = append(inputs, w.bhh.In(s).To(acc))
	}
	states := len(start)
	op := tensor.CustomOp{
		Name: name,
		Forward: func(s *tensor.Scope, in []*tensor.Tensor) (outputs, saved []*tensor.Tensor) {
			return p.forward(s, states, in)
		},
		Backward: func(dy, saved []*tensor.Tensor, needs []bool) []*tensor.Tensor {
			return p.backward(states, dy, saved, needs)
		},
	}
	out := tensor.Custom(op, inputs...)
	return out[0], out[1:]
}

// rows are where the states around step t of so many lie in buffers of one more row: in the order of time,
// so that the pass from the end has its first state in the last row.
func (p pass) rows(t int) (before, after int) {
	if p.reverse {
		return t + 1, t
	}
	return t, t + 1
}

// order is the i-th of n steps.
func (p pass) order(i, n int) int {
	if p.reverse {
		return n - 1 - i
	}
	return i
}

// around are the states before and after each of n steps, [n, B, H] each.
func (p pass) around(states []*tensor.Tensor, n int) (before, after []*tensor.Tensor) {
	from, to := p.rows(0)
	for _, h := range states {
		before = append(before, h.Slice(0, from, from+n))
		after = append(after, h.Slice(0, to, to+n))
	}
	return before, after
}

// together is about how many elements of a state are computed at a time before what they left behind is
// freed: few enough for caches, enough to be worth it.
var together = 1 << 15

// runs cuts steps into [lo, hi), in the order of the pass.
func (p pass) runs(steps, batch, hidden int, fn func(lo, hi int)) {
	size := max(1, min(64, together/max(batch*hidden, 1)))
	for at := 0; at < steps; at += size {
		end := min(at+size, steps)
		if p.reverse {
			fn(steps-end, steps-at)
		} else {
			fn(at, end)
		}
	}
}

// forward has inputs x [T, B, G·H], weight [G·H, H], the initial states [B, H] and perhaps a bias [G·H].
func (p pass) forward(s *tensor.Scope, count int, in []*tensor.Tensor) (outputs, saved []*tensor.Tensor) {
	x, weight, start, bias := in[0], in[1], in[2:2+count], in[2+count:]
	gates, keep, _ := p.counts()
	steps, batch, hidden := x.Dim(0), x.Dim(1), weight.Dim(1)
	first, _ := p.rows(p.order(0, steps))
	var states []*tensor.Tensor
	for _, h := range start {
		buffer := tensor.Empty(s, x.DType(), steps+1, batch, hidden)
		buffer.Index(first).CopyFrom(h)
		states = append(states, buffer)
	}
	args := append([]*tensor.Tensor{x.Reshape(steps, batch, gates, hidden), weight}, states...)
	recording, biased := s.Recording(), len(bias) > 0
	var kept *tensor.Tensor
	if recording {
		kept = tensor.Empty(s, x.DType(), steps, batch, keep, hidden)
		args = append(args, kept)
	}
	args = append(args, bias...)
	p.runs(steps, batch, hidden, func(lo, hi int) {
		tensor.Block(func(a ...*tensor.Tensor) []*tensor.Tensor {
			x, weight, states, a := a[0], a[1], a[2:2+count], a[2+count:]
			var bias *tensor.Tensor
			if biased {
				bias = a[len(a)-1]
			}
			var state []*tensor.Tensor
			for i := range hi - lo {
				t := lo + p.order(i, hi-lo)
				before, after := p.rows(t)
				if i == 0 {
					for _, h := range states {
						state = append(state, h.Index(before))
					}
				}
				next, keep := p.step(x.Index(t), state, weight, bias)
				for i, h := range next {
					states[i].Index(after).CopyFrom(h)
				}
				if recording {
					fillVectors(a[0].Index(t), keep)
				}
				state = next
			}
			return nil
		}, args...)
	})
	_, after := p.around(states, steps)
	outputs = after[:1:1]
	for _, h := range states {
		outputs = append(outputs, h.Index(steps-first))
	}
	return outputs, append([]*tensor.Tensor{weight, kept}, states...)
}

// fillVectors puts vectors [B, H] or [B, n, H], one behind the other, into to [B, K, H].
func fillVectors(to *tensor.Tensor, vectors []*tensor.Tensor) {
	at := 0
	for _, v := range vectors {
		if v.Rank() == 2 {
			v = v.Unsqueeze(1)
		}
		to.Slice(1, at, at+v.Dim(1)).CopyFrom(v)
		at += v.Dim(1)
	}
}

// backward has the gradients of h [T, B, H] and of the final states, each of which may be nil. It gives
// those of x, the weight, the initial states and the bias, if there is one.
func (p pass) backward(count int, dy, saved []*tensor.Tensor, needs []bool) []*tensor.Tensor {
	weight, kept, states := saved[0], saved[1], saved[2:]
	s := weight.Scope()
	gates, _, derivatives := p.counts()
	steps, batch, hidden := kept.Dim(0), kept.Dim(1), weight.Dim(1)
	d := tensor.Empty(s, weight.DType(), steps, batch, derivatives, hidden)
	var carry []*tensor.Tensor // the gradients of the states after a step
	for _, end := range dy[1:] {
		c := tensor.Zeros(s, weight.DType(), batch, hidden)
		if end != nil {
			c.CopyFrom(end)
		}
		carry = append(carry, c)
	}
	args := slices.Concat([]*tensor.Tensor{weight, kept, d}, states, carry)
	if dy[0] != nil {
		args = append(args, dy[0])
	}
	back := pass{p.cell, !p.reverse}
	back.runs(steps, batch, hidden, func(lo, hi int) {
		tensor.Block(func(a ...*tensor.Tensor) []*tensor.Tensor {
			weight, kept, d := a[0], a[1], a[2]
			states, carry, dh := a[3:3+count], a[3+count:3+2*count], a[3+2*count:]
			from, to := p.rows(lo)
			var before, after []*tensor.Tensor
			for _, h := range states {
				before, after = append(before, h.Slice(0, from, from+hi-lo)), append(after, h.Slice(0, to, to+hi-lo))
			}
			slopes := p.slopes(kept.Slice(0, lo, hi), before, after)
			grad := slices.Clone(carry)
			for i := range hi - lo {
				t := back.order(i, hi-lo)
				if len(dh) > 0 {
					grad[0] = grad[0].Add(dh[0].Index(lo + t))
				}
				var here []*tensor.Tensor
				for _, m := range slopes {
					here = append(here, m.Index(t))
				}
				vectors, direct := p.back(grad, here)
				to := d.Index(lo + t)
				fillVectors(to, vectors)
				through := to.Slice(1, 0, gates).Reshape(batch, gates*hidden).MatMul(weight)
				if direct[0] != nil {
					through = through.Add(direct[0])
				}
				grad = append([]*tensor.Tensor{through}, direct[1:]...)
			}
			for i, g := range grad {
				carry[i].CopyFrom(g)
			}
			return nil
		}, args...)
	})
	products := d.Slice(2, 0, gates).Reshape(steps*batch, gates*hidden)
	out := append([]*tensor.Tensor{p.inputs(d).Reshape(steps, batch, gates*hidden), nil}, carry...)
	if needs[1] {
		before, _ := p.around(states, steps)
		out[1] = products.T().MatMul(before[0].Reshape(steps*batch, hidden))
	}
	if len(needs) > len(out) {
		out = append(out, products.Sum(0))
	}
	return out
}
