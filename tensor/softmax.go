package tensor

import "github.com/hone-ml/hone/internal/backend"

// Softmax is exp(t)/Σ exp(t) over the last axis, computed without overflow.
func (t *Tensor) Softmax() *Tensor {
	s := scopeOf("Softmax", []*Tensor{t})
	if t.view.Rank == 0 || !t.view.DType.IsFloat() {
		fail("Softmax", []*Tensor{t}, "needs a float dtype and at least one axis")
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

// LogSoftmax is t − log Σ exp(t) over the last axis.
func (t *Tensor) LogSoftmax() *Tensor {
	scopeOf("LogSoftmax", []*Tensor{t})
	if t.view.Rank == 0 || !t.view.DType.IsFloat() {
		fail("LogSoftmax", []*Tensor{t}, "needs a float dtype and at least one axis")
	}
	shifted := t.Sub(t.detached().MaxKeep(-1))
	return shifted.Sub(shifted.Exp().SumKeep(-1).Log())
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
