package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Elements of bfloat16, which are the upper halves of float32. Every loop that works on them loads,
// computes in float32 and rounds in one pass.

// rounding are the constants of rounding to bfloat16.
type rounding struct{ one, half, quiet operand.Op }

// prepareRounding loads the constants of roundBF16, before the loop.
func (e *emitter) prepareRounding() {
	e.rounding = rounding{e.bits("lowestBit", 1), e.bits("almostHalf", 0x7fff), e.bits("quietBit", 0x40_0000)}
}

// roundBF16 gives vectors whose upper halves are r rounded to bfloat16, ties to even; a NaN becomes quiet.
// The lower halves are of no meaning.
func (e *emitter) roundBF16(r reg.VecVirtual) reg.VecVirtual {
	c := e.rounding
	s := e.vec()
	e.VPSRLD(operand.Imm(16), r, s)
	if e.wide() {
		k := e.K()
		e.VCMPPS(operand.Imm(unordered), r, r, k)
		e.VPANDD(c.one, s, s)
		e.VPADDD(c.half, s, s)
		e.VPADDD(r, s, s)
		e.VPORD(c.quiet, r, k, s)
		return s
	}
	e.VPAND(c.one, s, s)
	e.VPADDD(c.half, s, s)
	e.VPADDD(r, s, s)
	nan, is := e.vec(), e.vec()
	e.VCMPPS(operand.Imm(unordered), r, r, is)
	e.VPOR(c.quiet, r, nan)
	e.VBLENDVPS(is, nan, s, s)
	return s
}

// roundedBF16 rounds r with the instruction for it. The register of the result is always the same.
func (e *emitter) roundedBF16(r reg.VecVirtual) reg.Register {
	e.VMOVAPS(r, reg.Z31)
	e.vcvtneps2bf16(reg.Z31)
	return reg.Y31
}

// storeRounded rounds r and writes it.
func (e *emitter) storeRounded(r reg.VecVirtual, m operand.Mem, part bool) {
	if part {
		e.VMOVDQU16(e.roundedBF16(r), e.kmask, m)
	} else {
		e.VMOVDQU16(e.roundedBF16(r), m)
	}
}

// loadBF16 reads and widens a vector; part reads the lanes of partial and makes the others zero.
func (e *emitter) loadBF16(m operand.Mem, r reg.VecVirtual, part bool) {
	switch {
	case part && e.wide():
		e.VPMOVZXWD_Z(m, e.kmask, r)
	case part:
		e.VPMOVZXWD(e.stageIn(m, 2), r)
	default:
		e.VPMOVZXWD(m, r)
	}
	e.VPSLLD(operand.Imm(16), r, r)
}

// storeUpper writes the upper halves of r, which it destroys.
func (e *emitter) storeUpper(r reg.VecVirtual, m operand.Mem, part bool) {
	e.VPSRLD(operand.Imm(16), r, r)
	if e.wide() {
		if part {
			e.VPMOVDW(r, e.kmask, m)
		} else {
			e.VPMOVDW(r, m)
		}
		return
	}
	h := e.XMM()
	e.VEXTRACTI128(operand.Imm(1), r, h)
	e.VPACKUSDW(h, r.AsX(), r.AsX())
	if part {
		e.VMOVDQU(r.AsX(), e.staged())
		e.stageOut(m, 2)
	} else {
		e.VMOVDQU(r.AsX(), m)
	}
}

// staged is 16 bytes of the stack. AVX2 has no masks for elements of 16 and 8 bits: a part of a vector
// goes through here, an element at a time.
func (e *emitter) staged() operand.Mem {
	if e.stage.Base == nil {
		e.stage = e.AllocLocal(16)
	}
	return e.stage
}

// stageIn copies the elements that are left from m to the stack, zeros behind them.
func (e *emitter) stageIn(m operand.Mem, size int) operand.Mem {
	s, z := e.staged(), e.XMM()
	e.VPXOR(z, z, z)
	e.VMOVDQU(z, s)
	e.stageCopy(m, s, size)
	return s
}

// stageOut copies the elements that are left from the stack to m.
func (e *emitter) stageOut(m operand.Mem, size int) { e.stageCopy(e.staged(), m, size) }

func (e *emitter) stageCopy(from, to operand.Mem, size int) {
	p, i, x := e.GP64(), e.GP64(), e.GP32()
	again := e.label("copy")
	if from.Index == nil {
		e.LEAQ(to, p)
		from.Index, from.Scale = i, uint8(size)
		to = operand.Mem{Base: p, Index: i, Scale: uint8(size)}
	} else {
		e.LEAQ(from, p)
		to.Index, to.Scale = i, uint8(size)
		from = operand.Mem{Base: p, Index: i, Scale: uint8(size)}
	}
	e.XORQ(i, i)
	e.Label(again)
	if size == 2 {
		e.MOVWLZX(from, x)
		e.MOVW(x.As16(), to)
	} else {
		e.MOVBLZX(from, x)
		e.MOVB(x.As8(), to)
	}
	e.INCQ(i)
	e.CMPQ(i, e.rest)
	e.JL(operand.LabelRef(again))
}

// casts writes the conversions between float32 and the formats of 16 bits.
func (x isa) casts(f *file) {
	for _, c := range [][3]string{
		{"bf16ToF32", "func(dst []float32, src []uint16)", "widens bfloat16 numbers."},
		{"f32ToBF16", "func(dst []uint16, src []float32)", "rounds to bfloat16, ties to even; a NaN stays a quiet NaN."},
	} {
		e := x.function(f, c[0], c[1], c[2])
		e.emit(loop{slices: []string{"dst", "src"}, unroll: 4, step: func(v *vector) { v.write("dst", v.read("src")) }})
	}
	e := x.function(f, "f16ToF32", "func(dst []float32, src []uint16)", "widens IEEE half-precision numbers.")
	e.emit(loop{slices: []string{"dst", "src"}, unroll: 4, step: func(v *vector) {
		r, m := e.vec(), v.at("src", 2)
		switch {
		case v.part && e.wide():
			e.VCVTPH2PS_Z(m, e.kmask, r)
		case v.part:
			e.VCVTPH2PS(e.stageIn(m, 2), r)
		default:
			e.VCVTPH2PS(m, r)
		}
		v.write("dst", r)
	}})
	e = x.function(f, "f32ToF16", "func(dst []uint16, src []float32)", "rounds to IEEE half precision, ties to even.")
	e.emit(loop{slices: []string{"dst", "src"}, unroll: 4, step: func(v *vector) {
		const nearest = 0
		r, m := v.read("src"), v.at("dst", 2)
		switch {
		case v.part && e.wide():
			e.VCVTPS2PH(operand.Imm(nearest), r, e.kmask, m)
		case v.part:
			e.VCVTPS2PH(operand.Imm(nearest), r, e.staged())
			e.stageOut(m, 2)
		default:
			e.VCVTPS2PH(operand.Imm(nearest), r, m)
		}
	}})
}
