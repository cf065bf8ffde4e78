package tensor

import "github.com/hone-ml/hone/internal/backend"

// RMSNormRoPE is RoPE(RMSNorm(x, w, eps), cos, sin) in one sweep, as Qwen3 has it on queries and keys:
// x [..., H, D] with D even, w [D] of the same float dtype, cos and sin [N, D/2] as RoPETable gives, N the
// product of x's leading axes. It rounds where the two would.
func RMSNormRoPE(x, w, cos, sin *Tensor, eps float64) *Tensor {
	ins := []*Tensor{x, w, cos, sin}
	s := scopeOf("RMSNormRoPE", ins)
	n := 0
	if x.view.Rank >= 2 {
		n = x.Len() / max(x.Dim(-1)*x.Dim(-2), 1)
	}
	if x.view.Rank < 2 || x.Dim(-1)%2 != 0 || !w.hasShape(x.Dim(-1)) || x.view.DType != w.view.DType || !x.view.DType.IsFloat() ||
		!cos.hasShape(n, x.Dim(-1)/2) || !sameDims(cos, sin) {
		fail("RMSNormRoPE", ins, "needs x [..., H, D] with D even, w [D] of x's float dtype and cos, sin [N, D/2]")
	}
	ins = bring(s, ins)
	x, w = ins[0], ins[1]
	fused, ok := backend.Fused[backend.NormRoPEr](s.dev.backend)
	if !ok {
		return RoPE(RMSNorm(x, w, eps), ins[2], ins[3])
	}
	a := x.view.DType.Accumulator()
	cos, sin = ins[2].detached().To(a).Contiguous(), ins[3].detached().To(a).Contiguous()
	heads := x.detached().Contiguous()
	rstd := alloc(s, a, n, x.Dim(-2))
	wc := w.detached().Contiguous()
	out := cheaply(alloc(s, x.view.DType, x.view.Dims()...), []*Tensor{heads, wc, rstd, cos, sin}, func(out *Tensor, in []*Tensor) {
		ov, hv := headsOf(out, n), headsOf(in[0], n)
		fused.NormRoPE(&ov, &in[2].view, &hv, &in[1].view, &in[3].view, &in[4].view, eps)
	})
	return record1("RMSNormRoPE", out, ins[:2], []*Tensor{heads, wc, rstd, cos, sin}, func(g *gradient) {
		heads, w, rstd := g.Saved(0), g.Saved(1), g.Saved(2)
		dy := g.Output(0).Contiguous()
		var dx *Tensor
		var dxv *backend.View
		if g.Needs(0) {
			dx = g.New(0)
			v := headsOf(dx, n)
			dxv = &v
		}
		dw := newWeightGradient(g, 1, rstd.view.DType)
		dyv, hv := headsOf(dy, n), headsOf(heads, n)
		fused.NormRoPEBackward(dxv, dw.view(), &dyv, &hv, &w.view, &rstd.view, &g.Saved(3).view, &g.Saved(4).view)
		if dx != nil {
			g.Add(0, dx)
		}
		dw.add(g)
	})
}

// headsOf is the view [n, H, D] of a contiguous tensor [..., H, D].
func headsOf(x *Tensor, n int) backend.View {
	return backend.NewView(x.view.Ptr, x.view.DType, n, x.Dim(-2), x.Dim(-1))
}
