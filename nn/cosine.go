package nn

import "github.com/hone-ml/hone/tensor"

// CosineSimilarity is x·y/(max(|x|, ε)·max(|y|, ε)) over the last axis, with ε of 1e-8: x and y [..., D] of
// one shape and float dtype → [...], in F32 (F64 for F64). The similarity with a vector of zeros is 0.
// (torch.nn.CosineSimilarity.)
func CosineSimilarity(x, y *tensor.Tensor) *tensor.Tensor {
	const op = "nn.CosineSimilarity"
	if x.Rank() == 0 {
		fail(op, []*tensor.Tensor{x, y}, "needs vectors [..., D]")
	}
	a, b := pair(op, x, y)
	return a.Mul(b).Sum(-1).Mul(inverseNorm(a)).Mul(inverseNorm(b))
}

// inverseNorm is 1/max(|x|, 1e-8) over the last axis. The limit is on the square, whose root has a
// derivative there.
func inverseNorm(x *tensor.Tensor) *tensor.Tensor {
	return x.Square().Sum(-1).ClampMin(1e-16).Rsqrt()
}

// CosineEmbedding draws pairs of vectors together or apart: 1 − cos(x, y) where the label is 1, and max(0,
// cos(x, y) − margin) where it is −1. x and y are [..., D] of one shape and float dtype, labels [...] of
// any dtype; another label than these is not noticed. (torch.nn.CosineEmbeddingLoss.)
func CosineEmbedding(x, y, labels *tensor.Tensor, margin float64, r ...Reduction) *tensor.Tensor {
	const op = "nn.CosineEmbedding"
	cos := CosineSimilarity(x, y)
	if !sameShape(labels, cos) {
		fail(op, []*tensor.Tensor{x, y, labels}, "needs a label for each of the vectors %v", cos.Shape())
	}
	same := convert(labels, tensor.F32, cos).GtScalar(0)
	return reduce(op, tensor.Where(same, cos.Neg().AddScalar(1), cos.AddScalar(-margin).ReLU()), r)
}
