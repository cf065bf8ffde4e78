package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// normal holds what GELU is made of: Φ(−a) = exp(−a²/2)·E(a) for a ≥ 0, where E is Mills' ratio but for a
// factor. It is t times a polynomial in t = 1/(1 + 0.35·a), fitted to least relative error over [0, 14.5];
// beyond, Φ(−a) is 0 in float32.
type normal struct {
	exp                                           *expConstants
	p                                             []operand.Op
	half, minusHalf, slope, last, magnitude, zero operand.Op
}

func (e *emitter) normal() normal {
	return normal{
		exp: e.expConstants(),
		p: e.constants("mills", -0.02915802991800115, 0.14403160913036886, -0.2558403993524541, 0.15932124975399925, -0.023213391447183443,
			0.10555292583854116, 0.11982118497921661, 0.13986352891826878, 0.13962130611062784),
		half: e.constant("half", 0.5), minusHalf: e.constant("minusHalf", -0.5), slope: e.constant("millsSlope", 0.35),
		last: e.constant("millsLast", 14.5), magnitude: e.bits("magnitude", 0x7fffffff), zero: e.constant("zero", 0),
	}
}

// distribution gives Φ(x), exp(−x²/2), and x no larger than 14.5 in magnitude.
func (e *emitter) distribution(c normal, x reg.VecVirtual) (cdf, density, limited reg.VecVirtual) {
	a, sign, square, rest := e.vec(), e.vec(), e.vec(), e.vec()
	e.and(c.magnitude, x, a)
	e.xor(a, x, sign)
	e.VMOVUPS(c.last, rest)
	e.VMINPS(a, rest, a) // a NaN passes as second source
	// a² in two parts: what it is rounded by would show in the exponential.
	e.VMULPS(a, a, square)
	e.VMOVAPS(square, rest)
	e.VFMSUB231PS(a, a, rest)
	e.VMULPS(c.minusHalf, square, square)
	density = e.exp(c.exp, square)
	low := e.vec()
	e.VMOVUPS(c.exp.one, low)
	e.VFNMADD231PS(c.half, rest, low)
	e.VMULPS(low, density, density)
	t := e.vec()
	e.VMOVUPS(c.exp.one, t)
	e.VFMADD231PS(c.slope, a, t)
	t = e.over(c.exp.one, t)
	tail := e.polynomial(t, c.p)
	e.VMULPS(t, tail, tail)
	e.VMULPS(density, tail, tail)
	cdf = e.vec()
	e.VMOVUPS(c.exp.one, cdf)
	e.VSUBPS(tail, cdf, cdf)
	e.selectWhere(less, c.zero, x, tail, cdf)
	e.or(sign, a, a)
	return cdf, density, a
}

// gelu is x·Φ(x).
func (e *emitter) gelu() func(x reg.VecVirtual) reg.VecVirtual {
	c := e.normal()
	return func(x reg.VecVirtual) reg.VecVirtual {
		cdf, _, _ := e.distribution(c, x)
		e.VMULPS(x, cdf, cdf)
		return cdf
	}
}

// geluSlope is Φ(x) + x·exp(−x²/2)/√2π.
func (e *emitter) geluSlope() func(x reg.VecVirtual) reg.VecVirtual {
	c, scale := e.normal(), e.constant("rootTwoPi", 0.3989422804014327)
	return func(x reg.VecVirtual) reg.VecVirtual {
		cdf, density, limited := e.distribution(c, x)
		e.VMULPS(scale, density, density)
		e.VFMADD231PS(limited, density, cdf)
		return cdf
	}
}

// tanhForm holds what the approximate GELU is made of: x·sigmoid(u) with u = √(8/π)·(x + 0.044715·x³).
type tanhForm struct {
	exp           *expConstants
	cubic, linear operand.Op
}

func (e *emitter) tanhForm() tanhForm {
	const linear = 1.5957691216057308
	c := tanhForm{e.expConstants(), e.constant("geluCubic", linear*0.044715), e.constant("geluLinear", linear)}
	if e.wide() {
		c.exp.huge = e.constant("huge", 0x1p126)
	}
	return c
}

// angle gives u/x.
func (e *emitter) angle(c tanhForm, square reg.VecVirtual) reg.VecVirtual {
	u := e.vec()
	e.VMOVUPS(c.linear, u)
	e.VFMADD231PS(c.cubic, square, u)
	return u
}

// geluTanh is x·sigmoid(u).
func (e *emitter) geluTanh() func(x reg.VecVirtual) reg.VecVirtual {
	c := e.tanhForm()
	return func(x reg.VecVirtual) reg.VecVirtual {
		square := e.vec()
		e.VMULPS(x, x, square)
		u := e.angle(c, square)
		e.VMULPS(x, u, u)
		s := e.sigmoid(c.exp, u)
		e.VMULPS(x, s, s)
		return s
	}
}

// geluTanhSlope is s + s·(1 − s)·x·u′ with s = sigmoid(u). From 20 on s is 0 or 1.
func (e *emitter) geluTanhSlope() func(x reg.VecVirtual) reg.VecVirtual {
	c := e.tanhForm()
	last, lowest, three := e.constant("twenty", 20), e.constant("minusTwenty", -20), e.constant("three", 3)
	sign, zero := e.bits("signBit", 0x80000000), e.constant("zero", 0)
	return func(x reg.VecVirtual) reg.VecVirtual {
		v, square := e.vec(), e.vec()
		e.VMOVUPS(last, v)
		e.VMINPS(x, v, x) // a NaN passes as second source
		e.VMOVUPS(lowest, v)
		e.VMAXPS(x, v, x)
		e.VMULPS(x, x, square)
		u := e.angle(c, square)
		e.VMULPS(x, u, u)
		e.or(sign, u, v)
		small := e.sigmoid(c.exp, v) // of −|u|: its digits are those of s·(1 − s), on either side
		s := e.vec()
		e.VMOVUPS(c.exp.one, s)
		e.VSUBPS(small, s, s)
		e.selectWhere(less, zero, u, small, s)
		e.VMULPS(three, square, square)
		slope := e.angle(c, square) // u′
		e.VMULPS(x, slope, slope)
		e.VFNMADD231PS(small, small, small) // s·(1 − s)
		e.VFMADD231PS(small, slope, s)
		return s
	}
}
