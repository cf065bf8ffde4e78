package tensor

import (
	"slices"

	"github.com/hone-ml/hone/internal/backend"
)

// Views copy nothing: the result shares memory with t. They work on long-lived tensors too, but not on a
// trainable one: bring it into a scope with In first, so that its gradient can flow.

// Reshape is t with another shape of as many elements, in row-major order; one dimension may be -1 and is
// inferred. It copies only if t is not contiguous.
func (t *Tensor) Reshape(shape ...int) *Tensor {
	t.viewable("Reshape")
	t.unquantized("Reshape")
	var room [MaxRank]int
	dims := append(room[:0], shape...)
	infer, n := -1, 1
	for i, d := range dims {
		switch {
		case d == -1 && infer < 0:
			infer = i
		case d < 0:
			fail("Reshape", []*Tensor{t}, "cannot have shape %v", slices.Clone(shape))
		default:
			n *= d
		}
	}
	if infer >= 0 {
		if n == 0 {
			fail("Reshape", []*Tensor{t}, "-1 could be any number in %v", slices.Clone(shape))
		}
		dims[infer] = t.Len() / n
		n *= dims[infer]
	}
	if n != t.Len() || len(dims) > MaxRank {
		fail("Reshape", []*Tensor{t}, "%d elements cannot have shape %v", t.Len(), slices.Clone(shape))
	}
	if !t.view.Contiguous() {
		return t.Contiguous().Reshape(dims...)
	}
	out := t.alias(backend.NewView(t.view.Ptr, t.view.DType, dims...))
	return t.derive("Reshape", out, func(g *gradient) {
		v := g.node.inputs[0].view
		g.Add(0, g.Output(0).Reshape(v.Dims()...))
	})
}

// Flatten is t with one axis.
func (t *Tensor) Flatten() *Tensor { return t.Reshape(-1) }

// Transpose exchanges two axes; negative ones count from the end.
func (t *Tensor) Transpose(a, b int) *Tensor {
	t.viewable("Transpose")
	a, b = t.axis("Transpose", a), t.axis("Transpose", b)
	if t.view.Rank != 2 {
		t.unquantized("Transpose")
	}
	v := t.view
	v.Shape[a], v.Shape[b] = v.Shape[b], v.Shape[a]
	v.Strides[a], v.Strides[b] = v.Strides[b], v.Strides[a]
	return t.derive("Transpose", t.alias(v), func(g *gradient) { g.Add(0, g.Output(0).Transpose(a, b)) })
}

// T exchanges the last two axes.
func (t *Tensor) T() *Tensor { return t.Transpose(-1, -2) }

// Slice is [lo, hi) along an axis. Negative lo and hi count from the end; bounds outside the axis panic.
// (torch.narrow.)
func (t *Tensor) Slice(axis, lo, hi int) *Tensor {
	t.viewable("Slice")
	axis = t.axis("Slice", axis)
	if axis != 0 || !t.view.Contiguous() || t.view.Rank == 1 {
		t.unquantized("Slice")
	}
	from, to := t.bounds("Slice", axis, lo, hi)
	return t.derive("Slice", t.alias(t.view.Slice(axis, from, to)), func(g *gradient) {
		d := g.New(0)
		d.Fill(0)
		d.Slice(axis, from, to).CopyFrom(g.Output(0))
		g.Add(0, d)
	})
}

// bounds are lo and hi counted from the front of an axis.
func (t *Tensor) bounds(op string, axis, lo, hi int) (from, to int) {
	n := t.view.Shape[axis]
	from, to = lo, hi
	if from < 0 {
		from += n
	}
	if to < 0 {
		to += n
	}
	if from < 0 || to > n || from > to {
		fail(op, []*Tensor{t}, "[%d, %d) is not within axis %d of length %d", lo, hi, axis, n)
	}
	return from, to
}

// Index is element i along the first axis, a negative one counted from the end; the rank is one less.
func (t *Tensor) Index(i int) *Tensor {
	n := t.Dim(0)
	if i < -n || i >= n {
		fail("Index", []*Tensor{t}, "%d is not one of the %d elements of the first axis", i, n)
	}
	if i < 0 {
		i += n
	}
	return t.Slice(0, i, i+1).Squeeze(0)
}

// Squeeze drops an axis of length 1.
func (t *Tensor) Squeeze(axis int) *Tensor {
	t.viewable("Squeeze")
	axis = t.axis("Squeeze", axis)
	if t.view.Shape[axis] != 1 {
		fail("Squeeze", []*Tensor{t}, "axis %d has length %d, not 1", axis, t.view.Shape[axis])
	}
	return t.derive("Squeeze", t.alias(dropped(t.view, axis)), func(g *gradient) { g.Add(0, g.Output(0).Unsqueeze(axis)) })
}

// dropped is v without an axis of length 1.
func dropped(v backend.View, axis int) backend.View {
	w := backend.View{Ptr: v.Ptr, DType: v.DType, Rank: v.Rank - 1}
	copy(w.Shape[:], v.Shape[:axis])
	copy(w.Shape[axis:], v.Shape[axis+1:v.Rank])
	copy(w.Strides[:], v.Strides[:axis])
	copy(w.Strides[axis:], v.Strides[axis+1:v.Rank])
	return w
}

// Unsqueeze inserts an axis of length 1 before the given one; -1 appends it.
func (t *Tensor) Unsqueeze(axis int) *Tensor {
	t.viewable("Unsqueeze")
	t.unquantized("Unsqueeze")
	at := axis
	if at < 0 {
		at += t.view.Rank + 1
	}
	if at < 0 || at > t.view.Rank || t.view.Rank == MaxRank {
		fail("Unsqueeze", []*Tensor{t}, "cannot insert an axis at %d", axis)
	}
	v := backend.View{Ptr: t.view.Ptr, DType: t.view.DType, Rank: t.view.Rank + 1}
	copy(v.Shape[:], t.view.Shape[:at])
	copy(v.Strides[:], t.view.Strides[:at])
	v.Shape[at], v.Strides[at] = 1, 1
	if at < t.view.Rank {
		v.Strides[at] = t.view.Strides[at] * t.view.Shape[at]
	}
	copy(v.Shape[at+1:], t.view.Shape[at:t.view.Rank])
	copy(v.Strides[at+1:], t.view.Strides[at:t.view.Rank])
	return t.derive("Unsqueeze", t.alias(v), func(g *gradient) { g.Add(0, g.Output(0).Squeeze(at)) })
}

// Expand repeats axes of length 1, and adds axes in front, to reach shape, without copying.
// (torch.broadcast_to.)
func (t *Tensor) Expand(shape ...int) *Tensor {
	t.viewable("Expand")
	t.unquantized("Expand")
	if len(shape) < t.view.Rank || len(shape) > MaxRank || shapeLen(shape) < 0 || !expands(t.view.Dims(), shape) {
		fail("Expand", []*Tensor{t}, "cannot expand to %v", shape)
	}
	return t.derive("Expand", t.alias(expand(&t.view, shape)), func(g *gradient) {
		g.Add(0, sumTo(g.Output(0), g.node.inputs[0].view.Dims()))
	})
}

// expands reports whether shape from broadcasts to shape to.
func expands(from, to []int) bool {
	to = to[len(to)-len(from):]
	for i, d := range from {
		if d != to[i] && (d != 1 || to[i] < 0) {
			return false
		}
	}
	return true
}

// expand is v broadcast to shape by strides of 0.
func expand(v *backend.View, shape []int) backend.View {
	w := backend.View{Ptr: v.Ptr, DType: v.DType, Rank: len(shape)}
	copy(w.Shape[:], shape)
	for i, skip := 0, len(shape)-v.Rank; i < v.Rank; i++ {
		if v.Shape[i] == shape[i+skip] {
			w.Strides[i+skip] = v.Strides[i]
		}
	}
	return w
}

// sumTo folds the axes along which shape was broadcast to t's.
func sumTo(t *Tensor, shape []int) *Tensor {
	if t.hasShape(shape...) {
		return t
	}
	padded := make([]int, t.view.Rank)
	skip := t.view.Rank - len(shape)
	for i := range padded {
		padded[i] = 1
		if i >= skip {
			padded[i] = shape[i-skip]
		}
	}
	out := alloc(t.scope, t.view.DType, padded...)
	t.dev.backend.Reduce(backend.Sum, &out.view, &t.view)
	return out.Reshape(shape...)
}

// Contiguous is t itself if its elements lie one behind the other, or else a copy that does.
func (t *Tensor) Contiguous() *Tensor {
	if t.view.Contiguous() {
		return t
	}
	t.viewable("Contiguous")
	t.unquantized("Contiguous")
	var p Place = t.dev
	if t.scope != nil {
		p = t.scope
	}
	out := cheaply(alloc(p, t.view.DType, t.view.Dims()...), []*Tensor{t}, func(out *Tensor, in []*Tensor) {
		out.dev.backend.Copy(&out.view, &in[0].view)
	})
	return t.derive("Contiguous", out, func(g *gradient) { g.Add(0, g.Output(0)) })
}

// Cat joins tensors of one dtype along an axis; their other dimensions are equal.
func Cat(axis int, ts ...*Tensor) *Tensor {
	s := scopeOf("Cat", ts)
	ts = bring(s, ts)
	axis = ts[0].axis("Cat", axis)
	shape := ts[0].Shape()
	shape[axis] = 0
	for _, t := range ts {
		ok := t.view.Rank == len(shape) && t.view.DType == ts[0].view.DType
		for i := 0; ok && i < len(shape); i++ {
			ok = i == axis || t.view.Shape[i] == shape[i]
		}
		if !ok {
			fail("Cat", ts, "dtypes and all dimensions but axis %d must be equal", axis)
		}
		shape[axis] += t.view.Shape[axis]
	}
	out := alloc(s, ts[0].view.DType, shape...)
	at := 0
	for _, t := range ts {
		n := t.view.Shape[axis]
		v := out.view.Slice(axis, at, at+n)
		s.dev.backend.Copy(&v, &t.view)
		at += n
	}
	return record1("Cat", out, ts, nil, func(g *gradient) {
		at := 0
		for i, t := range g.node.inputs {
			n := t.view.Shape[axis]
			g.Add(i, g.Output(0).Slice(axis, at, at+n))
			at += n
		}
	})
}

// viewable checks that a view of t may be taken.
func (t *Tensor) viewable(op string) {
	t.alive(op)
	if t.scope == nil && t.trainable {
		fail(op, []*Tensor{t}, "a view of a trainable tensor would lose its gradient: bring it into a scope with In first")
	}
}

// derive records out as computed from t alone, with nothing saved.
func (t *Tensor) derive(op string, out *Tensor, backward func(*gradient)) *Tensor {
	if t.scope == nil || t.scope.tape == nil {
		return out
	}
	return record1(op, out, []*Tensor{t}, nil, backward)
}
