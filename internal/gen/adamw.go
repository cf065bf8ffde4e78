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

var (
	weightForms = []string{masterWeights: "Master", roundedWeights: "Rounded", splitWeights: "Split"}
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
)

// adamWGranule is how many elements a turn of the loop works on.
const adamWGranule = 32

// adamW writes the sweep of the optimizer over weights and moments, once for each form of them.
func (x isa) adamW(f *file) {
	for weights, w := range weightForms {
		for grads, g := range gradForms {
			e := x.function(f, "adamW"+w+g, "func(args *byte)", fmt.Sprintf("does a step of AdamW, form %s %s.", w, g))
			s := sweep{emitter: e, weights: weights, grads16: grads == 1}
			s.emit()
		}
	}
}

// A sweep writes one of the kernels.
type sweep struct {
	*emitter
	weights int
	grads16 bool

	args, index                       reg.GPVirtual
	master, param, remainder          reg.GPVirtual
	m, v, grad                        reg.GPVirtual
	decay, beta1, rest1, beta2, rest2 operand.Op
	c2, eps, step, gradScale          operand.Op
	half, quietNaN                    operand.Op // for splitWeights
	magnitude, sign, low              operand.Op
}

// field is a field of the arguments.
func (s *sweep) field(offset int) operand.Mem { return operand.Mem{Base: s.args, Disp: offset} }

func (s *sweep) pointerAt(offset int) reg.GPVirtual {
	r := s.GP64()
	s.MOVQ(s.field(offset), r)
	return r
}

// fixed is the i-th constant: in a register where there are many of them.
func (s *sweep) fixed(constants reg.GPVirtual, i int) operand.Op {
	m := operand.Mem{Base: constants, Disp: 64 * i}
	if !s.wide() {
		return m
	}
	r := s.vec()
	s.VMOVUPS(m, r)
	return r
}

func (s *sweep) emit() {
	s.args = s.pointer("args", false)
	rest := s.pointerAt(adamWLen)
	switch s.weights {
	case roundedWeights:
		s.master, s.param = s.pointerAt(adamWMaster), s.pointerAt(adamWParam)
	case splitWeights:
		s.param, s.remainder = s.pointerAt(adamWParam), s.pointerAt(adamWRemainder)
	default:
		s.master = s.pointerAt(adamWMaster)
	}
	s.m, s.v, s.grad = s.pointerAt(adamWM), s.pointerAt(adamWV), s.pointerAt(adamWGrad)
	constants := s.pointerAt(adamWConstants)
	for i, c := range []*operand.Op{&s.decay, &s.beta1, &s.rest1, &s.beta2, &s.rest2, &s.c2, &s.eps, &s.step, &s.gradScale} {
		*c = s.fixed(constants, i)
	}
	s.prepareWeights()
	s.index = s.GP64()
	s.XORQ(s.index, s.index)
	s.Label("turn")
	for disp := 0; disp < adamWGranule; disp += s.lanes {
		s.one(disp)
	}
	s.ADDQ(operand.Imm(adamWGranule), s.index)
	s.SUBQ(operand.Imm(adamWGranule), rest)
	s.JNZ(operand.LabelRef("turn"))
	s.end()
}

// at is the address of the vector disp elements from the turn's first one.
func (s *sweep) at(base reg.GPVirtual, size, disp int) operand.Mem {
	return operand.Mem{Base: base, Index: s.index, Scale: uint8(size), Disp: size * disp}
}

// one makes the step for one vector.
func (s *sweep) one(disp int) {
	g, t := s.readGrad(disp), s.vec()
	s.VMULPS(s.gradScale, g, g)
	m, v := s.vec(), s.vec()
	s.VMOVUPS(s.at(s.m, 4, disp), m)
	s.VMULPS(s.beta1, m, m)
	s.VFMADD231PS(s.rest1, g, m)
	s.VMOVUPS(m, s.at(s.m, 4, disp))
	s.VMOVUPS(s.at(s.v, 4, disp), v)
	s.VMULPS(s.beta2, v, v)
	s.VMULPS(s.rest2, g, t)
	s.VFMADD231PS(g, t, v)
	s.VMOVUPS(v, s.at(s.v, 4, disp))
	s.VMULPS(s.c2, v, v)
	s.VSQRTPS(v, v)
	s.VADDPS(s.eps, v, v)
	s.VMULPS(s.step, m, m)
	s.VDIVPS(v, m, m)
	w := s.readWeight(disp)
	s.VMULPS(s.decay, w, w)
	s.VSUBPS(m, w, w)
	s.writeWeight(w, disp)
}

func (s *sweep) readGrad(disp int) reg.VecVirtual {
	if s.grads16 {
		return s.widen(s.at(s.grad, 2, disp))
	}
	g := s.vec()
	s.VMOVUPS(s.at(s.grad, 4, disp), g)
	return g
}

// widen loads bfloat16 numbers.
func (s *sweep) widen(from operand.Mem) reg.VecVirtual {
	r := s.vec()
	s.VPMOVZXWD(from, r)
	s.VPSLLD(operand.Imm(16), r, r)
	return r
}

// prepareWeights loads the constants of the conversions.
func (s *sweep) prepareWeights() {
	switch s.weights {
	case splitWeights:
		s.half, s.quietNaN = s.bits("half", 0x8000), s.bits("quietNaN", 0x7fc00000)
		s.magnitude, s.sign = s.bits("magnitude", 0x7fffffff), s.bits("sign", 1<<31)
		if !s.wide() {
			s.low = s.bits("low", 0xffff)
		}
	case roundedWeights:
		s.half, s.low, s.quietNaN = s.bits("almostHalf", 0x7fff), s.bits("one", 1), s.bits("quietNaN", 0x7fc00000)
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
	if s.wide() {
		s.VPANDD(s.magnitude, p, w)
		s.VPADDD(r, w, w)
		s.VPMAXSD(zero, w, w)
		s.VPTERNLOGD(operand.Imm(0b11111000), s.sign, p, w) // w | p & sign
		return w
	}
	s.VPAND(s.magnitude, p, w)
	s.VPADDD(r, w, w)
	s.VPMAXSD(zero, w, w)
	s.VPAND(s.sign, p, p)
	s.VPOR(p, w, w)
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
		if s.wide() {
			s.VPANDD(s.low, t, t)
		} else {
			s.VPAND(s.low, t, t)
		}
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
