package nn

import "github.com/hone-ml/hone/tensor"

// GRU is a recurrent network of gated units: of a = W_ih·x + b_ih and p = W_hh·h + b_hh each has the rows
// r, z and n, and
//
//	r = σ(a.r + p.r)
//	z = σ(a.z + p.z)
//	n = tanh(a.n + r·p.n)
//	h' = (1 − z)·n + z·h
//
// (Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", 2014, with the reset gate
// behind the product; torch.nn.GRU with batch_first.)
type GRU struct {
	Recurrent `param:""`
}

// NewGRU is a GRU whose parameters have no values yet. It panics unless the sizes are positive.
func NewGRU(p tensor.Place, dt tensor.DType, c RecurrentConfig) *GRU {
	return &GRU{Recurrent: newRecurrent("nn.NewGRU", p, dt, 3, c)}
}

// Forward maps [B, T, input] to the states after each step, [B, T, hidden], or [B, T, 2·hidden] if
// bidirectional, from an initial state of zeros.
func (g *GRU) Forward(x *tensor.Tensor) *tensor.Tensor {
	y, _ := g.Run(x, nil)
	return y
}

// Run is Forward from an initial state h [layers·directions, B, hidden], nil for zeros; it gives the final
// state in the same form: layer by layer, forwards before backwards. States are computed in F32 (F64 for
// F64).
func (g *GRU) Run(x, h *tensor.Tensor) (y, final *tensor.Tensor) {
	y, states := g.run("nn.GRU", gruCell{}, x, h)
	return y, states[0]
}

// gruCell keeps r, z, n and p.n. Its derivatives are those of p.r, p.z and p.n, and that of a.n; those of
// a.r and a.z equal the first two.
type gruCell struct{}

func (gruCell) counts() (gates, kept, derivatives int) { return 3, 4, 4 }

func (gruCell) biased() bool { return true }

func (gruCell) step(x *tensor.Tensor, state []*tensor.Tensor, weight, bias *tensor.Tensor) (next, keep []*tensor.Tensor) {
	h := state[0]
	p := tensor.Linear(h, weight, bias).Reshape(x.Dim(0), 3, x.Dim(2))
	rz := x.Slice(1, 0, 2).Add(p.Slice(1, 0, 2)).Sigmoid()
	hn := vector(p, 2)
	n := vector(x, 2).Add(vector(rz, 0).Mul(hn)).Tanh()
	return []*tensor.Tensor{n.Add(vector(rz, 1).Mul(h.Sub(n)))}, []*tensor.Tensor{rz, n, hn}
}

// slopes are those of the derivatives by h' [T, B, 4, H], and that of h by h'.
func (gruCell) slopes(kept *tensor.Tensor, before, _ []*tensor.Tensor) []*tensor.Tensor {
	r, z, n, hn := vector(kept, 0), vector(kept, 1), vector(kept, 2), vector(kept, 3)
	byN := z.Neg().AddScalar(1).Mul(fromTanh(n))
	return []*tensor.Tensor{
		tensor.Stack(2, byN.Mul(hn).Mul(fromSigmoid(r)), before[0].Sub(n).Mul(fromSigmoid(z)), byN.Mul(r), byN),
		z,
	}
}

func (gruCell) back(d, slopes []*tensor.Tensor) (derivatives, direct []*tensor.Tensor) {
	return []*tensor.Tensor{slopes[0].Mul(d[0].Unsqueeze(1))}, []*tensor.Tensor{d[0].Mul(slopes[1])}
}

func (gruCell) inputs(derivatives *tensor.Tensor) *tensor.Tensor {
	return tensor.Cat(2, derivatives.Slice(2, 0, 2), derivatives.Slice(2, 3, 4))
}
