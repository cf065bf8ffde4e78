package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// noise is what rounding at random needs: Philox of package backend, its state of four words each in the
// lower halves of lanes of 64 bits.
type noise struct {
	table    reg.GPVirtual    // simd.adamWNoise
	counters []reg.VecVirtual // with AVX2 two vectors for the eight blocks of a turn
	m0, m1   operand.Op
	odd      reg.Register
}

// Where simd.adamWNoise has its fields.
const (
	noiseStep    = 64 * 20
	noiseCounter = noiseStep + 64
	noiseAll     = noiseCounter + 64
)

func (s *sweep) prepareNoise() {
	n := &s.noise
	n.table = s.pointerAt(adamWTables)
	n.m0, n.m1 = s.bits("philox0", 0xD2511F53), s.bits("philox1", 0xCD9E8D57)
	n.counters = s.vecs(16 / s.lanes)
	for i, c := range n.counters {
		s.VMOVUPS(operand.Mem{Base: n.table, Disp: noiseCounter + 4*s.lanes*i}, c)
	}
	if s.wide() {
		mask, k := s.GP32(), s.K()
		s.MOVL(operand.U32(0xAAAA), mask)
		s.KMOVW(mask, k)
		n.odd = k
	}
}

// random gives the words of backend.AdamWNoise for two vectors, and moves the counters on to the next turn.
func (s *sweep) random(batch int) (words [2]reg.VecVirtual) {
	n := &s.noise
	row := func(disp int) operand.Mem { return operand.Mem{Base: n.table, Disp: disp} }
	c := s.vecs(4)
	s.VMOVUPS(n.counters[batch], c[0])
	s.VMOVUPS(row(noiseStep), c[1])
	s.zero(c[2])
	s.zero(c[3])
	s.VPADDQ(row(noiseAll), n.counters[batch], n.counters[batch])
	for round := range 10 {
		a, b, upperA, upperB := s.vec(), s.vec(), s.vec(), s.vec()
		s.VPMULUDQ(n.m0, c[0], a)
		s.VPMULUDQ(n.m1, c[2], b)
		s.VPSRLQ(operand.Imm(32), a, upperA)
		s.VPSRLQ(operand.Imm(32), b, upperB)
		s.xor3(row(128*round), c[1], upperB)
		s.xor3(row(128*round+64), c[3], upperA)
		c = []reg.VecVirtual{upperB, b, upperA, a}
	}
	for i := range words {
		even, odd := c[2*i], c[2*i+1]
		s.VPSLLQ(operand.Imm(32), odd, odd)
		if s.wide() {
			s.VMOVDQA32(odd, n.odd, even)
		} else {
			s.VPBLENDD(operand.Imm(0b10101010), odd, even, even)
		}
		words[i] = even
	}
	return words
}

// xor3 sets z = x ^ y ^ z.
func (s *sweep) xor3(x operand.Mem, y, z reg.VecVirtual) {
	if s.wide() {
		s.VPTERNLOGQ(operand.Imm(0b10010110), x, y, z)
		return
	}
	s.VPXOR(x, z, z)
	s.VPXOR(y, z, z)
}

// writeRandomly stores moments as backend.StochasticBF16.
func (s *sweep) writeRandomly(m, v, noise reg.VecVirtual, disp int) {
	r := s.vec()
	s.replaceNaN(m)
	s.and(s.low, noise, r)
	s.VPADDD(m, r, r)
	s.VPSRLD(operand.Imm(16), r, r)
	s.narrow(r, s.at(s.m, 2, disp))
	s.replaceNaN(v)
	s.VPSRLD(operand.Imm(16), noise, noise)
	s.VPADDD(v, noise, noise)
	s.VPSRLD(operand.Imm(16), noise, noise)
	s.narrow(noise, s.at(s.v, 2, disp))
}

// blocks is what 8-bit moments need: see backend.DynamicMap. A block is read and updated first, its new
// moments kept in scratch and their extremes in registers, and then encoded.
type blocks struct {
	maps, scratch    reg.GPVirtual // simd.dynamicMaps, simd.adamWArgs.scratch
	mScale, vScale   reg.GPVirtual
	scales, extremes [2]reg.VecVirtual // of the first moment and the second
	one, two, four   operand.Op
}

const quantBlock = 256

const (
	signedMap = iota
	unsignedMap
)

// The rows of simd.dynamicMaps.
const (
	mapBias = iota
	mapSlope
	mapShift
	mapMiddle
	mapOuter
	mapInner
	mapRise
	mapBase
	mapLast
	mapRows
)

// mapRow is a row of one of the maps.
func (s *sweep) mapRow(which, row int) operand.Mem {
	return operand.Mem{Base: s.blocks.maps, Disp: 64 * (mapRows*which + row)}
}

func (s *sweep) emitBlocks(rest reg.GPVirtual) {
	b := &s.blocks
	b.maps, b.scratch, b.mScale, b.vScale = s.pointerAt(adamWTables), s.pointerAt(adamWScratch), s.pointerAt(adamWMScale), s.pointerAt(adamWVScale)
	b.one, b.two, b.four = s.bits("one", 1), s.bits("two", 2), s.bits("four", 4)
	scales := [2]reg.GPVirtual{b.mScale, b.vScale}
	s.Label("block")
	for i := range b.scales {
		b.scales[i], b.extremes[i] = s.vec(), s.vec()
		s.VBROADCASTSS(operand.Mem{Base: scales[i]}, b.scales[i])
		s.zero(b.extremes[i])
	}
	s.XORQ(s.index, s.index)
	s.Label("turn")
	s.turn()
	s.CMPQ(s.index, operand.U32(quantBlock))
	s.JNE(operand.LabelRef("turn"))

	var inverse [2]reg.VecVirtual
	for i := range inverse {
		inverse[i] = s.scaleOf(i, scales[i])
	}
	s.XORQ(s.index, s.index)
	s.Label("encode")
	for disp := 0; disp < adamWTurn; disp += s.lanes {
		s.encode(signedMap, inverse[0], s.at(s.m, 1, disp), disp)
		s.encode(unsignedMap, inverse[1], s.at(s.v, 1, disp), disp)
	}
	s.ADDQ(operand.Imm(adamWTurn), s.index)
	s.CMPQ(s.index, operand.U32(quantBlock))
	s.JNE(operand.LabelRef("encode"))

	gradSize := 4
	if s.grads16 {
		gradSize = 2
	}
	s.ADDQ(operand.U32(quantBlock), s.m)
	s.ADDQ(operand.U32(quantBlock), s.v)
	s.ADDQ(operand.U32(uint32(gradSize*quantBlock)), s.grad)
	if s.weights != splitWeights {
		s.ADDQ(operand.U32(4*quantBlock), s.master)
	}
	if s.weights != masterWeights {
		s.ADDQ(operand.U32(2*quantBlock), s.param)
	}
	if s.weights == splitWeights {
		s.ADDQ(operand.U32(2*quantBlock), s.remainder)
	}
	s.ADDQ(operand.Imm(4), b.mScale)
	s.ADDQ(operand.Imm(4), b.vScale)
	s.SUBQ(operand.U32(quantBlock), rest)
	s.JNZ(operand.LabelRef("block"))
	s.end()
}

// number reads codes as numbers times the block's scale.
func (s *sweep) number(which int, from operand.Mem) reg.VecVirtual {
	code, f, e, slope, shift := s.vec(), s.vec(), s.vec(), s.vec(), s.vec()
	if which == signedMap {
		s.VPMOVSXBD(from, code)
		s.VPABSD(code, f)
		s.VCVTDQ2PS(f, f)
	} else {
		s.VPMOVZXBD(from, f)
		s.VCVTDQ2PS(f, f)
	}
	s.VADDPS(s.mapRow(which, mapBias), f, f)
	s.VPSRLD(operand.Imm(23), f, e)
	s.VPERMPS(s.mapRow(which, mapSlope), e, slope)
	s.VPERMPS(s.mapRow(which, mapShift), e, shift)
	s.VMULPS(slope, f, f)
	s.VSUBPS(shift, f, f)
	if which == signedMap {
		s.orSign(code, f)
	}
	s.VMULPS(s.blocks.scales[which], f, f)
	return f
}

// scratch is the place of a new moment until its block is complete.
func (s *sweep) scratch(which, disp int) operand.Mem {
	m := s.at(s.blocks.scratch, 4, disp)
	m.Disp += 4 * quantBlock * which
	return m
}

// keep puts new moments into scratch. The extreme first moment is sought by its bits with the sign in the
// lowest, where it does not count but for equals.
func (s *sweep) keep(m, v reg.VecVirtual, disp int) {
	b := &s.blocks
	s.VMOVUPS(m, s.scratch(signedMap, disp))
	s.VMOVUPS(v, s.scratch(unsignedMap, disp))
	s.VPMAXUD(v, b.extremes[unsignedMap], b.extremes[unsignedMap])
	key := s.vec()
	if s.wide() {
		s.VPROLD(operand.Imm(1), m, key)
	} else {
		t := s.vec()
		s.VPSRLD(operand.Imm(31), m, t)
		s.VPADDD(m, m, key)
		s.VPOR(t, key, key)
	}
	s.VPMAXUD(key, b.extremes[signedMap], b.extremes[signedMap])
}

// scaleOf stores the new scale of a block and gives its inverse, or 0, in every lane: see
// backend.QuantizeSigned.
func (s *sweep) scaleOf(which int, to reg.GPVirtual) reg.VecVirtual {
	x := s.foldLanes(s.blocks.extremes[which], s.VPMAXUD)
	bits, magnitude, inverse, zero := s.GP32(), s.GP32(), s.GP32(), s.GP32()
	s.VMOVD(x, bits)
	if which == signedMap {
		s.RORL(operand.Imm(1), bits)
		s.XORL(operand.U32(1<<31), bits)
	}
	s.MOVL(bits, operand.Mem{Base: to})
	scale, quotient := s.XMM(), s.XMM()
	s.VMOVD(bits, scale)
	s.MOVL(operand.U32(0x3f800000), inverse)
	s.VMOVD(inverse, quotient)
	s.VDIVSS(scale, quotient, quotient)
	s.VMOVD(quotient, inverse)
	s.MOVL(bits, magnitude)
	s.ANDL(operand.U32(0x7fffffff), magnitude)
	s.XORL(zero, zero)
	s.CMPL(magnitude, operand.U32(0x00800000)) // 2⁻¹²⁶
	s.CMOVLCS(zero, inverse)
	s.VMOVD(inverse, quotient)
	r := s.vec()
	s.VPBROADCASTD(quotient, r)
	return r
}

const atLeast = 13 // predicate of VCMPPS

// encode stores the codes of moments in scratch: see backend.DynamicMap.
func (s *sweep) encode(which int, inverse reg.VecVirtual, to operand.Mem, disp int) {
	x := s.vec()
	s.VMULPS(s.scratch(which, disp), inverse, x)
	y := x
	if which == signedMap {
		y = s.vec()
		s.and(s.magnitude, x, y)
	}
	decade := s.decade(which, y)
	code, base, last := s.vec(), s.vec(), s.vec()
	s.VPERMPS(s.mapRow(which, mapRise), decade, code)
	s.VPERMPS(s.mapRow(which, mapBase), decade, base)
	s.VPERMPS(s.mapRow(which, mapLast), decade, last)
	s.VMULPS(y, code, code)
	s.VADDPS(base, code, code)
	s.VMINPS(last, code, code)
	if which == signedMap {
		s.orSign(x, code)
	}
	s.VCVTTPS2DQ(code, code)
	if s.wide() {
		s.VPMOVDB(code, to)
		return
	}
	upper := s.XMM()
	s.VEXTRACTI128(operand.Imm(1), code, upper)
	s.VPACKSSDW(upper, code.AsX(), upper)
	if which == signedMap {
		s.VPACKSSWB(upper, upper, upper)
	} else {
		s.VPACKUSWB(upper, upper, upper)
	}
	s.VMOVQ(upper, to)
}

// decade counts the thresholds that y reaches, by halving.
func (s *sweep) decade(which int, y reg.VecVirtual) reg.VecVirtual {
	b := &s.blocks
	d, t := s.vec(), s.vec()
	if s.wide() {
		k := s.K()
		s.VCMPPS(operand.Imm(atLeast), s.mapRow(which, mapMiddle), y, k)
		s.VMOVDQA32_Z(b.four, k, d)
		s.VPERMPS(s.mapRow(which, mapOuter), d, t)
		s.VCMPPS(operand.Imm(atLeast), t, y, k)
		s.VPADDD(b.two, d, k, d)
		s.VPERMPS(s.mapRow(which, mapInner), d, t)
		s.VCMPPS(operand.Imm(atLeast), t, y, k)
		s.VPADDD(b.one, d, k, d)
		return d
	}
	s.VCMPPS(operand.Imm(atLeast), s.mapRow(which, mapMiddle), y, d)
	s.VPAND(b.four, d, d)
	s.VPERMPS(s.mapRow(which, mapOuter), d, t)
	s.VCMPPS(operand.Imm(atLeast), t, y, t)
	s.VPAND(b.two, t, t)
	s.VPADDD(t, d, d)
	s.VPERMPS(s.mapRow(which, mapInner), d, t)
	s.VCMPPS(operand.Imm(atLeast), t, y, t)
	s.VPSUBD(t, d, d)
	return d
}
