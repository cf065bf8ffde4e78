package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// packKernels writes the copies that bring operands of matrix multiplication into the order in which the
// micro-kernels read them.
func (x isa) packKernels(f *file) {
	x.packTransposed(f)
	for nv := 1; nv <= 2; nv++ {
		x.packStraight(f, nv)
	}
}

// packStraight copies rows of up to nv vectors.
func (x isa) packStraight(f *file, nv int) {
	e := x.function(f, fmt.Sprintf("packRows%d", nv), "func(dst *float32, drs int, src *float32, srs, k, cols int)",
		fmt.Sprintf("copies k rows of cols elements, %d < cols ≤ %d, that lie srs bytes apart to rows drs\n"+
			"bytes apart.", (nv-1)*x.lanes, nv*x.lanes))
	dst, drs := e.pointer("dst", false), e.integer("drs")
	src, srs := e.pointer("src", false), e.integer("srs")
	k, cols := e.integer("k"), e.integer("cols")
	if nv > 1 {
		e.SUBQ(operand.Imm(uint64((nv-1)*x.lanes)), cols)
	}
	e.partial(cols)
	vs := e.vecs(nv)
	e.Label("row")
	for j, v := range vs {
		e.load(operand.Mem{Base: src, Disp: j * x.lanes * 4}, v, j == nv-1)
	}
	for j, v := range vs {
		e.store(v, operand.Mem{Base: dst, Disp: j * x.lanes * 4}, j == nv-1)
	}
	e.ADDQ(srs, src)
	e.ADDQ(drs, dst)
	e.DECQ(k)
	e.JNZ(operand.LabelRef("row"))
	e.end()
}

// packTransposed writes the transposing copy, a square of one vector's lanes at a time.
func (x isa) packTransposed(f *file) {
	n := x.lanes
	e := x.function(f, "packColumns", "func(dst *float32, drs int, src *float32, srs, rows, k int)",
		fmt.Sprintf("transposes a block of rows ≤ %d rows, srs bytes apart, of k > 0 elements: element p\n"+
			"of row r goes to place r of the p-th row of dst. Rows of dst are drs bytes apart and are written in\n"+
			"order, %d elements each, zeros behind the first rows.", n, n))
	dst, drs := e.pointer("dst", false), e.integer("drs")
	src, srs := e.pointer("src", false), e.integer("srs")
	rows, k := e.integer("rows"), e.integer("k")
	v := e.vecs(n)
	var loop func(part bool)
	p := e.GP64()
	loop = func(part bool) {
		suffix := ""
		if part {
			suffix = "Part"
		}
		e.MOVQ(src, p)
		for i := range n {
			if i > 0 {
				e.CMPQ(rows, operand.Imm(uint64(i)))
				e.JE(operand.LabelRef(fmt.Sprintf("missing%d%s", i, suffix)))
				e.ADDQ(srs, p)
			}
			e.load(operand.Mem{Base: p}, v[i], part)
		}
		e.JMP(operand.LabelRef("transpose" + suffix))
		for i := 1; i < n; i++ {
			e.Label(fmt.Sprintf("missing%d%s", i, suffix))
			e.zero(v[i])
		}
		e.Label("transpose" + suffix)
		for i, t := range e.transpose(v) {
			e.VMOVUPS(t, operand.Mem{Base: dst})
			e.ADDQ(drs, dst)
			if part && i < n-1 {
				e.DECQ(k)
				e.JZ(operand.LabelRef("done"))
			}
		}
	}
	e.Label("block")
	e.CMPQ(k, operand.Imm(uint64(n)))
	e.JL(operand.LabelRef("tail"))
	loop(false)
	e.ADDQ(operand.Imm(uint64(4*n)), src)
	e.SUBQ(operand.Imm(uint64(n)), k)
	e.JMP(operand.LabelRef("block"))
	e.Label("tail")
	e.TESTQ(k, k)
	e.JZ(operand.LabelRef("done"))
	e.partial(k)
	loop(true)
	e.Label("done")
	e.end()
}

// transpose gives the columns of the square matrix with rows v, which it destroys.
func (e *emitter) transpose(v []reg.VecVirtual) []reg.VecVirtual {
	n := len(v)
	t := e.vecs(n)
	for i := 0; i < n; i += 2 { // pairs of rows, interleaved within each 128-bit lane
		e.VUNPCKLPS(v[i+1], v[i], t[i])
		e.VUNPCKHPS(v[i+1], v[i], t[i+1])
	}
	for i := 0; i < n; i += 4 { // then pairs of pairs: each lane holds four rows of one column
		e.VUNPCKLPD(t[i+2], t[i], v[i])
		e.VUNPCKHPD(t[i+2], t[i], v[i+1])
		e.VUNPCKLPD(t[i+3], t[i+1], v[i+2])
		e.VUNPCKHPD(t[i+3], t[i+1], v[i+3])
	}
	if n == 8 { // then the lanes themselves
		for i := range 4 {
			e.VPERM2F128(operand.Imm(0x20), v[i+4], v[i], t[i])
			e.VPERM2F128(operand.Imm(0x31), v[i+4], v[i], t[i+4])
		}
		return t
	}
	for h := 0; h < 16; h += 8 {
		for i := h; i < h+4; i++ {
			e.VSHUFF32X4(operand.Imm(0x88), v[i+4], v[i], t[i])
			e.VSHUFF32X4(operand.Imm(0xdd), v[i+4], v[i], t[i+4])
		}
	}
	for i := range 8 {
		e.VSHUFF32X4(operand.Imm(0x88), t[i+8], t[i], v[i])
		e.VSHUFF32X4(operand.Imm(0xdd), t[i+8], t[i], v[i+8])
	}
	return v
}
