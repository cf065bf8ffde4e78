package main

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// arithmetic writes the element-wise loops.
func (x isa) arithmetic(f *file) {
	type op = func(ops ...operand.Op)
	binary := func(name, doc string, pick func(e *emitter) op) {
		e := x.function(f, name, "func(out, x, y []float32)", doc)
		do := pick(e)
		e.emit(loop{slices: []string{"out", "x", "y"}, unroll: 4, step: func(v *vector) {
			a := v.read("x")
			do(v.read("y"), a, a)
			v.write("out", a)
		}})
	}
	binary("add", "sets out = x + y.", func(e *emitter) op { return e.VADDPS })
	binary("sub", "sets out = x − y.", func(e *emitter) op { return e.VSUBPS })
	binary("mul", "sets out = x·y.", func(e *emitter) op { return e.VMULPS })
	binary("div", "sets out = x / y.", func(e *emitter) op { return e.VDIVPS })

	scalar := func(name, doc string, pick func(e *emitter) op) {
		e := x.function(f, name, "func(out, x []float32, a float32)", doc)
		do, a := pick(e), e.scalar("a")
		e.emit(loop{slices: []string{"out", "x"}, unroll: 4, step: func(v *vector) {
			r := v.read("x")
			do(a, r, r)
			v.write("out", r)
		}})
	}
	scalar("scale", "sets out = a·x.", func(e *emitter) op { return e.VMULPS })
	scalar("addScalar", "sets out = x + a.", func(e *emitter) op { return e.VADDPS })

	e := x.function(f, "axpy", "func(y []float32, a float32, x []float32)", "sets y += a·x.")
	a := e.scalar("a")
	e.emit(loop{slices: []string{"y", "x"}, unroll: 4, step: func(v *vector) {
		y := v.read("y")
		e.VFMADD231PS(v.read("x"), a, y)
		v.write("y", y)
	}})

	e = x.function(f, "mulAdd", "func(out, x, y []float32)", "sets out += x·y.")
	e.emit(loop{slices: []string{"out", "x", "y"}, unroll: 4, step: func(v *vector) {
		sum := v.read("out")
		e.VFMADD231PS(v.read("x"), v.read("y"), sum)
		v.write("out", sum)
	}})

	e = x.function(f, "mulScaleAdd", "func(out, x []float32, a float32, y []float32, b float32)", "sets out = a·x + b·y.")
	a, b := e.scalar("a"), e.scalar("b")
	e.emit(loop{slices: []string{"out", "x", "y"}, unroll: 4, step: func(v *vector) {
		y := v.read("y")
		e.VMULPS(b, y, y)
		e.VFMADD231PS(v.read("x"), a, y)
		v.write("out", y)
	}})
}

// reductions writes the loops that fold a slice to a number.
func (x isa) reductions(f *file) {
	// total folds the accumulators pairwise.
	total := func(e *emitter, sums [][]reg.VecVirtual) reg.VecVirtual {
		for n := len(sums) / 2; n > 0; n /= 2 {
			for u := range n {
				e.VADDPS(sums[u+n][0], sums[u][0], sums[u][0])
			}
		}
		return sums[0][0]
	}
	sum := func(e *emitter, slices []string, step func(v *vector)) {
		e.emit(loop{slices: slices, unroll: 4, sums: 1, step: step, finish: func(sums [][]reg.VecVirtual) {
			e.Store(e.foldLanes(total(e, sums), e.VADDPS), e.ReturnIndex(0))
		}})
	}
	e := x.function(f, "dot", "func(x, y []float32) float32", "is Σ x·y.")
	sum(e, []string{"x", "y"}, func(v *vector) { v.VFMADD231PS(v.read("x"), v.read("y"), v.sums[0]) })
	e = x.function(f, "sum", "func(x []float32) float32", "is Σ x.")
	sum(e, []string{"x"}, func(v *vector) { v.VADDPS(v.read("x"), v.sums[0], v.sums[0]) })
	e = x.function(f, "sumSquares", "func(x []float32) float32", "is Σ x².")
	sum(e, []string{"x"}, func(v *vector) { r := v.read("x"); v.VFMADD231PS(r, r, v.sums[0]) })

	x.max(f)
}

// max writes the maximum. The instruction drops a NaN in one of its operands, so the NaNs are gathered
// in an accumulator of their own: zero, or NaN where the slice had one.
func (x isa) max(f *file) {
	e := x.function(f, "max", "func(x []float32) float32", "is the largest element of x, NaN if there is one, −Inf if x is empty.")
	least := e.vec()
	e.VMOVUPS(e.constant("minusInf", math.Inf(-1)), least)
	e.emit(loop{slices: []string{"x"}, unroll: 4, sums: 2, prepare: func(sums [][]reg.VecVirtual) {
		for _, s := range sums {
			e.VMOVAPS(least, s[0])
		}
	}, step: func(v *vector) {
		r := v.read("x")
		largest, nans := v.sums[0], v.sums[1]
		if x.wide() {
			k := e.K()
			e.VCMPPS(operand.Imm(unordered), r, r, k)
			e.VMOVAPS(r, k, nans)
		} else {
			t := e.vec()
			e.VCMPPS(operand.Imm(unordered), r, r, t) // all ones are a NaN too
			e.VORPS(t, nans, nans)
		}
		switch {
		case v.part && x.wide():
			e.VMAXPS(r, largest, e.kmask, largest)
			return
		case v.part:
			e.VBLENDVPS(e.vmask, r, least, r)
		}
		e.VMAXPS(r, largest, largest)
	}, finish: func(sums [][]reg.VecVirtual) {
		for _, s := range sums[1:] {
			e.VMAXPS(s[0], sums[0][0], sums[0][0])
			e.VADDPS(s[1], sums[0][1], sums[0][1])
		}
		nan := e.foldLanes(sums[0][1], e.VADDPS)
		e.VUCOMISS(nan, nan)
		e.JP(operand.LabelRef("nan"))
		e.Store(e.foldLanes(sums[0][0], e.VMAXPS), e.ReturnIndex(0))
		e.end()
		e.Label("nan")
		e.Store(nan, e.ReturnIndex(0))
	}})
}

// unordered is the predicate of VCMPPS that finds NaNs.
const unordered = 3
