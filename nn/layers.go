package nn

import (
	"math"

	"github.com/hone-ml/hone/tensor"
)

// newParameter is a trainable tensor without values yet.
func newParameter(p tensor.Place, dt tensor.DType, shape ...int) *tensor.Tensor {
	t := tensor.Empty(p, dt, shape...)
	t.SetTrainable(true)
	return t
}

// Linear is x·Wᵀ + b over the last axis: [..., in] → [..., out].
type Linear struct {
	Weight *tensor.Tensor `param:"weight"` // [out, in]
	Bias   *tensor.Tensor `param:"bias"`   // [out], or nil
}

// NewLinear is a Linear whose parameters have no values yet: load or initialise them. The place is a
// Device; dt is a float dtype.
func NewLinear(p tensor.Place, dt tensor.DType, in, out int, bias bool) *Linear {
	l := &Linear{Weight: newParameter(p, dt, out, in)}
	if bias {
		l.Bias = newParameter(p, dt, out)
	}
	return l
}

// Forward maps [..., in] to [..., out].
func (l *Linear) Forward(x *tensor.Tensor) *tensor.Tensor {
	return tensor.Linear(x, l.Weight, l.Bias)
}

// Embedding is a table of vectors, looked up by ids.
type Embedding struct {
	Weight *tensor.Tensor `param:"weight"` // [V, H]
}

// NewEmbedding is an Embedding whose vectors have no values yet.
func NewEmbedding(p tensor.Place, dt tensor.DType, vocab, width int) *Embedding {
	return &Embedding{Weight: newParameter(p, dt, vocab, width)}
}

// Forward maps ids [...] of I32 or I64 to vectors [..., H]. An id outside [0, V) panics.
func (e *Embedding) Forward(ids *tensor.Tensor) *tensor.Tensor {
	return tensor.Embedding(e.Weight, ids)
}

// RMSNorm normalises the last axis by its root mean square, see tensor.RMSNorm.
type RMSNorm struct {
	Weight *tensor.Tensor `param:"weight"` // [D]
	Eps    float64
}

// NewRMSNorm is an RMSNorm whose weight has no values yet.
func NewRMSNorm(p tensor.Place, dt tensor.DType, width int, eps float64) *RMSNorm {
	return &RMSNorm{Weight: newParameter(p, dt, width), Eps: eps}
}

// Forward maps [..., D] to [..., D].
func (n *RMSNorm) Forward(x *tensor.Tensor) *tensor.Tensor {
	return tensor.RMSNorm(x, n.Weight, n.Eps)
}

// LayerNorm centres and normalises the last axis, see tensor.LayerNorm.
type LayerNorm struct {
	Weight *tensor.Tensor `param:"weight"` // [D]
	Bias   *tensor.Tensor `param:"bias"`   // [D]
	Eps    float64
}

// NewLayerNorm is a LayerNorm whose weight and bias have no values yet.
func NewLayerNorm(p tensor.Place, dt tensor.DType, width int, eps float64) *LayerNorm {
	return &LayerNorm{Weight: newParameter(p, dt, width), Bias: newParameter(p, dt, width), Eps: eps}
}

// Forward maps [..., D] to [..., D].
func (n *LayerNorm) Forward(x *tensor.Tensor) *tensor.Tensor {
	return tensor.LayerNorm(x, n.Weight, n.Bias, n.Eps)
}

// ResetParameters draws the weight and the bias uniformly with bound 1/√in, as torch.nn.Linear does. A
// quantised weight panics.
func (l *Linear) ResetParameters(r *tensor.Rand) { resetWeight(l.Weight, l.Bias, r) }

// resetWeight draws a weight [out, in, ...] and its bias, which may be nil, with bound 1/√fan-in.
func resetWeight(weight, bias *tensor.Tensor, r *tensor.Rand) {
	TorchLinear()(weight, r)
	if bias != nil {
		Uniform(1/math.Sqrt(fanIn(weight)))(bias, r)
	}
}

// ResetParameters draws vectors from the normal distribution with std 1, as torch.nn.Embedding does.
func (e *Embedding) ResetParameters(r *tensor.Rand) { Normal(1)(e.Weight, r) }

// ResetParameters makes the weight one.
func (n *RMSNorm) ResetParameters(*tensor.Rand) { n.Weight.Fill(1) }

// ResetParameters makes the weight one and the bias zero.
func (n *LayerNorm) ResetParameters(*tensor.Rand) { n.Weight.Fill(1); n.Bias.Fill(0) }
