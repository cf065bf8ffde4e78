package optim

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/tensor"
)

// newWeights makes what an optimizer keeps beside a parameter to train it with the precision of F32: nothing
// beside F32 and F64, whose master is the parameter itself; the missing 16 bits of BF16, unless masters
// are asked for; a master of others.
func newWeights(p *tensor.Tensor, masters bool) (master, remainder *tensor.Tensor) {
	dev, dt, shape := p.Device(), p.DType().Accumulator(), p.Shape()
	switch {
	case p.DType() == dt:
		return p, nil
	case p.DType() == tensor.BF16 && !masters:
		return nil, tensor.Zeros(dev, tensor.U8, append(shape, 2)...)
	}
	master = tensor.Empty(dev, dt, shape...)
	master.CopyFrom(p)
	return master, nil
}

// syncWeights derives a parameter from its master, if it has one.
func syncWeights(p, master *tensor.Tensor) {
	if master != nil && master != p {
		p.CopyFrom(master)
	}
}

// withGrad calls fn with a gradient that goes with weights or moments of dtype dt: F64 with F64, F32 or BF16
// with others.
func withGrad(grad *tensor.Tensor, dt tensor.DType, fn func(grad *tensor.Tensor)) {
	if dt != tensor.F64 {
		dt = tensor.F32
	}
	if grad.DType() != dt && (dt == tensor.F64 || grad.DType() != tensor.BF16) {
		converted := tensor.Empty(grad.Device(), dt, grad.Shape()...)
		defer converted.Free()
		converted.CopyFrom(grad)
		grad = converted
	}
	fn(grad)
}

// checkRate says that a group's learning rate is no number to step with.
func checkRate(name string, group int, lr float64) error {
	if math.IsNaN(lr) || math.IsInf(lr, 0) {
		return fmt.Errorf("optim: %s: the learning rate of group %d is %g", name, group, lr)
	}
	return nil
}

func checkBetas(op string, betas ...float64) {
	for _, beta := range betas {
		if !(beta > 0 && beta < 1) {
			panic(fmt.Sprintf("optim: %s: beta is %g, want 0 to 1", op, beta))
		}
	}
}
