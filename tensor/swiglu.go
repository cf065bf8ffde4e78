package tensor

import "github.com/hone-ml/hone/internal/backend"

// SwiGLU is silu(gate)·up, element by element: both have one shape and float dtype, as has the result.
// (Shazeer, "GLU Variants Improve Transformer", 2020.)
func SwiGLU(gate, up *Tensor) *Tensor {
	ins := []*Tensor{gate, up}
	s := scopeOf("SwiGLU", ins)
	if !sameDims(gate, up) || gate.view.DType != up.view.DType || !gate.view.DType.IsFloat() || gate.view.Rank == 0 {
		fail("SwiGLU", ins, "needs two operands of one shape and float dtype")
	}
	ins = bring(s, ins)
	fused, ok := backend.Fused[backend.SwiGLUer](s.dev.backend)
	if !ok {
		return composedSwiGLU(ins[0], ins[1])
	}
	gr, ur := rowsOf(ins[0]), rowsOf(ins[1])
	out := cheaply(alloc(s, gate.view.DType, gate.view.Dims()...), []*Tensor{gr, ur}, func(out *Tensor, in []*Tensor) {
		fused.SwiGLU(&rowsOf(out).view, &in[0].view, &in[1].view)
	})
	return record1("SwiGLU", out, ins, []*Tensor{gr, ur}, func(g *gradient) {
		gate, up := g.Saved(0), g.Saved(1)
		dy := rowsOf(g.Output(0))
		dgate, dup := g.New(0), g.New(1)
		fused.SwiGLUBackward(&rowsOf(dgate).view, &rowsOf(dup).view, &dy.view, &gate.view, &up.view)
		g.Add(0, dgate)
		g.Add(1, dup)
	})
}

func composedSwiGLU(gate, up *Tensor) *Tensor { return gate.SiLU().Mul(up) }
