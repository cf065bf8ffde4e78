package optim

import (
	"fmt"
	"iter"

	"github.com/hone-ml/hone/tensor"
)

// A rule is an optimizer that treats each parameter on its own. It has the methods of Optimizer.
type rule struct {
	name   string
	groups []ruleGroup
	factor float64
	steps  int
	// hyper are the numbers of a step for a group, those in device memory; lr and wd are the group's
	// learning rate, times the factor, and weight decay, and t counts steps from 1.
	hyper func(lr, wd, gradScale float64, t int) []float32
}

type ruleGroup struct {
	Group
	slots []slot
	hyper *tensor.Tensor
}

// A slot is a parameter and what is kept of it.
type slot struct {
	param, master, remainder *tensor.Tensor
	state                    []named
	step                     func(grad, hyper *tensor.Tensor)
}

type named struct {
	name string
	t    *tensor.Tensor // may be nil
}

// newRule checks the groups and makes a slot for each parameter, with weights of the given kind, to which fill adds state
// and step.
func newRule(name string, groups []Group, weights Weights, hyperLen int, hyper func(lr, wd, gradScale float64, t int) []float32, fill func(s *slot)) rule {
	check("New"+name, groups)
	r := rule{name: name, factor: 1, hyper: hyper}
	for _, g := range groups {
		group := ruleGroup{Group: g}
		for _, p := range g.Params {
			s := slot{param: p}
			s.master, s.remainder = weights.beside(p)
			fill(&s)
			group.slots = append(group.slots, s)
		}
		if len(g.Params) > 0 {
			group.hyper = tensor.Zeros(g.Params[0].Device(), tensor.F32, hyperLen)
		}
		r.groups = append(r.groups, group)
	}
	return r
}

// Step makes one step with the gradients of g; parameters without a gradient in g are left alone. The error
// says that the learning rate is not finite.
func (r *rule) Step(g *tensor.Grads) error {
	if err := r.ready(g); err != nil {
		return err
	}
	r.steps++
	for _, group := range r.groups {
		if group.hyper == nil {
			continue
		}
		tensor.CopyFromSlice(group.hyper, r.hyper(group.LR*r.factor, group.WeightDecay, g.Factor(), r.steps))
		for _, s := range group.slots {
			if g.Has(s.param) {
				withGrad(g.Unscaled(s.param), s.param.DType().Accumulator(), func(grad *tensor.Tensor) { s.step(grad, group.hyper) })
			}
		}
	}
	return nil
}

func (r *rule) ready(*tensor.Grads) error {
	for i, group := range r.groups {
		if err := checkRate(r.name, i, group.LR*r.factor); err != nil {
			return err
		}
	}
	return nil
}

// SetFactor multiplies all learning rates from the next step on.
func (r *rule) SetFactor(f float64) { r.factor = f }

// Steps is the number of steps made.
func (r *rule) Steps() int { return r.steps }

// SetSteps restores the number of steps made.
func (r *rule) SetSteps(n int) { r.steps = n }

// State is what the optimizer keeps of each parameter, named by group and index: "0.3.momentum". Where there
// are any, the remainder or the master of a parameter are last.
func (r *rule) State() iter.Seq2[string, *tensor.Tensor] {
	return func(yield func(string, *tensor.Tensor) bool) {
		for i, g := range r.groups {
			for j, s := range g.slots {
				for _, one := range append(s.state[:len(s.state):len(s.state)], named{"remainder", s.remainder}, named{"master", s.master}) {
					if one.t != nil && one.t != s.param && !yield(fmt.Sprintf("%d.%d.%s", i, j, one.name), one.t) {
						return
					}
				}
			}
		}
	}
}

// Sync derives parameters from their masters, those of F16.
func (r *rule) Sync() {
	for _, g := range r.groups {
		for _, s := range g.slots {
			syncWeights(s.param, s.master)
		}
	}
}

// momentum makes the moment of a parameter: F32 or BF16.
func (m Moments) momentum(p *tensor.Tensor) *tensor.Tensor {
	return tensor.Zeros(p.Device(), m.dtype(p), p.Shape()...)
}

// checkMomentum panics for moments that an optimizer of one of them does not keep.
func (m Moments) checkMomentum(op string) {
	if m != MomentsF32 && m != MomentsBF16 {
		panic(fmt.Sprintf("optim: %s: the momentum is f32 or bf16, not %s", op, m))
	}
}
