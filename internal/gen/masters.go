package main

import (
	"github.com/mmcloughlin/avo/operand"

	"github.com/hone-ml/hone/internal/gen/arm64"
)

// masters writes what takes float32 weights apart into bfloat16 parameters and remainders, and puts them
// together again: see backend.SplitMaster and backend.JoinMaster.
func (x isa) masters(f *file) {
	e := x.function(f, "joinMasters", "func(out []float32, param, remainder []uint16)", "puts weights together.")
	s := &sweep{emitter: e, magnitude: e.bits("magnitude", 0x7fffffff), sign: e.bits("sign", 1<<31)}
	zero := e.vec()
	e.zero(zero)
	e.emit(loop{slices: []string{"out", "param", "remainder"}, unroll: 2, step: func(v *vector) {
		p, r, w := v.read("param"), e.vec(), e.vec()
		switch m := v.at("remainder", 2); {
		case v.part && e.wide():
			e.VPMOVSXWD_Z(m, e.kmask, r)
		case v.part:
			e.VPMOVSXWD(e.stageIn(m, 2), r)
		default:
			e.VPMOVSXWD(m, r)
		}
		s.and(s.magnitude, p, w)
		e.VPADDD(r, w, w)
		e.VPMAXSD(zero, w, w)
		s.orSign(p, w)
		v.write("out", w)
	}})

	e = x.function(f, "splitMasters", "func(param, remainder []uint16, w []float32)", "takes weights apart.")
	s = &sweep{emitter: e, half: e.bits("half", 0x8000), quietNaN: e.bits("quietNaN", 0x7fc00000)}
	e.emit(loop{slices: []string{"w", "param", "remainder"}, unroll: 2, step: func(v *vector) {
		w, t := v.read("w"), e.vec()
		s.replaceNaN(w)
		e.VPADDD(s.half, w, t)
		e.storeUpper(t, v.at("param", 2), v.part)
		e.VPSLLD(operand.Imm(16), w, w)
		e.storeUpper(w, v.at("remainder", 2), v.part)
	}})
}

// neonMasters is masters for NEON.
func neonMasters(f *arm64.File) {
	neonLoop{"joinMasters", "func(out []float32, param, remainder []uint16)", "puts weights together.", []string{"out", "param", "remainder"}, 2}.emit(f, neonF32,
		func(a *arm64.Func) (func(*arm64.Step), func()) {
			read, _ := neonWeights(a, splitWeights)
			return func(s *arm64.Step) { s.Write("out", read(s)) }, nil
		})
	neonLoop{"splitMasters", "func(param, remainder []uint16, w []float32)", "takes weights apart.", []string{"w", "param", "remainder"}, 2}.emit(f, neonF32,
		func(a *arm64.Func) (func(*arm64.Step), func()) {
			_, write := neonWeights(a, splitWeights)
			return func(s *arm64.Step) { write(s, s.Read("w")) }, nil
		})
}
