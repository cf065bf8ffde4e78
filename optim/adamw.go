package optim

import (
	"fmt"
	"iter"
	"math"

	"github.com/hone-ml/hone/tensor"
)

// AdamWConfig holds the constants of AdamW. Zero fields stand for PyTorch's defaults.
type AdamWConfig struct {
	Beta1 float64 // 0.9
	Beta2 float64 // 0.999
	Eps   float64 // 1e-8, added after the square root
}

// AdamW is Adam with decoupled weight decay (Loshchilov and Hutter, "Decoupled Weight Decay
// Regularization", 2019), with the semantics of torch.optim.AdamW: the parameter decays by lr·wd first,
// both moments are corrected for their bias. BF16 and F16 parameters have F32 masters.
type AdamW struct {
	config AdamWConfig
	groups []adamGroup
	factor float64
	steps  int
}

type adamGroup struct {
	Group
	states []adamState
	hyper  *tensor.Tensor // see tensor.AdamWStep
}

type adamState struct{ param, master, m, v *tensor.Tensor }

// NewAdamW makes the state, moments of zero, for the groups' parameters. It panics if a parameter is not
// trainable or occurs twice, or if a constant is out of range.
func NewAdamW(groups []Group, c AdamWConfig) *AdamW {
	check("NewAdamW", groups)
	if c.Beta1 == 0 {
		c.Beta1 = 0.9
	}
	if c.Beta2 == 0 {
		c.Beta2 = 0.999
	}
	if c.Eps == 0 {
		c.Eps = 1e-8
	}
	for _, beta := range []float64{c.Beta1, c.Beta2} {
		if !(beta > 0 && beta < 1) {
			panic(fmt.Sprintf("optim: NewAdamW: beta is %g, want 0 to 1", beta))
		}
	}
	if !(c.Eps > 0) {
		panic(fmt.Sprintf("optim: NewAdamW: eps is %g, want it positive", c.Eps))
	}
	o := &AdamW{config: c, factor: 1}
	for _, g := range groups {
		a := adamGroup{Group: g}
		for _, p := range g.Params {
			dt := p.DType().Accumulator()
			s := adamState{param: p, master: p, m: tensor.Zeros(p.Device(), dt, p.Shape()...), v: tensor.Zeros(p.Device(), dt, p.Shape()...)}
			if dt != p.DType() {
				s.master = tensor.Empty(p.Device(), dt, p.Shape()...)
				s.master.CopyFrom(p)
			}
			a.states = append(a.states, s)
		}
		if len(g.Params) > 0 {
			a.hyper = tensor.Zeros(g.Params[0].Device(), tensor.F32, 5)
		}
		o.groups = append(o.groups, a)
	}
	return o
}

// Step makes one step with the gradients of g; parameters without a gradient in g are neither changed nor
// decayed. The error says that the learning rate is not finite.
func (o *AdamW) Step(g *tensor.Grads) error {
	if err := o.ready(g); err != nil {
		return err
	}
	o.steps++
	t := float64(o.steps)
	for _, group := range o.groups {
		if group.hyper == nil {
			continue
		}
		lr := group.LR * o.factor
		tensor.CopyFromSlice(group.hyper, []float32{float32(lr), float32(group.WeightDecay),
			float32(1 / (1 - math.Pow(o.config.Beta1, t))), float32(1 / (1 - math.Pow(o.config.Beta2, t))), 1})
		for _, s := range group.states {
			if g.Has(s.param) {
				s.step(g.Of(s.param), group.hyper, o.config)
			}
		}
	}
	return nil
}

func (o *AdamW) ready(*tensor.Grads) error {
	for i, group := range o.groups {
		if lr := group.LR * o.factor; math.IsNaN(lr) || math.IsInf(lr, 0) {
			return fmt.Errorf("optim: AdamW: the learning rate of group %d is %g", i, lr)
		}
	}
	return nil
}

func (s *adamState) step(grad, hyper *tensor.Tensor, c AdamWConfig) {
	if dt := s.m.DType(); grad.DType() != dt { // F64 parameters and F32 gradients, or the other way round
		converted := tensor.Empty(s.m.Device(), dt, grad.Shape()...)
		defer converted.Free()
		converted.CopyFrom(grad)
		grad = converted
	}
	tensor.AdamWStep(s.param, s.master, s.m, s.v, grad, hyper, c.Beta1, c.Beta2, c.Eps)
}

// SetFactor multiplies all learning rates from the next step on.
func (o *AdamW) SetFactor(f float64) { o.factor = f }

// Steps is the number of steps made.
func (o *AdamW) Steps() int { return o.steps }

// SetSteps restores the number of steps made, on which bias correction depends.
func (o *AdamW) SetSteps(n int) { o.steps = n }

// State is exp_avg, exp_avg_sq and, where there is one, the master of each parameter, named by group and
// index: "0.3.exp_avg".
func (o *AdamW) State() iter.Seq2[string, *tensor.Tensor] {
	return func(yield func(string, *tensor.Tensor) bool) {
		for i, g := range o.groups {
			for j, s := range g.states {
				name := fmt.Sprintf("%d.%d.", i, j)
				if !yield(name+"exp_avg", s.m) || !yield(name+"exp_avg_sq", s.v) {
					return
				}
				if s.master != s.param && !yield(name+"master", s.master) {
					return
				}
			}
		}
	}
}

// Sync derives BF16 and F16 parameters from their masters.
func (o *AdamW) Sync() {
	for _, g := range o.groups {
		for _, s := range g.states {
			if s.master != s.param {
				s.param.CopyFrom(s.master)
			}
		}
	}
}
