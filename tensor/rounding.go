package tensor

import (
	"math"

	"github.com/hone-ml/hone/internal/backend"
)

// Rounding, what is left by division, and limits. The results of Floor, Ceil, Trunc, Round and Sign are constants: their
// derivative is 0 wherever there is one. For a straight-through estimator write x.Add(x.Round().Sub(x).Detach()).

// Floor is the largest whole number ≤ t, which has a float dtype.
func (t *Tensor) Floor() *Tensor { return unary("Floor", backend.Floor, t, keepNothing, nil) }

// Ceil is the smallest whole number ≥ t, which has a float dtype.
func (t *Tensor) Ceil() *Tensor { return unary("Ceil", backend.Ceil, t, keepNothing, nil) }

// Trunc is t, which has a float dtype, without its fraction: rounded toward 0.
func (t *Tensor) Trunc() *Tensor { return unary("Trunc", backend.Trunc, t, keepNothing, nil) }

// Round is the whole number nearest to t, which has a float dtype; of two equally near the even one.
func (t *Tensor) Round() *Tensor { return unary("Round", backend.Round, t, keepNothing, nil) }

// Sign is −1, 0 or 1 as t is negative, zero (or NaN) or positive. Integers have it too.
func (t *Tensor) Sign() *Tensor { return unary("Sign", backend.Sign, t, keepNothing, nil) }

// Frac is the fraction t − Trunc(t), with t's sign.
func (t *Tensor) Frac() *Tensor {
	t.floats("Frac")
	return t.Sub(t.detached().Trunc())
}

// Remainder is t − y·floor(t/y): it has the sign of y, as Python's %. The shapes broadcast. Integers divided by
// 0 panic; floats give NaN.
func (t *Tensor) Remainder(y *Tensor) *Tensor {
	return binary("Remainder", backend.Remainder, t, y, true, true, func(g *gradient, dy *Tensor) {
		g.addReduced(0, dy)
		if g.Needs(1) {
			g.addReduced(1, dy.Mul(g.Saved(0).Div(g.Saved(1)).Floor()).Neg())
		}
	})
}

// Fmod is t − y·trunc(t/y): it has the sign of t, as Go's and C's %. The shapes broadcast. Integers divided by 0
// panic; floats give NaN.
func (t *Tensor) Fmod(y *Tensor) *Tensor {
	return binary("Fmod", backend.Fmod, t, y, true, true, func(g *gradient, dy *Tensor) {
		g.addReduced(0, dy)
		if g.Needs(1) {
			g.addReduced(1, dy.Mul(g.Saved(0).Div(g.Saved(1)).Trunc()).Neg())
		}
	})
}

// RemainderScalar is Remainder by a number. Integers divided by 0 panic.
func (t *Tensor) RemainderScalar(c float64) *Tensor {
	return scalar("RemainderScalar", backend.Remainder, t, c, false, func(g *gradient, dy *Tensor) { g.Add(0, dy) })
}

// FmodScalar is Fmod by a number. Integers divided by 0 panic.
func (t *Tensor) FmodScalar(c float64) *Tensor {
	return scalar("FmodScalar", backend.Fmod, t, c, false, func(g *gradient, dy *Tensor) { g.Add(0, dy) })
}

// Clamp is t limited to [lo, hi]; where lo > hi it is hi. The bounds may be infinite. NaN stays NaN. The gradient flows where lo < t < hi. (PyTorch's hardtanh is Clamp.)
func (t *Tensor) Clamp(lo, hi float64) *Tensor {
	s := scopeOf("Clamp", []*Tensor{t})
	if t.view.DType == Bool {
		fail("Clamp", []*Tensor{t}, "not defined for bool")
	}
	if lo != lo || hi != hi {
		fail("Clamp", []*Tensor{t}, "a bound of [%g, %g] is not a number", lo, hi)
	}
	lowest, highest, whole := integerRange(t.view.DType)
	out := cheaply(like(t), []*Tensor{t}, func(out *Tensor, in []*Tensor) {
		b, x := out.dev.backend, &in[0].view
		if !whole || lo > lowest {
			bound := lo
			if whole { // kernels convert it
				bound = min(math.Ceil(lo), highest)
			}
			b.Scalar(backend.Max, &out.view, x, bound)
			x = &out.view
		}
		if !whole || hi < highest {
			bound := hi
			if whole {
				bound = max(math.Floor(hi), lowest)
			}
			b.Scalar(backend.Min, &out.view, x, bound)
			x = &out.view
		}
		if x != &out.view {
			b.Copy(&out.view, x)
		}
	})
	if s.tape == nil {
		return out
	}
	return record1("Clamp", out, []*Tensor{t}, []*Tensor{t}, func(g *gradient) {
		g.Add(0, within(g.Output(0), g.Saved(0), lo, hi))
	})
}

// within is dy where lo < x < hi, of which infinite ones are no bounds, and 0 elsewhere.
func within(dy, x *Tensor, lo, hi float64) *Tensor {
	zero := Zeros(dy.scope, dy.view.DType)
	if !math.IsInf(lo, -1) {
		dy = Where(x.GtScalar(lo), dy, zero)
	}
	if !math.IsInf(hi, 1) {
		dy = Where(x.LtScalar(hi), dy, zero)
	}
	return dy
}

// ClampMin is t, or lo where t is less: Clamp without an upper bound.
func (t *Tensor) ClampMin(lo float64) *Tensor { return t.Clamp(lo, math.Inf(1)) }

// ClampMax is t, or hi where t is more: Clamp without a lower bound.
func (t *Tensor) ClampMax(hi float64) *Tensor { return t.Clamp(math.Inf(-1), hi) }
