package tensor

import (
	"slices"

	"github.com/hone-ml/hone/internal/backend"
)

// Permute is t with its axes in another order: axis i of the result is axis axes[i] of t. Every axis is named
// once; negative ones count from the end. It is a view. (torch.permute.)
func (t *Tensor) Permute(axes ...int) *Tensor {
	t.viewable("Permute")
	t.unquantized("Permute")
	order, seen := make([]int, len(axes)), [MaxRank]bool{}
	for i, a := range axes {
		order[i] = t.axis("Permute", a)
		seen[order[i]] = true
	}
	for a := range t.view.Rank {
		if len(axes) != t.view.Rank || !seen[a] {
			fail("Permute", []*Tensor{t}, "%v must name each of the %d axes once", axes, t.view.Rank)
		}
	}
	return t.permute("Permute", order)
}

func (t *Tensor) permute(op string, order []int) *Tensor {
	return t.derive(op, t.alias(permuted(t.view, order...)), func(g *gradient) {
		g.Add(0, g.Output(0).permute(op, inverse(order)))
	})
}

// Movedim moves an axis to another place; the others keep their order. Negative places count from the end. It is a
// view. (torch.movedim.)
func (t *Tensor) Movedim(from, to int) *Tensor {
	t.viewable("Movedim")
	t.unquantized("Movedim")
	from, to = t.axis("Movedim", from), t.axis("Movedim", to)
	var order []int
	for a := range t.view.Rank {
		if a != from {
			order = append(order, a)
		}
	}
	return t.permute("Movedim", slices.Insert(order, to, from))
}

// SliceStep is every step-th element of [lo, hi) along an axis, the first one included. Negative lo and hi count
// from the end, as in Slice, so [-3, n) are the last three; lo = hi gives none. step is at least 1: Flip turns an
// axis round. It is a view. (Python's t[lo:hi:step], but that bounds outside the axis panic.)
func (t *Tensor) SliceStep(axis, lo, hi, step int) *Tensor {
	t.viewable("SliceStep")
	t.unquantized("SliceStep")
	axis = t.axis("SliceStep", axis)
	from, to := t.bounds("SliceStep", axis, lo, hi)
	if step < 1 {
		fail("SliceStep", []*Tensor{t}, "the step %d must be at least 1; Flip turns an axis round", step)
	}
	return t.derive("SliceStep", t.alias(stepped(&t.view, axis, from, to, step)), func(g *gradient) {
		d := g.New(0)
		d.Fill(0)
		part := d.alias(stepped(&d.view, axis, from, to, step))
		part.CopyFrom(g.Output(0))
		g.Add(0, d)
	})
}

// stepped is every step-th element of [lo, hi) along an axis.
func stepped(v *backend.View, axis, lo, hi, step int) backend.View {
	w := v.Slice(axis, lo, hi)
	if count := hi - lo; count > 0 {
		w.Shape[axis] = (count-1)/step + 1
	}
	if w.Shape[axis] > 1 { // a longer stride may not even be a number
		w.Strides[axis] *= step
	}
	return w
}

// Unflatten cuts an axis into several, of which one may be -1 and is inferred. It is a view. (torch.unflatten.)
func (t *Tensor) Unflatten(axis int, sizes ...int) *Tensor {
	t.viewable("Unflatten")
	t.unquantized("Unflatten")
	axis = t.axis("Unflatten", axis)
	length, n, infer := t.view.Shape[axis], 1, -1
	dims := slices.Clone(sizes)
	for i, d := range dims {
		switch {
		case d == -1 && infer < 0:
			infer = i
		case d < 0 || d > 0 && n > largestStep*largestStep/d:
			fail("Unflatten", []*Tensor{t}, "axis %d cannot be cut into %v", axis, sizes)
		default:
			n *= d
		}
	}
	if infer >= 0 && n > 0 {
		dims[infer] = length / n
		n *= dims[infer]
	}
	if n != length || len(dims) == 0 || infer >= 0 && dims[infer] < 0 || t.view.Rank+len(dims)-1 > MaxRank {
		fail("Unflatten", []*Tensor{t}, "axis %d of length %d cannot be cut into %v", axis, length, sizes)
	}
	v := backend.View{Ptr: t.view.Ptr, DType: t.view.DType, Rank: t.view.Rank + len(dims) - 1}
	copy(v.Shape[:], t.view.Shape[:axis])
	copy(v.Strides[:], t.view.Strides[:axis])
	copy(v.Shape[axis+len(dims):], t.view.Shape[axis+1:t.view.Rank])
	copy(v.Strides[axis+len(dims):], t.view.Strides[axis+1:t.view.Rank])
	stride := t.view.Strides[axis]
	for i, d := range slices.Backward(dims) {
		v.Shape[axis+i], v.Strides[axis+i] = d, stride
		stride *= d
	}
	return t.derive("Unflatten", t.alias(v), func(g *gradient) {
		g.Add(0, g.Output(0).Reshape(g.node.inputs[0].view.Dims()...))
	})
}

// Diagonal is the diagonal of the matrices along axes a and b, as the last axis of a view; offset is how far above
// the main diagonal it lies, below if negative. (torch.diagonal.)
func (t *Tensor) Diagonal(offset, a, b int) *Tensor {
	t.viewable("Diagonal")
	t.unquantized("Diagonal")
	a, b = t.axis("Diagonal", a), t.axis("Diagonal", b)
	if a == b {
		fail("Diagonal", []*Tensor{t}, "needs two axes, got %d twice", a)
	}
	if n := largestStep * largestStep; offset > n || offset < -n {
		fail("Diagonal", []*Tensor{t}, "there is no diagonal %d", offset)
	}
	return t.derive("Diagonal", t.alias(diagonal(&t.view, offset, a, b)), func(g *gradient) {
		d := g.New(0)
		d.Fill(0)
		part := d.alias(diagonal(&d.view, offset, a, b))
		part.CopyFrom(g.Output(0))
		g.Add(0, d)
	})
}

func diagonal(v *backend.View, offset, a, b int) backend.View {
	down, right := max(-offset, 0), max(offset, 0)
	length := max(min(v.Shape[a]-down, v.Shape[b]-right), 0)
	w := *v
	if length > 0 {
		w = w.Slice(a, down, down+length)
		w = w.Slice(b, right, right+length)
	}
	out := backend.View{Ptr: w.Ptr, DType: v.DType, Rank: v.Rank - 1}
	i := 0
	for axis := range v.Rank {
		if axis != a && axis != b {
			out.Shape[i], out.Strides[i] = v.Shape[axis], v.Strides[axis]
			i++
		}
	}
	out.Shape[i], out.Strides[i] = length, v.Strides[a]+v.Strides[b]
	return out
}

// Diag is the matrix that has the vector t on a diagonal and zeros elsewhere, or the diagonal of the matrix t as a
// vector; offset is how far above the main diagonal it lies, below if negative. (torch.diag.)
func (t *Tensor) Diag(offset int) *Tensor {
	s := scopeOf("Diag", []*Tensor{t})
	if t.view.Rank == 2 {
		return t.Diagonal(offset, 0, 1)
	}
	if t.view.Rank != 1 || offset > largestStep || offset < -largestStep {
		fail("Diag", []*Tensor{t}, "needs a vector or a matrix, and a diagonal that it has, not %d", offset)
	}
	n := t.Len() + max(offset, -offset)
	out := Zeros(s, t.view.DType, n, n)
	v := diagonal(&out.view, offset, 0, 1)
	s.dev.backend.Copy(&v, &t.view)
	return record1("Diag", out, []*Tensor{t}, nil, func(g *gradient) { g.Add(0, g.Output(0).Diagonal(offset, 0, 1)) })
}

// Trace is the sum of the diagonal of the matrix t. (torch.trace.)
func (t *Tensor) Trace() *Tensor {
	scopeOf("Trace", []*Tensor{t})
	if t.view.Rank != 2 {
		fail("Trace", []*Tensor{t}, "needs a matrix")
	}
	return t.Diagonal(0, 0, 1).Sum()
}
