package nn

import "github.com/hone-ml/hone/tensor"

// MSE is the squared error (y − target)²: y of a float dtype and target of the same shape, any dtype;
// computed in F32 (F64 for F64). Gradients flow to both. (torch.nn.MSELoss.)
func MSE(y, target *tensor.Tensor, r ...Reduction) *tensor.Tensor {
	a, b := pair("nn.MSE", y, target)
	return reduce("nn.MSE", a.Sub(b).Square(), r)
}

// L1 is the absolute error |y − target|, with shapes and dtypes as in MSE. The derivative where they are
// equal is 0. (torch.nn.L1Loss.)
func L1(y, target *tensor.Tensor, r ...Reduction) *tensor.Tensor {
	a, b := pair("nn.L1", y, target)
	return reduce("nn.L1", a.Sub(b).Abs(), r)
}

// Huber is half of the squared error where the error is below delta, and beyond it goes on in a straight
// line: delta·(|y − target| − delta/2). Shapes and dtypes are as in MSE. It panics unless delta is
// positive. (Huber, "Robust Estimation of a Location Parameter", 1964; torch.nn.HuberLoss.)
func Huber(y, target *tensor.Tensor, delta float64, r ...Reduction) *tensor.Tensor {
	return reduce("nn.Huber", huber("nn.Huber", y, target, delta), r)
}

// SmoothL1 is Huber divided by its delta, here called beta: far from the target it is L1, whatever beta is.
// (torch.nn.SmoothL1Loss.)
func SmoothL1(y, target *tensor.Tensor, beta float64, r ...Reduction) *tensor.Tensor {
	return reduce("nn.SmoothL1", huber("nn.SmoothL1", y, target, beta).DivScalar(beta), r)
}

// huber is q·(|e| − q/2) with q the error limited to delta, element by element.
func huber(op string, y, target *tensor.Tensor, delta float64) *tensor.Tensor {
	a, b := pair(op, y, target)
	if !(delta > 0) {
		fail(op, []*tensor.Tensor{y, target}, "the error %g, where the parabola ends, must be positive", delta)
	}
	e := a.Sub(b).Abs()
	q := e.ClampMax(delta)
	return q.Mul(e.Sub(q.MulScalar(0.5)))
}
