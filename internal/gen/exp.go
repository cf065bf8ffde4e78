package main

import (
	"strings"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// expConstants are the numbers of the exponential. Package simd's exp.go has them too, with their source.
type expConstants struct {
	min, max, log2e, ln2Hi, ln2Lo, one operand.Op
	p                                  [6]operand.Op
	bias                               operand.Op // of a float32's exponent, as an integer; AVX2 only
	huge                               operand.Op // 2¹²⁶; sigmoids on AVX-512 only
}

func (e *emitter) expConstants() *expConstants {
	c := &expConstants{
		min: e.constant("expMin", -104), max: e.constant("expMax", 89),
		log2e: e.constant("log2e", 1.44269504088896341),
		ln2Hi: e.constant("ln2Hi", 0.693359375), ln2Lo: e.constant("ln2Lo", -2.12194440e-4),
		one: e.constant("one", 1),
	}
	for i, p := range []float64{1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1} {
		c.p[i] = e.constant("expP"+string(rune('0'+i)), p)
	}
	if !e.wide() {
		c.bias = e.bits("exponentBias", 127)
	}
	return c
}

// exp gives e to the power of x, which it destroys.
func (e *emitter) exp(c *expConstants, x reg.VecVirtual) reg.VecVirtual {
	n, p := e.vec(), e.vec()
	// With x as the second source, as Intel counts, a NaN passes.
	e.VMOVUPS(c.min, n)
	e.VMAXPS(x, n, x)
	e.VMOVUPS(c.max, n)
	e.VMINPS(x, n, x)
	e.VMULPS(c.log2e, x, n)
	if e.wide() {
		e.VRNDSCALEPS(operand.Imm(8), n, n)
	} else {
		e.VROUNDPS(operand.Imm(8), n, n)
	}
	e.VFNMADD231PS(c.ln2Hi, n, x)
	e.VFNMADD231PS(c.ln2Lo, n, x)
	e.VMOVUPS(c.p[0], p)
	for _, coefficient := range c.p[1:] {
		e.VFMADD213PS(coefficient, x, p)
	}
	square := e.vec()
	e.VMULPS(x, x, square)
	e.VFMADD213PS(x, square, p)
	e.VADDPS(c.one, p, p)
	if e.wide() {
		e.VSCALEFPS(n, p, p)
		return p
	}
	// 2ⁿ as a product of two powers: n itself may be beyond the exponents of normal numbers.
	half := e.vec()
	e.VCVTPS2DQ(n, n)
	e.VPSRAD(operand.Imm(1), n, half)
	e.VPSUBD(half, n, n)
	for _, power := range []reg.VecVirtual{half, n} {
		e.VPADDD(c.bias, power, power)
		e.VPSLLD(operand.Imm(23), power, power)
		e.VMULPS(power, p, p)
	}
	return p
}

// sigmoid gives 1/(1 + exp(−x)). On AVX-512 the quotient is an approximate reciprocal and a Newton step;
// not beyond 2¹²⁶, where the step would make NaN of 1/∞.
func (e *emitter) sigmoid(c *expConstants, x reg.VecVirtual) reg.VecVirtual {
	d, r := e.onePlusExpMinus(c, x), e.vec()
	if !e.wide() {
		e.VMOVUPS(c.one, r)
		e.VDIVPS(d, r, r)
		return r
	}
	rest, k := e.vec(), e.K()
	e.VRCP14PS(d, r)
	e.VCMPPS(operand.Imm(less), c.huge, d, k)
	e.VMOVAPS(c.one, rest)
	e.VFNMADD231PS(d, r, rest)
	e.VFMADD231PS(rest, r, k, r)
	return r
}

// onePlusExpMinus gives 1 + exp(−x).
func (e *emitter) onePlusExpMinus(c *expConstants, x reg.VecVirtual) reg.VecVirtual {
	t := e.vec()
	e.zero(t)
	e.VSUBPS(x, t, t)
	p := e.exp(c, t)
	e.VADDPS(c.one, p, p)
	return p
}

// exponentials writes the exponential and what is made of it.
func (x isa) exponentials(f *file) {
	if !x.rounds() {
		x.exponential(f)
	}
	for _, k := range x.kinds() {
		x.sigmoids(f, k)
		x.softmax(f, k, k)
		if !x.rounds() {
			x.sumExp(f, k)
		}
	}
	x.softmax(f, bf16, f32)
}

func (x isa) exponential(f *file) {
	e := x.function(f, "exp", "func(out, x []float32, bias float32) float32", "sets out = exp(x − bias) and returns the sum of out.")
	c, bias := e.expConstants(), e.scalar("bias")
	e.emit(loop{slices: []string{"out", "x"}, unroll: 2, sums: 1, step: func(v *vector) {
		r := v.read("x")
		e.VSUBPS(bias, r, r)
		p := e.exp(c, r)
		v.write("out", p)
		if v.part {
			e.keepPart(p)
		}
		e.VADDPS(p, v.sums[0], v.sums[0])
	}, finish: func(sums [][]reg.VecVirtual) {
		e.VADDPS(sums[1][0], sums[0][0], sums[0][0])
		e.Store(e.foldLanes(sums[0][0], e.VADDPS), e.ReturnIndex(0))
	}})
}

// sumExp writes the sum of exponentials.
func (x isa) sumExp(f *file, k kind) {
	e := k.function(x, f, "sumExp", "func(x []E, bias float32) float32", "is Σ exp(x − bias).")
	c, bias := e.expConstants(), e.scalar("bias")
	e.emit(loop{slices: []string{"x"}, unroll: 2, sums: 1, step: func(v *vector) {
		r := v.read("x")
		e.VSUBPS(bias, r, r)
		p := e.exp(c, r)
		if v.part {
			e.keepPart(p)
		}
		e.VADDPS(p, v.sums[0], v.sums[0])
	}, finish: func(sums [][]reg.VecVirtual) {
		e.Store(e.foldLanes(e.total(sums, 0), e.VADDPS), e.ReturnIndex(0))
	}})
}

// sigmoids writes what is made of the logistic function.
func (x isa) sigmoids(f *file, k kind) {
	begin := func(name, signature, doc string) (*emitter, *expConstants) {
		e := k.function(x, f, name, signature, doc)
		c := e.expConstants()
		if e.wide() {
			c.huge = e.constant("huge", 0x1p126)
		}
		return e, c
	}
	e, c := begin("sigmoid", "func(out, x []E)", "sets out = 1 / (1 + exp(−x)).")
	e.emit(loop{slices: []string{"out", "x"}, unroll: 2, step: func(v *vector) { v.write("out", e.sigmoid(c, v.read("x"))) }})

	e, c = begin("silu", "func(out, x []E)", "sets out = x·sigmoid(x).")
	e.emit(loop{slices: []string{"out", "x"}, unroll: 2, step: func(v *vector) {
		r := v.read("x")
		e.VMULPS(e.sigmoid(c, r), r, r)
		v.write("out", r)
	}})

	e, c = begin("swiGLU", "func(out, gate, up []E)", "sets out = silu(gate)·up.")
	e.emit(loop{slices: []string{"out", "gate", "up"}, unroll: 2, step: func(v *vector) {
		r := v.read("gate")
		e.VMULPS(e.sigmoid(c, r), r, r)
		e.VMULPS(v.read("up"), r, r)
		v.write("out", r)
	}})

	e, c = begin("swiGLUBackward", "func(dgate, dup, dy, gate, up []E)",
		"sets dup = dy·gate·s and dgate = dy·up·s·(1 + gate·(1 − s)) with s = sigmoid(gate).")
	e.emit(loop{slices: []string{"dgate", "dup", "dy", "gate", "up"}, unroll: 1, step: func(v *vector) {
		gate := v.read("gate")
		s, dys, t := e.sigmoid(c, gate), v.read("dy"), e.vec()
		e.VMULPS(s, dys, dys)
		up := v.read("up")
		e.VMULPS(gate, dys, t)
		v.write("dup", t)
		e.VMOVUPS(c.one, t)
		e.VSUBPS(s, t, t)
		e.VFMADD213PS(c.one, gate, t)
		e.VMULPS(up, dys, dys)
		e.VMULPS(t, dys, dys)
		v.write("dgate", dys)
	}})
}

// softmax writes the loops of softmax and cross-entropy that read in and write out.
func (x isa) softmax(f *file, out, in kind) {
	name, types := "scaledExp", strings.NewReplacer("[]Out", "[]"+out.element, "[]In", "[]"+in.element)
	if out != in {
		name += "To"
	} else {
		e := in.function(x, f, "softmaxBackward", "func(dx, dy, y []E, a float32)", "sets dx = (dy − a)·y.")
		a := e.scalar("a")
		e.emit(loop{slices: []string{"dx", "dy", "y"}, unroll: 4, step: func(v *vector) {
			g := v.read("dy")
			e.VSUBPS(a, g, g)
			e.VMULPS(v.read("y"), g, g)
			v.write("dx", g)
		}})
	}
	e := x.function(f, name+out.suffix, types.Replace("func(out []Out, x []In, bias, scale, shift float32)"),
		"sets out = scale·exp(x − bias) + shift.")
	c := e.expConstants()
	bias, scale, shift := e.scalar("bias"), e.scalar("scale"), e.scalar("shift")
	e.emit(loop{slices: []string{"out", "x"}, unroll: 2, step: func(v *vector) {
		r := v.read("x")
		e.VSUBPS(bias, r, r)
		p := e.exp(c, r)
		e.VFMADD213PS(shift, scale, p)
		v.write("out", p)
	}})
}
