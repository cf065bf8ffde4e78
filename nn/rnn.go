package nn

import "github.com/hone-ml/hone/tensor"

// RNN is a recurrent network of Elman's: h' = tanh(W_ih·x + b_ih + W_hh·h + b_hh), or relu of that. (Elman,
// "Finding Structure in Time", 1990; torch.nn.RNN with batch_first.)
type RNN struct {
	Recurrent `param:""`
	ReLU      bool // instead of tanh
}

// NewRNN is an RNN with tanh whose parameters have no values yet. It panics unless the sizes are positive.
func NewRNN(p tensor.Place, dt tensor.DType, c RecurrentConfig) *RNN {
	return &RNN{Recurrent: newRecurrent("nn.NewRNN", p, dt, 1, c)}
}

// Forward maps [B, T, input] to the states after each step, [B, T, hidden], or [B, T, 2·hidden] if
// bidirectional, from an initial state of zeros.
func (r *RNN) Forward(x *tensor.Tensor) *tensor.Tensor {
	y, _ := r.Run(x, nil)
	return y
}

// Run is Forward from an initial state h [layers·directions, B, hidden], nil for zeros; it gives the final
// state in the same form: layer by layer, forwards before backwards. States are computed in F32 (F64 for
// F64).
func (r *RNN) Run(x, h *tensor.Tensor) (y, final *tensor.Tensor) {
	y, states := r.run("nn.RNN", rnnCell{r.ReLU}, x, h)
	return y, states[0]
}

type rnnCell struct{ relu bool }

func (rnnCell) counts() (gates, kept, derivatives int) { return 1, 0, 1 }

func (rnnCell) biased() bool { return false }

func (c rnnCell) step(x *tensor.Tensor, state []*tensor.Tensor, weight, _ *tensor.Tensor) (next, keep []*tensor.Tensor) {
	a := tensor.LinearAdd(x.Squeeze(1), state[0], weight, nil)
	if c.relu {
		return []*tensor.Tensor{a.ReLU()}, nil
	}
	return []*tensor.Tensor{a.Tanh()}, nil
}

func (c rnnCell) slopes(_ *tensor.Tensor, _, after []*tensor.Tensor) []*tensor.Tensor {
	if c.relu {
		return []*tensor.Tensor{after[0].GtScalar(0).To(after[0].DType())}
	}
	return []*tensor.Tensor{fromTanh(after[0])}
}

func (rnnCell) back(d, slopes []*tensor.Tensor) (derivatives, direct []*tensor.Tensor) {
	return []*tensor.Tensor{d[0].Mul(slopes[0])}, []*tensor.Tensor{nil}
}

func (rnnCell) inputs(derivatives *tensor.Tensor) *tensor.Tensor { return derivatives }

// fromTanh is the derivative of tanh, 1 − y², where its value is y.
func fromTanh(y *tensor.Tensor) *tensor.Tensor { return y.Square().Neg().AddScalar(1) }

// fromSigmoid is the derivative of the sigmoid, y − y², where its value is y.
func fromSigmoid(y *tensor.Tensor) *tensor.Tensor { return y.Sub(y.Square()) }

// vector is the i-th of vectors [..., n, H].
func vector(x *tensor.Tensor, i int) *tensor.Tensor { return x.Slice(-2, i, i+1).Squeeze(-2) }
