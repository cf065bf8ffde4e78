package optim

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/tensor"
)

// AdamWConfig holds the constants of AdamW and says how it keeps its state. Zero fields stand for
// PyTorch's defaults.
type AdamWConfig struct {
	Beta1 float64 // 0.9
	Beta2 float64 // 0.999
	Eps   float64 // 1e-8, added after the square root

	// Moments says how both moments of F32, BF16 and F16 parameters are kept: MomentsF32 unless set.
	Moments Moments
	// Weights says how precisely BF16 parameters are trained: WeightsF32 unless set.
	Weights Weights
}

// AdamW is Adam with decoupled weight decay (Loshchilov and Hutter, "Decoupled Weight Decay
// Regularization", 2019), with the semantics of torch.optim.AdamW: the parameter decays by lr·wd first,
// both moments are corrected for their bias.
//
// BF16 parameters are trained with the precision of F32, unless AdamWConfig.Weights says otherwise: beside each lie the
// 16 bits that make it an F32 weight, of which it is the nearest BF16 (see tensor.AdamWState). F16 parameters have F32
// masters.
//
// Its methods are those of Optimizer; State is "0.3.exp_avg", exp_avg_sq and, where there are any, exp_avg_scale,
// exp_avg_sq_scale and the remainder or the master of each parameter. Parameters that have remainders cannot be
// derived by Sync: restore them with the model.
type AdamW struct {
	rule
	config AdamWConfig
}

// NewAdamW makes the state, moments of zero, for the groups' parameters. It panics if a parameter is not
// trainable or occurs twice, or if a constant is out of range.
func NewAdamW(groups []Group, c AdamWConfig) *AdamW { return newAdamW("AdamW", groups, c, false) }

func newAdamW(name string, groups []Group, c AdamWConfig, coupled bool) *AdamW {
	op := "New" + name
	if c.Beta1 == 0 {
		c.Beta1 = 0.9
	}
	if c.Beta2 == 0 {
		c.Beta2 = 0.999
	}
	if c.Eps == 0 {
		c.Eps = 1e-8
	}
	checkBetas(op, c.Beta1, c.Beta2)
	if _, err := ParseMoments(c.Moments.String()); err != nil {
		panic("optim: " + op + ": " + err.Error())
	}
	if _, err := ParseWeights(c.Weights.String()); err != nil {
		panic("optim: " + op + ": " + err.Error())
	}
	if !(c.Eps > 0) {
		panic(fmt.Sprintf("optim: %s: eps is %g, want it positive", op, c.Eps))
	}
	hyper := func(lr, wd, gradScale float64, t int) []float32 {
		unbiased := func(beta float64) float32 { return float32(1 / (1 - math.Pow(beta, float64(t)))) }
		return []float32{float32(lr), float32(wd), unbiased(c.Beta1), unbiased(c.Beta2), float32(gradScale), float32(t % (1 << 24))}
	}
	constants := tensor.AdamWConstants{Beta1: c.Beta1, Beta2: c.Beta2, Eps: c.Eps, Coupled: coupled}
	return &AdamW{config: c, rule: newRule(name, groups, c.Weights, tensor.AdamWHyper, hyper, func(s *slot) {
		constants.Stream++ // numbers the parameters
		constants, state := constants, c.state(s)
		s.state = []named{{"exp_avg", state.M}, {"exp_avg_sq", state.V}, {"exp_avg_scale", state.MScale}, {"exp_avg_sq_scale", state.VScale}}
		s.step = func(grad, hyper *tensor.Tensor) { tensor.AdamWStep(state, grad, hyper, constants) }
	})}
}

// state makes the moments of a parameter that has made no step.
func (c *AdamWConfig) state(s *slot) tensor.AdamWState {
	p, moments := s.param, c.Moments.dtype(s.param)
	dev, shape := p.Device(), p.Shape()
	state := tensor.AdamWState{Param: p, Master: s.master, Remainder: s.remainder, M: tensor.Zeros(dev, moments, shape...), V: tensor.Zeros(dev, moments, shape...)}
	if moments == tensor.U8 {
		blocks := tensor.AdamWBlocks(p)
		state.MScale, state.VScale = tensor.Zeros(dev, tensor.F32, blocks), tensor.Zeros(dev, tensor.F32, blocks)
	}
	return state
}

// String names the optimizer and the choices on which its state depends: "AdamW with 8bit moments".
func (o *AdamW) String() string {
	name := fmt.Sprintf("%s with %s moments", o.name, o.config.Moments)
	switch o.config.Weights {
	case WeightsMaster:
		name += " and f32 masters"
	case WeightsBF16:
		name += " and bf16 weights"
	}
	return name
}
