package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// comparisons writes the loops that give bytes of 0 and 1, and the choice by such bytes.
func (x isa) comparisons(f *file) {
	for _, k := range x.kinds() {
		for _, c := range []struct {
			name, doc string
			predicate uint64
		}{
			{"less", "sets out = x < y.", less},
			{"lessEqual", "sets out = x ≤ y.", lessEqual},
			{"equal", "sets out = x == y.", equal},
			{"notEqual", "sets out = x ≠ y.", notEqual},
		} {
			e := k.function(x, f, c.name, "func(out []uint8, x, y []E)", c.doc)
			e.emit(loop{slices: []string{"out", "x", "y"}, unroll: 2, step: func(v *vector) {
				a := v.read("x")
				v.writeTruth("out", c.predicate, v.read("y"), a)
			}})
		}
	}
	for _, element := range []string{"uint16", "uint32"} {
		e := x.function(f, "where"+element[4:], "func(out []"+element+", cond []uint8, x, y []"+element+")", "sets out = cond ? x : y.")
		e.emit(loop{slices: []string{"out", "cond", "x", "y"}, unroll: 2, step: func(v *vector) {
			r := v.choose("cond", v.read("x"), v.read("y"))
			if element == "uint16" {
				v.storeUpper(r, v.at("out", 2), v.part)
			} else {
				v.write("out", r)
			}
		}})
	}
}

// writeTruth stores whether a compares with b as the predicate says, as bytes of 0 and 1. It destroys a.
func (v *vector) writeTruth(slice string, predicate uint64, b, a reg.VecVirtual) {
	m := v.at(slice, 1)
	if v.wide() {
		k := v.K()
		v.VCMPPS(operand.Imm(predicate), b, a, k)
		v.VPMOVM2D(k, a)
		v.VPSRLD(operand.Imm(31), a, a)
		if v.part {
			v.VPMOVDB(a, v.kmask, m)
		} else {
			v.VPMOVDB(a, m)
		}
		return
	}
	v.VCMPPS(operand.Imm(predicate), b, a, a)
	v.VPSRLD(operand.Imm(31), a, a)
	h := v.XMM()
	v.VEXTRACTI128(operand.Imm(1), a, h)
	v.VPACKUSDW(h, a.AsX(), a.AsX())
	v.VPACKUSWB(a.AsX(), a.AsX(), a.AsX())
	if v.part {
		v.VMOVDQU(a.AsX(), v.staged())
		v.stageOut(m, 1)
	} else {
		v.VMOVQ(a.AsX(), m)
	}
}

// choose gives x where the bytes of a slice are not 0, and y elsewhere. It destroys both.
func (v *vector) choose(slice string, x, y reg.VecVirtual) reg.VecVirtual {
	m, c := v.at(slice, 1), v.vec()
	if v.wide() {
		if v.part {
			v.VPMOVZXBD_Z(m, v.kmask, c)
		} else {
			v.VPMOVZXBD(m, c)
		}
		k := v.K()
		v.VPTESTMD(c, c, k)
		v.VMOVAPS(x, k, y)
		return y
	}
	if v.part {
		m = v.stageIn(m, 1)
	}
	v.VPMOVZXBD(m, c)
	none := v.vec()
	v.zero(none)
	v.VPCMPEQD(none, c, c)
	v.VBLENDVPS(c, y, x, x)
	return x
}
