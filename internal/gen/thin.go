package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// thinRows is the largest number of vectors that a matrix is multiplied by at once.
const thinRows = 4

// thinKernels writes the products of a matrix, the weights, with a few vectors: what decoding a token does
// all the time. They are bound by how fast the weights come from memory, so these are read once, as one
// stream, row after row: four rows at a time, each a stream of its own, were a quarter slower.
func (x isa) thinKernels(f *file) {
	for _, w := range []weights{x.weightsF32(), x.weightsBF16()} {
		for m := 1; m <= thinRows; m++ {
			x.thinKernel(f, w, m)
		}
	}
}

// weights are a format in which a row of a matrix is stored.
type weights struct {
	kind string
	size int // bytes of an element
	// load reads the vector that lies bytes behind p; part reads the lanes of emitter.partial only.
	load func(e *emitter, p reg.Register, bytes int, v reg.VecVirtual, part bool)
	// scalarTail says that load cannot read a part, and loads one element instead.
	scalarTail func(e *emitter, p reg.Register, v reg.VecVirtual)
}

func (x isa) weightsF32() weights {
	return weights{kind: "F32", size: 4,
		load: func(e *emitter, p reg.Register, bytes int, v reg.VecVirtual, part bool) {
			e.load(operand.Mem{Base: p, Disp: bytes}, v, part)
		}}
}

func (x isa) weightsBF16() weights {
	w := weights{kind: "BF16", size: 2,
		load: func(e *emitter, p reg.Register, bytes int, v reg.VecVirtual, part bool) {
			if m := (operand.Mem{Base: p, Disp: bytes}); part {
				e.VPMOVZXWD_Z(m, e.kmask, v)
			} else {
				e.VPMOVZXWD(m, v)
			}
			e.VPSLLD(operand.Imm(16), v, v)
		}}
	if !x.wide() { // there are no masks for 16-bit elements
		w.scalarTail = func(e *emitter, p reg.Register, v reg.VecVirtual) {
			bits := e.GP32()
			e.MOVWLZX(operand.Mem{Base: p}, bits)
			e.SHLL(operand.Imm(16), bits)
			e.VMOVD(bits, v.AsX())
		}
	}
	return w
}

// thinKernel writes the product with m vectors. The sums of a row are kept in the same number of
// accumulators whatever m is, so that a vector's result does not depend on its company.
func (x isa) thinKernel(f *file, w weights, m int) {
	const (
		vectors = 4 // a turn
		ahead   = 2048
	)
	sums := 2
	if x.wide() {
		sums = 4
	}
	e := x.function(f, fmt.Sprintf("thin%sx%d", w.kind, m),
		"func(out *float32, os int, x *float32, xs int, w *byte, ws, rows, k int)",
		fmt.Sprintf("multiplies rows of k elements of a %s matrix, ws bytes apart, by the rows of x,\n"+
			"%d vectors xs bytes apart: element r of row i of out, whose rows are os bytes apart, becomes the\n"+
			"product of row i of x and row r of w.", w.kind, m))
	out, xs := e.rows("out", "os"), e.rows("x", "xs")
	row, stride, left := e.pointer("w", false), e.integer("ws"), e.integer("rows")
	p, n, start := e.GP64(), e.GP64(), e.GP64()
	e.MOVQ(xs.base, start)
	acc := make([][]reg.VecVirtual, m)
	for i := range acc {
		acc[i] = e.vecs(sums)
	}

	step := func(vector int, part bool) {
		v := e.vec()
		w.load(e, p, vector*x.lanes*w.size, v, part)
		for i := range acc {
			a := acc[i][vector%sums]
			if !part {
				e.VFMADD231PS(xs.row(i, vector*x.lanes*4), v, a)
				continue
			}
			t := e.vec()
			e.load(xs.row(i, vector*x.lanes*4), t, true)
			e.VFMADD231PS(t, v, a)
		}
	}
	advance := func(elements int) {
		e.ADDQ(operand.U32(uint32(elements*4)), xs.base)
		e.ADDQ(operand.U32(uint32(elements*w.size)), p)
		e.SUBQ(operand.U32(uint32(elements)), n)
	}

	e.Label("row")
	e.MOVQ(row, p)
	e.MOVQ(start, xs.base)
	e.Load(e.Param("k"), n)
	for i := range acc {
		for _, a := range acc[i] {
			e.zero(a)
		}
	}
	e.SUBQ(operand.U32(uint32(vectors*x.lanes)), n)
	e.JL(operand.LabelRef("few"))
	e.Label("turn")
	for line := 0; line < vectors*x.lanes*w.size; line += 64 {
		e.PREFETCHT1(operand.Mem{Base: p, Disp: ahead + line})
	}
	for v := range vectors {
		step(v, false)
	}
	advance(vectors * x.lanes)
	e.JGE(operand.LabelRef("turn"))
	e.Label("few")
	e.ADDQ(operand.U32(uint32((vectors-1)*x.lanes)), n)
	e.JL(operand.LabelRef("tail"))
	e.Label("vector")
	step(0, false)
	advance(x.lanes)
	e.JGE(operand.LabelRef("vector"))
	e.Label("tail")
	e.ADDQ(operand.U32(uint32(x.lanes)), n)
	if w.scalarTail == nil {
		e.JZ(operand.LabelRef("fold"))
		e.partial(n)
		step(0, true)
		e.Label("fold")
	}
	for i, a := range acc {
		for half := sums / 2; half > 0; half /= 2 {
			for u := range half {
				e.VADDPS(a[u+half], a[u], a[u])
			}
		}
		e.foldLanes(acc[i][0], e.VADDPS)
	}
	if w.scalarTail != nil {
		e.TESTQ(n, n)
		e.JZ(operand.LabelRef("store"))
		e.Label("element")
		v := e.vec()
		w.scalarTail(e, p, v)
		for i, a := range acc {
			e.VFMADD231SS(xs.row(i, 0), v.AsX(), a[0].AsX())
		}
		advance(1)
		e.JNZ(operand.LabelRef("element"))
		e.Label("store")
	}
	for i, a := range acc {
		e.VMOVSS(a[0].AsX(), out.row(i, 0))
	}
	e.ADDQ(operand.Imm(4), out.base)
	e.ADDQ(stride, row)
	e.DECQ(left)
	e.JNZ(operand.LabelRef("row"))
	e.end()
}
