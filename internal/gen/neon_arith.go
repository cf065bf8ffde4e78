package main

import (
	"math"

	"github.com/hone-ml/hone/internal/gen/arm64"
)

// neonArithmetic writes the element-wise loops.
func neonArithmetic(f *arm64.File) {
	type op = func(d, n, m arm64.Group)
	binary := func(name, doc string, pick func(a *arm64.Func) op) {
		neonFunc(f, name+"NEON", "func(out, x, y []float32)", doc, 4, []string{"out", "x", "y"},
			func(a *arm64.Func) (func(*arm64.Step), func()) {
				do := pick(a)
				return func(s *arm64.Step) {
					x, y := s.Read("x"), s.Read("y")
					do(x, x, y)
					s.Write("out", x)
				}, nil
			})
	}
	binary("add", "sets out = x + y.", func(a *arm64.Func) op { return a.FADD })
	binary("sub", "sets out = x − y.", func(a *arm64.Func) op { return a.FSUB })
	binary("mul", "sets out = x·y.", func(a *arm64.Func) op { return a.FMUL })
	binary("div", "sets out = x / y.", func(a *arm64.Func) op { return a.FDIV })

	scalar := func(name, doc string, pick func(a *arm64.Func) op) {
		neonFunc(f, name+"NEON", "func(out, x []float32, a float32)", doc, 4, []string{"out", "x"},
			func(a *arm64.Func) (func(*arm64.Step), func()) {
				do, c := pick(a), arm64.Same(a.LoadScalar("a"))
				return func(s *arm64.Step) {
					x := s.Read("x")
					do(x, x, c)
					s.Write("out", x)
				}, nil
			})
	}
	scalar("scale", "sets out = a·x.", func(a *arm64.Func) op { return a.FMUL })
	scalar("addScalar", "sets out = x + a.", func(a *arm64.Func) op { return a.FADD })

	neonFunc(f, "axpyNEON", "func(y []float32, a float32, x []float32)", "sets y += a·x.", 4, []string{"y", "x"},
		func(a *arm64.Func) (func(*arm64.Step), func()) {
			c := arm64.Same(a.LoadScalar("a"))
			return func(s *arm64.Step) {
				x, y := s.Read("x"), s.Read("y")
				s.FMLA(y, x, c)
				s.Write("y", y)
			}, nil
		})

	neonFunc(f, "mulAddNEON", "func(out, x, y []float32)", "sets out += x·y.", 4, []string{"out", "x", "y"},
		func(a *arm64.Func) (func(*arm64.Step), func()) {
			return func(s *arm64.Step) {
				x, y, sum := s.Read("x"), s.Read("y"), s.Read("out")
				s.FMLA(sum, x, y)
				s.Write("out", sum)
			}, nil
		})

	neonFunc(f, "mulScaleAddNEON", "func(out, x []float32, a float32, y []float32, b float32)", "sets out = a·x + b·y.", 4,
		[]string{"out", "x", "y"},
		func(a *arm64.Func) (func(*arm64.Step), func()) {
			ca, cb := arm64.Same(a.LoadScalar("a")), arm64.Same(a.LoadScalar("b"))
			return func(s *arm64.Step) {
				x, y := s.Read("x"), s.Read("y")
				s.FMUL(y, y, cb)
				s.FMLA(y, x, ca)
				s.Write("out", y)
			}, nil
		})
}

// neonReductions writes the loops that fold a slice to a number. Each vector of a turn has an accumulator
// of its own; the four hide the latency of an addition.
func neonReductions(f *arm64.File) {
	const accumulators = 4
	sum := func(name, signature, doc string, slices []string, step func(s *arm64.Step, sums arm64.Group)) {
		neonFunc(f, name, signature, doc, accumulators, slices, func(a *arm64.Func) (func(*arm64.Step), func()) {
			sums := a.Vs(accumulators)
			a.Zero(sums)
			return func(s *arm64.Step) { step(s, sums[:s.Vectors]) }, func() { neonTotal(a, sums, a.FADD); a.Fold(sums[0]); a.StoreResult(sums[0]) }
		})
	}
	sum("dotNEON", "func(x, y []float32) float32", "is Σ x·y.", []string{"x", "y"},
		func(s *arm64.Step, sums arm64.Group) { s.FMLA(sums, s.Read("x"), s.Read("y")) })
	sum("sumNEON", "func(x []float32) float32", "is Σ x.", []string{"x"},
		func(s *arm64.Step, sums arm64.Group) { s.FADD(sums, sums, s.Read("x")) })
	sum("sumSquaresNEON", "func(x []float32) float32", "is Σ x².", []string{"x"},
		func(s *arm64.Step, sums arm64.Group) { x := s.Read("x"); s.FMLA(sums, x, x) })

	neonFunc(f, "maxNEON", "func(x []float32) float32", "is the largest element of x, NaN if there is one, −Inf if x is empty.",
		accumulators, []string{"x"}, func(a *arm64.Func) (func(*arm64.Step), func()) {
			least := a.Constants("minusInf", float32(math.Inf(-1)))
			largest := a.Vs(accumulators)
			a.Move(largest, least)
			return func(s *arm64.Step) {
					x := s.Read("x")
					s.RepeatPart(x)
					s.FMAX(largest[:s.Vectors], largest[:s.Vectors], x)
				}, func() {
					neonTotal(a, largest, a.FMAX)
					a.FMAXV(largest[0], largest[0])
					a.StoreResult(largest[0])
				}
		})
}

// neonTotal folds registers, a power of two, pairwise into the first.
func neonTotal(a *arm64.Func, g arm64.Group, op func(d, n, m arm64.Group)) {
	for n := len(g) / 2; n > 0; n /= 2 {
		op(g[:n], g[:n], g[n:2*n])
	}
}
