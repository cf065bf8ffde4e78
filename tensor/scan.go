package tensor

import "github.com/hone-ml/hone/internal/backend"

// CumSum is the sums of the elements up to each one along an axis: t's shape. It takes every dtype but Bool;
// integers wrap around.
func (t *Tensor) CumSum(axis int) *Tensor {
	axis = t.scannable("CumSum", axis)
	out := cheaply(like(t), []*Tensor{t}, func(out *Tensor, in []*Tensor) { out.cumulate(in[0], axis, false) })
	return record1("CumSum", out, []*Tensor{t}, nil, func(g *gradient) {
		dx := g.New(0)
		dx.cumulate(g.Output(0), axis, true)
		g.Add(0, dx)
	})
}

// CumProd is the products of the elements up to each one along an axis: t's shape. It takes every dtype but
// Bool; integers wrap around. The gradient is right where there are zeros, too.
func (t *Tensor) CumProd(axis int) *Tensor {
	axis = t.scannable("CumProd", axis)
	out := cheaply(like(t), []*Tensor{t}, func(out *Tensor, in []*Tensor) { out.multiplyUp(in[0], axis, false) })
	return record1("CumProd", out, []*Tensor{t}, []*Tensor{t, out}, func(g *gradient) {
		x, y, dy := g.Saved(0), g.Saved(1), g.Output(0)
		n := x.Dim(axis)
		if n == 0 {
			g.Add(0, dy)
			return
		}
		// With yₖ₋₁ for the product before k, dxₖ = yₖ₋₁·rₖ, where rₖ = dyₖ + xₖ₊₁·rₖ₊₁ needs no division.
		one := OnesLike(x.Slice(axis, 0, 1))
		next, before := Cat(axis, x.Slice(axis, 1, n), one), Cat(axis, one, y.Slice(axis, 0, n-1))
		r := g.New(0)
		r.scan(&next.view, &dy.view, axis, 0, true)
		g.Add(0, r.Mul(before))
	})
}

// scannable checks that one can go along an axis of t, and gives its number from the front.
func (t *Tensor) scannable(op string, axis int) int {
	scopeOf(op, []*Tensor{t})
	if t.view.DType == Bool {
		fail(op, []*Tensor{t}, "not defined for bool; convert with To")
	}
	return t.axis(op, axis)
}

// cumulate sets t to the sums of x along an axis, or from its end.
func (t *Tensor) cumulate(x *Tensor, axis int, reverse bool) {
	one := t.everywhere(1)
	t.scan(&one, &x.view, axis, 0, reverse)
}

// multiplyUp sets t to the products of x along an axis, or from its end.
func (t *Tensor) multiplyUp(x *Tensor, axis int, reverse bool) {
	zero := t.everywhere(0)
	t.scan(&x.view, &zero, axis, 1, reverse)
}

// everywhere is one number as a view of t's shape.
func (t *Tensor) everywhere(value float64) backend.View {
	return expand(&Full(t.scope, t.view.DType, value).view, t.view.Dims())
}

// scan sets t to the recurrence tᵢ = aᵢ·tᵢ₋₁ + bᵢ along an axis; see backend.Scanner.
func (t *Tensor) scan(a, b *backend.View, axis int, start float64, reverse bool) {
	if fused, ok := backend.Fused[backend.Scanner](t.dev.backend); ok {
		fused.Scan(&t.view, a, b, axis, start, reverse)
		return
	}
	k, n := t.dev.backend, t.view.Shape[axis]
	shape := append(make([]int, 0, MaxRank), t.view.Dims()...)
	shape[axis] = 1
	acc, ai, bi := alloc(t.scope, t.view.DType.Accumulator(), shape...), alloc(t.scope, t.view.DType.Accumulator(), shape...), alloc(t.scope, t.view.DType.Accumulator(), shape...)
	acc.Fill(start)
	for i := range n {
		if reverse {
			i = n - 1 - i
		}
		av, bv, tv := a.Slice(axis, i, i+1), b.Slice(axis, i, i+1), t.view.Slice(axis, i, i+1)
		k.Copy(&ai.view, &av)
		k.Copy(&bi.view, &bv)
		k.Binary(backend.Mul, &acc.view, &acc.view, &ai.view)
		k.Binary(backend.Add, &acc.view, &acc.view, &bi.view)
		k.Copy(&tv, &acc.view)
	}
}
