package main

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// attention writes the loops between the products of attention in bfloat16. Probabilities and their
// gradients are rounded by adding half of the last place kept, ties away from zero: they come from an
// exponential, so that ties are as rare as any other tail of bits.
func (x isa) attention(f *file) {
	x.softmaxStep(f)
	x.softmaxGrad(f)
}

func (x isa) softmaxStep(f *file) {
	e := x.function(f, "softmaxStep", "func(p []uint16, x []float32, scale, top float32) (newTop, sum float32)",
		"sets p = exp(scale·x − newTop), where newTop is the largest of top and\nscale·x, and returns newTop and the sum of p before rounding. NaN counts as nothing in newTop.")
	base, left := e.pointer("x", true), e.GP64()
	e.Load(e.Param("x").Len(), left)
	whole, p, n := e.GP64(), e.GP64(), e.GP64()
	e.MOVQ(left, whole)
	e.ANDQ(operand.I32(-x.lanes), whole)
	e.ANDQ(operand.Imm(uint64(x.lanes-1)), left)
	e.partial(left) // what is left may be nothing

	least := e.constant("minusInf", math.Inf(-1))
	largest := e.vecs(4)
	for _, v := range largest {
		e.VMOVAPS(least, v)
	}
	at := func(disp int) operand.Mem { return operand.Mem{Base: p, Disp: 4 * disp} }
	e.MOVQ(base, p)
	e.MOVQ(whole, n)
	e.Label("max4")
	e.SUBQ(operand.U32(uint32(4*x.lanes)), n)
	e.JL(operand.LabelRef("max4done"))
	for i, v := range largest {
		r := e.vec()
		e.VMOVUPS(at(i*x.lanes), r)
		e.VMAXPS(v, r, v)
	}
	e.ADDQ(operand.U32(uint32(16*x.lanes)), p)
	e.JMP(operand.LabelRef("max4"))
	e.Label("max4done")
	e.ADDQ(operand.U32(uint32(4*x.lanes)), n)
	e.Label("max1")
	e.SUBQ(operand.U32(uint32(x.lanes)), n)
	e.JL(operand.LabelRef("max1done"))
	r := e.vec()
	e.VMOVUPS(at(0), r)
	e.VMAXPS(largest[0], r, largest[0])
	e.ADDQ(operand.U32(uint32(4*x.lanes)), p)
	e.JMP(operand.LabelRef("max1"))
	e.Label("max1done")
	r = e.vec()
	e.VMOVAPS(least, r)
	e.VMOVUPS(at(0), e.kmask, r)
	e.VMAXPS(largest[0], r, largest[0])
	e.VMAXPS(largest[1], largest[0], largest[0])
	e.VMAXPS(largest[3], largest[2], largest[2])
	e.VMAXPS(largest[2], largest[0], largest[0])
	m := e.foldLanes(largest[0], e.VMAXPS).(reg.VecVirtual)

	scale, top, bias := e.scalar("scale"), e.XMM(), e.vec()
	e.VMULSS(scale.AsX(), m, m)
	e.Load(e.Param("top"), top)
	e.VMAXSS(m, top, top)
	e.Store(top, e.ReturnIndex(0))
	e.VBROADCASTSS(top, bias)

	c, half := e.expConstants(), e.bits("half", 0x8000)
	sums := e.vecs(2)
	for _, s := range sums {
		e.zero(s)
	}
	out := e.pointer("p", true)
	step := func(u int, part bool) {
		r := e.vec()
		e.load(at(u*x.lanes), r, part)
		e.VFMSUB213PS(bias, scale, r)
		r = e.exp(c, r)
		if part {
			e.keepPart(r)
		}
		e.VADDPS(r, sums[u], sums[u])
		e.VPADDD(half, r, r)
		e.VPSRLD(operand.Imm(16), r, r)
		to := operand.Mem{Base: out, Disp: 2 * u * x.lanes}
		if part {
			e.VPMOVDW(r, e.kmask, to)
		} else {
			e.VPMOVDW(r, to)
		}
	}
	e.MOVQ(base, p)
	for _, unroll := range []int{2, 1} {
		name := map[int]string{2: "exp2", 1: "exp1"}[unroll]
		e.Label(name)
		e.SUBQ(operand.U32(uint32(unroll*x.lanes)), whole)
		e.JL(operand.LabelRef(name + "done"))
		for u := range unroll {
			step(u, false)
		}
		e.ADDQ(operand.U32(uint32(4*unroll*x.lanes)), p)
		e.ADDQ(operand.U32(uint32(2*unroll*x.lanes)), out)
		e.JMP(operand.LabelRef(name))
		e.Label(name + "done")
		e.ADDQ(operand.U32(uint32(unroll*x.lanes)), whole)
	}
	step(0, true)
	e.VADDPS(sums[1], sums[0], sums[0])
	e.Store(e.foldLanes(sums[0], e.VADDPS), e.ReturnIndex(1))
	e.end()
}

func (x isa) softmaxGrad(f *file) {
	e := x.function(f, "softmaxGrad", "func(p, ds *uint16, panel int, rows *uint16, rowStride int, s, dp *float32, stride, panels int, "+
		"scale float32, lse, delta *float32)",
		"computes 32 rows of 32·panels columns: p = exp(scale·s − lse) and ds = p·(dp − delta). Rows of s and\n"+
			"dp are stride bytes apart. p and ds are a step of panels of pairs, panel bytes apart; rows gets ds by rows,\n"+
			"rowStride bytes apart.")
	p, ds, panel := e.pointer("p", false), e.pointer("ds", false), e.integer("panel")
	rows, rowStride := e.pointer("rows", false), e.integer("rowStride")
	s, dp, stride := e.pointer("s", false), e.pointer("dp", false), e.integer("stride")
	lse, delta := e.pointer("lse", false), e.pointer("delta", false)
	c, half, scale := e.expConstants(), e.bits("half", 0x8000), e.scalar("scale")
	odd, bits := e.K(), e.GP32()
	e.MOVL(operand.U32(0xaaaaaaaa), bits)
	e.KMOVD(bits, odd)

	// There are too few registers for the counters.
	pairs, width := e.AllocLocal(8), e.AllocLocal(8)
	offset, at := e.GP64(), e.GP64()
	e.Load(e.Param("panels"), at)
	e.SHLQ(operand.Imm(6), at)
	e.MOVQ(at, width)
	e.MOVQ(operand.I32(16), pairs)
	lses, deltas := e.vecs(2), e.vecs(2)
	e.Label("pair")
	for i := range 2 {
		e.VBROADCASTSS(operand.Mem{Base: lse, Disp: 4 * i}, lses[i])
		e.VBROADCASTSS(operand.Mem{Base: delta, Disp: 4 * i}, deltas[i])
	}
	second := func(base, stride reg.GPVirtual) reg.GPVirtual {
		r := e.GP64()
		e.LEAQ(operand.Mem{Base: base, Index: stride, Scale: 1}, r)
		return r
	}
	e.XORQ(offset, offset) // of a panel in p and ds
	e.XORQ(at, at)         // of its columns in rows
	e.Label("panel")
	for tile := range 2 {
		var probs, grads [2]reg.VecVirtual
		for i := range 2 {
			m := operand.Mem{Base: s, Index: at, Scale: 2, Disp: 64 * tile}
			d := operand.Mem{Base: dp, Index: at, Scale: 2, Disp: 64 * tile}
			if i == 1 {
				m.Base, d.Base = second(s, stride), second(dp, stride)
			}
			r := e.vec()
			e.VMOVUPS(m, r)
			e.VFMSUB213PS(lses[i], scale, r)
			probs[i] = e.exp(c, r)
			grads[i] = e.vec()
			e.VMOVUPS(d, grads[i])
			e.VSUBPS(deltas[i], grads[i], grads[i])
			e.VMULPS(probs[i], grads[i], grads[i])
		}
		rounded := func(v [2]reg.VecVirtual) {
			for _, r := range v {
				e.VPADDD(half, r, r)
			}
			e.VPSRLD(operand.Imm(16), v[0], v[0])
		}
		rounded(probs)
		e.VMOVDQU16(probs[1], odd, probs[0])
		e.VMOVUPS(probs[0], operand.Mem{Base: p, Index: offset, Scale: 1, Disp: tileBytes * tile})
		rounded(grads)
		e.VPMOVDW(grads[0], operand.Mem{Base: rows, Index: at, Scale: 1, Disp: 32 * tile})
		e.VMOVDQU16(grads[1], odd, grads[0])
		e.VMOVUPS(grads[0], operand.Mem{Base: ds, Index: offset, Scale: 1, Disp: tileBytes * tile})
		e.VPSRLD(operand.Imm(16), grads[1], grads[1])
		e.VPMOVDW(grads[1], operand.Mem{Base: second(rows, rowStride), Index: at, Scale: 1, Disp: 32 * tile})
	}
	e.ADDQ(panel, offset)
	e.ADDQ(operand.Imm(64), at)
	e.CMPQ(at, width)
	e.JNE(operand.LabelRef("panel"))
	for _, r := range []reg.GPVirtual{p, ds} {
		e.ADDQ(operand.Imm(64), r)
	}
	for _, r := range []reg.GPVirtual{lse, delta} {
		e.ADDQ(operand.Imm(8), r)
	}
	for _, r := range []reg.GPVirtual{s, dp} {
		e.LEAQ(operand.Mem{Base: r, Index: stride, Scale: 2}, r)
	}
	e.LEAQ(operand.Mem{Base: rows, Index: rowStride, Scale: 2}, rows)
	e.DECQ(pairs)
	e.JNZ(operand.LabelRef("pair"))
	e.end()
}
