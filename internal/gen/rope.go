package main

import "github.com/mmcloughlin/avo/reg"

// ropes writes the loops of rotary position embedding over the halves of one head.
func (x isa) ropes(f *file) {
	for _, k := range x.kinds() {
		e := k.function(x, f, "rotate", "func(out1, out2, x1, x2 []E, cos, sin []float32)",
			"sets out1 = x1·cos − x2·sin and out2 = x2·cos + x1·sin.")
		e.emit(loop{slices: []string{"out1", "out2", "x1", "x2", "cos", "sin"}, unroll: 1, step: func(v *vector) {
			v.rotate(v.read("x1"), v.read("x2"))
		}})

		e = k.function(x, f, "normRotate", "func(out1, out2, x1, x2, w1, w2 []E, cos, sin []float32, rstd float32)",
			"is rmsNorm and rotate in one: it rotates E(E(x·rstd)·w).")
		rstd := e.scalar("rstd")
		e.emit(loop{slices: []string{"out1", "out2", "x1", "x2", "w1", "w2", "cos", "sin"}, unroll: 1, step: func(v *vector) {
			norm := func(x, w string) reg.VecVirtual {
				r := v.read(x)
				e.VMULPS(rstd, r, r)
				r = e.asStored(k, r)
				e.VMULPS(v.read(w), r, r)
				return e.asStored(k, r)
			}
			v.rotate(norm("x1", "w1"), norm("x2", "w2"))
		}})
	}
}

func (v *vector) rotate(a, b reg.VecVirtual) {
	cos, sin, p, q := v.read("cos"), v.read("sin"), v.vec(), v.vec()
	v.VMULPS(sin, b, p)
	v.VFMSUB231PS(cos, a, p)
	v.VMULPS(sin, a, q)
	v.VFMADD231PS(cos, b, q)
	v.write("out1", p)
	v.write("out2", q)
}
