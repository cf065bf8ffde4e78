package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// microKernels writes the register tiles of matrix multiplication: mr rows by nv vectors of C are kept
// in registers over the whole of k. 12×32 on AVX-512 and 6×16 on AVX2 leave just enough registers for
// a row of B and the broadcast elements of A; smaller ones serve the edges. There is one family for an
// A whose columns lie in one piece, as packed ones do, and one for rows in one piece, so that a matrix
// that is hardly reused need not be packed.
func (x isa) microKernels(f *file) {
	rows := 6
	if x.wide() {
		rows = 12
	}
	for _, byRows := range []bool{false, true} {
		for nv := 1; nv <= 2; nv++ {
			for mr := 1; mr <= rows; mr++ {
				x.microKernel(f, mr, nv, byRows)
			}
		}
	}
}

func (x isa) microKernel(f *file, mr, nv int, byRows bool) {
	const unroll = 4
	name, line := "microColumns", "column"
	if byRows {
		name, line = "microRows", "row"
	}
	e := x.function(f, fmt.Sprintf("%s%dx%d", name, mr, nv*x.lanes),
		"func(k int, a *float32, as int, b *float32, bs int, c *float32, cs, cols int, accumulate bool, next uintptr)",
		fmt.Sprintf("sets the %d×cols tile c to a·b, or adds a·b to it. Each %s of a lies in one piece,\n"+
			"as bytes behind the one before; rows of b and c are bs and cs bytes apart. b has %d columns,\n"+
			"of which the first cols, %d < cols, count.", mr, line, nv*x.lanes, (nv-1)*x.lanes))
	k := e.integer("k")
	a := []rows{e.rows("a", "as")}
	b := e.rows("b", "bs")
	if byRows {
		for len(a)*4 < mr {
			a = append(a, a[len(a)-1].next())
		}
	}
	element := func(i, u int) operand.Mem {
		if byRows {
			return a[i/4].row(i%4, 4*u)
		}
		return a[0].row(u, 4*i)
	}
	advance := func(steps int) {
		b.advance(steps)
		if !byRows {
			a[0].advance(steps)
			return
		}
		for _, r := range a {
			e.ADDQ(operand.Imm(uint64(4*steps)), r.base)
		}
	}

	ahead, stride, last := e.pointer("c", false), e.integer("cs"), e.GP64()
	e.IMUL3Q(operand.Imm(uint64(mr-1)), stride, last)
	e.ADDQ(ahead, last)
	next := e.integer("next")
	acc := e.vecs(mr * nv)
	for _, v := range acc {
		e.zero(v)
	}
	row := e.vecs(nv)
	registers := 2 * x.lanes
	broadcast := e.vecs(min(mr, registers-len(acc)-nv, 4))
	step := func(u int) {
		for j, v := range row {
			e.VMOVUPS(b.row(u, j*x.lanes*4), v)
		}
		for i := range mr {
			t := broadcast[i%len(broadcast)]
			e.VBROADCASTSS(element(i, u), t)
			for j, v := range row {
				e.VFMADD231PS(v, t, acc[i*nv+j])
			}
		}
	}
	e.SUBQ(operand.Imm(unroll), k)
	e.JL(operand.LabelRef("rest"))
	e.Label("unrolled")
	for u := range unroll {
		step(u)
	}
	advance(unroll)
	e.PREFETCHT1(operand.Mem{Base: next})
	e.ADDQ(operand.Imm(64), next)
	for j := range nv {
		e.PREFETCHT0(operand.Mem{Base: ahead, Disp: j * x.lanes * 4})
	}
	e.ADDQ(stride, ahead)
	e.CMPQ(ahead, last)
	e.CMOVQHI(last, ahead)
	e.SUBQ(operand.Imm(unroll), k)
	e.JGE(operand.LabelRef("unrolled"))
	e.Label("rest")
	e.ADDQ(operand.Imm(unroll), k)
	e.JZ(operand.LabelRef("write"))
	e.Label("single")
	step(0)
	advance(1)
	e.DECQ(k)
	e.JNZ(operand.LabelRef("single"))

	e.Label("write")
	e.writeTile(acc, row[0], mr, nv)
}

// writeTile stores the accumulators to c, or adds them to it, and returns.
func (e *emitter) writeTile(acc []reg.VecVirtual, spare reg.VecVirtual, mr, nv int) {
	cols := e.integer("cols")
	if nv > 1 {
		e.SUBQ(operand.Imm(uint64((nv-1)*e.lanes)), cols)
	}
	e.partial(cols)
	c, stride := e.pointer("c", false), e.integer("cs")
	add := e.GP8()
	e.Load(e.Param("accumulate"), add)
	e.TESTB(add, add)
	e.JZ(operand.LabelRef("overwrite"))
	write := func(accumulate bool) {
		for i := range mr {
			for j := range nv {
				v, m := acc[i*nv+j], operand.Mem{Base: c, Disp: j * e.lanes * 4}
				if accumulate {
					e.load(m, spare, j == nv-1)
					e.VADDPS(spare, v, v)
				}
				e.store(v, m, j == nv-1)
			}
			if i < mr-1 {
				e.ADDQ(stride, c)
			}
		}
		e.end()
	}
	write(true)
	e.Label("overwrite")
	write(false)
}
