package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// attention writes the loops between the products of attention in bfloat16.
//
// Probabilities and their gradients are rounded by adding half of the last place kept, ties away from zero:
// they come from an exponential, so that ties are as rare as any other tail of bits. Powers of two are
// taken of several vectors at a time, instruction by instruction: one after the other their chains of
// latencies would fill the processor's scheduler with waiting instructions.
func (x isa) attention(f *file) {
	x.softmaxStep(f)
	x.softmaxGrad(f)
}

// powers are the numbers of exp2. Package simd's attention.go has the polynomial too, with its source.
type powers struct {
	min, magic operand.Op
	p          []operand.Op
	half       operand.Op // of the last place that bfloat16 keeps
}

func (e *emitter) powers() *powers {
	c := &powers{min: e.splat("exp2Min", -160), magic: e.splat("exp2Round", 0x1.8p23), half: e.bits("half", 0x8000)}
	for i, p := range []float64{0.009570101909070181, 0.05591786031921613, 0.24024744827915176, 0.69312181473672, 0.9999992614456962} {
		c.p = append(c.p, e.splat("exp2P"+string(rune('0'+i)), p))
	}
	return c
}

// splat is a number in every lane of a register, read from memory.
func (e *emitter) splat(name string, value float64) reg.VecVirtual {
	v := e.vec()
	e.VBROADCASTSS(e.table(name, []uint32{math.Float32bits(float32(value))}), v)
	return v
}

// exp2 gives 2 to the power of each of xs, which it destroys.
func (e *emitter) exp2(c *powers, xs []reg.VecVirtual) []reg.VecVirtual {
	ns, ps := e.vecs(len(xs)), e.vecs(len(xs))
	each := func(do func(x, n, p reg.VecVirtual)) {
		for i := range xs {
			do(xs[i], ns[i], ps[i])
		}
	}
	each(func(x, n, p reg.VecVirtual) { e.VMAXPS(x, c.min, x) }) // a NaN, as the second source, passes
	each(func(x, n, p reg.VecVirtual) { e.VADDPS(c.magic, x, n) })
	each(func(x, n, p reg.VecVirtual) { e.VSUBPS(c.magic, n, n) })
	each(func(x, n, p reg.VecVirtual) { e.VSUBPS(n, x, x) })
	each(func(x, n, p reg.VecVirtual) { e.VMOVAPS(c.p[0], p) })
	for _, coefficient := range c.p[1:] {
		each(func(x, n, p reg.VecVirtual) { e.VFMADD213PS(coefficient, x, p) })
	}
	each(func(x, n, p reg.VecVirtual) { e.VSCALEFPS(n, p, p) })
	return ps
}

func (x isa) softmaxStep(f *file) {
	e := x.function(f, "softmaxStep", "func(p []uint16, x []float32, scale, top float32) (newTop, sum float32)",
		"sets p to 2 to the power of scale·x − newTop, where newTop is the largest of top\nand scale·x, and returns newTop and the sum of p before rounding. NaN counts as nothing in newTop.")
	const unroll = 4
	bytes := uint64(4 * x.lanes)
	base, whole, left := e.pointer("x", true), e.GP64(), e.GP64()
	e.Load(e.Param("x").Len(), left)
	e.MOVQ(left, whole)
	e.ANDQ(operand.I32(int32(-x.lanes)), whole)
	e.ANDQ(operand.Imm(uint64(x.lanes-1)), left)
	e.partial(left) // which may be none

	p, n := e.GP64(), e.GP64()
	at := func(vector int) operand.Mem { return operand.Mem{Base: p, Disp: 4 * x.lanes * vector} }
	// turns goes through the whole vectors, several at a time, then singly.
	turns := func(name string, do func(vectors int)) {
		e.MOVQ(base, p)
		e.MOVQ(whole, n)
		for _, vectors := range []int{unroll, 1} {
			here, next := fmt.Sprint(name, vectors), fmt.Sprint(name, "after", vectors)
			e.Label(here)
			e.CMPQ(n, operand.U32(uint32(vectors*x.lanes)))
			e.JL(operand.LabelRef(next))
			do(vectors)
			e.ADDQ(operand.U32(uint32(vectors)*uint32(bytes)), p)
			e.SUBQ(operand.U32(uint32(vectors*x.lanes)), n)
			e.JMP(operand.LabelRef(here))
			e.Label(next)
		}
	}
	least := e.splat("minusInf", math.Inf(-1))
	largest := e.vecs(unroll)
	for _, v := range largest {
		e.VMOVAPS(least, v)
	}
	turns("max", func(vectors int) {
		for i, v := range largest[:vectors] {
			r := e.vec()
			e.VMOVUPS(at(i), r)
			e.VMAXPS(v, r, v)
		}
	})
	e.VMOVUPS(at(0), e.kmask, least)
	e.VMAXPS(largest[0], least, largest[0])
	e.VMAXPS(largest[1], largest[0], largest[0])
	e.VMAXPS(largest[3], largest[2], largest[2])
	e.VMAXPS(largest[2], largest[0], largest[0])
	m := e.foldLanes(largest[0], e.VMAXPS)

	scale, top, bias := e.scalar("scale"), e.XMM(), e.vec()
	e.VMULSS(scale.AsX(), m, m)
	e.VMOVSS(e.paramAddress("top"), top)
	e.VMAXSS(m, top, top)
	e.Store(top, e.ReturnIndex(0))
	e.VBROADCASTSS(top, bias)

	c, out := e.powers(), e.pointer("p", true)
	sums := e.vecs(unroll)
	for _, s := range sums {
		e.zero(s)
	}
	step := func(vectors int, part bool) {
		xs := e.vecs(vectors)
		for i, r := range xs {
			e.load(at(i), r, part)
		}
		for _, r := range xs {
			e.VFMSUB213PS(bias, scale, r)
		}
		for i, r := range e.exp2(c, xs) {
			to := operand.Mem{Base: out, Disp: 2 * i * x.lanes}
			if part {
				e.keepPart(r)
			}
			e.VADDPS(r, sums[i], sums[i])
			e.VPADDD(c.half, r, r)
			e.VPSRLD(operand.Imm(16), r, r)
			if part {
				e.VPMOVDW(r, e.kmask, to)
			} else {
				e.VPMOVDW(r, to)
			}
		}
	}
	turns("exp", func(vectors int) {
		step(vectors, false)
		e.ADDQ(operand.U32(uint32(2*vectors*x.lanes)), out)
	})
	step(1, true)
	e.VADDPS(sums[1], sums[0], sums[0])
	e.VADDPS(sums[3], sums[2], sums[2])
	e.VADDPS(sums[2], sums[0], sums[0])
	e.Store(e.foldLanes(sums[0], e.VADDPS), e.ReturnIndex(1))
	e.end()
}

func (x isa) softmaxGrad(f *file) {
	e := x.function(f, "softmaxGrad", "func(p, ds *uint16, panel int, rows *uint16, rowStride int, s, dp *float32, stride, panels int, "+
		"scale float32, lse, delta *float32)",
		"computes 32 rows of 32·panels columns: p is 2 to the power of scale·s − lse, and ds = p·(dp − delta). Rows of s and\n"+
			"dp are stride bytes apart. p and ds are a step of panels of pairs, panel bytes apart; rows gets ds by rows,\n"+
			"rowStride bytes apart.")
	p, ds, panel := e.pointer("p", false), e.pointer("ds", false), e.integer("panel")
	rows, rowStride := e.pointer("rows", false), e.integer("rowStride")
	s, dp, stride := e.pointer("s", false), e.pointer("dp", false), e.integer("stride")
	lse, delta := e.pointer("lse", false), e.pointer("delta", false)
	c, scale := e.powers(), e.scalar("scale")
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
	// The vectors of two rows by the two tiles of a panel.
	in := func(base reg.GPVirtual) (vs []reg.VecVirtual) {
		vs = e.vecs(4)
		next := second(base, stride)
		for i, v := range vs {
			m := operand.Mem{Base: base, Index: at, Scale: 2, Disp: 64 * (i % 2)}
			if i >= 2 {
				m.Base = next
			}
			e.VMOVUPS(m, v)
		}
		return vs
	}
	xs := in(s)
	for i, v := range xs {
		e.VFMSUB213PS(lses[i/2], scale, v)
	}
	probs := e.exp2(c, xs)
	grads := in(dp)
	for i, v := range grads {
		e.VSUBPS(deltas[i/2], v, v)
	}
	for i, v := range grads {
		e.VMULPS(probs[i], v, v)
	}
	nextRow := second(rows, rowStride)
	for tile := range 2 {
		rounded := func(vs []reg.VecVirtual) (reg.VecVirtual, reg.VecVirtual) {
			upper, lower := vs[tile], vs[2+tile]
			e.VPADDD(c.half, upper, upper)
			e.VPADDD(c.half, lower, lower)
			e.VPSRLD(operand.Imm(16), upper, upper)
			return upper, lower
		}
		upper, lower := rounded(probs)
		e.VMOVDQU16(lower, odd, upper)
		e.VMOVUPS(upper, operand.Mem{Base: p, Index: offset, Scale: 1, Disp: tileBytes * tile})
		upper, lower = rounded(grads)
		e.VPMOVDW(upper, operand.Mem{Base: rows, Index: at, Scale: 1, Disp: 32 * tile})
		e.VMOVDQU16(lower, odd, upper)
		e.VMOVUPS(upper, operand.Mem{Base: ds, Index: offset, Scale: 1, Disp: tileBytes * tile})
		e.VPSRLD(operand.Imm(16), lower, lower)
		e.VPMOVDW(lower, operand.Mem{Base: nextRow, Index: at, Scale: 1, Disp: 32 * tile})
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
