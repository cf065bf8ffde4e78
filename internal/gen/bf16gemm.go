package main

import (
	"fmt"
	"strings"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// bfloat16Products writes the copies that bring matrices of bfloat16 into the order of AMX's tiles, which
// VDPBF16PS can use as well, and the product with VDPBF16PS.
func bfloat16Products(f *file) {
	avx512.rowsToTiles(f)
	avx512.rowsToPairs(f)
	avx512.columnsToTiles(f)
	avx512.columnsToPairs(f)
	pairGrid(f)
	tileStores(f)
}

// A panel holds 32 lanes, rows of a or columns of b, and 32 elements of k a step. A step has two tiles of 16
// lanes and of 1024 bytes. In a tile of a, a row of 64 bytes is a lane. In one of b, a row holds a pair of
// successive elements of every lane.
const (
	panelLanes = 32
	tileLanes  = 16
	tileBytes  = 1024
	stepBytes  = 2 * tileBytes
)

// copied are the same rows, to be advanced by themselves.
func (r rows) copied() rows {
	base := r.base
	r.base = r.GP64()
	r.MOVQ(base, r.base)
	return r
}

// ahead are the rows that lie as many rows further on as a panel has lanes or a step of it has elements: they
// come next.
func (r rows) ahead() rows {
	base := r.base
	r.base = r.GP64()
	r.MOVQ(r.stride, r.base)
	r.SHLQ(operand.Imm(5), r.base)
	r.ADDQ(base, r.base)
	return r
}

// rowsToTiles packs a where its rows lie in one piece.
func (x isa) rowsToTiles(f *file) {
	e := x.function(f, "packRowsToTiles", "func(dst, src *uint16, stride, steps int)",
		"copies 32 lanes of 32·steps elements, stride bytes apart, to a panel of tiles\nwhose rows are lanes.")
	dst, src := e.pointer("dst", false), e.rows("src", "stride")
	steps := e.integer("steps")
	e.Label("step")
	four, ahead := src.copied(), src.ahead()
	v := e.vecs(4)
	for i := 0; i < panelLanes; i += 4 {
		for l := range v {
			e.VMOVUPS(four.row(l, 0), v[l])
			e.PREFETCHT1(ahead.row(l, 0))
		}
		for l := range v {
			e.VMOVUPS(v[l], operand.Mem{Base: dst, Disp: (i + l) * 64})
		}
		if i+4 < panelLanes {
			four.advance(4)
			ahead.advance(4)
		}
	}
	e.ADDQ(operand.Imm(64), src.base)
	e.ADDQ(operand.U32(stepBytes), dst)
	e.DECQ(steps)
	e.JNZ(operand.LabelRef("step"))
	e.end()
}

// rowsToPairs packs b where its columns lie in one piece: it transposes squares of 16×16 pairs. Each
// quarter of a vector takes four pairs of a lane straight from memory, so that only the shuffles within
// quarters are left for the one port that shuffles.
func (x isa) rowsToPairs(f *file) {
	e := x.function(f, "packRowsToPairs", "func(dst, src *uint16, stride, steps int)",
		"copies 32 lanes of 32·steps elements, stride bytes apart, to a panel of tiles\nwhose rows are pairs of every lane.")
	dst, src := e.pointer("dst", false), e.rows("src", "stride")
	steps := e.integer("steps")
	e.Label("step")
	next, ahead := src, src.ahead()
	for t := range 2 {
		var group [4]rows // of four lanes
		for i := range group {
			group[i], next = next, next.next()
		}
		for quarter := range 4 { // of the row of a lane
			for l := range 4 {
				e.PREFETCHT1(ahead.row(l, 0))
			}
			ahead.advance(4)
			v := e.vecs(4)
			for l := range v {
				for i := range 4 {
					m := group[i].row(l, 16*quarter)
					if i == 0 {
						e.VBROADCASTF32X4(m, v[l])
					} else {
						e.VINSERTF32X4(operand.Imm(uint64(i)), m, v[l], v[l])
					}
				}
			}
			for i, r := range e.transposeQuarters(v) {
				e.VMOVUPS(r, operand.Mem{Base: dst, Disp: t*tileBytes + (4*quarter+i)*64})
			}
		}
	}
	e.ADDQ(operand.Imm(64), src.base)
	e.ADDQ(operand.U32(stepBytes), dst)
	e.DECQ(steps)
	e.JNZ(operand.LabelRef("step"))
	e.end()
}

// transposeQuarters transposes, in each quarter of four vectors, the square of 4×4 elements. It destroys v.
func (e *emitter) transposeQuarters(v []reg.VecVirtual) []reg.VecVirtual {
	t := e.vecs(4)
	for i := 0; i < 4; i += 2 {
		e.VUNPCKLPS(v[i+1], v[i], t[i])
		e.VUNPCKHPS(v[i+1], v[i], t[i+1])
	}
	e.VUNPCKLPD(t[2], t[0], v[0])
	e.VUNPCKHPD(t[2], t[0], v[1])
	e.VUNPCKLPD(t[3], t[1], v[2])
	e.VUNPCKHPD(t[3], t[1], v[3])
	return v
}

// columnsToPairs packs b where its rows lie in one piece: it interleaves two of them.
func (x isa) columnsToPairs(f *file) {
	e := x.function(f, "packColumnsToPairs", "func(dst *uint16, panel int, src *uint16, stride, panels int)",
		"copies 32 rows, stride bytes apart, of 32·panels lanes to a step of as many\npanels, panel bytes apart, of tiles whose rows are pairs of every lane.")
	dst, panel := e.pointer("dst", false), e.integer("panel")
	src, panels := e.rows("src", "stride"), e.integer("panels")
	var words [2][16]uint32 // places of the lanes of a tile: in the first row, then in the second, which count from 32
	for t := range words {
		for l := range uint32(tileLanes) {
			lane := uint32(t)*tileLanes + l
			words[t][l] = lane | (lane+32)<<16
		}
	}
	low, high := e.vec(), e.vec()
	e.VMOVUPS(e.table("lowPairs", words[0][:]), low)
	e.VMOVUPS(e.table("highPairs", words[1][:]), high)
	e.Label("panel")
	four, ahead := src.copied(), src.ahead()
	for pair := 0; pair < 16; pair += 2 {
		for i := range 2 {
			first, second, mixed := e.vec(), e.vec(), e.vec()
			e.VMOVUPS(four.row(2*i, 0), first)
			e.VMOVUPS(four.row(2*i+1, 0), second)
			e.PREFETCHT1(ahead.row(2*i, 0))
			e.PREFETCHT1(ahead.row(2*i+1, 0))
			e.VMOVAPS(low, mixed)
			e.VPERMI2W(second, first, mixed)
			e.VMOVUPS(mixed, operand.Mem{Base: dst, Disp: (pair + i) * 64})
			e.VPERMT2W(second, high, first)
			e.VMOVUPS(first, operand.Mem{Base: dst, Disp: tileBytes + (pair+i)*64})
		}
		if pair+2 < 16 {
			four.advance(4)
			ahead.advance(4)
		}
	}
	e.ADDQ(operand.Imm(64), src.base)
	e.ADDQ(panel, dst)
	e.DECQ(panels)
	e.JNZ(operand.LabelRef("panel"))
	e.end()
}

// columnsToTiles packs a where its columns lie in one piece. Of a pair of columns it makes a vector of the
// pairs of the even lanes and one of the odd lanes, which takes no shuffle, and transposes sixteen of either:
// their places in the tile undo the division.
func (x isa) columnsToTiles(f *file) {
	e := x.function(f, "packColumnsToTiles", "func(dst *uint16, panel int, src *uint16, stride, panels int)",
		"copies 32 columns, stride bytes apart, of 32·panels lanes to a step of as many\npanels, panel bytes apart, of tiles whose rows are lanes.")
	dst, panel := e.pointer("dst", false), e.integer("panel")
	src, panels := e.rows("src", "stride"), e.integer("panels")
	even, odd, bits := e.K(), e.K(), e.GP32()
	e.MOVL(operand.U32(0x55555555), bits)
	e.KMOVD(bits, even)
	e.MOVL(operand.U32(0xaaaaaaaa), bits)
	e.KMOVD(bits, odd)
	e.Label("panel")
	for parity := range 2 {
		four, ahead := src.copied(), src.ahead()
		v := e.vecs(16)
		for pair := range v {
			first, second := four.row(pair%2*2, 0), four.row(pair%2*2+1, 0)
			e.PREFETCHT1(ahead.row(pair%2*2+parity, 0))
			if parity == 0 {
				e.VPSLLD(operand.Imm(16), second, v[pair])
				e.VMOVDQU16(first, even, v[pair])
			} else {
				e.VPSRLD(operand.Imm(16), first, v[pair])
				e.VMOVDQU16(second, odd, v[pair])
			}
			if pair%2 == 1 && pair < 15 {
				four.advance(4)
				ahead.advance(4)
			}
		}
		for i, r := range e.transpose(v) {
			lane := 2*i + parity
			e.VMOVUPS(r, operand.Mem{Base: dst, Disp: lane * 64})
		}
	}
	e.ADDQ(operand.Imm(64), src.base)
	e.ADDQ(panel, dst)
	e.DECQ(panels)
	e.JNZ(operand.LabelRef("panel"))
	e.end()
}

// vectors are the registers Z0 to Z31.
var vectors = [32]reg.VecPhysical{
	reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7,
	reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
	reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23,
	reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
}

// pairGrid writes the product of packed panels with VDPBF16PS. Eight rows by two vectors of c stay in
// registers over all steps: more sums than the instruction has latency to hide on any processor (six cycles,
// two a cycle), and ten loads for sixteen products.
func pairGrid(f *file) {
	f.Function("multiplyGridAVX512BF16")
	f.Attributes(build.NOSPLIT)
	f.SignatureExpr(gridSignature)
	f.Pragma("noescape")
	f.Doc(strings.Split("multiplyGridAVX512BF16 "+gridDoc, "\n")...)

	const height = 8
	var (
		group, step  = reg.RBX, reg.RCX // of eight rows, counted from the top; steps left
		in, out, row = reg.RDX, reg.R12, reg.R13
		a, aRow      = reg.RSI, reg.R8
		aRow3, a4    = reg.R10, reg.R11 // 3·aRow, and the address of the fifth row
		b, spare     = reg.RDI, reg.RAX
	)
	param := f.paramAddress
	element := func(i, pair int) address {
		m := address{base: a, disp: int32(4 * pair)}
		if i >= 4 {
			m.base = a4
		}
		switch i % 4 {
		case 1, 2:
			m.index, m.scale = aRow, byte(i%4)
		case 3:
			m.index, m.scale = aRow3, 1
		}
		return m
	}
	block := func(across int) {
		name := fmt.Sprint(across)
		sum := func(i, j int) reg.VecPhysical { return vectors[i*across+j] }
		pairs := vectors[height*across:][:across]
		eachVector := func(base reg.GPPhysical, stride string, do func(v reg.VecPhysical, m operand.Mem)) {
			f.MOVQ(param(stride), row)
			f.MOVQ(base, spare)
			for i := range height {
				for j := range across {
					do(sum(i, j), operand.Mem{Base: spare, Disp: 64 * j})
				}
				if i < height-1 {
					f.ADDQ(row, spare)
				}
			}
		}
		f.TESTQ(in, in)
		f.JZ(operand.LabelRef("zero" + name))
		eachVector(in, "inRow", func(v reg.VecPhysical, m operand.Mem) { f.VMOVUPS(m, v) })
		f.JMP(operand.LabelRef("step" + name))
		f.Label("zero" + name)
		for _, v := range vectors[:height*across] {
			f.VPXORD(v, v, v)
		}
		f.Label("step" + name)
		for pair := range 16 {
			for j, v := range pairs {
				f.VMOVUPS(operand.Mem{Base: b, Disp: j*tileBytes + 64*pair}, v)
			}
			for i := range height {
				for j, v := range pairs {
					f.vdpbf16ps(element(i, pair), v, sum(i, j))
				}
			}
		}
		f.ADDQ(param("aStep"), a)
		f.ADDQ(param("aStep"), a4)
		f.ADDQ(operand.U32(stepBytes), b)
		f.DECQ(step)
		f.JNZ(operand.LabelRef("step" + name))
		eachVector(out, "outRow", func(v reg.VecPhysical, m operand.Mem) { f.VMOVUPS(v, m) })
	}

	f.MOVQ(param("aRow"), aRow)
	f.LEAQ(operand.Mem{Base: aRow, Index: aRow, Scale: 2}, aRow3)
	f.SHLQ(operand.Imm(1), param("rows"))
	panel := f.AllocLocal(8) // of a
	f.Label("column")
	f.XORQ(group, group)
	f.MOVQ(param("in"), in)
	f.MOVQ(param("out"), out)
	f.MOVQ(param("a"), spare)
	f.MOVQ(spare, panel)

	// Four groups are a panel: the upper and the lower halves of its tiles.
	f.Label("group")
	f.MOVQ(panel, a)
	f.BTQ(operand.Imm(0), group)
	f.JCC(operand.LabelRef("upper"))
	f.LEAQ(operand.Mem{Base: a, Index: aRow, Scale: height}, a)
	f.Label("upper")
	f.BTQ(operand.Imm(1), group)
	f.JCC(operand.LabelRef("first"))
	f.ADDQ(param("aTile"), a)
	f.Label("first")
	f.LEAQ(operand.Mem{Base: a, Index: aRow, Scale: 4}, a4)
	f.MOVQ(param("b"), b)
	f.MOVQ(param("steps"), step)
	f.CMPQ(param("cols"), operand.Imm(1))
	f.JE(operand.LabelRef("narrow"))
	block(2)
	f.JMP(operand.LabelRef("next"))
	f.Label("narrow")
	block(1)

	f.Label("next")
	f.INCQ(group)
	f.CMPQ(group, param("rows"))
	f.JE(operand.LabelRef("bottom"))
	f.MOVQ(param("outRow"), spare)
	f.LEAQ(operand.Mem{Base: out, Index: spare, Scale: height}, out)
	f.TESTQ(in, in)
	f.JZ(operand.LabelRef("down"))
	f.MOVQ(param("inRow"), spare)
	f.LEAQ(operand.Mem{Base: in, Index: spare, Scale: height}, in)
	f.Label("down")
	f.TESTQ(operand.U32(3), group)
	f.JNZ(operand.LabelRef("group"))
	f.MOVQ(param("aPanel"), spare)
	f.ADDQ(spare, panel)
	f.JMP(operand.LabelRef("group"))

	f.Label("bottom")
	f.nextColumns(in, spare)
	f.VZEROUPPER()
	f.RET()
}
