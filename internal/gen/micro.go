package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
)

// microKernels writes the register tiles of matrix multiplication: mr rows by nv vectors of C are kept
// in registers over the whole of k. 12×32 on AVX-512 and 6×16 on AVX2 leave just enough registers for
// a row of B and the broadcast elements of A; smaller ones serve the edges.
func (x isa) microKernels(f *file) {
	rows := 6
	if x.wide() {
		rows = 12
	}
	for nv := 1; nv <= 2; nv++ {
		for mr := 1; mr <= rows; mr++ {
			x.microKernel(f, mr, nv)
		}
	}
}

func (x isa) microKernel(f *file, mr, nv int) {
	const unroll = 4
	e := x.function(f, fmt.Sprintf("micro%dx%d", mr, nv*x.lanes),
		"func(k int, a *float32, acs int, b *float32, brs int, c *float32, crs, cols int, accumulate bool)",
		fmt.Sprintf("sets the %d×cols tile c to a·b, or adds a·b to it. Column p of a begins p·acs bytes\n"+
			"behind a, its elements one behind the other; rows of b and c are brs and crs bytes apart. b has\n"+
			"%d columns, of which the first cols, %d < cols, count.", mr, nv*x.lanes, (nv-1)*x.lanes))
	k := e.integer("k")
	a, b := e.rows("a", "acs"), e.rows("b", "brs")

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
			e.VBROADCASTSS(a.row(u, 4*i), t)
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
	a.advance(unroll)
	b.advance(unroll)
	e.SUBQ(operand.Imm(unroll), k)
	e.JGE(operand.LabelRef("unrolled"))
	e.Label("rest")
	e.ADDQ(operand.Imm(unroll), k)
	e.JZ(operand.LabelRef("write"))
	e.Label("single")
	step(0)
	a.advance(1)
	b.advance(1)
	e.DECQ(k)
	e.JNZ(operand.LabelRef("single"))

	e.Label("write")
	cols := e.integer("cols")
	if nv > 1 {
		e.SUBQ(operand.Imm(uint64((nv-1)*x.lanes)), cols)
	}
	e.partial(cols)
	c, crs := e.pointer("c", false), e.integer("crs")
	add := e.GP8()
	e.Load(e.Param("accumulate"), add)
	e.TESTB(add, add)
	e.JZ(operand.LabelRef("overwrite"))
	write := func(accumulate bool) {
		for i := range mr {
			for j := range nv {
				v, m := acc[i*nv+j], operand.Mem{Base: c, Disp: j * x.lanes * 4}
				if accumulate {
					e.load(m, row[0], j == nv-1)
					e.VADDPS(row[0], v, v)
				}
				e.store(v, m, j == nv-1)
			}
			if i < mr-1 {
				e.ADDQ(crs, c)
			}
		}
		e.end()
	}
	write(true)
	e.Label("overwrite")
	write(false)
}
