package nn

import "github.com/hone-ml/hone/tensor"

// Sequential is layers one after the other. It is a module: the names of its parameters begin with the index of
// their layer, "0.weight". (torch.nn.Sequential.)
type Sequential []Layer

// Forward gives x to the first layer, and so on. Without layers it is x.
func (s Sequential) Forward(x *tensor.Tensor) *tensor.Tensor {
	for _, l := range s {
		x = l.Forward(x)
	}
	return x
}

// Residual is x + Layer(x); Layer keeps the shape. It adds nothing to the names of parameters.
type Residual struct {
	Layer Layer `param:""`
}

// Forward keeps the shape and dtype.
func (r Residual) Forward(x *tensor.Tensor) *tensor.Tensor { return x.Add(r.Layer.Forward(x)) }

// Flatten joins all axes but the first: [N, ...] → [N, D]. (torch.nn.Flatten.)
type Flatten struct{}

// Forward panics if x has no axis.
func (Flatten) Forward(x *tensor.Tensor) *tensor.Tensor {
	if x.Rank() == 0 {
		fail("nn.Flatten", []*tensor.Tensor{x}, "needs x [N, ...]")
	}
	size := 1
	for _, d := range x.Shape()[1:] {
		size *= d
	}
	return x.Reshape(x.Dim(0), size)
}
