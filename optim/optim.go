// Package optim is optimizers, learning-rate schedules and their state.
//
//	opt := optim.NewAdamW(optim.Split(nn.Parameters(model), 3e-4, 0.01), optim.AdamWConfig{})
//	schedule := optim.Warmup(100, optim.Cosine(0, 900).Above(0.1))
//	for step := range 1000 {
//		...
//		opt.SetFactor(schedule(step))
//		err := opt.Step(grads)
//	}
//
// An optimizer owns what training keeps beside the parameters: moments, and what makes F32 weights of BF16
// and F16 parameters. A checkpoint saves that, and the parameters.
package optim

import (
	"fmt"
	"iter"
	"strings"

	"github.com/hone-ml/hone/tensor"
)

// An Optimizer changes parameters by their gradients. It is for one goroutine at a time.
type Optimizer interface {
	// Step makes one step. Parameters that g does not hold are left alone. If it returns an error, no
	// parameter has changed.
	Step(g *tensor.Grads) error
	// SetFactor multiplies the learning rates of all groups from the next step on: a schedule's value.
	SetFactor(f float64)
	// Steps is the number of steps made; SetSteps restores it.
	Steps() int
	SetSteps(n int)
	// State is the long-lived tensors to save beside the parameters, by names that are stable for the same
	// groups. Restore both by CopyFrom, then call SetSteps and Sync.
	State() iter.Seq2[string, *tensor.Tensor]
	// Sync derives from restored masters the parameters that have them.
	Sync()
}

// Group is parameters with a learning rate and weight decay of their own.
type Group struct {
	Params []*tensor.Tensor
	// LR is the learning rate. It must not be negative.
	LR float64
	// WeightDecay is decoupled, a decay per step relative to LR, in AdamW, Lion, Adafactor and Muon; in
	// Adam and SGD it is an L2 penalty, added to the gradient.
	WeightDecay float64
}

// check reports parameters that cannot be trained, or that stand in two groups.
func check(op string, groups []Group) {
	seen := map[*tensor.Tensor]bool{}
	for i, g := range groups {
		if g.LR < 0 || !(g.WeightDecay >= 0) {
			panic(fmt.Sprintf("optim: %s: group %d has learning rate %g and weight decay %g; neither can be negative", op, i, g.LR, g.WeightDecay))
		}
		for j, p := range g.Params {
			if !p.Trainable() {
				panic(fmt.Sprintf("optim: %s: parameter %d of group %d, %v%v, is not trainable", op, j, i, p.DType(), p.Shape()))
			}
			if seen[p] {
				panic(fmt.Sprintf("optim: %s: parameter %d of group %d, %v%v, occurs twice", op, j, i, p.DType(), p.Shape()))
			}
			seen[p] = true
		}
	}
}

// Split makes the two usual groups: matrices and embeddings with weight decay, and what has one axis
// (norms, biases) without. Parameters that are not trainable are left out.
func Split(params iter.Seq2[string, *tensor.Tensor], lr, weightDecay float64) []Group {
	g := []Group{{LR: lr, WeightDecay: weightDecay}, {LR: lr}}
	for _, p := range params {
		switch {
		case !p.Trainable():
		case p.Rank() >= 2:
			g[0].Params = append(g[0].Params, p)
		default:
			g[1].Params = append(g[1].Params, p)
		}
	}
	return g
}

// Join makes one optimizer of several, each with parameters of its own. Those of this package all step or
// none does. It panics if there are none.
func Join(opts ...Optimizer) Optimizer {
	if len(opts) == 0 {
		panic("optim: Join of no optimizers")
	}
	return joined(opts)
}

type joined []Optimizer

// A readier says before a step what error it would return.
type readier interface{ ready(g *tensor.Grads) error }

func (j joined) ready(g *tensor.Grads) error {
	for _, o := range j {
		if r, ok := o.(readier); ok {
			if err := r.ready(g); err != nil {
				return err
			}
		}
	}
	return nil
}

func (j joined) Step(g *tensor.Grads) error {
	if err := j.ready(g); err != nil {
		return err
	}
	for _, o := range j {
		if err := o.Step(g); err != nil {
			return err
		}
	}
	return nil
}

func (j joined) SetFactor(f float64) {
	for _, o := range j {
		o.SetFactor(f)
	}
}

// String names the optimizers in their order.
func (j joined) String() string {
	names := make([]string, len(j))
	for i, o := range j {
		names[i] = fmt.Sprintf("%T", o)
		if s, ok := o.(fmt.Stringer); ok {
			names[i] = s.String()
		}
	}
	return strings.Join(names, ", ")
}

func (j joined) Steps() int { return j[0].Steps() }

func (j joined) SetSteps(n int) {
	for _, o := range j {
		o.SetSteps(n)
	}
}

func (j joined) State() iter.Seq2[string, *tensor.Tensor] {
	return func(yield func(string, *tensor.Tensor) bool) {
		for i, o := range j {
			for name, t := range o.State() {
				if !yield(fmt.Sprintf("%d.%s", i, name), t) {
					return
				}
			}
		}
	}
}

func (j joined) Sync() {
	for _, o := range j {
		o.Sync()
	}
}
