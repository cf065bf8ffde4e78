package main

import "github.com/mmcloughlin/avo/operand"

// adamW writes the sweep of the optimiser over master weights and moments.
func (x isa) adamW(f *file) {
	e := x.function(f, "adamW", "func(w, m, v, g []float32, c *[9]float32)", "does one step of AdamW.")
	p := e.pointer("c", false)
	field := func(i int) operand.Op {
		r := e.vec()
		e.VBROADCASTSS(operand.Mem{Base: p, Disp: 4 * i}, r)
		return r
	}
	// In the order in which package simd names them.
	decay, beta1, rest1, beta2, rest2 := field(0), field(1), field(2), field(3), field(4)
	c2, eps, step, gradScale := field(5), field(6), field(7), field(8)
	e.emit(loop{slices: []string{"w", "m", "v", "g"}, unroll: 1, step: func(at *vector) {
		g, t := at.read("g"), e.vec()
		e.VMULPS(gradScale, g, g)
		m := at.read("m")
		e.VMULPS(beta1, m, m)
		e.VFMADD231PS(g, rest1, m)
		at.write("m", m)
		v := at.read("v")
		e.VMULPS(beta2, v, v)
		e.VMULPS(rest2, g, t)
		e.VFMADD231PS(g, t, v)
		at.write("v", v)
		e.VMULPS(c2, v, v)
		e.VSQRTPS(v, v)
		e.VADDPS(eps, v, v)
		e.VMULPS(step, m, m)
		e.VDIVPS(v, m, m)
		w := at.read("w")
		e.VFMSUB213PS(m, decay, w)
		at.write("w", w)
	}})
}
