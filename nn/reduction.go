package nn

import "github.com/hone-ml/hone/tensor"

// A Reduction is what a loss makes of the losses of its elements. Losses take one as their last argument;
// without it they are means.
type Reduction uint8

const (
	Mean       Reduction = iota // their mean, a scalar
	Sum                         // their sum, a scalar
	PerElement                  // themselves
)

// reduce applies the reduction that a caller gave, if any.
func reduce(op string, losses *tensor.Tensor, r []Reduction) *tensor.Tensor {
	switch which(op, r) {
	case Sum:
		return losses.Sum()
	case PerElement:
		return losses
	}
	return losses.Mean()
}

// which is the reduction that a caller gave, Mean by default.
func which(op string, r []Reduction) Reduction {
	switch {
	case len(r) == 0:
		return Mean
	case len(r) > 1 || r[0] > PerElement:
		fail(op, nil, "reductions %v: give one of Mean, Sum and PerElement, or none", r)
	}
	return r[0]
}

// pair checks that a prediction and its target have one shape, and gives both in F32 (F64 if the prediction
// is), in which losses are computed. Shapes do not broadcast here: [N] against [N, 1] is a mistake whose
// mean looks well.
func pair(op string, y, target *tensor.Tensor) (a, b *tensor.Tensor) {
	if !y.DType().IsFloat() || !sameShape(y, target) {
		fail(op, []*tensor.Tensor{y, target}, "needs a prediction of a float dtype and a target of the same shape")
	}
	if y.Scope() == nil && target.Scope() == nil {
		fail(op, []*tensor.Tensor{y, target}, "both are long-lived: bring one into a scope with In")
	}
	dt := accumulator(y)
	return convert(y, dt, target), convert(target, dt, y)
}

// convert is t in dt, brought into the scope of the other tensor if t is long-lived.
func convert(t *tensor.Tensor, dt tensor.DType, beside *tensor.Tensor) *tensor.Tensor {
	if s := beside.Scope(); t.Scope() == nil && s != nil {
		t = t.In(s)
	}
	return t.To(dt)
}

func sameShape(a, b *tensor.Tensor) bool {
	if a.Rank() != b.Rank() {
		return false
	}
	for i := range a.Rank() {
		if a.Dim(i) != b.Dim(i) {
			return false
		}
	}
	return true
}
