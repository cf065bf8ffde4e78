package nn

import (
	"slices"

	"github.com/hone-ml/hone/tensor"
)

// A cell is a step of a recurrent network, forward beside backward. Vectors of the hidden width lie on the axis before the
// last: G gates, K vectors that backward needs, D derivatives.
type cell interface {
	// counts are the numbers of gates, of kept vectors and of derivatives.
	counts() (gates, kept, derivatives int)

	// biased reports whether the hidden bias has to be in the product with the hidden state, and cannot be added before.
	biased() bool

	// step gives the next state, h first, from what the input gives to the gates, x [B, G, H], the state before it and the
	// hidden weight and bias; and the vectors that backward needs, [B, H] or [B, n, H].
	step(x *tensor.Tensor, state []*tensor.Tensor, weight, bias *tensor.Tensor) (next, keep []*tensor.Tensor)

	// slopes are what the gradients of a step are multiples of, for all steps at once: from what was kept [T, B, K, H] and from the
	// states [T, B, H] before and after each step.
	slopes(kept *tensor.Tensor, before, after []*tensor.Tensor) []*tensor.Tensor

	// back gives the derivatives of a step [B, n, H], of which the first G are those of the gates' products with the hidden
	// state, and what flows to the state before it on other ways than these products (nil for nothing): from
	// the gradient of the state and the slopes of the step.
	back(d []*tensor.Tensor, slopes []*tensor.Tensor) (derivatives, direct []*tensor.Tensor)

	// inputs is the gradient of x of all steps, [T, B, G, H], in their derivatives [T, B, D, H].
	inputs(derivatives *tensor.Tensor) *tensor.Tensor
}

// pass is a layer's way over time in one direction, as one op: recorded step by step it would keep, and run through, ten times
// as many tensors. The products with the input are one for all steps, and so are those of the weights' gradients.
type pass struct {
	cell
	reverse bool
}

// run gives the states h [T, B, H] after each step, in the order of the input, and the final state.
func (p pass) run(name string, x *tensor.Tensor, w passWeights, start []*tensor.Tensor) (hs *tensor.Tensor, end []*tensor.Tensor) {
	s := x.Scope()
	acc := accumulator(x)
	inputs := start
	bias := w.bih
	if w.bhh != nil && !p.biased() {
		bias = w.bih.In(s).Add(w.bhh)
	}
	inputs = append([]*tensor.Tensor{tensor.Linear(x, w.ih, bias).To(acc), w.hh.In(s).To(acc)}, inputs...)
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
			return p.backward(states, dy, saved)[:len(needs)] // without that of a bias that is not there
		},
	}
	out := tensor.Custom(op, inputs...)
	return out[0], out[1:]
}

// rows are where the states around step t of so many lie in buffers of one more row: in the order of time, so that the pass
// from the end has its first state in the last row.
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

// forward has inputs x [T, B, G·H], weight [G·H, H], the initial states [B, H] and perhaps a bias [G·H].
func (p pass) forward(s *tensor.Scope, count int, in []*tensor.Tensor) (outputs, saved []*tensor.Tensor) {
	x, weight, start, bias := in[0], in[1], in[2:2+count], in[2+count:]
	gates, keep, _ := p.counts()
	steps, batch, hidden := x.Dim(0), x.Dim(1), weight.Dim(1)
	x = x.Reshape(steps, batch, gates, hidden)
	first, _ := p.rows(p.order(0, steps))
	recording, biased := s.Recording(), len(bias) > 0
	var states []*tensor.Tensor
	for _, h := range start {
		buffer := tensor.Empty(s, x.DType(), steps+1, batch, hidden)
		buffer.Index(first).CopyFrom(h)
		states = append(states, buffer)
	}
	var kept *tensor.Tensor
	if recording {
		kept = tensor.Empty(s, x.DType(), steps, batch, keep, hidden)
	}
	for i := range steps {
		t := p.order(i, steps)
		before, after := p.rows(t)
		args := []*tensor.Tensor{x.Index(t), weight}
		for _, h := range states {
			args = append(args, h.Index(before), h.Index(after))
		}
		if recording {
			args = append(args, kept.Index(t))
		}
		args = append(args, bias...)
		tensor.Block(func(a ...*tensor.Tensor) []*tensor.Tensor { // frees what the step leaves behind
			x, weight, a := a[0], a[1], a[2:]
			var before, after []*tensor.Tensor
			for range count {
				before, after, a = append(before, a[0]), append(after, a[1]), a[2:]
			}
			var bias *tensor.Tensor
			if biased {
				bias = a[len(a)-1]
			}
			next, keep := p.step(x, before, weight, bias)
			for i, h := range next {
				after[i].CopyFrom(h)
			}
			if recording {
				fillVectors(a[0], keep)
			}
			return nil
		}, args...)
	}
	_, after := p.around(states, steps)
	outputs = after[:1:1]
	final := steps - first
	for _, h := range states {
		outputs = append(outputs, h.Index(final))
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

// backward has the gradients of h [T, B, H] and of the final states, each of which may be nil. It gives those of x, the weight,
// the initial states and the bias.
func (p pass) backward(count int, dy, saved []*tensor.Tensor) []*tensor.Tensor {
	weight, kept, states := saved[0], saved[1], saved[2:]
	s := weight.Scope()
	for _, d := range dy {
		if d != nil {
			s = d.Scope()
		}
	}
	dt := weight.DType()
	gates, _, derivatives := p.counts()
	steps, batch, hidden := kept.Dim(0), kept.Dim(1), weight.Dim(1)
	before, after := p.around(states, steps)
	slopes := p.slopes(kept, before, after)
	d := tensor.Empty(s, dt, steps, batch, derivatives, hidden)
	var carry []*tensor.Tensor // the gradients of the states after the step
	for _, end := range dy[1:] {
		c := tensor.Zeros(s, dt, batch, hidden)
		if end != nil {
			c.CopyFrom(end)
		}
		carry = append(carry, c)
	}
	for i := range steps {
		t := p.order(steps-1-i, steps)
		args := append([]*tensor.Tensor{weight, d.Index(t)}, carry...)
		for _, m := range slopes {
			args = append(args, m.Index(t))
		}
		if dy[0] != nil {
			args = append(args, dy[0].Index(t))
		}
		tensor.Block(func(a ...*tensor.Tensor) []*tensor.Tensor {
			weight, d, carry, a := a[0], a[1], a[2:2+count], a[2+count:]
			in := slices.Clone(carry)
			if len(a) > len(slopes) {
				in[0] = in[0].Add(a[len(slopes)])
			}
			vectors, direct := p.back(in, a[:len(slopes)])
			fillVectors(d, vectors)
			through := d.Slice(1, 0, gates).Reshape(batch, gates*hidden).MatMul(weight)
			if direct[0] != nil {
				through = through.Add(direct[0])
			}
			carry[0].CopyFrom(through)
			for i, c := range direct[1:] {
				carry[1+i].CopyFrom(c)
			}
			return nil
		}, args...)
	}
	products := d.Slice(2, 0, gates).Reshape(steps*batch, gates*hidden)
	dw := products.T().MatMul(before[0].Reshape(steps*batch, hidden))
	out := append([]*tensor.Tensor{p.inputs(d).Reshape(steps, batch, gates*hidden), dw}, carry...)
	return append(out, products.Sum(0))
}
