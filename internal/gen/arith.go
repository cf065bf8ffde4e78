package main

import (
	"math"
	"strings"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

type op = func(ops ...operand.Op)

// A kind is an element type for which a loop is written.
type kind struct{ suffix, element string }

var (
	f32  = kind{"", "float32"}
	bf16 = kind{"BF16", "uint16"}
)

// function begins a loop over elements of this kind, which are called E in the signature.
func (k kind) function(x isa, f *file, name, signature, doc string) *emitter {
	return x.function(f, name+k.suffix, strings.ReplaceAll(signature, "[]E", "[]"+k.element), doc)
}

// arithmetic writes the element-wise loops.
func (x isa) arithmetic(f *file) {
	for _, k := range x.kinds() {
		x.binaries(f, k)
		x.scalars(f, k)
	}

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

	e = x.function(f, "accumulate", "func(y []float32, x []uint16)", "sets y += x, which is bfloat16.")
	e.emit(loop{slices: []string{"y", "x"}, unroll: 4, step: func(v *vector) {
		y := v.read("y")
		e.VADDPS(v.read("x"), y, y)
		v.write("y", y)
	}})
}

// binaries writes the loops of two inputs.
func (x isa) binaries(f *file, k kind) {
	binary := func(name, doc string, pick func(e *emitter) op) {
		e := k.function(x, f, name, "func(out, x, y []E)", doc)
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
	binary("larger", "sets out = max(x, y), NaN if either is.", func(e *emitter) op { return e.orNaN(e.VMAXPS) })
	binary("smaller", "sets out = min(x, y), NaN if either is.", func(e *emitter) op { return e.orNaN(e.VMINPS) })
}

// scalars writes the loops of an input and a number.
func (x isa) scalars(f *file, k kind) {
	scalar := func(name, doc string, pick func(e *emitter) op) {
		e := k.function(x, f, name, "func(out, x []E, a float32)", doc)
		do, a := pick(e), e.scalar("a")
		e.emit(loop{slices: []string{"out", "x"}, unroll: 4, step: func(v *vector) {
			r := v.read("x")
			do(a, r, r)
			v.write("out", r)
		}})
	}
	scalar("scale", "sets out = a·x.", func(e *emitter) op { return e.VMULPS })
	scalar("addScalar", "sets out = x + a.", func(e *emitter) op { return e.VADDPS })
	scalar("divScalar", "sets out = x / a.", func(e *emitter) op { return e.VDIVPS })
	scalar("largerScalar", "sets out = max(x, a), NaN if either is.", func(e *emitter) op { return e.orNaN(e.VMAXPS) })
	scalar("smallerScalar", "sets out = min(x, a), NaN if either is.", func(e *emitter) op { return e.orNaN(e.VMINPS) })
}

// orNaN is a maximum or minimum of (y, x, x) that gives NaN if either is. The instruction gives y then.
func (e *emitter) orNaN(do op) op {
	return func(ops ...operand.Op) {
		y, x, t := ops[0], ops[1].(reg.VecVirtual), e.vec()
		e.VADDPS(y, x, t) // NaN where either is; infinities of both signs give it too, but are not chosen
		if e.wide() {
			k := e.K()
			e.VCMPPS(operand.Imm(unordered), y, x, k)
			do(y, x, x)
			e.VMOVAPS(t, k, x)
			return
		}
		is := e.vec()
		e.VCMPPS(operand.Imm(unordered), y, x, is)
		do(y, x, x)
		e.VBLENDVPS(is, t, x, x)
	}
}

// reductions writes the loops that fold a slice to a number.
func (x isa) reductions(f *file) {
	for _, k := range x.kinds() {
		e := k.function(x, f, "dot", "func(x, y []E) float32", "is Σ x·y.")
		e.sum([]string{"x", "y"}, func(v *vector) { v.VFMADD231PS(v.read("x"), v.read("y"), v.sums[0]) })
		e = k.function(x, f, "sum", "func(x []E) float32", "is Σ x.")
		e.sum([]string{"x"}, func(v *vector) { v.VADDPS(v.read("x"), v.sums[0], v.sums[0]) })
		e = k.function(x, f, "sumSquares", "func(x []E) float32", "is Σ x².")
		e.sum([]string{"x"}, func(v *vector) { r := v.read("x"); v.VFMADD231PS(r, r, v.sums[0]) })

		e = k.function(x, f, "max", "func(x []E) float32", "is the largest element of x, NaN if there is one, −Inf if x is empty.")
		e.extreme(math.Inf(-1), e.VMAXPS)
		e = k.function(x, f, "min", "func(x []E) float32", "is the smallest element of x, NaN if there is one, +Inf if x is empty.")
		e.extreme(math.Inf(1), e.VMINPS)
	}
}

// sum writes a sum; step adds to the accumulator.
func (e *emitter) sum(slices []string, step func(v *vector)) {
	e.emit(loop{slices: slices, unroll: 4, sums: 1, step: step, finish: func(sums [][]reg.VecVirtual) {
		e.Store(e.foldLanes(e.total(sums, 0), e.VADDPS), e.ReturnIndex(0))
	}})
}

// total folds accumulator i of every vector of a turn pairwise.
func (e *emitter) total(sums [][]reg.VecVirtual, i int) reg.VecVirtual {
	for n := len(sums) / 2; n > 0; n /= 2 {
		for u := range n {
			e.VADDPS(sums[u+n][i], sums[u][i], sums[u][i])
		}
	}
	return sums[0][i]
}

// extreme writes a maximum or minimum. The instruction drops a NaN in one of its operands, so the NaNs
// are gathered in an accumulator of their own: zero, or NaN where the slice had one.
func (e *emitter) extreme(identity float64, do op) {
	least := e.vec()
	e.VMOVUPS(e.constant("identity"+map[bool]string{true: "Max", false: "Min"}[identity < 0], identity), least)
	e.emit(loop{slices: []string{"x"}, unroll: 4, sums: 2, prepare: func(sums [][]reg.VecVirtual) {
		for _, s := range sums {
			e.VMOVAPS(least, s[0])
		}
	}, step: func(v *vector) {
		r := v.read("x")
		best, nans := v.sums[0], v.sums[1]
		if e.wide() {
			k := e.K()
			e.VCMPPS(operand.Imm(unordered), r, r, k)
			e.VMOVAPS(r, k, nans)
		} else {
			t := e.vec()
			e.VCMPPS(operand.Imm(unordered), r, r, t) // all ones are a NaN too
			e.VORPS(t, nans, nans)
		}
		switch {
		case v.part && e.wide():
			do(r, best, e.kmask, best)
			return
		case v.part:
			e.VBLENDVPS(e.vmask, r, least, r)
		}
		do(r, best, best)
	}, finish: func(sums [][]reg.VecVirtual) {
		for _, s := range sums[1:] {
			do(s[0], sums[0][0], sums[0][0])
			e.VADDPS(s[1], sums[0][1], sums[0][1])
		}
		nan := e.foldLanes(sums[0][1], e.VADDPS)
		e.VUCOMISS(nan, nan)
		e.JP(operand.LabelRef("nan"))
		e.Store(e.foldLanes(sums[0][0], do), e.ReturnIndex(0))
		e.end()
		e.Label("nan")
		e.Store(nan, e.ReturnIndex(0))
	}})
}

// unordered is the predicate of VCMPPS that finds NaNs.
const unordered = 3
