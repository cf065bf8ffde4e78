package tensor

import "github.com/hone-ml/hone/internal/backend"

// RMSNorm is x/√(mean(x²)+eps)·w over the last axis: x [..., D], w [D] of the same float dtype. The norm
// is computed in F32 (F64 for F64) and rounded to x's dtype before it is multiplied by w, as transformers'
// Qwen3RMSNorm does. (Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019.)
func RMSNorm(x, w *Tensor, eps float64) *Tensor {
	ins := []*Tensor{x, w}
	s := scopeOf("RMSNorm", ins)
	if x.view.Rank == 0 || !w.hasShape(x.Dim(-1)) || x.view.DType != w.view.DType || !x.view.DType.IsFloat() {
		fail("RMSNorm", ins, "needs x [..., D] and w [D] of one float dtype")
	}
	ins = bring(s, ins)
	x, w = ins[0], ins[1]
	fused, ok := backend.Fused[backend.RMSNormer](s.dev.backend)
	if !ok {
		return composedRMSNorm(x, w, eps)
	}
	rows := rowsOf(x)
	rstd := alloc(s, x.view.DType.Accumulator(), rows.Dim(0))
	wc := w.detached().Contiguous()
	out := cheaply(alloc(s, x.view.DType, x.view.Dims()...), []*Tensor{rows, wc, rstd}, func(out *Tensor, in []*Tensor) {
		fused.RMSNorm(&rowsOf(out).view, &in[2].view, &in[0].view, &in[1].view, eps) // rstd gets the same numbers again
	})
	return record1("RMSNorm", out, ins, []*Tensor{rows, wc, rstd}, func(g *gradient) {
		rows, w, rstd := g.Saved(0), g.Saved(1), g.Saved(2)
		dy := rowsOf(g.Output(0))
		var dx *Tensor
		var dxv *backend.View
		if g.Needs(0) {
			dx = alloc(g.scope, rows.view.DType, rows.view.Dims()...)
			dxv = &dx.view
		}
		dw := newWeightGradient(g, 1, rstd.view.DType)
		fused.RMSNormBackward(dxv, dw.view(), &dy.view, &rows.view, &w.view, &rstd.view)
		if dx != nil {
			g.Add(0, dx.Reshape(g.node.inputs[0].view.Dims()...))
		}
		dw.add(g)
	})
}

// weightGradient is what a norm's kernel adds the gradient of a weight to.
type weightGradient struct {
	input int
	sum   *Tensor // nil if none is needed
	sink  bool    // it is where the gradient belongs
}

// newWeightGradient is that of an input; acc is a dtype that the kernel adds to.
func newWeightGradient(g *gradient, input int, acc DType) weightGradient {
	if !g.Needs(input) {
		return weightGradient{}
	}
	dw, accumulate := g.Sink(input)
	if accumulate && dw.view.DType == acc {
		return weightGradient{input, dw, true}
	}
	return weightGradient{input, Zeros(g.scope, acc, g.node.inputs[input].Len()), false}
}

func (w weightGradient) view() *backend.View {
	if w.sum == nil {
		return nil
	}
	return &w.sum.view
}

// add adds the sum to the input's gradient, if it is not there.
func (w weightGradient) add(g *gradient) {
	if w.sum != nil && !w.sink {
		g.Add(w.input, w.sum)
	}
}

func composedRMSNorm(x, w *Tensor, eps float64) *Tensor {
	a := x.To(x.view.DType.Accumulator())
	scale := a.Square().MeanKeep(-1).AddScalar(eps).Rsqrt()
	return a.Mul(scale).To(x.view.DType).Mul(w)
}
