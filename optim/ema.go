package optim

import (
	"errors"
	"fmt"
	"iter"

	"github.com/hone-ml/hone/tensor"
)

// EMA is an optimizer that keeps, beside another one, an exponential moving average of the parameters, which
// often does better than the parameters themselves. (Polyak and Juditsky, 1992; PyTorch's AveragedModel with
// get_ema_multi_avg_fn.) After each step of the other,
//
//	average ← decay·average + (1 − decay)·parameter
//
// and after the first the average is the parameter. Averages are F32, F64 of F64 parameters. With evaluates
// them. They are part of State, so that they are saved and restored as the other's is.
type EMA struct {
	Optimizer
	decay   float64
	entries []average
	hyper   *tensor.Tensor
	inUse   bool
}

type average struct {
	name     string
	param, t *tensor.Tensor
}

// NewEMA averages the trainable tensors among params, which o changes. A decay of 0.999 looks back over about a
// thousand steps. It panics if no tensor is trainable or if the decay is not between 0 and 1.
func NewEMA(o Optimizer, params iter.Seq2[string, *tensor.Tensor], decay float64) *EMA {
	if !(decay > 0 && decay < 1) {
		panic(fmt.Sprintf("optim: NewEMA: decay is %g, want 0 to 1", decay))
	}
	e := &EMA{Optimizer: o, decay: decay}
	seen := map[*tensor.Tensor]bool{}
	for name, p := range params {
		if !p.Trainable() || seen[p] {
			continue
		}
		seen[p] = true
		t := tensor.Empty(p.Device(), p.DType().Accumulator(), p.Shape()...)
		t.CopyFrom(p)
		e.entries = append(e.entries, average{name, p, t})
	}
	if len(e.entries) == 0 {
		panic("optim: NewEMA: no parameter is trainable")
	}
	// An average descends on half the squared distance to the parameter, whose gradient is their difference:
	// the parameter as a gradient, and a decay of −1. The rate is 1 − decay.
	e.hyper = tensor.FromSlice(e.entries[0].t.Device(), []float32{float32(decay - 1), -1, 1, 0}, tensor.SGDHyper)
	return e
}

// Step makes a step of the other optimizer, then averages. The error is the other's, or says that averages are
// in use.
func (e *EMA) Step(g *tensor.Grads) error {
	if err := e.ready(g); err != nil {
		return err
	}
	if err := e.Optimizer.Step(g); err != nil {
		return err
	}
	for _, a := range e.entries {
		if e.Steps() == 1 {
			a.t.CopyFrom(a.param)
			continue
		}
		withGrad(a.param, a.t.DType(), func(p *tensor.Tensor) {
			tensor.SGDStep(tensor.MomentumState{Param: a.t, Master: a.t}, p, e.hyper, tensor.SGDConstants{})
		})
	}
	return nil
}

func (e *EMA) ready(g *tensor.Grads) error {
	if e.inUse {
		return errors.New("optim: EMA: a step inside With, where the parameters are their averages")
	}
	if r, ok := e.Optimizer.(readier); ok {
		return r.ready(g)
	}
	return nil
}

// With calls fn while the parameters are their averages, rounded to the parameters' dtype: to evaluate or to
// save the model. Afterwards they are what they were, to the bit, also if fn panics. Meanwhile there is a copy
// of them in memory. The error is that of fn, or says that there is no memory, or that With is called inside
// With.
func (e *EMA) With(fn func() error) error {
	if e.inUse {
		return errors.New("optim: EMA.With inside EMA.With")
	}
	copies := make([]*tensor.Tensor, len(e.entries))
	free := func() {
		for _, c := range copies {
			if c != nil {
				c.Free()
			}
		}
	}
	defer free()
	err := tensor.Try(func() {
		for i, a := range e.entries {
			copies[i] = tensor.Empty(a.param.Device(), a.param.DType(), a.param.Shape()...)
		}
	})
	if err != nil {
		return fmt.Errorf("optim: EMA.With: no room for a copy of the parameters: %w", err)
	}
	e.inUse = true
	for i, a := range e.entries {
		copies[i].CopyFrom(a.param)
		a.param.CopyFrom(a.t)
	}
	defer func() {
		for i, a := range e.entries {
			a.param.CopyFrom(copies[i])
		}
		e.inUse = false
	}()
	return fn()
}

// State is the other optimizer's, and the averages, named by parameter: "average.layers.0.weight".
func (e *EMA) State() iter.Seq2[string, *tensor.Tensor] {
	return func(yield func(string, *tensor.Tensor) bool) {
		for name, t := range e.Optimizer.State() {
			if !yield(name, t) {
				return
			}
		}
		for _, a := range e.entries {
			if !yield("average."+a.name, a.t) {
				return
			}
		}
	}
}

// String names both: "AdamW with f32 moments, averaged with decay 0.999".
func (e *EMA) String() string {
	name := fmt.Sprintf("%T", e.Optimizer)
	if s, ok := e.Optimizer.(fmt.Stringer); ok {
		name = s.String()
	}
	return fmt.Sprintf("%s, averaged with decay %g", name, e.decay)
}
