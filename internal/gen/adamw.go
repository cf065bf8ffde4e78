package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The forms of AdamW's state, in the order in which package simd names them.
const (
	masterWeights  = iota // float32
	roundedWeights        // float32, beside which lies the parameter, rounded to bfloat16
	splitWeights          // a bfloat16 parameter and a 16-bit remainder
)

const (
	moments32 = iota
	moments16 // bfloat16, rounded stochastically
	moments8  // codes, with a scale for each block
)

var (
	weightForms = []string{"Master", "Rounded", "Split"}
	momentForms = []string{"Moments32", "Moments16", "Moments8"}
	gradForms   = []string{"Grads32", "Grads16"}
)

// Where simd.adamWArgs has its fields.
const (
	adamWLen = 8 * iota
	adamWMaster
	adamWParam
	adamWRemainder
	adamWM
	adamWV
	adamWGrad
	adamWConstants
	adamWMScale
	adamWVScale
	adamWTables
	adamWScratch
)

// adamWTurn is how many elements a turn of the loop works on.
const adamWTurn = 32

// adamW writes the sweep of the optimizer over weights and moments, once for each form of them.
func (x isa) adamW(f *file) {
	for weights, w := range weightForms {
		for moments, m := range momentForms {
			for grads, g := range gradForms {
				e := x.function(f, "adamW"+w+m+g, "func(args *byte)", fmt.Sprintf("does a step of AdamW, form %s %s %s.", w, m, g))
				s := &sweep{emitter: e, weights: weights, moments: moments, grads16: grads == 1}
				s.emit()
			}
		}
	}
}

// A sweep writes one of the kernels.
type sweep struct {
	*emitter
	weights, moments int
	grads16          bool

	args, index              reg.GPVirtual
	master, param, remainder reg.GPVirtual
	m, v, grad               reg.GPVirtual

	decay, beta1, rest1, beta2, rest2, c2, eps, step, gradScale, l2 operand.Op

	half, one, low, magnitude, sign, quietNaN operand.Op // bits

	noise  noise
	blocks blocks
}

func (s *sweep) pointerAt(offset int) reg.GPVirtual {
	r := s.GP64()
	s.MOVQ(operand.Mem{Base: s.args, Disp: offset}, r)
	return r
}

func (s *sweep) emit() {
	s.args = s.pointer("args", false)
	rest := s.pointerAt(adamWLen)
	if s.weights != splitWeights {
		s.master = s.pointerAt(adamWMaster)
	}
	if s.weights != masterWeights {
		s.param = s.pointerAt(adamWParam)
	}
	if s.weights == splitWeights {
		s.remainder = s.pointerAt(adamWRemainder)
	}
	s.m, s.v, s.grad = s.pointerAt(adamWM), s.pointerAt(adamWV), s.pointerAt(adamWGrad)
	s.prepare()
	s.index = s.GP64()
	switch s.moments {
	case moments16:
		s.prepareNoise()
	case moments8:
		s.emitBlocks(rest)
		return
	}
	s.XORQ(s.index, s.index)
	s.Label("turn")
	s.turn()
	s.SUBQ(operand.Imm(adamWTurn), rest)
	s.JNZ(operand.LabelRef("turn"))
	s.end()
}

// prepare loads the constants: into registers, where there are many of them.
func (s *sweep) prepare() {
	constants := s.pointerAt(adamWConstants)
	ops := []*operand.Op{&s.decay, &s.beta1, &s.rest1, &s.beta2, &s.rest2, &s.c2, &s.eps, &s.step, &s.gradScale, &s.l2}
	if !s.penalises() {
		ops = ops[:len(ops)-1]
	}
	for i, c := range ops {
		m := operand.Mem{Base: constants, Disp: 64 * i}
		*c = m
		if s.wide() {
			r := s.vec()
			s.VMOVUPS(m, r)
			*c = r
		}
	}
	split, rounded := s.weights == splitWeights, s.weights == roundedWeights
	if split {
		s.half = s.bits("half", 0x8000)
	}
	if rounded {
		s.half, s.one = s.bits("almostHalf", 0x7fff), s.bits("one", 1)
	}
	if split || rounded || s.moments == moments16 {
		s.quietNaN = s.bits("quietNaN", 0x7fc00000)
	}
	if split && !s.wide() || s.moments == moments16 {
		s.low = s.bits("low", 0xffff)
	}
	if split || s.moments == moments8 {
		s.magnitude, s.sign = s.bits("magnitude", 0x7fffffff), s.bits("sign", 1<<31)
	}
}

// at is the address of the vector disp elements from the turn's first one.
func (s *sweep) at(base reg.GPVirtual, size, disp int) operand.Mem {
	return operand.Mem{Base: base, Index: s.index, Scale: uint8(size), Disp: size * disp}
}

// turn makes the step for adamWTurn elements and moves on.
func (s *sweep) turn() {
	for disp := 0; disp < adamWTurn/2; disp += s.lanes {
		var words [2]reg.VecVirtual
		if s.moments == moments16 {
			words = s.random(disp / s.lanes)
		}
		s.vector(disp, words[0])
		s.vector(disp+adamWTurn/2, words[1])
	}
	s.ADDQ(operand.Imm(adamWTurn), s.index)
}

// vector makes the step for one vector; noise is random words for rounding, if moments need it.
func (s *sweep) vector(disp int, noise reg.VecVirtual) {
	g, t := s.readGrad(disp), s.vec()
	s.VMULPS(s.gradScale, g, g)
	var w reg.VecVirtual
	if s.penalises() {
		w = s.readWeight(disp)
		s.VFMADD231PS(s.l2, w, g)
	}
	m, v := s.readMoments(disp)
	s.VMULPS(s.beta1, m, m)
	s.VFMADD231PS(s.rest1, g, m)
	s.VMULPS(s.beta2, v, v)
	s.VMULPS(s.rest2, g, t)
	s.VFMADD231PS(g, t, v)
	s.writeMoments(m, v, noise, disp)
	s.VMULPS(s.c2, v, v)
	s.VSQRTPS(v, v)
	s.VADDPS(s.eps, v, v)
	s.VMULPS(s.step, m, m)
	s.VDIVPS(v, m, m)
	if !s.penalises() {
		w = s.readWeight(disp)
	}
	s.VMULPS(s.decay, w, w)
	s.VSUBPS(m, w, w)
	s.writeWeight(w, disp)
}

// penalises reports whether the kernel adds l2·w to the gradient. Those of packed moments are bound by computing,
// and would take a tenth longer: what needs it adds it before.
func (s *sweep) penalises() bool { return s.moments == moments32 }

func (s *sweep) readGrad(disp int) reg.VecVirtual {
	if s.grads16 {
		return s.widen(s.at(s.grad, 2, disp))
	}
	g := s.vec()
	s.VMOVUPS(s.at(s.grad, 4, disp), g)
	return g
}

func (s *sweep) readMoments(disp int) (m, v reg.VecVirtual) {
	switch s.moments {
	case moments16:
		return s.widen(s.at(s.m, 2, disp)), s.widen(s.at(s.v, 2, disp))
	case moments8:
		return s.number(signedMap, s.at(s.m, 1, disp)), s.number(unsignedMap, s.at(s.v, 1, disp))
	}
	m, v = s.vec(), s.vec()
	s.VMOVUPS(s.at(s.m, 4, disp), m)
	s.VMOVUPS(s.at(s.v, 4, disp), v)
	return m, v
}

func (s *sweep) writeMoments(m, v, noise reg.VecVirtual, disp int) {
	switch s.moments {
	case moments32:
		s.VMOVUPS(m, s.at(s.m, 4, disp))
		s.VMOVUPS(v, s.at(s.v, 4, disp))
	case moments16:
		s.writeRandomly(m, v, noise, disp)
	case moments8:
		s.keep(m, v, disp)
	}
}

// readWeight loads weights; backend.JoinMaster is what it does for split ones.
func (s *sweep) readWeight(disp int) reg.VecVirtual {
	if s.weights != splitWeights {
		w := s.vec()
		s.VMOVUPS(s.at(s.master, 4, disp), w)
		return w
	}
	p, r, w, zero := s.widen(s.at(s.param, 2, disp)), s.vec(), s.vec(), s.vec()
	s.VPMOVSXWD(s.at(s.remainder, 2, disp), r)
	s.zero(zero)
	s.and(s.magnitude, p, w)
	s.VPADDD(r, w, w)
	s.VPMAXSD(zero, w, w)
	s.orSign(p, w)
	return w
}

// writeWeight stores weights, and rounds or splits them: see backend.SplitMaster.
func (s *sweep) writeWeight(w reg.VecVirtual, disp int) {
	if s.weights != splitWeights {
		s.VMOVUPS(w, s.at(s.master, 4, disp))
		if s.weights == masterWeights {
			return
		}
	}
	s.replaceNaN(w)
	t := s.vec()
	if s.weights == roundedWeights { // ties to even
		s.VPSRLD(operand.Imm(16), w, t)
		s.and(s.one, t, t)
		s.VPADDD(t, w, w)
	}
	s.VPADDD(s.half, w, t)
	s.VPSRLD(operand.Imm(16), t, t)
	s.narrow(t, s.at(s.param, 2, disp))
	if s.weights == splitWeights {
		if !s.wide() {
			s.VPAND(s.low, w, w)
		}
		s.narrow(w, s.at(s.remainder, 2, disp))
	}
}

// and sets z = x & y.
func (s *sweep) and(x, y, z operand.Op) {
	if s.wide() {
		s.VPANDD(x, y, z)
	} else {
		s.VPAND(x, y, z)
	}
}

// orSign gives x the sign of y, x having none. It may change y.
func (s *sweep) orSign(y, x reg.VecVirtual) {
	if s.wide() {
		s.VPTERNLOGD(operand.Imm(0b11111000), s.sign, y, x) // x | y&sign
		return
	}
	s.VPAND(s.sign, y, y)
	s.VPOR(y, x, x)
}

// widen loads bfloat16 numbers.
func (s *sweep) widen(from operand.Mem) reg.VecVirtual {
	r := s.vec()
	s.VPMOVZXWD(from, r)
	s.VPSLLD(operand.Imm(16), r, r)
	return r
}

// narrow stores the lower halves of x; with AVX2 the upper ones must be zero.
func (s *sweep) narrow(x reg.VecVirtual, to operand.Mem) {
	if s.wide() {
		s.VPMOVDW(x, to)
		return
	}
	upper := s.XMM()
	s.VEXTRACTI128(operand.Imm(1), x, upper)
	s.VPACKUSDW(upper, x.AsX(), upper)
	s.VMOVDQU(upper, to)
}

// replaceNaN puts the quiet NaN for others, whose bits rounding would carry over.
func (s *sweep) replaceNaN(x reg.VecVirtual) {
	if s.wide() {
		k := s.K()
		s.VCMPPS(operand.Imm(unordered), x, x, k)
		s.VMOVAPS(s.quietNaN, k, x)
		return
	}
	is, nan := s.vec(), s.vec()
	s.VCMPPS(operand.Imm(unordered), x, x, is)
	s.VMOVUPS(s.quietNaN, nan)
	s.VBLENDVPS(is, nan, x, x)
}
