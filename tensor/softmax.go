package tensor

import "github.com/hone-ml/hone/internal/backend"

// Softmax is exp(t)/Σ exp(t) over the last axis, computed without overflow.
func (t *Tensor) Softmax() *Tensor {
	s := t.rows("Softmax")
	fused, ok := backend.Fused[backend.Softmaxer](s.dev.backend)
	if !ok {
		return composedSoftmax(t)
	}
	x := t.Contiguous()
	out := cheaply(like(x), []*Tensor{x}, func(out *Tensor, in []*Tensor) { fused.Softmax(&out.view, &in[0].view) })
	return record1("Softmax", out, []*Tensor{x}, []*Tensor{out}, func(g *gradient) {
		dy, dx := g.Output(0).Contiguous(), g.New(0)
		fused.SoftmaxBackward(&dx.view, &dy.view, &g.Saved(0).view)
		g.Add(0, dx)
	})
}

// SoftmaxAxis is Softmax over another axis.
func (t *Tensor) SoftmaxAxis(axis int) *Tensor {
	t.floats("SoftmaxAxis")
	axis = t.axis("SoftmaxAxis", axis)
	return t.Transpose(axis, -1).Softmax().Transpose(axis, -1)
}

// LogSoftmax is t − log Σ exp(t) over the last axis.
func (t *Tensor) LogSoftmax() *Tensor {
	t.rows("LogSoftmax")
	return t.LogSoftmaxAxis(-1)
}

// LogSoftmaxAxis is LogSoftmax over another axis.
func (t *Tensor) LogSoftmaxAxis(axis int) *Tensor {
	t.floats("LogSoftmaxAxis")
	axis = t.axis("LogSoftmaxAxis", axis)
	shifted := t.Sub(t.detached().MaxKeep(axis))
	return shifted.Sub(shifted.Exp().SumKeep(axis).Log())
}

// rows panics unless t has a float dtype and a last axis. It returns t's scope.
func (t *Tensor) rows(op string) *Scope {
	s := t.floats(op)
	if t.view.Rank == 0 {
		fail(op, []*Tensor{t}, "at least one axis is needed")
	}
	return s
}

func composedSoftmax(t *Tensor) *Tensor {
	e := t.Sub(t.detached().MaxKeep(-1)).Exp()
	return e.Div(e.SumKeep(-1))
}

// Detach is t as a constant: no gradient flows through it.
func (t *Tensor) Detach() *Tensor {
	t.alive("Detach")
	return t.detached()
}

func (t *Tensor) detached() *Tensor {
	return &Tensor{view: t.view, dev: t.dev, scope: t.scope, mem: t.mem}
}
