package tensor

import "github.com/hone-ml/hone/internal/backend"

// fold reduces the axes (all of them if none is given); the result keeps them with length 1.
func fold(name string, op backend.ReduceOp, t *Tensor, axes []int) (out *Tensor, n int) {
	s := scopeOf(name, []*Tensor{t})
	if t.view.DType == Bool {
		fail(name, []*Tensor{t}, "not defined for bool; convert with To")
	}
	shape := t.Shape()
	n = 1
	if len(axes) == 0 {
		for i := range shape {
			n *= shape[i]
			shape[i] = 1
		}
	}
	for _, a := range axes {
		i := t.axis(name, a)
		n *= shape[i]
		shape[i] = 1
	}
	out = alloc(s, t.view.DType, shape...)
	s.dev.backend.Reduce(op, &out.view, &t.view)
	return out, n
}

// squeezed drops the folded axes of out, all of them if none is given.
func squeezed(t, out *Tensor, axes []int) *Tensor {
	if len(axes) == 0 {
		return out.Reshape()
	}
	var drop [MaxRank]bool
	for _, a := range axes {
		drop[t.axis("Reduce", a)] = true
	}
	var shape []int
	for i, d := range out.view.Dims() {
		if !drop[i] {
			shape = append(shape, d)
		}
	}
	return out.Reshape(shape...)
}

// SumKeep sums over the axes, all of them if none is given, and keeps them with length 1.
func (t *Tensor) SumKeep(axes ...int) *Tensor {
	out, _ := fold("Sum", backend.Sum, t, axes)
	return record1("Sum", out, []*Tensor{t}, nil, func(g *gradient) {
		g.Add(0, g.Output(0).Expand(g.node.inputs[0].view.Dims()...))
	})
}

// Sum sums over the axes, all of them if none is given, and drops them.
func (t *Tensor) Sum(axes ...int) *Tensor { return squeezed(t, t.SumKeep(axes...), axes) }

// MeanKeep is the mean over the axes, all of them if none is given, which it keeps with length 1.
func (t *Tensor) MeanKeep(axes ...int) *Tensor {
	if !t.view.DType.IsFloat() {
		fail("Mean", []*Tensor{t}, "a float dtype is needed")
	}
	scopeOf("Mean", []*Tensor{t})
	dt := t.view.DType
	sum, n := fold("Mean", backend.Sum, t.detached().To(dt.Accumulator()), axes) // F16 could not hold the sum
	s := 1 / float64(n)
	sum.dev.backend.Scalar(backend.Mul, &sum.view, &sum.view, s)
	return record1("Mean", sum.To(dt), []*Tensor{t}, nil, func(g *gradient) {
		g.Add(0, g.Output(0).MulScalar(s).Expand(g.node.inputs[0].view.Dims()...))
	})
}

// Mean is the mean over the axes, all of them if none is given, which it drops.
func (t *Tensor) Mean(axes ...int) *Tensor { return squeezed(t, t.MeanKeep(axes...), axes) }

// MaxKeep is the maximum over the axes, all of them if none is given, which it keeps with length 1. NaN
// wins. Equal maxima share the gradient.
func (t *Tensor) MaxKeep(axes ...int) *Tensor {
	out, _ := fold("Max", backend.ReduceMax, t, axes)
	return record1("Max", out, []*Tensor{t}, []*Tensor{t, out}, func(g *gradient) {
		x, m := g.Saved(0), g.Saved(1)
		hit := x.Eq(m).To(x.view.DType)
		share := g.Output(0).Div(sumTo(hit, m.view.Dims()))
		g.Add(0, hit.Mul(share))
	})
}

// Max is the maximum over the axes, all of them if none is given, which it drops.
func (t *Tensor) Max(axes ...int) *Tensor { return squeezed(t, t.MaxKeep(axes...), axes) }

// ArgMax is the index, I32, of the first maximum along the last axis, which it drops. NaN wins.
func (t *Tensor) ArgMax() *Tensor {
	s := scopeOf("ArgMax", []*Tensor{t})
	if t.view.Rank == 0 || t.view.Shape[t.view.Rank-1] == 0 {
		fail("ArgMax", []*Tensor{t}, "needs a last axis with elements")
	}
	shape := t.Shape()
	shape[len(shape)-1] = 1
	out := alloc(s, I32, shape...)
	s.dev.backend.Reduce(backend.ArgMax, &out.view, &t.view)
	return out.Squeeze(-1)
}
