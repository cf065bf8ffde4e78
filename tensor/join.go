package tensor

import "slices"

// Stack joins tensors of one shape and dtype along a new axis, which may be given from the end: -1 makes it the
// last. (torch.stack.)
func Stack(axis int, ts ...*Tensor) *Tensor {
	s := scopeOf("Stack", ts)
	ts = bring(s, ts)
	at := axis
	if at < 0 {
		at += ts[0].view.Rank + 1
	}
	if at < 0 || at > ts[0].view.Rank || ts[0].view.Rank == MaxRank {
		fail("Stack", ts, "cannot make a new axis %d", axis)
	}
	rows := make([]*Tensor, len(ts))
	for i, t := range ts {
		if !sameDims(t, ts[0]) || t.view.DType != ts[0].view.DType {
			fail("Stack", ts, "shapes and dtypes must be equal")
		}
		rows[i] = t.Unsqueeze(at)
	}
	return Cat(at, rows...)
}

// Split cuts an axis into parts of the given lengths, which add up to its own. The parts are views.
// (torch.split with a list.)
func (t *Tensor) Split(axis int, lengths ...int) []*Tensor {
	t.viewable("Split")
	t.unquantized("Split")
	axis = t.axis("Split", axis)
	left := t.view.Shape[axis]
	for _, n := range lengths {
		if n < 0 || n > left {
			left = -1
			break
		}
		left -= n
	}
	if left != 0 {
		fail("Split", []*Tensor{t}, "the lengths %v do not add up to axis %d of %d", lengths, axis, t.view.Shape[axis])
	}
	return t.cut("Split", axis, lengths, false)
}

// Chunk cuts an axis into at most n parts of equal length, but for the last one, which may be shorter. The parts
// are views. (torch.chunk.)
func (t *Tensor) Chunk(axis, n int) []*Tensor {
	t.viewable("Chunk")
	t.unquantized("Chunk")
	axis = t.axis("Chunk", axis)
	if n < 1 {
		fail("Chunk", []*Tensor{t}, "cannot be cut into %d parts", n)
	}
	left := t.view.Shape[axis]
	each := max(left/n, 1)
	if left > each*n {
		each++
	}
	lengths := []int{min(each, left)}
	for left -= lengths[0]; left > 0; left -= each {
		lengths = append(lengths, min(each, left))
	}
	return t.cut("Chunk", axis, lengths, false)
}

// Unbind is the elements along an axis, without that axis, as views. (torch.unbind.)
func (t *Tensor) Unbind(axis int) []*Tensor {
	t.viewable("Unbind")
	t.unquantized("Unbind")
	axis = t.axis("Unbind", axis)
	return t.cut("Unbind", axis, slices.Repeat([]int{1}, t.view.Shape[axis]), true)
}

// cut is the parts of an axis, each without that axis if drop. Backward puts their gradients together at once.
func (t *Tensor) cut(op string, axis int, lengths []int, drop bool) []*Tensor {
	part := func(t *Tensor, lo, n int) *Tensor {
		v := t.view.Slice(axis, lo, lo+n)
		if drop {
			v = dropped(v, axis)
		}
		return t.alias(v)
	}
	out := make([]*Tensor, len(lengths))
	at := 0
	for i, n := range lengths {
		out[i] = part(t, at, n)
		at += n
	}
	if t.scope == nil || len(out) == 0 {
		return out
	}
	record(op, out, []*Tensor{t}, nil, func(g *gradient) {
		d := g.New(0)
		at := 0
		for i, n := range lengths {
			if to, dy := part(d, at, n), g.Output(i); dy != nil {
				to.CopyFrom(dy)
			} else {
				to.Fill(0)
			}
			at += n
		}
		g.Add(0, d)
	})
	return out
}

// Meshgrid gives the coordinates of a grid: of vectors of lengths n₀, n₁, … it makes as many tensors [n₀, n₁, …],
// of which the i-th varies along axis i only. They are views. (torch.meshgrid with indexing="ij".)
func Meshgrid(ts ...*Tensor) []*Tensor {
	s := scopeOf("Meshgrid", ts)
	ts = bring(s, ts)
	var shape []int
	for _, t := range ts {
		if t.view.Rank != 1 || len(ts) > MaxRank {
			fail("Meshgrid", ts, "needs at most %d vectors", MaxRank)
		}
		shape = append(shape, t.Len())
	}
	for i, t := range ts {
		alone := slices.Repeat([]int{1}, len(ts))
		alone[i] = t.Len()
		ts[i] = t.Reshape(alone...).Expand(shape...)
	}
	return ts
}
