package tensor

import (
	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu"
)

// AdamWHyper is the length of the vector of numbers that change from step to step; see AdamWStep.
const AdamWHyper = backend.AdamWHyper

// AdamWConstants are the constants of AdamW.
type AdamWConstants = backend.AdamWArgs

// AdamWState is a parameter and what AdamW keeps of it: long-lived, contiguous tensors of one shape.
type AdamWState struct {
	// Param is the parameter.
	Param *Tensor
	// Master, F32 or F64, is the weights that are trained: Param itself, or a tensor that Param receives
	// rounded to its dtype. It is nil with a Remainder, and for a BF16 Param that has neither: such weights are
	// rounded stochastically, so that steps too small for BF16 are made in the mean.
	Master *Tensor
	// Remainder, U8 [..., 2], makes F32 weights of a BF16 Param, bit for bit those that a Master would
	// hold. Each element is the lower half of a weight, of which Param is the nearest BF16, weights half-way
	// between two going away from zero. The parameter may be changed between steps: the weight is then
	// within half a unit of its last place.
	Remainder *Tensor
	// M and V are the moments. They are F32, or F64 where Master is; BF16, rounded stochastically, so that
	// small changes are kept in the mean; or U8, the codes of block-wise dynamic quantisation.
	M, V *Tensor
	// MScale and VScale, F32 [AdamWBlocks of Param], go with codes: the scale of each block of 256 elements.
	// (Dettmers et al., "8-bit Optimizers via Block-wise Quantization", 2022.)
	MScale, VScale *Tensor
}

// AdamWBlocks is how many scales the 8-bit moments of a parameter have.
func AdamWBlocks(param *Tensor) int {
	return (param.Len() + backend.QuantBlock - 1) / backend.QuantBlock
}

// AdamWStep updates a state in place by one step of AdamW, in one sweep where the device has a kernel for
// it; it is what optim.AdamW is made of:
//
//	w ← w·(1 − lr·wd);  m ← β1·m + (1−β1)·g;  v ← β2·v + (1−β2)·g²;  w ← w − lr·(m·c1)/(√(v·c2) + ε)
//
// where g is grad times the gradient scale. hyper is F32 [AdamWHyper]: lr, wd, c1 = 1/(1−β1ᵗ), c2 = 1/(1−β2ᵗ),
// gradient scale, t modulo 2²⁴; it lies in device memory because it changes from step to step. grad has
// Param's shape, is contiguous, and F32 or BF16, or F64 where Master is. BF16 moments, and BF16 weights without
// master and remainder, are rounded by bits drawn from t and c.Stream, the same on every device.
//
// With c.Coupled the step is Adam's: g gets wd·w added, and the weights do not decay.
func AdamWStep(s AdamWState, grad, hyper *Tensor, c AdamWConstants) {
	s.check(grad, hyper)
	changed(s.tensors())
	fused, ok := backend.Fused[backend.AdamWer](s.Param.dev.backend)
	switch {
	case ok:
		fused.AdamW(s.views(viewOf), &grad.view, &hyper.view, c)
	case s.Master != nil && s.M.view.DType == s.Master.view.DType && grad.view.DType == s.M.view.DType:
		s.composed(grad, hyper, c)
	default:
		onHost(s.tensors(), func(b *cpu.Backend, view func(*Tensor) *backend.View) {
			b.AdamW(s.views(view), view(grad), view(hyper), c)
		})
	}
}

// tensors are those that the step changes.
func (s *AdamWState) tensors() []*Tensor {
	return present(s.Param, s.Master, s.Remainder, s.M, s.V, s.MScale, s.VScale)
}

func (s *AdamWState) check(grad, hyper *Tensor) {
	all := append(s.tensors(), grad)
	for _, t := range append(all, hyper) {
		t.alive("AdamWStep")
	}
	for _, t := range all {
		if !t.view.Contiguous() || t != s.Remainder && t != s.MScale && t != s.VScale && !sameDims(t, s.Param) {
			fail("AdamWStep", all, "needs contiguous tensors of one shape")
		}
	}
	want := weightState{s.Param, s.Master, s.Remainder}.check("AdamWStep", all, true)
	m := s.M.view.DType
	if m != s.V.view.DType || m != want && (want != F32 || m != BF16 && m != U8) {
		fail("AdamWStep", all, "needs two moments of the weights' dtype, or of BF16 or U8 beside F32")
	}
	for _, t := range []*Tensor{s.MScale, s.VScale} {
		if (t != nil) != (m == U8) || t != nil && (t.view.DType != F32 || !t.hasShape(AdamWBlocks(s.Param))) {
			fail("AdamWStep", all, "needs scales F32 [%d] beside U8 moments, and none beside others", AdamWBlocks(s.Param))
		}
	}
	checkGrad("AdamWStep", all, grad, want)
	if !hyper.hasShape(AdamWHyper) || hyper.view.DType != F32 {
		fail("AdamWStep", append(all, hyper), "needs hyper F32 [%d]", AdamWHyper)
	}
}

// views is the state as kernels take it, each tensor's view being what view gives.
func (s *AdamWState) views(view func(*Tensor) *backend.View) backend.AdamWState {
	w := weightState{s.Param, s.Master, s.Remainder}.views(view)
	return backend.AdamWState{Param: w.Param, Master: w.Master, Remainder: w.Remainder, M: view(s.M), V: view(s.V), MScale: view(s.MScale), VScale: view(s.VScale)}
}

func (s *AdamWState) composed(grad, hyper *Tensor, c AdamWConstants) {
	scope := s.Param.dev.NewScope()
	defer scope.Close()
	in := func(t *Tensor) *Tensor { return t.detached().In(scope) }
	h := in(hyper).To(s.Master.view.DType)
	lr, wd, c1, c2 := h.Index(0), h.Index(1), h.Index(2), h.Index(3)
	g, w := in(grad).Mul(h.Index(4)), in(s.Master)
	if c.Coupled {
		g = g.Add(w.Mul(wd))
	} else {
		w = w.Mul(lr.Mul(wd).Neg().AddScalar(1))
	}
	m := in(s.M).MulScalar(c.Beta1).Add(g.MulScalar(1 - c.Beta1))
	v := in(s.V).MulScalar(c.Beta2).Add(g.Square().MulScalar(1 - c.Beta2))
	w = w.Sub(lr.Mul(m.Mul(c1)).Div(v.Mul(c2).Sqrt().AddScalar(c.Eps)))
	s.M.CopyFrom(m)
	s.V.CopyFrom(v)
	s.Master.CopyFrom(w)
	if s.Param != s.Master {
		s.Param.CopyFrom(w)
	}
}
