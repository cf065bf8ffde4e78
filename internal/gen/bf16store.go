package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// tileStores writes what brings a finished tile of sums to a matrix of F32 or BF16, in 32 columns at a time.
func tileStores(f *file) {
	for _, how := range []string{"store", "add", "stream"} {
		storeTile(f, false, how)
		storeTile(f, true, how)
	}
}

func storeTile(f *file, bf16 bool, name string) {
	verb, element, pointer, size := "copies", "F32", "*float32", 4
	add, stream := name == "add", name == "stream"
	if add {
		verb = "adds"
	}
	if bf16 {
		element, pointer, size = "BF16", "*uint16", 2
	}
	note := ""
	if bf16 {
		note = "\nThey are rounded to even; denormal results become zero."
	}
	if stream {
		note += "\nElements go to memory past the caches: rows begin at multiples of 64 bytes."
	}
	e := avx512.function(f, name+"Tile"+element, "func(dst "+pointer+", drs int, src *float32, srs, rows, cols int)",
		verb+" rows×cols sums of F32 to elements of "+element+". Rows are drs and srs bytes apart."+note)
	dst, drs := e.pointer("dst", false), e.integer("drs")
	src, srs := e.pointer("src", false), e.integer("srs")
	rows, cols := e.integer("rows"), e.integer("cols")

	// The bytes of VCVTNE2PS2BF16 name the vectors, so no vector is left to register allocation.
	low, high, both, old := reg.Z0, reg.Z1, reg.Z2, reg.Z3
	bits := e.GP64()
	rest := e.GP64()
	e.MOVQ(cols, rest)
	e.ANDQ(operand.Imm(31), rest)
	e.MOVQ(operand.I32(-1), bits)
	e.BZHIQ(rest, bits, bits)
	words, lowMask, highMask := e.K(), e.K(), e.K()
	e.KMOVD(bits.As32(), words)
	e.KMOVW(bits.As32(), lowMask)
	e.SHRQ(operand.Imm(16), bits)
	e.KMOVW(bits.As32(), highMask)

	d, s, left := e.GP64(), e.GP64(), e.GP64()
	half := func(v reg.VecPhysical, i int, mask reg.Register, part bool) {
		from, to := operand.Mem{Base: s, Disp: 64 * i}, operand.Mem{Base: d, Disp: 16 * size * i}
		if part {
			e.VMOVUPS_Z(from, mask, v)
		} else {
			e.VMOVUPS(from, v)
		}
		switch {
		case add && bf16:
			if part {
				e.VPMOVZXWD_Z(to, mask, old)
			} else {
				e.VPMOVZXWD(to, old)
			}
			e.VPSLLD(operand.Imm(16), old, old)
			e.VADDPS(old, v, v)
		case add && part:
			e.VADDPS_Z(to, v, mask, v)
		case add:
			e.VADDPS(to, v, v)
		}
		switch {
		case bf16:
		case part:
			e.VMOVUPS(v, mask, to)
		case stream:
			e.VMOVNTPS(v, to)
		default:
			e.VMOVUPS(v, to)
		}
	}
	chunk := func(part bool) {
		half(low, 0, lowMask, part)
		half(high, 1, highMask, part)
		if !bf16 {
			return
		}
		f.vcvtne2ps2bf16(low, high, both)
		if part {
			e.VMOVDQU16(both, words, operand.Mem{Base: d})
		} else if stream {
			e.VMOVNTDQ(both, operand.Mem{Base: d})
		} else {
			e.VMOVDQU16(both, operand.Mem{Base: d})
		}
	}
	e.Label("row")
	e.MOVQ(dst, d)
	e.MOVQ(src, s)
	e.MOVQ(cols, left)
	e.SUBQ(operand.Imm(32), left)
	e.JL(operand.LabelRef("rest"))
	e.Label("chunk")
	chunk(false)
	e.ADDQ(operand.U32(uint32(32*size)), d)
	e.ADDQ(operand.U32(128), s)
	e.SUBQ(operand.Imm(32), left)
	e.JGE(operand.LabelRef("chunk"))
	e.Label("rest")
	e.TESTQ(rest, rest)
	e.JZ(operand.LabelRef("next"))
	chunk(true)
	e.Label("next")
	e.ADDQ(drs, dst)
	e.ADDQ(srs, src)
	e.DECQ(rows)
	e.JNZ(operand.LabelRef("row"))
	if stream {
		e.SFENCE()
	}
	e.end()
}
