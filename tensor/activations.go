package tensor

import "github.com/hone-ml/hone/internal/backend"

// Activations, element by element. All of them need a float dtype.

// Sigmoid is 1/(1+e⁻ᵗ).
func (t *Tensor) Sigmoid() *Tensor {
	return activation("Sigmoid", backend.Sigmoid, t, keepOutput, func(dy, y *Tensor) *Tensor {
		return dy.Mul(y).Mul(y.Neg().AddScalar(1))
	})
}

// SiLU is t·sigmoid(t), also called swish.
func (t *Tensor) SiLU() *Tensor {
	return activation("SiLU", backend.SiLU, t, keepInput, func(dy, x *Tensor) *Tensor {
		s := x.Sigmoid() // σ(x)·(1 + x·(1 − σ(x)))
		return dy.Mul(s).Mul(s.Neg().AddScalar(1).Mul(x).AddScalar(1))
	})
}

// ReLU is max(t, 0); the derivative at 0 is 0.
func (t *Tensor) ReLU() *Tensor {
	return activation("ReLU", backend.ReLU, t, keepOutput, func(dy, y *Tensor) *Tensor {
		return dy.Mul(y.NeScalar(0).To(y.view.DType)) // positive, or NaN
	})
}

// ReLU6 is t limited to [0, 6]; the derivative at both ends is 0. (Howard et al., "MobileNets", 2017.)
func (t *Tensor) ReLU6() *Tensor {
	t.floats("ReLU6")
	return t.Clamp(0, 6)
}

// LeakyReLU is t where that is positive and slope·t elsewhere; the derivative at 0 is slope.
func (t *Tensor) LeakyReLU(slope float64) *Tensor {
	pick := func(x, value *Tensor) *Tensor { return Where(x.GtScalar(0), value, value.MulScalar(slope)) }
	return composed("LeakyReLU", t, func(x *Tensor) *Tensor { return pick(x, x) }, func(dy, x *Tensor) *Tensor { return pick(x, dy) })
}

// ELU is t where that is positive and alpha·(eᵗ − 1) elsewhere. (Clevert et al., 2016.)
func (t *Tensor) ELU(alpha float64) *Tensor {
	return composed("ELU", t, func(x *Tensor) *Tensor {
		return Where(x.GtScalar(0), x, x.Expm1().MulScalar(alpha))
	}, func(dy, x *Tensor) *Tensor {
		return Where(x.GtScalar(0), dy, dy.Mul(x.Exp().MulScalar(alpha)))
	})
}

// SELU is ELU with the scale and alpha that keep the mean and variance of a deep network's activations.
// (Klambauer et al., "Self-Normalizing Neural Networks", 2017.)
func (t *Tensor) SELU() *Tensor {
	const alpha, scale = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
	t.floats("SELU")
	return t.ELU(alpha).MulScalar(scale)
}

// GELU is t·Φ(t), where Φ is the distribution function of the standard normal distribution. (Hendrycks and
// Gimpel, "Gaussian Error Linear Units", 2016.)
func (t *Tensor) GELU() *Tensor {
	return activation("GELU", backend.GELU, t, keepInput, func(dy, x *Tensor) *Tensor { return dy.Mul(x.slope(backend.GELUSlope)) })
}

// GELUTanh is the approximation of GELU by t·(1 + tanh(√(2/π)·(t + 0.044715·t³)))/2, which GPT-2 has. In
// PyTorch it is gelu with approximate="tanh".
func (t *Tensor) GELUTanh() *Tensor {
	return activation("GELUTanh", backend.GELUTanh, t, keepInput, func(dy, x *Tensor) *Tensor { return dy.Mul(x.slope(backend.GELUTanhSlope)) })
}

// activation is unary with a derivative that a backend may have as one kernel; composed is made of others.
func activation(name string, op backend.UnaryOp, t *Tensor, k keep, composed func(dy, kept *Tensor) *Tensor) *Tensor {
	return unary(name, op, t, k, func(dy, kept *Tensor) *Tensor {
		fused, ok := backend.Fused[backend.ActivationDeriver](dy.dev.backend)
		if !ok {
			return composed(dy, kept)
		}
		dx := like(dy)
		fused.ActivationBackward(op, &dx.view, &dy.view, &kept.view)
		return dx
	})
}

// slope is the derivative of an activation, which has a kernel of its own.
func (t *Tensor) slope(op backend.UnaryOp) *Tensor {
	out := like(t)
	out.dev.backend.Unary(op, &out.view, &t.view)
	return out
}

// Softplus is log(1 + eᵗ), without overflow.
func (t *Tensor) Softplus() *Tensor {
	return activation("Softplus", backend.Softplus, t, keepInput, func(dy, x *Tensor) *Tensor { return dy.Mul(x.Sigmoid()) })
}

// LogSigmoid is log(sigmoid(t)), exact also where the sigmoid is near 0 or 1.
func (t *Tensor) LogSigmoid() *Tensor {
	t.floats("LogSigmoid")
	return t.Neg().Softplus().Neg()
}

// Mish is t·tanh(softplus(t)). (Misra, 2019.)
func (t *Tensor) Mish() *Tensor {
	return composed("Mish", t, func(x *Tensor) *Tensor { return x.Mul(x.Softplus().Tanh()) }, func(dy, x *Tensor) *Tensor {
		w := x.Softplus().Tanh() // w + x·(1 − w²)·σ(x)
		return dy.Mul(w.Square().Neg().AddScalar(1).Mul(x).Mul(x.Sigmoid()).Add(w))
	})
}

// HardSigmoid is t/6 + 1/2 limited to [0, 1].
func (t *Tensor) HardSigmoid() *Tensor {
	return composed("HardSigmoid", t, func(x *Tensor) *Tensor { return x.AddScalar(3).Clamp(0, 6).DivScalar(6) }, func(dy, x *Tensor) *Tensor {
		return within(dy, x, -3, 3).DivScalar(6)
	})
}

// HardSwish is t·HardSigmoid(t). (Howard et al., "Searching for MobileNetV3", 2019.)
func (t *Tensor) HardSwish() *Tensor {
	return composed("HardSwish", t, func(x *Tensor) *Tensor { return x.Mul(x.AddScalar(3).Clamp(0, 6)).DivScalar(6) }, func(dy, x *Tensor) *Tensor {
		bend := Where(x.GeScalar(3), dy, dy.Mul(x.DivScalar(3).AddScalar(0.5)))
		return Where(x.LeScalar(-3), ZerosLike(dy), bend)
	})
}

// composed is an op on a float tensor that others make up and whose derivative is known as a whole: forward
// gets t without its history, so that nothing between is recorded or kept.
func composed(name string, t *Tensor, forward func(x *Tensor) *Tensor, derivative func(dy, x *Tensor) *Tensor) *Tensor {
	t.floats(name)
	out := forward(t.detached())
	return record1(name, out, []*Tensor{t}, []*Tensor{t}, func(g *gradient) { g.Add(0, derivative(g.Output(0), g.Saved(0))) })
}
