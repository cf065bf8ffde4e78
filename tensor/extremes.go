package tensor

import "github.com/hone-ml/hone/internal/backend"

// MaxKeep is the maximum over the axes, all of them if none is given, which it keeps with length 1. NaN
// wins. Equal maxima share the gradient. The maximum of nothing is −∞, or the least integer. (PyTorch's amax.)
func (t *Tensor) MaxKeep(axes ...int) *Tensor { return t.extreme("Max", backend.ReduceMax, axes) }

// Max is the maximum over the axes, all of them if none is given, which it drops; see MaxKeep.
func (t *Tensor) Max(axes ...int) *Tensor { return squeezed(t, t.MaxKeep(axes...), axes) }

// MinKeep is the minimum over the axes, all of them if none is given, which it keeps with length 1. NaN
// wins. Equal minima share the gradient. The minimum of nothing is ∞, or the largest integer. (PyTorch's amin.)
func (t *Tensor) MinKeep(axes ...int) *Tensor { return t.extreme("Min", backend.ReduceMin, axes) }

// Min is the minimum over the axes, all of them if none is given, which it drops; see MinKeep.
func (t *Tensor) Min(axes ...int) *Tensor { return squeezed(t, t.MinKeep(axes...), axes) }

func (t *Tensor) extreme(op string, reduce backend.ReduceOp, axes []int) *Tensor {
	out, _ := fold(op, reduce, t, axes)
	return record1(op, out, []*Tensor{t}, []*Tensor{t, out}, func(g *gradient) {
		x, m := g.Saved(0), g.Saved(1)
		hit := x.Eq(m).To(x.view.DType)
		share := g.Output(0).Div(sumTo(hit, m.view.Dims()))
		g.Add(0, hit.Mul(share))
	})
}

// ArgMax is the index, I32, of the first maximum along an axis, the last one if none is given, which it drops.
// NaN wins. It panics if the axis has no elements.
func (t *Tensor) ArgMax(axis ...int) *Tensor { return t.argExtreme("ArgMax", backend.ArgMax, axis) }

// ArgMin is the index, I32, of the first minimum along an axis, the last one if none is given, which it drops.
// NaN wins. It panics if the axis has no elements.
func (t *Tensor) ArgMin(axis ...int) *Tensor { return t.argExtreme("ArgMin", backend.ArgMin, axis) }

func (t *Tensor) argExtreme(op string, reduce backend.ReduceOp, axis []int) *Tensor {
	s := scopeOf(op, []*Tensor{t})
	a := t.oneAxis(op, axis)
	if t.view.Shape[a] == 0 {
		fail(op, []*Tensor{t}, "axis %d has no elements", a)
	}
	x := t.detached().moved(op, func(axis int) bool { return axis == a })
	shape := x.Shape()
	shape[len(shape)-1] = 1
	out := alloc(s, I32, shape...)
	s.dev.backend.Reduce(reduce, &out.view, &x.view)
	return out.Squeeze(-1)
}

// oneAxis is the axis that an op with an optional one goes along, the last if none is given.
func (t *Tensor) oneAxis(op string, axis []int) int {
	switch {
	case t.view.Rank == 0:
		fail(op, []*Tensor{t}, "at least one axis is needed")
	case len(axis) > 1:
		fail(op, []*Tensor{t}, "goes along one axis, not along %v", axis)
	case len(axis) == 0:
		return t.view.Rank - 1
	}
	return t.axis(op, axis[0])
}

// AnyKeep says whether any of Bools is true along the axes, all of them if none is given, which it keeps with
// length 1. Of nothing none is.
func (t *Tensor) AnyKeep(axes ...int) *Tensor { return t.truths("Any", backend.ReduceMax, axes) }

// Any says whether any of Bools is true along the axes, all of them if none is given, which it drops.
func (t *Tensor) Any(axes ...int) *Tensor { return squeezed(t, t.AnyKeep(axes...), axes) }

// AllKeep says whether all of Bools are true along the axes, all of them if none is given, which it keeps with
// length 1. Of nothing all are.
func (t *Tensor) AllKeep(axes ...int) *Tensor { return t.truths("All", backend.ReduceMin, axes) }

// All says whether all of Bools are true along the axes, all of them if none is given, which it drops.
func (t *Tensor) All(axes ...int) *Tensor { return squeezed(t, t.AllKeep(axes...), axes) }

func (t *Tensor) truths(op string, reduce backend.ReduceOp, axes []int) *Tensor {
	s := scopeOf(op, []*Tensor{t})
	if t.view.DType != Bool {
		fail(op, []*Tensor{t}, "not defined for %s; compare first, as NeScalar(0) does", t.view.DType)
	}
	shape, _ := foldedShape(op, t, axes)
	out := alloc(s, Bool, shape[:t.view.Rank]...)
	s.dev.backend.Reduce(reduce, &out.view, &t.view)
	return out
}
