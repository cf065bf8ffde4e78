package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// norms writes the row loops of the normalisations.
func (x isa) norms(f *file) {
	for _, k := range kinds {
		x.rmsNorm(f, k)
	}
}

// asStored rounds r to bfloat16 where the elements of this kind are that, and leaves it a float32.
func (e *emitter) asStored(k kind, r reg.VecVirtual) reg.VecVirtual {
	if k != bf16 {
		return r
	}
	s := e.roundBF16(r)
	// The lower half goes: shifted out and back, since a mask would take one more register.
	e.VPSRLD(operand.Imm(16), s, s)
	e.VPSLLD(operand.Imm(16), s, s)
	return s
}

func (x isa) rmsNorm(f *file, k kind) {
	e := k.function(x, f, "rmsNorm", "func(out, x, w []E, rstd float32)", "sets out = E(x·rstd)·w.")
	rstd := e.scalar("rstd")
	e.emit(loop{slices: []string{"out", "x", "w"}, unroll: 4, step: func(v *vector) {
		r := v.read("x")
		e.VMULPS(rstd, r, r)
		r = e.asStored(k, r)
		e.VMULPS(v.read("w"), r, r)
		v.write("out", r)
	}})

	e = k.function(x, f, "dotWeighted", "func(dy, x, w []E) float32", "is Σ dy·w·x.")
	e.sum([]string{"dy", "x", "w"}, func(v *vector) {
		g := v.read("dy")
		e.VMULPS(v.read("w"), g, g)
		e.VFMADD231PS(v.read("x"), g, v.sums[0])
	})

	e = k.function(x, f, "rmsNormBackward", "func(dx []E, dw []float32, dy, x, w []E, rstd, c float32)",
		"sets dx = rstd·dy·w + c·x and adds dy·x·rstd to dw.")
	rstd, c := e.scalar("rstd"), e.scalar("c")
	e.emit(loop{slices: []string{"dx", "dw", "dy", "x", "w"}, unroll: 2, step: func(v *vector) {
		g, in := v.read("dy"), v.read("x")
		e.VMULPS(rstd, g, g)
		sum := v.read("dw")
		e.VFMADD231PS(in, g, sum)
		v.write("dw", sum)
		e.VMULPS(v.read("w"), g, g)
		e.VFMADD231PS(in, c, g)
		v.write("dx", g)
	}})
}
