package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// dotKernels writes the products of one vector with four rows of a matrix at once: what a matrix of a
// row or two needs, which is bound by how fast the other matrix comes from memory.
func (x isa) dotKernels(f *file) {
	x.dotKernel(f, "F32", "float32", 4)
	x.dotKernel(f, "BF16", "uint16", 2)
}

func (x isa) dotKernel(f *file, kind, element string, size int) {
	const rows = 4
	e := x.function(f, "dot4"+kind, fmt.Sprintf("func(out *[4]float32, x []float32, w *%s, wrs int)", element),
		fmt.Sprintf("sets out to the products of x with four rows, wrs bytes apart, of a %s matrix.", kind)+
			map[bool]string{true: "\nIt uses as many whole vectors as fit into x and drops the rest.", false: ""}[size == 2 && !x.wide()])
	n := e.GP64()
	e.Load(e.Param("x").Len(), n)
	xs := e.pointer("x", true)
	w := e.rows("w", "wrs")
	acc := [][]reg.VecVirtual{e.vecs(rows), e.vecs(rows)}
	for _, v := range append(acc[0], acc[1]...) {
		e.zero(v)
	}
	step := func(u, vector int, part bool) {
		v := e.vec()
		e.load(operand.Mem{Base: xs, Disp: vector * x.lanes * 4}, v, part)
		for r := range rows {
			m := w.row(r, vector*x.lanes*size)
			if size == 4 && !part {
				e.VFMADD231PS(m, v, acc[u][r])
				continue
			}
			t := e.vec()
			switch {
			case size == 4:
				e.load(m, t, true)
			case part:
				e.VPMOVZXWD_Z(m, e.kmask, t)
			default:
				e.VPMOVZXWD(m, t)
			}
			if size == 2 {
				e.VPSLLD(operand.Imm(16), t, t)
			}
			e.VFMADD231PS(t, v, acc[u][r])
		}
	}
	advance := func(vectors int) {
		e.ADDQ(operand.Imm(uint64(vectors*x.lanes*4)), xs)
		e.ADDQ(operand.Imm(uint64(vectors*x.lanes*size)), w.base)
		e.SUBQ(operand.Imm(uint64(vectors*x.lanes)), n)
	}
	e.Label("pair")
	e.CMPQ(n, operand.Imm(uint64(2*x.lanes)))
	e.JL(operand.LabelRef("one"))
	step(0, 0, false)
	step(1, 1, false)
	advance(2)
	e.JMP(operand.LabelRef("pair"))
	e.Label("one")
	e.CMPQ(n, operand.Imm(uint64(x.lanes)))
	e.JL(operand.LabelRef("tail"))
	step(0, 0, false)
	advance(1)
	e.Label("tail")
	if size == 4 || x.wide() {
		e.TESTQ(n, n)
		e.JZ(operand.LabelRef("fold"))
		e.partial(n)
		step(1, 0, true)
		e.Label("fold")
	}
	out := e.pointer("out", false)
	for r := range rows {
		e.VADDPS(acc[1][r], acc[0][r], acc[0][r])
		e.VMOVSS(e.foldLanes(acc[0][r], e.VADDPS), operand.Mem{Base: out, Disp: 4 * r})
	}
	e.end()
}
