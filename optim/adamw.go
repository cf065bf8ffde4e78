package optim

import (
	"fmt"
	"iter"
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
	// F32Masters keeps, beside BF16 parameters, F32 masters rather than the 16 bits that are enough to
	// tell them: for programs that read the masters from State. The weights are the same to the bit.
	F32Masters bool
}

// AdamW is Adam with decoupled weight decay (Loshchilov and Hutter, "Decoupled Weight Decay
// Regularization", 2019), with the semantics of torch.optim.AdamW: the parameter decays by lr·wd first,
// both moments are corrected for their bias.
//
// BF16 parameters are trained with the precision of F32: beside each lie the 16 bits that make it an F32
// weight, of which it is the nearest BF16 (see tensor.AdamWState). F16 parameters have F32 masters.
type AdamW struct {
	config  AdamWConfig
	coupled bool // the optimizer is Adam
	groups  []adamGroup
	factor  float64
	steps   int
}

type adamGroup struct {
	Group
	states []tensor.AdamWState
	hyper  *tensor.Tensor // see tensor.AdamWStep
}

// NewAdamW makes the state, moments of zero, for the groups' parameters. It panics if a parameter is not
// trainable or occurs twice, or if a constant is out of range.
func NewAdamW(groups []Group, c AdamWConfig) *AdamW { return newAdamW("NewAdamW", groups, c, false) }

func newAdamW(op string, groups []Group, c AdamWConfig, coupled bool) *AdamW {
	check(op, groups)
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
	if !(c.Eps > 0) {
		panic(fmt.Sprintf("optim: %s: eps is %g, want it positive", op, c.Eps))
	}
	o := &AdamW{config: c, coupled: coupled, factor: 1}
	for _, g := range groups {
		a := adamGroup{Group: g}
		for _, p := range g.Params {
			a.states = append(a.states, c.state(p))
		}
		if len(g.Params) > 0 {
			a.hyper = tensor.Zeros(g.Params[0].Device(), tensor.F32, tensor.AdamWHyper)
		}
		o.groups = append(o.groups, a)
	}
	return o
}

// state makes the state of a parameter that has made no step.
func (c *AdamWConfig) state(p *tensor.Tensor) tensor.AdamWState {
	dev, shape := p.Device(), p.Shape()
	moments := c.Moments.dtype(p)
	s := tensor.AdamWState{Param: p, M: tensor.Zeros(dev, moments, shape...), V: tensor.Zeros(dev, moments, shape...)}
	if moments == tensor.U8 {
		blocks := tensor.AdamWBlocks(p)
		s.MScale, s.VScale = tensor.Zeros(dev, tensor.F32, blocks), tensor.Zeros(dev, tensor.F32, blocks)
	}
	s.Master, s.Remainder = newWeights(p, c.F32Masters)
	return s
}

// Step makes one step with the gradients of g; parameters without a gradient in g are neither changed nor
// decayed. The error says that the learning rate is not finite.
func (o *AdamW) Step(g *tensor.Grads) error {
	if err := o.ready(g); err != nil {
		return err
	}
	o.steps++
	t := float64(o.steps)
	constants := tensor.AdamWConstants{Beta1: o.config.Beta1, Beta2: o.config.Beta2, Eps: o.config.Eps, Coupled: o.coupled}
	stream := uint64(0) // numbers the parameters
	for _, group := range o.groups {
		if group.hyper == nil {
			continue
		}
		lr := group.LR * o.factor
		tensor.CopyFromSlice(group.hyper, []float32{float32(lr), float32(group.WeightDecay),
			float32(1 / (1 - math.Pow(o.config.Beta1, t))), float32(1 / (1 - math.Pow(o.config.Beta2, t))), float32(g.Factor()),
			float32(o.steps % (1 << 24))})
		for _, s := range group.states {
			stream++
			constants.Stream = stream
			if g.Has(s.Param) {
				withGrad(g.Unscaled(s.Param), s.M.DType(), func(grad *tensor.Tensor) {
					tensor.AdamWStep(s, grad, group.hyper, constants)
				})
			}
		}
	}
	return nil
}

func (o *AdamW) ready(*tensor.Grads) error {
	for i, group := range o.groups {
		if err := checkRate(o.name(), i, group.LR*o.factor); err != nil {
			return err
		}
	}
	return nil
}

// SetFactor multiplies all learning rates from the next step on.
func (o *AdamW) SetFactor(f float64) { o.factor = f }

// Steps is the number of steps made.
func (o *AdamW) Steps() int { return o.steps }

// SetSteps restores the number of steps made, on which bias correction depends.
func (o *AdamW) SetSteps(n int) { o.steps = n }

// State is exp_avg, exp_avg_sq and, where there are any, exp_avg_scale, exp_avg_sq_scale and the remainder or
// the master of each parameter, named by group and index: "0.3.exp_avg".
func (o *AdamW) State() iter.Seq2[string, *tensor.Tensor] {
	return func(yield func(string, *tensor.Tensor) bool) {
		for i, g := range o.groups {
			for j, s := range g.states {
				for _, one := range []struct {
					name string
					t    *tensor.Tensor
				}{
					{"exp_avg", s.M}, {"exp_avg_sq", s.V}, {"exp_avg_scale", s.MScale}, {"exp_avg_sq_scale", s.VScale},
					{"remainder", s.Remainder}, {"master", s.Master},
				} {
					if one.t != nil && one.t != s.Param && !yield(fmt.Sprintf("%d.%d.%s", i, j, one.name), one.t) {
						return
					}
				}
			}
		}
	}
}

func (o *AdamW) name() string {
	if o.coupled {
		return "Adam"
	}
	return "AdamW"
}

// String names the optimizer and the choices on which its state depends: "AdamW with 8bit moments".
func (o *AdamW) String() string {
	name := fmt.Sprintf("%s with %s moments", o.name(), o.config.Moments)
	if o.config.F32Masters {
		name += " and f32 masters"
	}
	return name
}

// Sync derives parameters from their masters. Those that have remainders are none that can be derived:
// restore them with the model.
func (o *AdamW) Sync() {
	for _, g := range o.groups {
		for _, s := range g.states {
			syncWeights(s.Param, s.Master)
		}
	}
}
