package tensor

import (
	"math"

	"github.com/hone-ml/hone/internal/backend"
)

// Exponentials, logarithms, powers and the error function, element by element. All of them need float dtypes;
// those of two tensors broadcast as Add does.

// Exp is eᵗ.
func (t *Tensor) Exp() *Tensor {
	return unary("Exp", backend.Exp, t, keepOutput, func(dy, y *Tensor) *Tensor { return dy.Mul(y) })
}

// Log is the natural logarithm.
func (t *Tensor) Log() *Tensor {
	return unary("Log", backend.Log, t, keepInput, func(dy, x *Tensor) *Tensor { return dy.Div(x) })
}

// Exp2 is 2ᵗ.
func (t *Tensor) Exp2() *Tensor {
	return unary("Exp2", backend.Exp2, t, keepOutput, func(dy, y *Tensor) *Tensor { return dy.Mul(y).MulScalar(math.Ln2) })
}

// Expm1 is eᵗ − 1, exact also where t is small.
func (t *Tensor) Expm1() *Tensor {
	return unary("Expm1", backend.Expm1, t, keepOutput, func(dy, y *Tensor) *Tensor { return dy.Mul(y.AddScalar(1)) })
}

// Log1p is the natural logarithm of 1 + t, exact also where t is small.
func (t *Tensor) Log1p() *Tensor {
	return unary("Log1p", backend.Log1p, t, keepInput, func(dy, x *Tensor) *Tensor { return dy.Div(x.AddScalar(1)) })
}

// Log2 is the logarithm to base 2.
func (t *Tensor) Log2() *Tensor {
	return unary("Log2", backend.Log2, t, keepInput, func(dy, x *Tensor) *Tensor { return dy.Div(x.MulScalar(math.Ln2)) })
}

// Log10 is the logarithm to base 10.
func (t *Tensor) Log10() *Tensor {
	return unary("Log10", backend.Log10, t, keepInput, func(dy, x *Tensor) *Tensor { return dy.Div(x.MulScalar(math.Ln10)) })
}

// Pow is t to the power y. A negative t has a power for whole y only, and otherwise NaN; the derivative by y
// is 0 where t is 0 and y ≥ 0.
func (t *Tensor) Pow(y *Tensor) *Tensor {
	return binary("Pow", backend.Pow, t, y, true, true, func(g *gradient, dy *Tensor) {
		x, y := g.Saved(0), g.Saved(1)
		zero := Zeros(g.scope, dy.view.DType)
		if g.Needs(0) {
			// x⁰ is a constant, also at 0, where the formula would give 0·∞.
			g.addReduced(0, dy.Mul(Where(y.EqScalar(0), zero, y.Mul(x.Pow(y.AddScalar(-1))))))
		}
		if g.Needs(1) {
			flat := x.EqScalar(0).And(y.GeScalar(0)) // log x is −∞
			g.addReduced(1, dy.Mul(Where(flat, zero, x.Pow(y).Mul(x.Log()))))
		}
	})
}

// Reciprocal is 1/t.
func (t *Tensor) Reciprocal() *Tensor {
	return unary("Reciprocal", backend.Reciprocal, t, keepOutput, func(dy, y *Tensor) *Tensor { return dy.Mul(y.Square()).Neg() })
}

// Hypot is √(t² + y²) without overflow of the squares.
func (t *Tensor) Hypot(y *Tensor) *Tensor {
	return binary("Hypot", backend.Hypot, t, y, true, true, func(g *gradient, dy *Tensor) {
		x, y := g.Saved(0), g.Saved(1)
		d := dy.Div(x.Hypot(y))
		if g.Needs(0) {
			g.addReduced(0, d.Mul(x))
		}
		if g.Needs(1) {
			g.addReduced(1, d.Mul(y))
		}
	})
}

// Lerp is t + w·(y − t): t where w is 0, y where it is 1.
func (t *Tensor) Lerp(y *Tensor, w float64) *Tensor {
	scopeOf("Lerp", []*Tensor{t, y})
	if !t.view.DType.IsFloat() || t.view.DType != y.view.DType {
		fail("Lerp", []*Tensor{t, y}, "two operands of one float dtype are needed")
	}
	if w < 0.5 { // from the nearer end, so that both ends are exact
		return t.Add(y.Sub(t).MulScalar(w))
	}
	return y.Sub(y.Sub(t).MulScalar(1 - w))
}

// Erf is the error function, 2/√π · ∫₀ᵗ e^(−u²) du.
func (t *Tensor) Erf() *Tensor {
	return unary("Erf", backend.Erf, t, keepInput, func(dy, x *Tensor) *Tensor {
		return dy.Mul(x.Square().Neg().Exp()).MulScalar(2 / math.SqrtPi)
	})
}

// Erfc is 1 − Erf, exact also where that is small.
func (t *Tensor) Erfc() *Tensor {
	return unary("Erfc", backend.Erfc, t, keepInput, func(dy, x *Tensor) *Tensor {
		return dy.Mul(x.Square().Neg().Exp()).MulScalar(-2 / math.SqrtPi)
	})
}
