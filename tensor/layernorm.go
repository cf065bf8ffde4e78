package tensor

import "github.com/hone-ml/hone/internal/backend"

// LayerNorm is (x − mean)/√(mean((x − mean)²)+eps)·w + b over the last axis: x [..., D], w and b [D] of the
// same float dtype. It is computed in F32 (F64 for F64) and rounded once, as PyTorch's layer_norm is.
// (Ba, Kiros and Hinton, "Layer Normalization", 2016.)
func LayerNorm(x, w, b *Tensor, eps float64) *Tensor {
	ins := []*Tensor{x, w, b}
	s := scopeOf("LayerNorm", ins)
	if x.view.Rank == 0 || !w.hasShape(x.Dim(-1)) || !b.hasShape(x.Dim(-1)) ||
		x.view.DType != w.view.DType || x.view.DType != b.view.DType || !x.view.DType.IsFloat() {
		fail("LayerNorm", ins, "needs x [..., D], w [D] and b [D] of one float dtype")
	}
	ins = bring(s, ins)
	x, w, b = ins[0], ins[1], ins[2]
	fused, ok := backend.Fused[backend.LayerNormer](s.dev.backend)
	if !ok {
		return composedLayerNorm(x, w, b, eps)
	}
	rows := rowsOf(x)
	acc := x.view.DType.Accumulator()
	mean, rstd := alloc(s, acc, rows.Dim(0)), alloc(s, acc, rows.Dim(0))
	wc, bc := w.detached().Contiguous(), b.detached().Contiguous()
	out := cheaply(alloc(s, x.view.DType, x.view.Dims()...), []*Tensor{rows, wc, bc, mean, rstd}, func(out *Tensor, in []*Tensor) {
		fused.LayerNorm(&rowsOf(out).view, &in[3].view, &in[4].view, &in[0].view, &in[1].view, &in[2].view, eps)
	})
	return record1("LayerNorm", out, ins, []*Tensor{rows, wc, mean, rstd}, func(g *gradient) {
		rows, w, mean, rstd := g.Saved(0), g.Saved(1), g.Saved(2), g.Saved(3)
		dy := rowsOf(g.Output(0))
		var dx *Tensor
		var dxv *backend.View
		if g.Needs(0) {
			dx = alloc(g.scope, rows.view.DType, rows.view.Dims()...)
			dxv = &dx.view
		}
		dw, db := newWeightGradient(g, 1, rstd.view.DType), newWeightGradient(g, 2, rstd.view.DType)
		fused.LayerNormBackward(dxv, dw.view(), db.view(), &dy.view, &rows.view, &w.view, &mean.view, &rstd.view)
		if dx != nil {
			g.Add(0, dx.Reshape(g.node.inputs[0].view.Dims()...))
		}
		dw.add(g)
		db.add(g)
	})
}

func composedLayerNorm(x, w, b *Tensor, eps float64) *Tensor {
	a := x.To(x.view.DType.Accumulator())
	centered := a.Sub(a.MeanKeep(-1))
	rstd := centered.Square().MeanKeep(-1).AddScalar(eps).Rsqrt()
	acc := a.view.DType
	return centered.Mul(rstd).Mul(w.To(acc)).Add(b.To(acc)).To(x.view.DType)
}
