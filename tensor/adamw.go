package tensor

import "github.com/hone-ml/hone/internal/backend"

// AdamWStep updates long-lived tensors in place by one step of AdamW, in one sweep where the device has a
// kernel for it; it is what optim.AdamW is made of:
//
//	w ← w·(1 − lr·wd);  m ← β1·m + (1−β1)·g;  v ← β2·v + (1−β2)·g²;  w ← w − lr·(m·c1)/(√(v·c2) + ε)
//
// where g is grad times the gradient scale. hyper is F32 [5]: lr, wd, c1 = 1/(1−β1ᵗ), c2 = 1/(1−β2ᵗ), gradient
// scale; it lies in device memory because it changes from step to step. master, m, v and grad are
// contiguous, of one shape, all F32 or all F64. param is master itself, or a tensor that receives master
// rounded to its dtype.
func AdamWStep(param, master, m, v, grad, hyper *Tensor, beta1, beta2, eps float64) {
	all := []*Tensor{param, master, m, v, grad}
	for _, t := range append(all, hyper) {
		t.alive("AdamWStep")
	}
	for i, t := range all {
		if !sameDims(t, param) || !t.view.Contiguous() || i > 0 && t.view.DType != master.view.DType {
			fail("AdamWStep", all, "needs contiguous tensors of one shape, and master, m, v, grad of one dtype")
		}
	}
	if master.view.DType != F32 && master.view.DType != F64 || !hyper.hasShape(5) || hyper.view.DType != F32 {
		fail("AdamWStep", append(all, hyper), "needs F32 or F64 state and hyper F32 [5]")
	}
	for _, t := range all[:4] {
		t.mem.version++
	}
	fused, ok := param.dev.backend.(backend.AdamWer)
	if !ok {
		composedAdamW(param, master, m, v, grad, hyper, beta1, beta2, eps)
		return
	}
	flat := func(t *Tensor) *backend.View { f := t.view.Flat(); return &f }
	var p *backend.View
	if param != master {
		p = flat(param)
	}
	fused.AdamW(p, flat(master), flat(m), flat(v), flat(grad), &hyper.view, backend.AdamWArgs{Beta1: beta1, Beta2: beta2, Eps: eps})
}

func composedAdamW(param, master, m, v, grad, hyper *Tensor, beta1, beta2, eps float64) {
	s := param.dev.NewScope()
	defer s.Close()
	in := func(t *Tensor) *Tensor { return t.detached().In(s) }
	h := in(hyper).To(master.view.DType)
	lr, wd, c1, c2 := h.Index(0), h.Index(1), h.Index(2), h.Index(3)
	g := in(grad).Mul(h.Index(4))
	w := in(master).Mul(lr.Mul(wd).Neg().AddScalar(1))
	m2 := in(m).MulScalar(beta1).Add(g.MulScalar(1 - beta1))
	v2 := in(v).MulScalar(beta2).Add(g.Square().MulScalar(1 - beta2))
	w = w.Sub(lr.Mul(m2.Mul(c1)).Div(v2.Mul(c2).Sqrt().AddScalar(eps)))
	m.CopyFrom(m2)
	v.CopyFrom(v2)
	master.CopyFrom(w)
	if param != master {
		param.CopyFrom(w)
	}
}
