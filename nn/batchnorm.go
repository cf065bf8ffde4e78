package nn

import "github.com/hone-ml/hone/tensor"

// BatchNorm centres and normalises each channel over the batch and all positions, then scales and shifts
// it. Where the scope of its input trains it takes the batch's own mean and variance, and moves the running
// ones towards them; elsewhere it takes the running ones. Training changes the buffers: it is for one
// goroutine at a time. (Ioffe and Szegedy, "Batch Normalization", 2015; torch.nn.BatchNorm1d, 2d and 3d.)
type BatchNorm struct {
	Weight *tensor.Tensor `param:"weight"` // [C]
	Bias   *tensor.Tensor `param:"bias"`   // [C]

	// The running statistics, F32 [C] (F64 for F64); of the variance the unbiased one. Batches, I64 [], is
	// the number of batches that they have seen.
	Mean    *tensor.Tensor `buffer:"running_mean"`
	Var     *tensor.Tensor `buffer:"running_var"`
	Batches *tensor.Tensor `buffer:"num_batches_tracked"`

	Eps float64
	// Momentum is the part of a batch in the running statistics; 0 makes these the mean of all batches, as
	// PyTorch's None does.
	Momentum float64
	// Frozen takes the running statistics in training, too, and leaves them: for tuning with small batches.
	Frozen bool
}

// NewBatchNorm is a BatchNorm with a momentum of 0.1 whose weight and bias have no values yet; the running
// mean is 0, the variance 1.
func NewBatchNorm(p tensor.Place, dt tensor.DType, channels int, eps float64) *BatchNorm {
	positive("nn.NewBatchNorm", "channels", channels)
	acc := dt.Accumulator()
	return &BatchNorm{
		Weight: newParameter(p, dt, channels), Bias: newParameter(p, dt, channels),
		Mean: tensor.Zeros(p, acc, channels), Var: tensor.Ones(p, acc, channels), Batches: tensor.Zeros(p, tensor.I64),
		Eps: eps, Momentum: 0.1,
	}
}

// Forward maps [N, C, ...] to the same shape. It is computed in F32 (F64 for F64) and rounded once.
// Training with a single value for each channel panics: it has no variance.
func (n *BatchNorm) Forward(x *tensor.Tensor) *tensor.Tensor {
	s := scopeOf("nn.BatchNorm", x)
	channels := n.Weight.Len()
	if x.Rank() < 2 || x.Dim(1) != channels || x.DType() != n.Weight.DType() {
		fail("nn.BatchNorm", []*tensor.Tensor{x, n.Weight}, "needs x [N, %d, ...] of the weight's dtype", channels)
	}
	shape, each := x.Shape(), x.Len()/channels
	if each == 0 {
		return x
	}
	rows := x.Reshape(shape[0], channels, each/shape[0])
	if n.Frozen || !s.Training() {
		acc := accumulator(x)
		scale := n.Var.In(s).AddScalar(n.Eps).Rsqrt().Mul(n.Weight.In(s).To(acc))
		shift := n.Bias.In(s).To(acc).Sub(n.Mean.In(s).Mul(scale))
		return rows.To(acc).Mul(scale.Unsqueeze(1)).Add(shift.Unsqueeze(1)).To(x.DType()).Reshape(shape...)
	}
	if each == 1 {
		fail("nn.BatchNorm", []*tensor.Tensor{x}, "one value for each channel has no variance to train with: give a larger batch, or set Frozen")
	}
	op := batchNormOp{n.Eps}
	out := tensor.Custom(tensor.CustomOp{Name: "nn.BatchNorm", Forward: op.forward, Backward: op.backward}, rows, n.Weight, n.Bias)
	if !s.Recomputing() {
		n.track(out[1].Reshape(channels), out[2].Reshape(channels), each)
	}
	return out[0].Reshape(shape...)
}

// track moves the running statistics towards those of a batch of so many values for each channel.
func (n *BatchNorm) track(mean, variance *tensor.Tensor, each int) {
	batches := tensor.ToSlice[int64](n.Batches)[0] + 1
	tensor.CopyFromSlice(n.Batches, []int64{batches})
	part := n.Momentum
	if part == 0 {
		part = 1 / float64(batches)
	}
	s := mean.Scope()
	unbiased := float64(each) / float64(each-1)
	n.Mean.CopyFrom(n.Mean.In(s).MulScalar(1 - part).Add(mean.MulScalar(part)))
	n.Var.CopyFrom(n.Var.In(s).MulScalar(1 - part).Add(variance.MulScalar(part * unbiased)))
}

// ResetParameters makes the weight one, the bias zero, and the running statistics those of no batch.
func (n *BatchNorm) ResetParameters(*tensor.Rand) {
	n.Weight.Fill(1)
	n.Bias.Fill(0)
	n.Mean.Fill(0)
	n.Var.Fill(1)
	n.Batches.Fill(0)
}

// batchNormOp normalises x [N, C, S] by its own statistics. One op keeps only x for backward, where the ops
// that it is made of would keep three tensors of that size.
type batchNormOp struct{ eps float64 }

// forward gives y, and mean and variance [1, C, 1].
func (op batchNormOp) forward(_ *tensor.Scope, in []*tensor.Tensor) (outputs, saved []*tensor.Tensor) {
	x, w, b := in[0], in[1], in[2]
	acc := accumulator(x)
	a := x.To(acc)
	mean := a.MeanKeep(0, 2)
	centred := a.Sub(mean)
	variance := centred.Square().MeanKeep(0, 2)
	rstd := variance.AddScalar(op.eps).Rsqrt()
	y := centred.Mul(rstd.Mul(w.To(acc).Unsqueeze(1))).Add(b.To(acc).Unsqueeze(1))
	return []*tensor.Tensor{y.To(x.DType()), mean, variance}, []*tensor.Tensor{x, w, mean, rstd}
}

func (op batchNormOp) backward(dys, saved []*tensor.Tensor, needs []bool) []*tensor.Tensor {
	x, w, mean, rstd := saved[0], saved[1], saved[2], saved[3]
	acc := accumulator(x)
	dy := dys[0].To(acc)
	xhat := x.To(acc).Sub(mean).Mul(rstd)
	db := dy.SumKeep(0, 2)
	dw := dy.Mul(xhat).SumKeep(0, 2)
	var dx *tensor.Tensor
	if needs[0] {
		part := 1 / float64(x.Len()/w.Len())
		dx = dy.Sub(db.MulScalar(part)).Sub(xhat.Mul(dw.MulScalar(part))).Mul(rstd.Mul(w.To(acc).Unsqueeze(1)))
	}
	return []*tensor.Tensor{dx, dw.Reshape(w.Len()), db.Reshape(w.Len())}
}
