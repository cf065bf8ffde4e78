package nn

import "github.com/hone-ml/hone/tensor"

// Dropout zeroes elements with probability P and scales the others by 1/(1−P) where the scope of its input
// trains, see tensor.Scope.Training; elsewhere it does nothing. The mask is drawn from the scope's Rand.
// (Srivastava et al., "Dropout", 2014; torch.nn.Dropout.)
type Dropout struct {
	P float64 // in [0, 1)
}

// Forward keeps the shape and the dtype, which is a float. It panics if P is not in [0, 1).
func (d Dropout) Forward(x *tensor.Tensor) *tensor.Tensor {
	if scopeOf("nn.Dropout", x).Training() {
		return tensor.Dropout(x, d.P)
	}
	return x
}
