package outside

import "github.com/hone-ml/hone/tensor"

// SquaredReLU returns max(x, 0)², element by element (So et al., "Primer", 2021).
func SquaredReLU(x *tensor.Tensor) *tensor.Tensor { return tensor.Custom(squaredReLU, x)[0] }

var squaredReLU = tensor.CustomOp{
	Name: "SquaredReLU",
	Forward: func(_ *tensor.Scope, x []*tensor.Tensor) (outputs, saved []*tensor.Tensor) {
		r := x[0].ReLU()
		return []*tensor.Tensor{r.Square()}, []*tensor.Tensor{r}
	},
	Backward: func(dy, saved []*tensor.Tensor, _ []bool) []*tensor.Tensor {
		return []*tensor.Tensor{dy[0].Mul(saved[0]).MulScalar(2)}
	},
}
