package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Instructions that neither avo nor Go's assembler knows are written as bytes. Register allocation does
// not see what they use, so their functions name physical registers throughout. The encodings are those of
// the Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, sections 2.3 (VEX), 2.7
// (EVEX) and the instructions' own pages.

// code writes an instruction as bytes, behind a comment that says what it is.
func (f *file) code(text string, bytes ...byte) {
	f.Comment(text)
	for _, b := range bytes {
		f.Instruction(&ir.Instruction{Opcode: "BYTE", Operands: []operand.Op{operand.U8(b)}})
	}
}

// Values of the field pp of a prefix: the legacy prefix that it stands for.
const (
	prefixNone = iota
	prefix66
	prefixF3
	prefixF2
)

// number is the register's number in an encoding.
func number(r reg.Physical) byte { return byte(r.PhysicalIndex()) }

// inverted is bit n of v, inverted, as prefixes have it.
func inverted(v byte, n int) byte { return ^v >> n & 1 }

// vex is the prefix and opcode of an instruction of the map 0F38 with 128 bits and W0. r, x and b are the
// registers that ModRM.reg, SIB.index and ModRM.rm or SIB.base extend, v the one in vvvv.
func vex(pp, opcode, r, x, b, v byte) []byte {
	return []byte{
		0xc4,
		inverted(r, 3)<<7 | inverted(x, 3)<<6 | inverted(b, 3)<<5 | 0b00010,
		^v&0xf<<3 | pp,
		opcode,
	}
}

// evex is the prefix and opcode of an instruction of the map 0F38 with 512 bits and W0, without a mask. b
// and x are the base and index of a memory operand; of a register operand, x is the register divided by 2.
func evex(pp, opcode, r, x, b, v byte, broadcast bool) []byte {
	const length512 = 0b10 << 5
	last := length512 | inverted(v, 4)<<3
	if broadcast {
		last |= 1 << 4
	}
	return []byte{
		0x62,
		inverted(r, 3)<<7 | inverted(x, 3)<<6 | inverted(b, 3)<<5 | inverted(r, 4)<<4 | 0b010,
		^v&0xf<<3 | 0b100 | pp,
		last,
		opcode,
	}
}

// An address is base + index·scale + displacement. Without a scale there is no index.
type address struct {
	base, index reg.Physical
	scale       byte
	disp        int32
}

func (a address) String() string {
	return operand.Mem{Base: a.base, Index: a.index, Scale: a.scale, Disp: int(a.disp)}.Asm()
}

func (a address) indexNumber() byte {
	if a.scale == 0 {
		return 0
	}
	return number(a.index)
}

// bytes are ModRM, SIB and a displacement of 32 bits, which no vector length scales.
func (a address) bytes(register byte) []byte {
	const (
		disp32  = 0b10 << 6
		withSIB = 0b100
		noIndex = 0b100
	)
	sib := byte(noIndex << 3)
	switch a.scale {
	case 1, 2, 4, 8:
		log := map[byte]byte{1: 0, 2: 1, 4: 2, 8: 3}[a.scale]
		sib = log<<6 | number(a.index)&7<<3
	}
	d := uint32(a.disp)
	return []byte{disp32 | register&7<<3 | withSIB, sib | number(a.base)&7, byte(d), byte(d >> 8), byte(d >> 16), byte(d >> 24)}
}

const registerOperand = 0b11 << 6

// vdpbf16ps adds to every lane of the accumulator the products of two pairs of bfloat16: those of the
// lane of pairs and those at m, the same for every lane.
func (f *file) vdpbf16ps(m address, pairs, accumulator reg.Physical) {
	acc := number(accumulator)
	f.code(fmt.Sprintf("VDPBF16PS.BCST %v, %s, %s", m, pairs.Asm(), accumulator.Asm()),
		append(evex(prefixF3, 0x52, acc, m.indexNumber(), number(m.base), number(pairs), true), m.bytes(acc)...)...)
}

// vcvtne2ps2bf16 rounds 32 numbers of F32, those of low before those of high.
func (f *file) vcvtne2ps2bf16(low, high, dst reg.Physical) {
	d, l := number(dst), number(low)
	f.code(fmt.Sprintf("VCVTNE2PS2BF16 %s, %s, %s", low.Asm(), high.Asm(), dst.Asm()),
		append(evex(prefixF2, 0x72, d, l>>1, l, number(high), false), registerOperand|d&7<<3|l&7)...)
}

// vcvtneps2bf16 rounds the 16 numbers of F32 in register to the lower half of it. Those below 2⁻¹²⁶
// become zero.
func (f *file) vcvtneps2bf16(register reg.VecPhysical) {
	r := number(register)
	f.code(fmt.Sprintf("VCVTNEPS2BF16 %s, %s", register.Asm(), register.AsY().Asm()),
		append(evex(prefixF3, 0x72, r, r>>1, r, 0, false), registerOperand|r&7<<3|r&7)...)
}
