package tensor

import "github.com/hone-ml/hone/internal/backend"

// Softmax is exp(t)/Σ exp(t) over an axis, the last one if none is given, computed without overflow.
func (t *Tensor) Softmax(axis ...int) *Tensor {
	s := t.floats("Softmax")
	if a := t.oneAxis("Softmax", axis); a != t.view.Rank-1 {
		return t.Transpose(a, -1).Softmax().Transpose(a, -1)
	}
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

// LogSoftmax is t − log Σ exp(t) over an axis, the last one if none is given.
func (t *Tensor) LogSoftmax(axis ...int) *Tensor {
	t.floats("LogSoftmax")
	a := t.oneAxis("LogSoftmax", axis)
	shifted := t.Sub(t.detached().MaxKeep(a))
	return shifted.Sub(shifted.Exp().SumKeep(a).Log())
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
