package main

import "github.com/mmcloughlin/avo/operand"

// bfloat16 writes the casts. AVX2 has no masks for 16-bit elements: there they leave out what does not
// fill a vector.
func (x isa) bfloat16(f *file) {
	note := ""
	if !x.wide() {
		note = "\nIt leaves out what does not fill a vector."
	}
	e := x.function(f, "bf16ToF32", "func(dst []float32, src []uint16)", "widens bfloat16 numbers."+note)
	e.emit(loop{slices: []string{"dst", "src"}, unroll: 4, whole: !x.wide(), step: func(v *vector) {
		r := e.vec()
		if v.part {
			e.VPMOVZXWD_Z(v.at("src", 2), e.kmask, r)
		} else {
			e.VPMOVZXWD(v.at("src", 2), r)
		}
		e.VPSLLD(operand.Imm(16), r, r)
		v.write("dst", r)
	}})

	e = x.function(f, "f32ToBF16", "func(dst []uint16, src []float32)", "rounds to bfloat16, ties to even; a NaN stays a quiet NaN."+note)
	one, half, quiet := e.bits("lowestBit", 1), e.bits("almostHalf", 0x7fff), e.bits("quietBit", 0x40)
	e.emit(loop{slices: []string{"dst", "src"}, unroll: 2, whole: !x.wide(), step: func(v *vector) {
		r := v.read("src")
		nan, odd := e.vec(), e.vec()
		e.VPSRLD(operand.Imm(16), r, nan) // cut off, for NaNs, and
		if x.wide() {
			k := e.K()
			e.VCMPPS(operand.Imm(unordered), r, r, k)
			e.VPANDD(one, nan, odd) // rounded, for numbers
			e.VPADDD(odd, r, r)
			e.VPADDD(half, r, r)
			e.VPSRLD(operand.Imm(16), r, r)
			e.VPORD(quiet, nan, k, r)
			if v.part {
				e.VPMOVDW(r, e.kmask, v.at("dst", 2))
			} else {
				e.VPMOVDW(r, v.at("dst", 2))
			}
			return
		}
		is := e.vec()
		e.VCMPPS(operand.Imm(unordered), r, r, is)
		e.VPAND(one, nan, odd)
		e.VPADDD(odd, r, r)
		e.VPADDD(half, r, r)
		e.VPSRLD(operand.Imm(16), r, r)
		e.VPOR(quiet, nan, nan)
		e.VBLENDVPS(is, nan, r, r)
		e.VEXTRACTI128(operand.Imm(1), r, odd.AsX())
		e.VPACKUSDW(odd.AsX(), r.AsX(), r.AsX())
		e.VMOVDQU(r.AsX(), v.at("dst", 2))
	}})
}
