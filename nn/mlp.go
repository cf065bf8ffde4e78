package nn

import "github.com/hone-ml/hone/tensor"

// MLP is a multi-layer perceptron: Linear layers, and between them an activation.
type MLP struct {
	Layers     []*Linear `param:"layers"`
	Activation Layer     `param:"activation"`
}

// NewMLP is an MLP with biases whose parameters have no values yet. widths are those of the input, the
// hidden layers and the output: NewMLP(p, dt, ReLU{}, 2, 64, 64, 3). It panics with less than two widths.
func NewMLP(p tensor.Place, dt tensor.DType, activation Layer, widths ...int) *MLP {
	if len(widths) < 2 {
		fail("nn.NewMLP", nil, "%d widths: give at least those of the input and the output", len(widths))
	}
	m := &MLP{Activation: activation}
	for i, in := range widths[:len(widths)-1] {
		m.Layers = append(m.Layers, NewLinear(p, dt, in, widths[i+1], true))
	}
	return m
}

// Forward maps [..., first width] to [..., last width].
func (m *MLP) Forward(x *tensor.Tensor) *tensor.Tensor {
	for i, l := range m.Layers {
		if i > 0 {
			x = m.Activation.Forward(x)
		}
		x = l.Forward(x)
	}
	return x
}

// GatedMLP is down(silu(gate(x))·up(x)), the feed-forward layer of Llama and Qwen, without biases; names
// are those of their checkpoints. (Shazeer, "GLU Variants Improve Transformer", 2020.)
type GatedMLP struct {
	Gate Layer `param:"gate_proj"`
	Up   Layer `param:"up_proj"`
	Down Layer `param:"down_proj"`
}

// NewGatedMLP is a GatedMLP whose parameters have no values yet.
func NewGatedMLP(p tensor.Place, dt tensor.DType, width, hidden int) *GatedMLP {
	return &GatedMLP{
		Gate: NewLinear(p, dt, width, hidden, false),
		Up:   NewLinear(p, dt, width, hidden, false),
		Down: NewLinear(p, dt, hidden, width, false),
	}
}

// Forward maps [..., width] to [..., width].
func (m *GatedMLP) Forward(x *tensor.Tensor) *tensor.Tensor {
	return m.Down.Forward(tensor.SwiGLU(m.Gate.Forward(x), m.Up.Forward(x)))
}
