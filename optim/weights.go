package optim

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/hone-ml/hone/tensor"
)

// Weights says with which precision AdamW trains BF16 parameters, and what it keeps for that.
type Weights int

const (
	// WeightsF32 keeps 2 bytes beside an element, which make it an F32 weight.
	WeightsF32 Weights = iota
	// WeightsMaster keeps F32 masters, 4 bytes, for programs that read them from State. The weights are those of
	// WeightsF32 to the bit.
	WeightsMaster
	// WeightsBF16 keeps nothing. Weights are rounded stochastically, so that steps too small for BF16 are made in
	// the mean; the random bits depend on the step and the element only. Parameters of fewer than 4,096 elements,
	// such as the weights of norms, are trained as with WeightsF32.
	WeightsBF16
)

var weightsNames = []string{WeightsF32: "f32", WeightsMaster: "master", WeightsBF16: "bf16"}

// String is "f32", "master" or "bf16".
func (w Weights) String() string {
	if w < 0 || int(w) >= len(weightsNames) {
		return fmt.Sprintf("Weights(%d)", int(w))
	}
	return weightsNames[w]
}

// ParseWeights is the inverse of String.
func ParseWeights(name string) (Weights, error) {
	if w := slices.Index(weightsNames, name); w >= 0 {
		return Weights(w), nil
	}
	return 0, fmt.Errorf("weights %q are none of %s", name, strings.Join(weightsNames, ", "))
}

// beside makes what an optimizer keeps beside a parameter: nothing beside F32 and F64, whose master is the parameter
// itself; of BF16 what w says; a master of others.
func (w Weights) beside(p *tensor.Tensor) (master, remainder *tensor.Tensor) {
	dev, dt, shape := p.Device(), p.DType().Accumulator(), p.Shape()
	switch {
	case p.DType() == dt:
		return p, nil
	case p.DType() == tensor.BF16 && w == WeightsBF16 && p.Len() >= leastPacked:
		return nil, nil
	case p.DType() == tensor.BF16 && w != WeightsMaster:
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
