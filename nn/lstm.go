package nn

import "github.com/hone-ml/hone/tensor"

// LSTM is a recurrent network with long short-term memory: the gates i, f, g, o are the rows of W_ih·x +
// b_ih + W_hh·h + b_hh, and
//
//	c' = σ(f)·c + σ(i)·tanh(g)
//	h' = σ(o)·tanh(c')
//
// (Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997, with the forget gate of Gers et al., 2000;
// torch.nn.LSTM with batch_first.)
type LSTM struct {
	Recurrent `param:""`
}

// NewLSTM is an LSTM whose parameters have no values yet. It panics unless the sizes are positive.
func NewLSTM(p tensor.Place, dt tensor.DType, c RecurrentConfig) *LSTM {
	return &LSTM{Recurrent: newRecurrent("nn.NewLSTM", p, dt, 4, c)}
}

// Forward maps [B, T, input] to the states h after each step, [B, T, hidden], or [B, T, 2·hidden] if
// bidirectional, from initial states of zeros.
func (l *LSTM) Forward(x *tensor.Tensor) *tensor.Tensor {
	y, _, _ := l.Run(x, nil, nil)
	return y
}

// Run is Forward from initial states h and c [layers·directions, B, hidden], nil for zeros; it gives the
// final ones in the same form: layer by layer, forwards before backwards. States are computed in F32 (F64
// for F64).
func (l *LSTM) Run(x, h, c *tensor.Tensor) (y, finalH, finalC *tensor.Tensor) {
	y, states := l.run("nn.LSTM", lstmCell{}, x, h, c)
	return y, states[0], states[1]
}

// lstmCell keeps the four gates.
type lstmCell struct{}

func (lstmCell) counts() (gates, kept, derivatives int) { return 4, 4, 4 }

func (lstmCell) biased() bool { return false }

func (lstmCell) step(x *tensor.Tensor, state []*tensor.Tensor, weight, _ *tensor.Tensor) (next, keep []*tensor.Tensor) {
	batch, hidden := x.Dim(0), x.Dim(2)
	a := tensor.LinearAdd(x.Reshape(batch, 4*hidden), state[0], weight, nil).Reshape(batch, 4, hidden)
	ifs, g, o := a.Slice(1, 0, 2).Sigmoid(), vector(a, 2).Tanh(), vector(a, 3).Sigmoid()
	c := vector(ifs, 1).Mul(state[1]).Add(vector(ifs, 0).Mul(g))
	return []*tensor.Tensor{o.Mul(c.Tanh()), c}, []*tensor.Tensor{ifs, g, o}
}

// slopes are: of the gates i, f and g those by c' [T, B, 3, H], of o that by h', of c' that by h', and of c
// that by c'.
func (lstmCell) slopes(kept *tensor.Tensor, before, after []*tensor.Tensor) []*tensor.Tensor {
	i, f, g, o := vector(kept, 0), vector(kept, 1), vector(kept, 2), vector(kept, 3)
	tc := after[1].Tanh()
	return []*tensor.Tensor{
		tensor.Stack(2, g.Mul(fromSigmoid(i)), before[1].Mul(fromSigmoid(f)), i.Mul(fromTanh(g))),
		tc.Mul(fromSigmoid(o)),
		o.Mul(fromTanh(tc)),
		f,
	}
}

func (lstmCell) back(d, slopes []*tensor.Tensor) (derivatives, direct []*tensor.Tensor) {
	dh := d[0]
	dc := d[1].Add(dh.Mul(slopes[2]))
	return []*tensor.Tensor{slopes[0].Mul(dc.Unsqueeze(1)), dh.Mul(slopes[1])}, []*tensor.Tensor{nil, dc.Mul(slopes[3])}
}

func (lstmCell) inputs(derivatives *tensor.Tensor) *tensor.Tensor { return derivatives }
