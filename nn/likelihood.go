package nn

import "github.com/hone-ml/hone/tensor"

// For one class of many, see tensor.CrossEntropy, tensor.LinearCrossEntropy and tensor.NLL.

// BCEWithLogits is the binary cross-entropy −t·log σ(x) − (1−t)·log(1 − σ(x)) of logits x and targets t in
// [0, 1], which have one shape: x of a float dtype, t of any. posWeight, which may be nil, multiplies the
// first part: it broadcasts to x, and above 1 it favours finding what is positive. It is computed without
// overflow, in F32 (F64 for F64). (torch.nn.BCEWithLogitsLoss.)
func BCEWithLogits(logits, target, posWeight *tensor.Tensor, r ...Reduction) *tensor.Tensor {
	const op = "nn.BCEWithLogits"
	x, t := pair(op, logits, target)
	// −log σ(x) is softplus(−x), and softplus(x) − x is that, too
	if posWeight == nil {
		return reduce(op, x.Softplus().Sub(x.Mul(t)), r)
	}
	w := convert(posWeight, x.DType(), x)
	positive := t.Mul(w).Mul(x.Neg().Softplus())
	negative := t.Neg().AddScalar(1).Mul(x.Softplus())
	losses := positive.Add(negative)
	if !sameShape(losses, x) {
		fail(op, []*tensor.Tensor{logits, target, posWeight}, "needs weights of positives that broadcast to the logits")
	}
	return reduce(op, losses, r)
}

// KLDiv is the Kullback–Leibler divergence Σ p·(log p − logq) of the distributions p from those whose
// logarithms logq are: both [..., V], logq of a float dtype. With Mean the sum is divided by the number of
// rows, as PyTorch's "batchmean" does for a matrix; its "mean" divides by V, too, and is no divergence.
// PerElement gives the terms [..., V]. Where p is 0 the term is 0. (torch.nn.KLDivLoss.)
func KLDiv(logq, p *tensor.Tensor, r ...Reduction) *tensor.Tensor {
	const op = "nn.KLDiv"
	q, p := distributions(op, logq, p)
	one := tensor.Ones(q.Scope(), q.DType())
	logp := tensor.Where(p.GtScalar(0), p, one).Log() // p·log p goes to 0 with p
	return perRow(op, p.Mul(logp.Sub(q)), r)
}

// KLDivLog is KLDiv of a target that is given by its logarithms, too. (torch.nn.KLDivLoss with log_target.)
func KLDivLog(logq, logp *tensor.Tensor, r ...Reduction) *tensor.Tensor {
	const op = "nn.KLDivLog"
	q, p := distributions(op, logq, logp)
	return perRow(op, p.Exp().Mul(p.Sub(q)), r)
}

// distributions is pair for what has a last axis of classes.
func distributions(op string, q, p *tensor.Tensor) (a, b *tensor.Tensor) {
	if q.Rank() == 0 {
		fail(op, []*tensor.Tensor{q, p}, "needs distributions [..., V]")
	}
	return pair(op, q, p)
}

// perRow is reduce with a mean over rows of the last axis instead of elements.
func perRow(op string, terms *tensor.Tensor, r []Reduction) *tensor.Tensor {
	if which(op, r) != Mean {
		return reduce(op, terms, r)
	}
	return terms.Sum(-1).Mean()
}
