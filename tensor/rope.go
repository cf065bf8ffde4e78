package tensor

import (
	"math"

	"github.com/hone-ml/hone/internal/backend"
)

// RoPETable is the cosines and sines of rotary position embedding: positions [...] of I32 or I64 give two
// tensors [N, headDim/2] of F32 with N positions, angle p·theta^(−2i/headDim). As in transformers, the
// inverse frequencies are rounded to F32 and the angles are products of F32.
func RoPETable(positions *Tensor, headDim int, theta float64) (cos, sin *Tensor) {
	s := scopeOf("RoPETable", []*Tensor{positions})
	if headDim%2 != 0 || headDim <= 0 || positions.view.DType != I32 && positions.view.DType != I64 {
		fail("RoPETable", []*Tensor{positions}, "needs I32 or I64 positions and an even head dimension, not %d", headDim)
	}
	freq := make([]float32, headDim/2)
	for i := range freq {
		freq[i] = 1 / float32(math.Pow(float64(float32(theta)), float64(float32(2*i)/float32(headDim))))
	}
	p := positions.Reshape(-1, 1).To(F32)
	angles := p.Mul(FromSlice(s, freq, 1, len(freq)))
	return angles.Cos(), angles.Sin()
}

// RoPE rotates the head dimensions of x [..., H, D] by the angles of the N rows before them: cos and sin
// are [N, D/2] as RoPETable gives, N the product of x's leading axes. The halves of a head pair up
// (rotate_half), as in Llama and Qwen. (Su et al., "RoFormer", 2021.)
func RoPE(x, cos, sin *Tensor) *Tensor {
	ins := []*Tensor{x, cos, sin}
	s := scopeOf("RoPE", ins)
	n := 0
	if x.view.Rank >= 2 {
		n = x.Len() / max(x.Dim(-1)*x.Dim(-2), 1)
	}
	if x.view.Rank < 2 || x.Dim(-1)%2 != 0 || !cos.hasShape(n, x.Dim(-1)/2) || !sameDims(cos, sin) || !x.view.DType.IsFloat() {
		fail("RoPE", ins, "needs x [..., H, D] with D even and cos, sin [N, D/2]")
	}
	ins = bring(s, ins)
	x = ins[0]
	a := x.view.DType.Accumulator()
	cos, sin = ins[1].detached().To(a), ins[2].detached().To(a)
	fused, ok := backend.Fused[backend.RoPEr](s.dev.backend)
	if !ok {
		return composedRoPE(x, cos, sin)
	}
	out := rotate(fused, x, cos, sin, false)
	return record1("RoPE", out, []*Tensor{x}, []*Tensor{cos, sin}, func(g *gradient) {
		g.Add(0, rotate(fused, g.Output(0), g.Saved(0), g.Saved(1), true))
	})
}

func rotate(fused backend.RoPEr, x, cos, sin *Tensor, inverse bool) *Tensor {
	x = x.detached().Contiguous()
	return cheaply(like(x), []*Tensor{x, cos, sin}, func(out *Tensor, in []*Tensor) {
		x, cos, sin := in[0], in[1], in[2]
		shape := []int{cos.Dim(0), x.Dim(-2), x.Dim(-1)}
		xv, ov := backend.NewView(x.view.Ptr, x.view.DType, shape...), backend.NewView(out.view.Ptr, x.view.DType, shape...)
		fused.RoPE(&ov, &xv, &cos.view, &sin.view, inverse)
	})
}

func composedRoPE(x, cos, sin *Tensor) *Tensor {
	n, half := cos.Dim(0), cos.Dim(1)
	dt := x.view.DType
	h := x.Reshape(n, x.Dim(-2), 2*half)
	cos, sin = cos.To(dt).Reshape(n, 1, half), sin.To(dt).Reshape(n, 1, half)
	lo, hi := h.Slice(2, 0, half), h.Slice(2, half, 2*half)
	return Cat(2, lo.Mul(cos).Sub(hi.Mul(sin)), hi.Mul(cos).Add(lo.Mul(sin))).Reshape(x.view.Dims()...)
}
