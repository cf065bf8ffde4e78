package nn

import "github.com/hone-ml/hone/tensor"

// GroupNorm centres and normalises each group of channels of each example, then scales and shifts each channel:
// with one group it normalises the example, with as many as channels each channel by itself. (Wu and He, "Group
// Normalization", 2018; torch.nn.GroupNorm.)
type GroupNorm struct {
	Weight *tensor.Tensor `param:"weight"` // [C]
	Bias   *tensor.Tensor `param:"bias"`   // [C]
	Groups int            // divides C
	Eps    float64
}

// NewGroupNorm is a GroupNorm whose weight and bias have no values yet. It panics unless groups divides
// channels.
func NewGroupNorm(p tensor.Place, dt tensor.DType, groups, channels int, eps float64) *GroupNorm {
	positive("nn.NewGroupNorm", "groups", groups, "channels", channels)
	if channels%groups != 0 {
		fail("nn.NewGroupNorm", nil, "%d channels do not divide into %d groups", channels, groups)
	}
	return &GroupNorm{Weight: newParameter(p, dt, channels), Bias: newParameter(p, dt, channels), Groups: groups, Eps: eps}
}

// Forward maps [N, C, ...] to the same shape. It is computed in F32 (F64 for F64) and rounded once.
func (n *GroupNorm) Forward(x *tensor.Tensor) *tensor.Tensor {
	s := scopeOf("nn.GroupNorm", x)
	channels := n.Weight.Len()
	if x.Rank() < 2 || x.Dim(1) != channels || x.DType() != n.Weight.DType() {
		fail("nn.GroupNorm", []*tensor.Tensor{x, n.Weight}, "needs x [N, %d, ...] of the weight's dtype", channels)
	}
	if x.Len() == 0 {
		return x
	}
	acc, shape := accumulator(x), x.Shape()
	size := x.Len() / (shape[0] * n.Groups)
	rows := x.To(acc).Reshape(shape[0]*n.Groups, size)
	y := tensor.LayerNorm(rows, tensor.Ones(s, acc, size), tensor.Zeros(s, acc, size), n.Eps)
	y = y.Reshape(shape[0], channels, -1)
	return y.Mul(column(n.Weight, s, acc)).Add(column(n.Bias, s, acc)).Reshape(shape...).To(x.DType())
}

// column is a parameter of channels as [C, 1], which broadcasts over what follows the channels.
func column(p *tensor.Tensor, s *tensor.Scope, dt tensor.DType) *tensor.Tensor {
	return p.In(s).To(dt).Unsqueeze(1)
}

// ResetParameters makes the weight one and the bias zero.
func (n *GroupNorm) ResetParameters(*tensor.Rand) { n.Weight.Fill(1); n.Bias.Fill(0) }
