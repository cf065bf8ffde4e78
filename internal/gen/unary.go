package main

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// unaries writes the functions of one argument.
func (x isa) unaries(f *file) {
	for _, k := range x.kinds() {
		unary := func(name, doc string, unroll int, prepare func(e *emitter) func(r reg.VecVirtual) reg.VecVirtual) {
			e := k.function(x, f, name, "func(out, x []E)", doc)
			do := prepare(e)
			e.emit(loop{slices: []string{"out", "x"}, unroll: unroll, step: func(v *vector) { v.write("out", do(v.read("x"))) }})
		}
		unary("abs", "sets out = |x|.", 4, func(e *emitter) func(r reg.VecVirtual) reg.VecVirtual {
			mask := e.bits("magnitude", 0x7fffffff)
			return func(r reg.VecVirtual) reg.VecVirtual { e.and(mask, r, r); return r }
		})
		unary("relu", "sets out = max(x, 0), NaN of NaN.", 4, func(e *emitter) func(r reg.VecVirtual) reg.VecVirtual {
			zero := e.vec()
			e.zero(zero)
			return func(r reg.VecVirtual) reg.VecVirtual { e.VMAXPS(r, zero, r); return r } // a NaN passes as second source
		})
		unary("sqrt", "sets out = √x.", 2, func(e *emitter) func(r reg.VecVirtual) reg.VecVirtual {
			return func(r reg.VecVirtual) reg.VecVirtual { e.VSQRTPS(r, r); return r }
		})
		unary("rsqrt", "sets out = 1/√x.", 2, func(e *emitter) func(r reg.VecVirtual) reg.VecVirtual {
			one := e.constant("one", 1)
			return func(r reg.VecVirtual) reg.VecVirtual { e.VSQRTPS(r, r); return e.over(one, r) }
		})
		unary("reciprocal", "sets out = 1/x.", 2, func(e *emitter) func(r reg.VecVirtual) reg.VecVirtual {
			one := e.constant("one", 1)
			return func(r reg.VecVirtual) reg.VecVirtual { return e.over(one, r) }
		})
		unary("log", "sets out = ln x.", 2, (*emitter).log)
		unary("sin", "sets out = sin x for |x| ≤ 2¹⁷.", 1, func(e *emitter) func(r reg.VecVirtual) reg.VecVirtual { return e.circular(0) })
		unary("cos", "sets out = cos x for |x| ≤ 2¹⁷.", 1, func(e *emitter) func(r reg.VecVirtual) reg.VecVirtual { return e.circular(1) })
		unary("tanh", "sets out = tanh x.", 1, (*emitter).tanh)
		unary("gelu", "sets out = x·Φ(x).", 1, (*emitter).gelu)
		unary("geluSlope", "sets out = (x·Φ(x))′.", 1, (*emitter).geluSlope)
		unary("geluTanh", "sets out = x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))/2.", 1, (*emitter).geluTanh)
		unary("geluTanhSlope", "sets out to the derivative of geluTanh.", 1, (*emitter).geluTanhSlope)
	}
}

// and is the bitwise and.
func (e *emitter) and(x operand.Op, y, out reg.VecVirtual) {
	if e.wide() {
		e.VPANDD(x, y, out)
	} else {
		e.VPAND(x, y, out)
	}
}

// or is the bitwise or.
func (e *emitter) or(x operand.Op, y, out reg.VecVirtual) {
	if e.wide() {
		e.VPORD(x, y, out)
	} else {
		e.VPOR(x, y, out)
	}
}

// xor is the bitwise exclusive or.
func (e *emitter) xor(x operand.Op, y, out reg.VecVirtual) {
	if e.wide() {
		e.VPXORD(x, y, out)
	} else {
		e.VPXOR(x, y, out)
	}
}

// over gives number/r in r.
func (e *emitter) over(number operand.Op, r reg.VecVirtual) reg.VecVirtual {
	n := e.vec()
	e.VMOVUPS(number, n)
	e.VDIVPS(r, n, r)
	return r
}

// selectWhere puts from into the lanes of to where a compares with b as the predicate says.
func (e *emitter) selectWhere(predicate uint64, b operand.Op, a, from, to reg.VecVirtual) {
	if e.wide() {
		k := e.K()
		e.VCMPPS(operand.Imm(predicate), b, a, k)
		e.VMOVAPS(from, k, to)
		return
	}
	is := e.vec()
	e.VCMPPS(operand.Imm(predicate), b, a, is)
	e.VBLENDVPS(is, from, to, to)
}

// Predicates of VCMPPS. Comparisons with NaN are false but for the negated ones.
const (
	equal     = 0
	less      = 1
	lessEqual = 2
	notEqual  = 4
	notLess   = 5
)

// polynomial gives Σ c[i]·xⁿ⁻¹⁻ⁱ by Horner's rule.
func (e *emitter) polynomial(x reg.VecVirtual, c []operand.Op) reg.VecVirtual {
	p := e.vec()
	e.VMOVUPS(c[0], p)
	for _, coefficient := range c[1:] {
		e.VFMADD213PS(coefficient, x, p)
	}
	return p
}

// constants are numbers in memory: there are too many of them for registers.
func (e *emitter) constants(name string, values ...float64) []operand.Op {
	ops := make([]operand.Op, len(values))
	for i, v := range values {
		words := make([]uint32, e.lanes)
		for lane := range words {
			words[lane] = math.Float32bits(float32(v))
		}
		ops[i] = e.table(name+string(rune('A'+i)), words)
	}
	return ops
}

// log is Cephes' logf (Moshier 1992): x = 2ⁿ·m with m in [√½, √2), and a polynomial in m − 1.
func (e *emitter) log() func(x reg.VecVirtual) reg.VecVirtual {
	p := e.constants("log", 7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
		-1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1)
	one, half := e.constant("one", 1), e.constant("half", 0.5)
	ln2Hi, ln2Lo := e.constant("ln2Hi", 0.693359375), e.constant("ln2Lo", -2.12194440e-4)
	root, mantissa := e.bits("rootHalf", 0x3f3504f3), e.bits("mantissa", 0x7fffff)
	tiny, scale, scaled := e.constant("smallestNormal", 0x1p-126), e.constant("log2p23", 0x1p23), e.constant("logMinus23", -23)
	inf, minusInf, nan, zero := e.constant("inf", math.Inf(1)), e.constant("minusInf", math.Inf(-1)), e.bits("nan", 0x7fc00000), e.constant("zero", 0)
	return func(x reg.VecVirtual) reg.VecVirtual {
		v, n, t := e.vec(), e.vec(), e.vec()
		// A denormal number becomes normal.
		e.VMULPS(scale, x, t)
		e.VMOVAPS(x, v)
		e.selectWhere(less, tiny, x, t, v)
		shift := e.vec()
		e.zero(shift)
		e.VMOVUPS(scaled, t)
		e.selectWhere(less, tiny, x, t, shift)
		e.VPSUBD(root, v, v)
		e.VPSRAD(operand.Imm(23), v, n)
		e.VCVTDQ2PS(n, n)
		e.VADDPS(shift, n, n)
		e.and(mantissa, v, v)
		e.VPADDD(root, v, v)
		e.VSUBPS(one, v, v)
		y, square := e.polynomial(v, p), e.vec()
		e.VMULPS(v, v, square)
		e.VMULPS(square, y, y)
		e.VMULPS(v, y, y)
		e.VFMADD231PS(ln2Lo, n, y)
		e.VFNMADD231PS(half, square, y)
		e.VADDPS(y, v, v)
		e.VFMADD231PS(ln2Hi, n, v)
		// Infinity and NaN give themselves, zero minus infinity, and less than that NaN.
		e.selectWhere(notLess, inf, x, x, v)
		e.VMOVUPS(minusInf, t)
		e.selectWhere(equal, zero, x, t, v)
		e.VMOVUPS(nan, t)
		e.selectWhere(less, zero, x, t, v)
		return v
	}
}

// circular is the sine, or with quarter 1 the cosine: x less the nearest multiple n of π/2, which is given
// in three parts (Cody and Waite 1980), then Cephes' sinf or cosf (Moshier 1992) as n + quarter says.
func (e *emitter) circular(quarter int) func(x reg.VecVirtual) reg.VecVirtual {
	twoOverPi := e.constant("twoOverPi", 2/math.Pi)
	hi := float64(float32(math.Pi / 2))
	mid := float64(float32(math.Pi/2 - hi))
	pi := e.constants("halfPi", hi, mid, 6.123233995736766e-17-(hi+mid-math.Pi/2))
	s := e.constants("sin", -1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
	c := e.constants("cos", 2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
	one, half := e.constant("one", 1), e.constant("half", 0.5)
	magnitude, lowest := e.bits("magnitude", 0x7fffffff), e.bits("lowestBit", 1)
	return func(x reg.VecVirtual) reg.VecVirtual {
		a, n, q := e.vec(), e.vec(), e.vec()
		e.and(magnitude, x, a)
		sign := e.vec()
		e.xor(a, x, sign) // of the sine; the cosine has none
		e.VMULPS(twoOverPi, a, n)
		if e.wide() {
			e.VRNDSCALEPS(operand.Imm(8), n, n)
		} else {
			e.VROUNDPS(operand.Imm(8), n, n)
		}
		e.VCVTPS2DQ(n, q)
		for _, part := range pi {
			e.VFNMADD231PS(part, n, a)
		}
		if quarter == 1 {
			e.VPADDD(lowest, q, q)
		}
		square := e.vec()
		e.VMULPS(a, a, square)
		sine, cosine := e.polynomial(square, s), e.polynomial(square, c)
		e.VMULPS(square, sine, sine)
		e.VFMADD213PS(a, a, sine)
		e.VFMSUB213PS(half, square, cosine)
		e.VFMADD213PS(one, square, cosine) // 1 + z·(z·P − ½)

		// In every other quarter it is the cosine of the rest, and in two of four it is negative.
		t := e.vec()
		if e.wide() {
			k := e.K()
			e.VPTESTMD(lowest, q, k)
			e.VMOVAPS(cosine, k, sine)
		} else {
			e.VPSLLD(operand.Imm(31), q, t)
			e.VBLENDVPS(t, cosine, sine, sine)
		}
		e.VPSRLD(operand.Imm(1), q, t)
		e.VPSLLD(operand.Imm(31), t, t)
		e.xor(t, sine, sine)
		if quarter == 0 {
			e.xor(sign, sine, sine)
		}
		return sine
	}
}

// tanh is 1 − 2/(exp(2x) + 1), or Cephes' polynomial (Moshier 1992) where that would cancel.
func (e *emitter) tanh() func(x reg.VecVirtual) reg.VecVirtual {
	exp := e.expConstants()
	p := e.constants("tanh", -5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1)
	two, small := e.constant("two", 2), e.constant("tanhSmall", 0.625)
	magnitude := e.bits("magnitude", 0x7fffffff)
	return func(x reg.VecVirtual) reg.VecVirtual {
		a, sign, double := e.vec(), e.vec(), e.vec()
		e.and(magnitude, x, a)
		e.xor(a, x, sign)
		e.VADDPS(a, a, double)
		d, t := e.exp(exp, double), e.vec()
		e.VADDPS(exp.one, d, d)
		e.VMOVUPS(two, t)
		e.VDIVPS(d, t, t)
		e.VMOVUPS(exp.one, d)
		e.VSUBPS(t, d, d)
		square := e.vec()
		e.VMULPS(a, a, square)
		y := e.polynomial(square, p)
		e.VMULPS(square, y, y)
		e.VFMADD213PS(a, a, y)
		e.selectWhere(less, small, a, y, d)
		e.or(sign, d, d)
		return d
	}
}
