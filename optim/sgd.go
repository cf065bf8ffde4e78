package optim

import (
	"fmt"

	"github.com/hone-ml/hone/tensor"
)

// SGDConfig holds the constants of SGD. The zero value is plain gradient descent.
type SGDConfig struct {
	Momentum float64 // 0 to 1; with 0 no momentum is kept
	// Dampening is the part of the gradient that does not go into the momentum. As PyTorch has it, the
	// first gradient, that of step 1, goes in whole.
	Dampening float64
	// Nesterov looks ahead by one step of momentum. It needs a momentum, and no dampening.
	Nesterov bool

	// Moments says how the momentum is kept: MomentsF32, or MomentsBF16, rounded to nearest.
	Moments Moments
}

// SGD is stochastic gradient descent with the semantics of torch.optim.SGD: weight decay is an L2 penalty,
// added to the gradient; the learning rate does not go into the momentum. (Sutskever et al., "On the
// importance of initialization and momentum in deep learning", 2013, for Nesterov's.)
//
// A step is one sweep over memory. BF16 and F16 parameters are trained with the precision of F32, as
// AdamW trains them. Its methods are those of Optimizer; State is "0.3.momentum" and, where there are any,
// remainders or masters.
type SGD struct {
	rule
	config SGDConfig
}

// NewSGD makes the state for the groups' parameters. It panics if a parameter is not trainable or occurs
// twice, or if a constant is out of range.
func NewSGD(groups []Group, c SGDConfig) *SGD {
	if !(c.Momentum >= 0 && c.Momentum < 1) || !(c.Dampening >= 0 && c.Dampening <= 1) {
		panic(fmt.Sprintf("optim: NewSGD: momentum is %g and dampening %g, want 0 to 1", c.Momentum, c.Dampening))
	}
	if c.Nesterov && (c.Momentum == 0 || c.Dampening != 0) {
		panic(fmt.Sprintf("optim: NewSGD: Nesterov needs a momentum and no dampening, not %g and %g", c.Momentum, c.Dampening))
	}
	c.Moments.checkMomentum("NewSGD")
	hyper := func(lr, wd, gradScale float64, t int) []float32 {
		fresh := 1 - c.Dampening
		if t == 1 {
			fresh = 1
		}
		return []float32{float32(lr), float32(wd), float32(gradScale), float32(fresh)}
	}
	constants := tensor.SGDConstants{Momentum: c.Momentum, Nesterov: c.Nesterov}
	return &SGD{config: c, rule: newRule("SGD", groups, WeightsF32, tensor.SGDHyper, hyper, func(s *slot) {
		state := tensor.MomentumState{Param: s.param, Master: s.master, Remainder: s.remainder}
		if c.Momentum > 0 {
			state.M = c.Moments.momentum(s.param)
			s.state = []named{{"momentum", state.M}}
		}
		s.step = func(grad, hyper *tensor.Tensor) { tensor.SGDStep(state, grad, hyper, constants) }
	})}
}

// String names the optimizer and the choices on which its state depends: "SGD with f32 momentum", "SGD".
func (o *SGD) String() string {
	if o.config.Momentum == 0 {
		return "SGD"
	}
	return fmt.Sprintf("SGD with %s momentum", o.config.Moments)
}
