package nn

import "github.com/hone-ml/hone/tensor"

// A Func is a function as a Layer, without parameters: nn.Func((*tensor.Tensor).Softmax).
type Func func(x *tensor.Tensor) *tensor.Tensor

// Forward is f(x).
func (f Func) Forward(x *tensor.Tensor) *tensor.Tensor { return f(x) }

// ReLU is max(x, 0), element by element, as a layer. (torch.nn.ReLU.)
type ReLU struct{}

// Forward keeps the shape and the dtype, which is a float.
func (ReLU) Forward(x *tensor.Tensor) *tensor.Tensor { return x.ReLU() }

// GELU is x·Φ(x), element by element, as a layer. (torch.nn.GELU.)
type GELU struct {
	Tanh bool // the approximation by tanh, which GPT-2 and Gemma have
}

// Forward keeps the shape and the dtype, which is a float.
func (g GELU) Forward(x *tensor.Tensor) *tensor.Tensor {
	if g.Tanh {
		return x.GELUTanh()
	}
	return x.GELU()
}

// SiLU is x·sigmoid(x), element by element, as a layer. (torch.nn.SiLU.)
type SiLU struct{}

// Forward keeps the shape and the dtype, which is a float.
func (SiLU) Forward(x *tensor.Tensor) *tensor.Tensor { return x.SiLU() }

// Tanh is the hyperbolic tangent, element by element, as a layer. (torch.nn.Tanh.)
type Tanh struct{}

// Forward keeps the shape and the dtype, which is a float.
func (Tanh) Forward(x *tensor.Tensor) *tensor.Tensor { return x.Tanh() }

// Sigmoid is 1/(1+e⁻ˣ), element by element, as a layer. (torch.nn.Sigmoid.)
type Sigmoid struct{}

// Forward keeps the shape and the dtype, which is a float.
func (Sigmoid) Forward(x *tensor.Tensor) *tensor.Tensor { return x.Sigmoid() }
