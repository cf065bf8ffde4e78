package tensor

import (
	"math"

	"github.com/hone-ml/hone/internal/backend"
)

// VarKeep is the variance over the axes, all of them if none is given, which it keeps with length 1: the sum of
// squared distances from the mean, divided by the number of elements less the correction. A correction of 1 is
// Bessel's, PyTorch's default, and 0 gives the variance of the numbers themselves. Where nothing is left to
// divide by it is NaN, or ∞. t has a float dtype; sums are kept in F32, or F64 of F64.
func (t *Tensor) VarKeep(correction int, axes ...int) *Tensor {
	return t.variance("Var", correction, axes, false)
}

// Var is VarKeep without the axes.
func (t *Tensor) Var(correction int, axes ...int) *Tensor {
	return squeezed(t, t.VarKeep(correction, axes...), axes)
}

// StdKeep is the standard deviation over the axes, the root of VarKeep. Where it is 0 the gradient is 0.
func (t *Tensor) StdKeep(correction int, axes ...int) *Tensor {
	return t.variance("Std", correction, axes, true)
}

// Std is StdKeep without the axes.
func (t *Tensor) Std(correction int, axes ...int) *Tensor {
	return squeezed(t, t.StdKeep(correction, axes...), axes)
}

func (t *Tensor) variance(op string, correction int, axes []int, root bool) *Tensor {
	t.floats(op)
	dt := t.view.DType
	x := t.detached().To(dt.Accumulator())
	sum, n := fold(op, backend.Sum, x, axes)
	mean := sum.DivScalar(float64(n))
	squares, _ := fold(op, backend.Sum, x.Sub(mean).Square(), axes)
	scale := 1 / float64(max(n-correction, 0))
	out := squares.MulScalar(scale)
	if root {
		out = out.Sqrt()
	}
	return record1(op, out.To(dt), []*Tensor{t}, []*Tensor{t, mean, out}, func(g *gradient) {
		x, mean, out := g.Saved(0), g.Saved(1), g.Saved(2)
		dy := g.Output(0).To(mean.view.DType)
		if root { // d√v = dv/(2√v)
			dy = Where(out.EqScalar(0), ZerosLike(dy), dy.Div(out)).MulScalar(scale)
		} else {
			dy = dy.MulScalar(2 * scale)
		}
		g.Add(0, x.To(mean.view.DType).Sub(mean).Mul(dy))
	})
}

// ProdKeep is the product over the axes, all of them if none is given, which it keeps with length 1. It takes
// every dtype but Bool; integers wrap around. Of nothing it is 1. The gradient is right where there are zeros,
// too.
func (t *Tensor) ProdKeep(axes ...int) *Tensor {
	out, n := fold("Prod", backend.Prod, t, axes)
	var folded [MaxRank]bool
	for axis := range t.view.Rank {
		folded[axis] = len(axes) == 0
	}
	for _, a := range axes {
		folded[t.axis("Prod", a)] = true
	}
	return record1("Prod", out, []*Tensor{t}, []*Tensor{t}, func(g *gradient) {
		x, dy := g.Saved(0), g.Output(0)
		if x.Len() == 0 {
			g.Add(0, ZerosLike(x))
			return
		}
		// The product of the others is that of those before times that of those behind.
		last := func(axis int) bool { return folded[axis] }
		m := x.moved("Prod", last)
		flat := m.Contiguous().Reshape(-1, n)
		one := Ones(g.scope, x.view.DType, flat.Dim(0), 1)
		up, down := like(flat), like(flat)
		up.multiplyUp(flat, 1, false)
		down.multiplyUp(flat, 1, true)
		others := Cat(1, one, up.Slice(1, 0, n-1)).Mul(Cat(1, down.Slice(1, 1, n), one))
		g.Add(0, others.Reshape(m.view.Dims()...).movedBack("Prod", last).Mul(dy))
	})
}

// Prod is ProdKeep without the axes.
func (t *Tensor) Prod(axes ...int) *Tensor { return squeezed(t, t.ProdKeep(axes...), axes) }

// LogSumExpKeep is log Σ exp(t) over the axes, all of them if none is given, which it keeps with length 1,
// without overflow. Of nothing it is −∞. t has a float dtype.
func (t *Tensor) LogSumExpKeep(axes ...int) *Tensor {
	t.floats("LogSumExp")
	dt := t.view.DType
	x := t.detached().To(dt.Accumulator())
	top, _ := fold("LogSumExp", backend.ReduceMax, x, axes)
	shift := Where(top.IsInf(), ZerosLike(top), top) // ∞ − ∞ is no number
	sum, _ := fold("LogSumExp", backend.Sum, x.Sub(shift).Exp(), axes)
	out := sum.Log().Add(shift)
	return record1("LogSumExp", out.To(dt), []*Tensor{t}, []*Tensor{t, out}, func(g *gradient) {
		x, out := g.Saved(0), g.Saved(1)
		shift := Where(out.EqScalar(math.Inf(-1)), ZerosLike(out), out)
		share := x.To(out.view.DType).Sub(shift).Exp() // the softmax; 0 where all is −∞
		g.Add(0, share.Mul(g.Output(0).To(out.view.DType)))
	})
}

// LogSumExp is LogSumExpKeep without the axes.
func (t *Tensor) LogSumExp(axes ...int) *Tensor {
	return squeezed(t, t.LogSumExpKeep(axes...), axes)
}

// NormKeep is the p-norm over the axes, all of them if none is given, which it keeps with length 1:
// (Σ |t|ᵖ)^(1/p); the largest |t| for p = ∞, the smallest for −∞, and the number of elements that are not zero
// for 0. Matrices have no other treatment than vectors. Where the norm is 0 the gradient is 0; equal extremes
// share it. t has a float dtype.
func (t *Tensor) NormKeep(p float64, axes ...int) *Tensor {
	s := t.floats("Norm")
	if p != p {
		fail("Norm", []*Tensor{t}, "p is not a number")
	}
	dt := t.view.DType
	x := t.detached().To(dt.Accumulator())
	if p != 2 {
		x = x.Abs()
	}
	sum := func(x *Tensor) *Tensor {
		out, _ := fold("Norm", backend.Sum, x, axes)
		return out
	}
	var out *Tensor
	switch {
	case p == 0:
		return sum(x.NeScalar(0).To(x.view.DType)).To(dt)
	case p == 1:
		out = sum(x)
	case p == 2:
		out = sum(x.Square()).Sqrt()
	case math.IsInf(p, 1):
		out, _ = fold("Norm", backend.ReduceMax, x, axes)
		if x.Len() == 0 { // not −∞
			out = out.ClampMin(0)
		}
	case math.IsInf(p, -1):
		out, _ = fold("Norm", backend.ReduceMin, x, axes)
	default:
		out = sum(x.PowScalar(p)).PowScalar(1 / p)
	}
	if s.tape == nil {
		return out.To(dt)
	}
	return record1("Norm", out.To(dt), []*Tensor{t}, []*Tensor{t, out}, func(g *gradient) {
		out := g.Saved(1)
		x, dy := g.Saved(0).To(out.view.DType), g.Output(0).To(out.view.DType)
		g.Add(0, normGradient(p, x, out, dy))
	})
}

// Norm is NormKeep without the axes.
func (t *Tensor) Norm(p float64, axes ...int) *Tensor {
	return squeezed(t, t.NormKeep(p, axes...), axes)
}

func normGradient(p float64, x, norm, dy *Tensor) *Tensor {
	zero := Zeros(x.scope, x.view.DType)
	switch {
	case p == 1:
		return x.Sign().Mul(dy)
	case p == 2:
		return x.Mul(Where(norm.EqScalar(0), zero, dy.Div(norm)))
	case math.IsInf(p, 0):
		hit := x.Abs().Eq(norm).To(x.view.DType)
		return x.Sign().Mul(hit).Mul(dy.Div(sumTo(hit, norm.view.Dims())))
	}
	share := x.Abs().Div(norm).PowScalar(p - 1) // in [0, 1] for p ≥ 1, whatever the size of x
	return Where(x.EqScalar(0), zero, x.Sign().Mul(share)).Mul(dy)
}
