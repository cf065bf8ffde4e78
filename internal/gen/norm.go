package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// norms writes the row loops of the normalisations.
func (x isa) norms(f *file) {
	for _, k := range x.kinds() {
		x.rmsNorm(f, k)
		x.layerNorm(f, k)
		if !x.rounds() {
			x.normSums(f, k)
		}
	}
}

// asStored rounds r to bfloat16 where the elements of this kind are that, and leaves it a float32.
func (e *emitter) asStored(k kind, r reg.VecVirtual) reg.VecVirtual {
	if k != bf16 {
		return r
	}
	if e.rounds() {
		s := e.vec()
		e.VPMOVZXWD(e.roundedBF16(r), s)
		e.VPSLLD(operand.Imm(16), s, s)
		return s
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

func (x isa) layerNorm(f *file, k kind) {
	e := k.function(x, f, "layerNorm", "func(out, x, w, b []E, mean, rstd float32)", "sets out = (x − mean)·rstd·w + b.")
	mean, rstd := e.scalar("mean"), e.scalar("rstd")
	e.emit(loop{slices: []string{"out", "x", "w", "b"}, unroll: 4, step: func(v *vector) {
		r := v.read("x")
		e.VSUBPS(mean, r, r)
		e.VMULPS(rstd, r, r)
		w := v.read("w")
		e.VFMADD213PS(v.read("b"), r, w)
		v.write("out", w)
	}})

	e = k.function(x, f, "layerNormBackward", "func(dx []E, dw, db []float32, dy, x, w []E, mean, rstd, c, d float32)",
		"sets dx = rstd·dy·w + c·t + d with t = (x − mean)·rstd, and adds dy·t to dw and dy to db.")
	mean, rstd = e.scalar("mean"), e.scalar("rstd")
	c, d := e.scalar("c"), e.scalar("d")
	e.emit(loop{slices: []string{"dx", "dw", "db", "dy", "x", "w"}, unroll: 1, step: func(v *vector) {
		g, t := v.read("dy"), v.read("x")
		e.VSUBPS(mean, t, t)
		e.VMULPS(rstd, t, t)
		sum := v.read("dw")
		e.VFMADD231PS(t, g, sum)
		v.write("dw", sum)
		sum = v.read("db")
		e.VADDPS(g, sum, sum)
		v.write("db", sum)
		e.VMULPS(rstd, g, g)
		e.VMULPS(v.read("w"), g, g)
		e.VADDPS(d, g, g)
		e.VFMADD231PS(t, c, g)
		v.write("dx", g)
	}})
}

// normSums writes the sums that the norms need.
func (x isa) normSums(f *file, k kind) {
	e := k.function(x, f, "dotWeighted", "func(dy, x, w []E) float32", "is Σ dy·w·x.")
	e.sum([]string{"dy", "x", "w"}, func(v *vector) {
		g := v.read("dy")
		e.VMULPS(v.read("w"), g, g)
		e.VFMADD231PS(v.read("x"), g, v.sums[0])
	})

	e = k.function(x, f, "sumSquaredDiff", "func(x []E, mean float32) float32", "is Σ (x − mean)².")
	mean := e.scalar("mean")
	e.sum([]string{"x"}, func(v *vector) {
		r := v.read("x")
		e.VSUBPS(mean, r, r)
		if v.part {
			e.keepPart(r)
		}
		e.VFMADD231PS(r, r, v.sums[0])
	})

	e = k.function(x, f, "dotCentered", "func(dy, x, w []E, mean float32) float32", "is Σ dy·w·(x − mean).")
	mean = e.scalar("mean")
	e.sum([]string{"dy", "x", "w"}, func(v *vector) {
		r, g := v.read("x"), v.read("dy")
		e.VSUBPS(mean, r, r)
		e.VMULPS(v.read("w"), g, g)
		e.VFMADD231PS(r, g, v.sums[0])
	})
}
