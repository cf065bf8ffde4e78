package nn

import (
	"slices"

	"github.com/hone-ml/hone/tensor"
)

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
func (op batchNormOp) forward(s *tensor.Scope, in []*tensor.Tensor) (outputs, saved []*tensor.Tensor) {
	x, acc, channels := in[0], accumulator(in[0]), in[0].Dim(1)
	w, b := in[1].To(acc).Reshape(1, channels, 1), in[2].To(acc).Reshape(1, channels, 1)
	y := tensor.Empty(s, x.DType(), x.Shape()...)
	mean, variance := tensor.Empty(s, acc, 1, channels, 1), tensor.Empty(s, acc, 1, channels, 1)
	byChannels([]*tensor.Tensor{x, w, b}, []*tensor.Tensor{y, mean, variance}, func(in []*tensor.Tensor) []*tensor.Tensor {
		x, w, b := in[0].To(acc), in[1], in[2]
		mean := x.MeanKeep(0, 2)
		centred := x.Sub(mean)
		variance := centred.Square().MeanKeep(0, 2)
		rstd := variance.AddScalar(op.eps).Rsqrt()
		return []*tensor.Tensor{centred.Mul(rstd.Mul(w)).Add(b), mean, variance}
	})
	return []*tensor.Tensor{y, mean, variance}, []*tensor.Tensor{x, w, mean, variance}
}

func (op batchNormOp) backward(dys, saved []*tensor.Tensor, needs []bool) []*tensor.Tensor {
	x, w := saved[0], saved[1]
	s, acc, channels := dys[0].Scope(), accumulator(x), x.Dim(1)
	part := float64(channels) / float64(x.Len())
	dw, db := tensor.Empty(s, acc, 1, channels, 1), tensor.Empty(s, acc, 1, channels, 1)
	out := []*tensor.Tensor{dw, db}
	var dx *tensor.Tensor
	if needs[0] {
		dx = tensor.Empty(s, x.DType(), x.Shape()...)
		out = append(out, dx)
	}
	byChannels(append(saved, dys[0]), out, func(in []*tensor.Tensor) []*tensor.Tensor {
		x, w, mean, rstd, dy := in[0].To(acc), in[1], in[2], in[3].AddScalar(op.eps).Rsqrt(), in[4].To(acc)
		xhat := x.Sub(mean).Mul(rstd)
		db, dw := dy.SumKeep(0, 2), dy.Mul(xhat).SumKeep(0, 2)
		if !needs[0] {
			return []*tensor.Tensor{dw, db}
		}
		toward := db.MulScalar(part).Add(xhat.Mul(dw.MulScalar(part)))
		return []*tensor.Tensor{dw, db, dy.Sub(toward).Mul(rstd.Mul(w))}
	})
	return []*tensor.Tensor{dx, dw.Reshape(w.Len()), db.Reshape(w.Len())}
}

// channelsAtOnce is about how many elements byChannels works on at a time: what is made of them stays in
// caches.
const channelsAtOnce = 1 << 17

// byChannels computes out from in, tensors with channels on the second of three axes, by a function of some
// channels.
func byChannels(in, out []*tensor.Tensor, fn func(in []*tensor.Tensor) []*tensor.Tensor) {
	channels := in[0].Dim(1)
	step := max(1, channelsAtOnce*channels/in[0].Len())
	for lo := 0; lo < channels; lo += step {
		hi := min(lo+step, channels)
		tensor.Block(func(t ...*tensor.Tensor) []*tensor.Tensor {
			for i := range t {
				t[i] = t[i].Slice(1, lo, hi)
			}
			for i, v := range fn(t[:len(in)]) {
				t[len(in)+i].CopyFrom(v)
			}
			return nil
		}, slices.Concat(in, out)...)
	}
}
