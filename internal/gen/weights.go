package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// weights are a format in which a row of a matrix is stored, and how it becomes vectors of float32.
type weights struct {
	kind  string
	block int // elements that are stored together
	size  int // bytes that they take

	// load reads vector j of the elements that lie disp bytes behind p; part, where block is 1, reads the
	// lanes of emitter.partial only.
	load func(e *emitter, p reg.Register, disp, j int, block []reg.VecVirtual, v reg.VecVirtual, part bool)
	// begin, for blocks, reads what load needs of the one that lies disp bytes behind p: its scale first.
	begin func(e *emitter, p reg.Register, disp int) (block []reg.VecVirtual)
	// element, where load cannot read a part, reads one element.
	element func(e *emitter, p reg.Register, v reg.VecVirtual)
}

// bytes is what so many elements take.
func (w weights) bytes(elements int) int { return elements / w.block * w.size }

func weightsF32() weights {
	return weights{kind: "F32", block: 1, size: 4,
		load: func(e *emitter, p reg.Register, disp, _ int, _ []reg.VecVirtual, v reg.VecVirtual, part bool) {
			e.load(operand.Mem{Base: p, Disp: disp}, v, part)
		}}
}

func (x isa) weightsBF16() weights {
	w := weights{kind: "BF16", block: 1, size: 2,
		load: func(e *emitter, p reg.Register, disp, _ int, _ []reg.VecVirtual, v reg.VecVirtual, part bool) {
			if m := (operand.Mem{Base: p, Disp: disp}); part {
				e.VPMOVZXWD_Z(m, e.kmask, v)
			} else {
				e.VPMOVZXWD(m, v)
			}
			e.VPSLLD(operand.Imm(16), v, v)
		}}
	if !x.wide() { // there are no masks for 16-bit elements
		w.element = func(e *emitter, p reg.Register, v reg.VecVirtual) {
			bits := e.GP32()
			e.MOVWLZX(operand.Mem{Base: p}, bits)
			e.SHLL(operand.Imm(16), bits)
			e.VMOVD(bits, v.AsX())
		}
	}
	return w
}

// halfScale broadcasts the half that every block begins with. All processors with AVX2 have F16C. It reads the
// numbers behind the half too, which lie in the block: a conversion from memory takes the shuffles of the
// processor, that everything else here needs, only once.
func (e *emitter) halfScale(p reg.Register, disp int) []reg.VecVirtual {
	d := e.vec()
	e.VCVTPH2PS(operand.Mem{Base: p, Disp: disp}, d.AsX())
	e.VBROADCASTSS(d.AsX(), d)
	return []reg.VecVirtual{d}
}

// weightsQ8 is Q8_0: the half d, then 32 int8 q; a weight is q·d.
func (x isa) weightsQ8() weights {
	return weights{kind: "Q8", block: 32, size: 34, begin: (*emitter).halfScale,
		load: func(e *emitter, p reg.Register, disp, j int, block []reg.VecVirtual, v reg.VecVirtual, _ bool) {
			e.VPMOVSXBD(operand.Mem{Base: p, Disp: disp + 2 + j*x.lanes}, v)
			e.VCVTDQ2PS(v, v)
			e.VMULPS(block[0], v, v)
		}}
}

// weightsQ4 is Q4_0: the half d, then 16 bytes, the low halves of which are weights 0 to 15 and the high
// halves 16 to 31, each q from 0 to 15; a weight is (q−8)·d.
func (x isa) weightsQ4() weights {
	if x.wide() {
		return weightsQ4Wide()
	}
	return weights{kind: "Q4", block: 32, size: 18, begin: (*emitter).halfScale,
		load: func(e *emitter, p reg.Register, disp, j int, block []reg.VecVirtual, v reg.VecVirtual, _ bool) {
			e.VPMOVZXBD(operand.Mem{Base: p, Disp: disp + 2 + j%2*x.lanes}, v)
			if j < 2 {
				e.VPAND(e.bits("low", 15), v, v)
			} else {
				e.VPSRLD(operand.Imm(4), v, v)
			}
			e.VPSUBD(e.bits("eight", 8), v, v)
			e.VCVTDQ2PS(v, v)
			e.VMULPS(block[0], v, v)
		}}
}

// weightsQ4Wide is weightsQ4 for AVX-512. The weights that a block can hold fill one vector, in which q is looked
// up: a permutation looks at the lowest four bits of an index alone.
func weightsQ4Wide() weights {
	return weights{kind: "Q4", block: 32, size: 18,
		begin: func(e *emitter, p reg.Register, disp int) []reg.VecVirtual {
			steps := make([]float64, 16)
			for i := range steps {
				steps[i] = float64(i - 8)
			}
			values, bytes := e.halfScale(p, disp)[0], e.vec()
			e.VMULPS(e.floats("steps", steps), values, values)
			e.VPMOVZXBD(operand.Mem{Base: p, Disp: disp + 2}, bytes)
			return []reg.VecVirtual{values, bytes}
		},
		load: func(e *emitter, _ reg.Register, _, j int, block []reg.VecVirtual, v reg.VecVirtual, _ bool) {
			values, index := block[0], block[1]
			if j == 1 {
				e.VPSRLD(operand.Imm(4), index, v)
				index = v
			}
			e.VPERMPS(values, index, v)
		}}
}
