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
	for _, w := range []weights{weightsF32(), x.weightsBF16(), x.weightsQ8(), x.weightsQ4()} {
		for m := 1; m <= thinRows; m++ {
			x.thinKernel(f, w, m)
		}
		if w.begin != nil {
			x.dequantizeKernel(f, w)
		}
	}
}

// thinKernel writes the product with m vectors. The sums of a row are kept in the same number of
// accumulators whatever m is, so that a vector's result does not depend on its company.
func (x isa) thinKernel(f *file, w weights, m int) {
	const ahead = 2048
	sums, turn := 2, 32 // accumulators, and elements a turn
	if x.wide() {
		sums, turn = 4, 64
	}
	chunk := max(w.block, x.lanes)
	chunkBytes := w.bytes(chunk)
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

	multiply := func(at int, part bool) { // the chunk that is so many chunks on
		var block []reg.VecVirtual
		if w.begin != nil {
			block = w.begin(e, p, at*chunkBytes)
		}
		for j := range chunk / x.lanes {
			vector := at*chunk/x.lanes + j
			v := e.vec()
			w.load(e, p, at*chunkBytes, j, block, v, part)
			for i := range acc {
				a, m := acc[i][vector%sums], xs.row(i, vector*x.lanes*4)
				if !part {
					e.VFMADD231PS(m, v, a)
					continue
				}
				t := e.vec()
				e.load(m, t, true)
				e.VFMADD231PS(t, v, a)
			}
		}
	}
	advance := func(elements, bytes int) {
		e.ADDQ(operand.U32(uint32(elements*4)), xs.base)
		e.ADDQ(operand.U32(uint32(bytes)), p)
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
	e.SUBQ(operand.U32(uint32(turn)), n)
	e.JL(operand.LabelRef("few"))
	e.Label("turn")
	for line := 0; line < w.bytes(turn); line += 64 {
		e.PREFETCHT1(operand.Mem{Base: p, Disp: ahead + line})
	}
	for at := range turn / chunk {
		multiply(at, false)
	}
	advance(turn, w.bytes(turn))
	e.JGE(operand.LabelRef("turn"))
	e.Label("few")
	if turn > chunk {
		e.ADDQ(operand.U32(uint32(turn-chunk)), n)
		e.JL(operand.LabelRef("tail"))
		e.Label("chunk")
		multiply(0, false)
		advance(chunk, chunkBytes)
		e.JGE(operand.LabelRef("chunk"))
		e.Label("tail")
	}
	if w.block == 1 && w.element == nil {
		e.ADDQ(operand.U32(uint32(chunk)), n)
		e.JZ(operand.LabelRef("fold"))
		e.partial(n)
		multiply(0, true)
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
	if w.element != nil {
		e.ADDQ(operand.U32(uint32(chunk)), n)
		e.JZ(operand.LabelRef("store"))
		e.Label("element")
		v := e.vec()
		w.element(e, p, v)
		for i, a := range acc {
			e.VFMADD231SS(xs.row(i, 0), v.AsX(), a[0].AsX())
		}
		advance(1, w.bytes(1))
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

// dequantizeKernel writes the conversion of whole blocks to F32.
func (x isa) dequantizeKernel(f *file, w weights) {
	e := x.function(f, "dequantize"+w.kind, "func(dst *float32, src *byte, blocks int)",
		fmt.Sprintf("sets dst to the weights of so many blocks of %s.", w.kind))
	dst, src, left := e.pointer("dst", false), e.pointer("src", false), e.integer("blocks")
	e.Label("block")
	block := w.begin(e, src, 0)
	for j := range w.block / x.lanes {
		v := e.vec()
		w.load(e, src, 0, j, block, v, false)
		e.store(v, operand.Mem{Base: dst, Disp: j * x.lanes * 4}, false)
	}
	e.ADDQ(operand.U32(uint32(w.block*4)), dst)
	e.ADDQ(operand.U32(uint32(w.bytes(w.block))), src)
	e.DECQ(left)
	e.JNZ(operand.LabelRef("block"))
	e.end()
}
