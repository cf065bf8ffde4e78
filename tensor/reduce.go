package tensor

import "github.com/hone-ml/hone/internal/backend"

// fold reduces the axes (all of them if none is given); the result keeps them with length 1.
func fold(name string, op backend.ReduceOp, t *Tensor, axes []int) (out *Tensor, n int) {
	s := scopeOf(name, []*Tensor{t})
	if t.view.DType == Bool {
		fail(name, []*Tensor{t}, "not defined for bool; convert with To")
	}
	shape, n := foldedShape(name, t, axes)
	out = alloc(s, t.view.DType, shape[:t.view.Rank]...)
	s.dev.backend.Reduce(op, &out.view, &t.view)
	return out, n
}

// foldedShape is t's shape with the axes, all of them if none is given, of length 1, and the number of elements
// that become one.
func foldedShape(name string, t *Tensor, axes []int) (shape [MaxRank]int, n int) {
	shape, n = t.view.Shape, 1
	if len(axes) == 0 {
		for i := range t.view.Rank {
			n *= shape[i]
			shape[i] = 1
		}
	}
	for _, a := range axes {
		i := t.axis(name, a)
		n *= shape[i]
		shape[i] = 1
	}
	return shape, n
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
	var room [MaxRank]int
	shape := room[:0]
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
	if out.scope.tape == nil {
		return out
	}
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
