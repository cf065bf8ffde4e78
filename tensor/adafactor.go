package tensor

import (
	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu"
)

// AdafactorHyper is the length of the vector of numbers that change from step to step; see AdafactorStep.
const AdafactorHyper = backend.AdafactorHyper

// AdafactorConstants are the constants of Adafactor.
type AdafactorConstants = backend.AdafactorArgs

// AdafactorState is a parameter and what Adafactor keeps of it: long-lived, contiguous tensors, those of the
// weights as AdamWState has them.
type AdafactorState struct {
	Param, Master, Remainder *Tensor
	// Row [..., R] and Col [..., C] go with a parameter [..., R, C], V with one of fewer axes and its shape.
	// They are F32, or F64 where Master is.
	Row, Col, V *Tensor
}

// AdafactorStep updates a state in place by one step of Adafactor (Shazeer and Stern, 2018; as
// torch.optim.Adafactor has it); it is what optim.Adafactor is made of. With g the gradient times its scale,
// and rms the root of the mean square:
//
//	row ← row + q·(mean of g² over columns − row);  col ← col + q·(mean of g² over rows − col)
//	v = row·colᵀ / max(mean(row), ε1), or v ← v + q·(g² − v) with V
//	u = g/√max(v, ε1²)
//	w ← w·(1 − lr·wd) − ρ·max(ε2, rms(w))/max(1, rms(u)/d)·u
//
// rms(w) being that of the weights before the step. hyper is F32 [AdafactorHyper]: lr, wd, gradient scale, ρ,
// q. grad is as for AdamWStep.
func AdafactorStep(s AdafactorState, grad, hyper *Tensor, c AdafactorConstants) {
	dt := s.check(grad, hyper)
	if grad.Len() == 0 {
		return
	}
	changes := present(s.Param, s.Master, s.Remainder, s.Row, s.Col, s.V)
	changed(changes)
	views := func(view func(*Tensor) *backend.View) backend.AdafactorState {
		w := weightState{s.Param, s.Master, s.Remainder}.views(view)
		return backend.AdafactorState{WeightState: w, Row: view(s.Row), Col: view(s.Col), V: view(s.V)}
	}
	fused, ok := backend.Fused[backend.Adafactorer](s.Param.dev.backend)
	switch {
	case ok && dt == F32:
		fused.Adafactor(views(viewOf), &grad.view, &hyper.view, c)
	case s.Remainder == nil:
		s.composed(grad, hyper, c)
	default:
		onHost(changes, func(b *cpu.Backend, view func(*Tensor) *backend.View) {
			b.Adafactor(views(view), view(grad), view(hyper), c)
		})
	}
}

func (s *AdafactorState) check(grad, hyper *Tensor) DType {
	const op = "AdafactorStep"
	all := present(s.Param, s.Master, grad)
	checkStep(op, all, hyper, AdafactorHyper)
	dt := weightState{s.Param, s.Master, s.Remainder}.check(op, all, false)
	checkGrad(op, all, grad, dt)
	is := func(t *Tensor, shape ...int) bool {
		if t != nil {
			t.alive(op)
		}
		return t != nil && t.view.DType == dt && t.hasShape(shape...) && t.view.Contiguous()
	}
	shape, n := s.Param.Shape(), s.Param.Rank()
	ok := false
	if n < 2 {
		ok = is(s.V, shape...) && s.Row == nil && s.Col == nil
	} else {
		ok = is(s.Row, shape[:n-1]...) && is(s.Col, append(shape[:n-2:n-2], shape[n-1])...) && s.V == nil
	}
	if !ok {
		fail(op, present(append(all, s.Row, s.Col, s.V)...), "needs Row [..., R] and Col [..., C] beside a parameter [..., R, C], V beside one of fewer axes, all of the weights' dtype")
	}
	return dt
}

func (s *AdafactorState) composed(grad, hyper *Tensor, c AdafactorConstants) {
	scope := s.Param.dev.NewScope()
	defer scope.Close()
	dt := s.Master.view.DType
	in := func(t *Tensor) *Tensor { return t.detached().In(scope).To(dt) }
	h := in(hyper)
	lr, wd, rho, q := h.Index(0), h.Index(1), h.Index(3), h.Index(4)
	w, g := in(s.Master), in(grad).Mul(h.Index(2))
	mean := func(kept *Tensor, squares *Tensor) *Tensor {
		k := in(kept)
		k = k.Add(squares.Sub(k).Mul(q))
		kept.CopyFrom(k)
		return k
	}
	rms := func(x *Tensor) *Tensor { return x.Square().Mean().Sqrt() }
	var v *Tensor
	if s.V != nil {
		v = mean(s.V, g.Square())
	} else {
		row, col := mean(s.Row, g.Square().Mean(-1)), mean(s.Col, g.Square().Mean(-2))
		v = row.Div(row.MeanKeep(-1).ClampMin(c.Eps1)).Unsqueeze(-1).Mul(col.Unsqueeze(-2))
	}
	u := g.Div(v.ClampMin(c.Eps1 * c.Eps1).Sqrt())
	step := rho.Mul(rms(w).ClampMin(c.Eps2)).Div(rms(u).MulScalar(1 / c.D).ClampMin(1))
	w = w.Mul(lr.Mul(wd).Neg().AddScalar(1)).Sub(u.Mul(step))
	s.Master.CopyFrom(w)
	if s.Param != s.Master {
		s.Param.CopyFrom(w)
	}
}
