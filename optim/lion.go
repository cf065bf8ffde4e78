package optim

import (
	"fmt"

	"github.com/hone-ml/hone/tensor"
)

// LionConfig holds the constants of Lion. Zero fields stand for the paper's defaults.
type LionConfig struct {
	Beta1 float64 // 0.9: of the momentum in the update
	Beta2 float64 // 0.99: of the momentum that is kept

	// Moments says how the momentum is kept: MomentsF32, or MomentsBF16, rounded to nearest.
	Moments Moments
}

// Lion moves every weight by the learning rate, in the direction opposite to the sign of a momentum (Chen et
// al., "Symbolic Discovery of Optimization Algorithms", 2023, arXiv:2302.06675, Algorithm 2). It keeps one
// moment where AdamW keeps two. The paper takes a learning rate 3 to 10 times smaller than AdamW's, and a
// weight decay, which is decoupled, as many times larger.
//
// A step is one sweep over memory. BF16 and F16 parameters are trained with the precision of F32, as
// AdamW trains them. Its methods are those of Optimizer; State is "0.3.momentum" and, where there are any,
// remainders or masters.
type Lion struct {
	rule
	config LionConfig
}

// NewLion makes the state for the groups' parameters. It panics if a parameter is not trainable or occurs
// twice, or if a constant is out of range.
func NewLion(groups []Group, c LionConfig) *Lion {
	if c.Beta1 == 0 {
		c.Beta1 = 0.9
	}
	if c.Beta2 == 0 {
		c.Beta2 = 0.99
	}
	checkBetas("NewLion", c.Beta1, c.Beta2)
	c.Moments.checkMomentum("NewLion")
	hyper := func(lr, wd, gradScale float64, _ int) []float32 {
		return []float32{float32(lr), float32(wd), float32(gradScale)}
	}
	constants := tensor.LionConstants{Beta1: c.Beta1, Beta2: c.Beta2}
	return &Lion{config: c, rule: newRule("Lion", groups, WeightsF32, tensor.LionHyper, hyper, func(s *slot) {
		state := tensor.MomentumState{Param: s.param, Master: s.master, Remainder: s.remainder, M: c.Moments.momentum(s.param)}
		s.state = []named{{"momentum", state.M}}
		s.step = func(grad, hyper *tensor.Tensor) { tensor.LionStep(state, grad, hyper, constants) }
	})}
}

// String names the optimizer and the choice on which its state depends: "Lion with f32 momentum".
func (o *Lion) String() string { return fmt.Sprintf("Lion with %s momentum", o.config.Moments) }
