package tensor

import (
	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu"
)

// Lengths of the vectors of numbers that change from step to step; see SGDStep and LionStep.
const (
	SGDHyper  = backend.SGDHyper
	LionHyper = backend.LionHyper
)

// SGDConstants and LionConstants are the constants of SGD and of Lion.
type (
	SGDConstants  = backend.SGDArgs
	LionConstants = backend.LionArgs
)

// MomentumState is a parameter and what SGD or Lion keeps of it: long-lived, contiguous tensors of one
// shape, those of the weights as AdamWState has them.
type MomentumState struct {
	Param, Master, Remainder *Tensor
	// M is the momentum: F32, F64 where Master is, or BF16, rounded to nearest. SGD without momentum has none.
	M *Tensor
}

// SGDStep updates a state in place by one step of stochastic gradient descent, in one sweep where the device
// has a kernel for it; it is what optim.SGD is made of. With g the gradient times its scale, plus wd·w:
//
//	m ← μ·m + c·g;  w ← w − lr·m, or w − lr·(g + μ·m) with Nesterov, or w − lr·g without M
//
// hyper is F32 [SGDHyper]: lr, wd, gradient scale, c. grad is as for AdamWStep.
func SGDStep(s MomentumState, grad, hyper *Tensor, c SGDConstants) {
	s.check("SGDStep", grad, hyper, SGDHyper)
	s.run(grad, hyper, func(b backend.Backend, state backend.MomentumState, grad, hyper *backend.View) bool {
		fused, ok := backend.Fused[backend.SGDer](b)
		if ok {
			fused.SGD(state, grad, hyper, c)
		}
		return ok
	}, func(w, m, g *Tensor, h func(i int) *Tensor) (*Tensor, *Tensor) {
		g = g.Mul(h(2)).Add(w.Mul(h(1)))
		u := g
		if m != nil {
			m = m.MulScalar(c.Momentum).Add(g.Mul(h(3)))
			if u = m; c.Nesterov {
				u = g.Add(m.MulScalar(c.Momentum))
			}
		}
		return w.Sub(u.Mul(h(0))), m
	})
}

// LionStep updates a state in place by one step of Lion (Chen et al., 2023), in one sweep where the device has
// a kernel for it; it is what optim.Lion is made of. With g the gradient times its scale:
//
//	w ← w·(1 − lr·wd) − lr·sign(β1·m + (1−β1)·g);  m ← β2·m + (1−β2)·g
//
// hyper is F32 [LionHyper]: lr, wd, gradient scale. grad is as for AdamWStep.
func LionStep(s MomentumState, grad, hyper *Tensor, c LionConstants) {
	if s.M == nil {
		fail("LionStep", present(s.Param, s.Master, grad), "needs a momentum")
	}
	s.check("LionStep", grad, hyper, LionHyper)
	s.run(grad, hyper, func(b backend.Backend, state backend.MomentumState, grad, hyper *backend.View) bool {
		fused, ok := backend.Fused[backend.Lioner](b)
		if ok {
			fused.Lion(state, grad, hyper, c)
		}
		return ok
	}, func(w, m, g *Tensor, h func(i int) *Tensor) (*Tensor, *Tensor) {
		g = g.Mul(h(2))
		u := m.MulScalar(c.Beta1).Add(g.MulScalar(1 - c.Beta1)).Sign()
		keep := h(0).Mul(h(1)).Neg().AddScalar(1)
		return w.Mul(keep).Sub(u.Mul(h(0))), m.MulScalar(c.Beta2).Add(g.MulScalar(1 - c.Beta2))
	})
}

func (s *MomentumState) weights() weightState { return weightState{s.Param, s.Master, s.Remainder} }

func (s *MomentumState) check(op string, grad, hyper *Tensor, n int) {
	all := present(s.Param, s.Master, s.M, grad)
	checkStep(op, all, hyper, n)
	dt := s.weights().check(op, all, false)
	if s.M != nil && s.M.view.DType != dt && (s.M.view.DType != BF16 || dt != F32) {
		fail(op, all, "needs a momentum of the weights' dtype, or of BF16 beside F32")
	}
	checkGrad(op, all, grad, dt)
}

// run makes a step: by a kernel, of other ops, or on the host. composed gives the new weights and moment,
// h being the numbers in hyper.
func (s *MomentumState) run(grad, hyper *Tensor,
	kernel func(b backend.Backend, s backend.MomentumState, grad, hyper *backend.View) bool,
	composed func(w, m, g *Tensor, h func(i int) *Tensor) (newW, newM *Tensor)) {
	changes := present(s.Param, s.Master, s.Remainder, s.M)
	changed(changes)
	views := func(view func(*Tensor) *backend.View) backend.MomentumState {
		return backend.MomentumState{WeightState: s.weights().views(view), M: view(s.M)}
	}
	if s.Remainder == nil && s.Master.view.DType == F64 {
		s.composed(grad, hyper, composed)
		return
	}
	if kernel(s.Param.dev.backend, views(viewOf), &grad.view, &hyper.view) {
		return
	}
	if s.Remainder == nil {
		s.composed(grad, hyper, composed)
		return
	}
	onHost(changes, func(b *cpu.Backend, view func(*Tensor) *backend.View) {
		kernel(b, views(view), view(grad), view(hyper))
	})
}

func (s *MomentumState) composed(grad, hyper *Tensor, step func(w, m, g *Tensor, h func(i int) *Tensor) (newW, newM *Tensor)) {
	scope := s.Param.dev.NewScope()
	defer scope.Close()
	dt := s.Master.view.DType
	in := func(t *Tensor) *Tensor { return t.detached().In(scope).To(dt) }
	h := in(hyper)
	var m *Tensor
	if s.M != nil {
		m = in(s.M)
	}
	w, m := step(in(s.Master), m, in(grad), h.Index)
	if s.M != nil {
		s.M.CopyFrom(m)
	}
	s.Master.CopyFrom(w)
	if s.Param != s.Master {
		s.Param.CopyFrom(w)
	}
}
