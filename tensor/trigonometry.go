package tensor

import "github.com/hone-ml/hone/internal/backend"

// Trigonometric and hyperbolic functions and their inverses, element by element. Angles are in radians. All of
// them need a float dtype; outside its domain a function is NaN.

// Sin is the sine.
func (t *Tensor) Sin() *Tensor {
	return unary("Sin", backend.Sin, t, keepInput, func(dy, x *Tensor) *Tensor { return dy.Mul(x.Cos()) })
}

// Cos is the cosine.
func (t *Tensor) Cos() *Tensor {
	return unary("Cos", backend.Cos, t, keepInput, func(dy, x *Tensor) *Tensor { return dy.Mul(x.Sin()).Neg() })
}

// Tan is the tangent.
func (t *Tensor) Tan() *Tensor {
	return unary("Tan", backend.Tan, t, keepOutput, func(dy, y *Tensor) *Tensor { return dy.Mul(y.Square().AddScalar(1)) })
}

// Asin is the inverse sine, in [−π/2, π/2].
func (t *Tensor) Asin() *Tensor {
	return unary("Asin", backend.Asin, t, keepInput, func(dy, x *Tensor) *Tensor {
		return dy.Mul(x.Square().Neg().AddScalar(1).Rsqrt())
	})
}

// Acos is the inverse cosine, in [0, π].
func (t *Tensor) Acos() *Tensor {
	return unary("Acos", backend.Acos, t, keepInput, func(dy, x *Tensor) *Tensor {
		return dy.Mul(x.Square().Neg().AddScalar(1).Rsqrt()).Neg()
	})
}

// Atan is the inverse tangent, in [−π/2, π/2].
func (t *Tensor) Atan() *Tensor {
	return unary("Atan", backend.Atan, t, keepInput, func(dy, x *Tensor) *Tensor { return dy.Div(x.Square().AddScalar(1)) })
}

// Atan2 is the angle, in [−π, π], of the point with the ordinate t and the abscissa x. The shapes broadcast. At
// the origin the derivatives are 0.
func (t *Tensor) Atan2(x *Tensor) *Tensor {
	return binary("Atan2", backend.Atan2, t, x, true, true, func(g *gradient, dy *Tensor) {
		y, x := g.Saved(0), g.Saved(1)
		r := y.Hypot(x) // its square would overflow
		r = Where(r.EqScalar(0), Ones(g.scope, r.view.DType), r)
		d := dy.Div(r)
		if g.Needs(0) {
			g.addReduced(0, d.Mul(x.Div(r)))
		}
		if g.Needs(1) {
			g.addReduced(1, d.Mul(y.Div(r)).Neg())
		}
	})
}

// Sinh is the hyperbolic sine.
func (t *Tensor) Sinh() *Tensor {
	return unary("Sinh", backend.Sinh, t, keepInput, func(dy, x *Tensor) *Tensor { return dy.Mul(x.Cosh()) })
}

// Cosh is the hyperbolic cosine.
func (t *Tensor) Cosh() *Tensor {
	return unary("Cosh", backend.Cosh, t, keepInput, func(dy, x *Tensor) *Tensor { return dy.Mul(x.Sinh()) })
}

// Tanh is the hyperbolic tangent.
func (t *Tensor) Tanh() *Tensor {
	return activation("Tanh", backend.Tanh, t, keepOutput, func(dy, y *Tensor) *Tensor {
		return dy.Mul(y.Square().Neg().AddScalar(1))
	})
}

// Asinh is the inverse of Sinh.
func (t *Tensor) Asinh() *Tensor {
	return unary("Asinh", backend.Asinh, t, keepInput, func(dy, x *Tensor) *Tensor { return dy.Mul(x.Square().AddScalar(1).Rsqrt()) })
}

// Acosh is the inverse of Cosh; it is NaN below 1.
func (t *Tensor) Acosh() *Tensor {
	return unary("Acosh", backend.Acosh, t, keepInput, func(dy, x *Tensor) *Tensor { return dy.Mul(x.Square().AddScalar(-1).Rsqrt()) })
}

// Atanh is the inverse of Tanh; it is NaN outside of [−1, 1].
func (t *Tensor) Atanh() *Tensor {
	return unary("Atanh", backend.Atanh, t, keepInput, func(dy, x *Tensor) *Tensor { return dy.Div(x.Square().Neg().AddScalar(1)) })
}
