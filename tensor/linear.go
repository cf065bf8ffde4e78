package tensor

import "github.com/hone-ml/hone/internal/backend"

// Linear is x·wᵀ, plus bias if it is not nil: x [..., in], w [out, in], bias [out] → [..., out], of one float
// dtype; w may be quantised. w is laid out as checkpoints and torch.nn.functional.linear have it. The sum is
// rounded once where the backend has a kernel for it.
func Linear(x, w, bias *Tensor) *Tensor { return linear("Linear", x, w, bias, nil) }

// LinearAdd is residual + x·wᵀ, plus bias if it is not nil, in one pass over the result: residual [..., out] has
// the shape and dtype of the result, everything else is as in Linear. (torch.addmm.)
func LinearAdd(residual, x, w, bias *Tensor) *Tensor {
	return linear("LinearAdd", x, w, bias, residual)
}

func linear(op string, x, w, bias, residual *Tensor) *Tensor {
	ins := []*Tensor{x, w, bias, residual}
	s := scopeOfAny(op, ins)
	if w.view.Rank != 2 || x.view.Rank == 0 || x.Dim(-1) != w.Dim(1) || !multipliable(x, w) {
		fail(op, ins, "needs x [..., in] and w [out, in] of one float dtype, or w quantised")
	}
	in, outDim := w.Dim(1), w.Dim(0)
	if bias != nil && (!bias.hasShape(outDim) || bias.view.DType != x.view.DType) {
		fail(op, ins, "needs bias [out] of the same dtype")
	}
	shape := x.Shape()
	shape[len(shape)-1] = outDim
	if residual != nil && (!residual.hasShape(shape...) || residual.view.DType != x.view.DType) {
		fail(op, ins, "needs a residual [..., out] of the result's shape and dtype")
	}
	ins = bring(s, ins)
	x, w, bias, residual = ins[0], ins[1], ins[2], ins[3]
	rows := rowsOf(x)
	out := alloc(s, x.view.DType, rows.Dim(0), outDim)
	multiplyAdd(out, rows, transposed(w), bias, residual)
	result := out.alias(backend.NewView(out.view.Ptr, out.view.DType, shape...))
	return record1(op, result, ins, []*Tensor{rows, w}, func(g *gradient) {
		dy := rowsOf(g.Output(0)) // [rows, out]
		if g.Needs(0) {
			dx := alloc(g.scope, dy.view.DType, dy.Dim(0), in)
			multiply(dx, dy, g.Saved(1), false)
			g.Add(0, dx.Reshape(g.node.inputs[0].view.Dims()...))
		}
		if g.Needs(1) {
			dw, accumulate := g.Target(1)
			multiply(dw, transposed(dy), g.Saved(0), accumulate)
			if !accumulate {
				g.Add(1, dw)
			}
		}
		if g.Needs(2) {
			g.addReduced(2, dy)
		}
		if g.Needs(3) {
			g.Add(3, g.Output(0))
		}
	})
}

// multiplyAdd sets out [m, n] = x·y, plus a bias [n] and a residual of out's size if they are not nil.
func multiplyAdd(out, x, y, bias, residual *Tensor) {
	var b, r *backend.View
	if bias != nil {
		b = &bias.view
	}
	if residual != nil {
		r = &rowsOf(residual).view
	}
	fused, ok := backend.Fused[backend.MatMulAdder](out.dev.backend)
	if ok && (b != nil || r != nil) && !y.view.DType.IsQuantized() {
		fused.MatMulAdd(&out.view, matrices(x, out, 0), matrices(y, out, 1), b, r)
		return
	}
	multiply(out, x, y, false)
	if b != nil {
		repeated := expand(b, out.view.Dims())
		out.dev.backend.Binary(backend.Add, &out.view, &out.view, &repeated)
	}
	if r != nil {
		out.dev.backend.Binary(backend.Add, &out.view, &out.view, r)
	}
}
