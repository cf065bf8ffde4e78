package main

import (
	"math"

	"github.com/hone-ml/hone/internal/gen/arm64"
)

// neonArithmetic writes the element-wise loops.
func neonArithmetic(f *arm64.File) {
	type op = func(d, n, m arm64.Group)
	for _, k := range neonKinds {
		binary := func(name, doc string, pick func(a *arm64.Func) op) {
			neonLoop{name, "func(out, x, y []E)", doc, []string{"out", "x", "y"}, 4}.emit(f, k,
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
		binary("larger", "sets out = max(x, y), NaN if either is.", func(a *arm64.Func) op { return a.FMAX })
		binary("smaller", "sets out = min(x, y), NaN if either is.", func(a *arm64.Func) op { return a.FMIN })

		scalar := func(name, doc string, pick func(a *arm64.Func) op) {
			neonLoop{name, "func(out, x []E, a float32)", doc, []string{"out", "x"}, 4}.emit(f, k,
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
		scalar("divScalar", "sets out = x / a.", func(a *arm64.Func) op { return a.FDIV })
		scalar("largerScalar", "sets out = max(x, a), NaN if either is.", func(a *arm64.Func) op { return a.FMAX })
		scalar("smallerScalar", "sets out = min(x, a), NaN if either is.", func(a *arm64.Func) op { return a.FMIN })
	}

	neonLoop{"axpy", "func(y []float32, a float32, x []float32)", "sets y += a·x.", []string{"y", "x"}, 4}.emit(f, neonF32,
		func(a *arm64.Func) (func(*arm64.Step), func()) {
			c := arm64.Same(a.LoadScalar("a"))
			return func(s *arm64.Step) {
				x, y := s.Read("x"), s.Read("y")
				s.FMLA(y, x, c)
				s.Write("y", y)
			}, nil
		})

	neonLoop{"accumulate", "func(y []float32, x []uint16)", "sets y += x, which is bfloat16.", []string{"y", "x"}, 4}.emit(f, neonF32,
		func(*arm64.Func) (func(*arm64.Step), func()) {
			return func(s *arm64.Step) {
				x, y := s.Read("x"), s.Read("y")
				s.FADD(y, y, x)
				s.Write("y", y)
			}, nil
		})

	neonLoop{"mulAdd", "func(out, x, y []float32)", "sets out += x·y.", []string{"out", "x", "y"}, 4}.emit(f, neonF32,
		func(*arm64.Func) (func(*arm64.Step), func()) {
			return func(s *arm64.Step) {
				x, y, sum := s.Read("x"), s.Read("y"), s.Read("out")
				s.FMLA(sum, x, y)
				s.Write("out", sum)
			}, nil
		})

	neonLoop{"mulScaleAdd", "func(out, x []float32, a float32, y []float32, b float32)", "sets out = a·x + b·y.",
		[]string{"out", "x", "y"}, 4}.emit(f, neonF32,
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

// neonAccumulators is the number of accumulators of a sum: each vector of a turn has its own, and four hide
// the latency of an addition.
const neonAccumulators = 4

// neonSum writes a sum; step adds to the accumulators.
func neonSum(f *arm64.File, k neonKind, l neonLoop, step func(s *arm64.Step, sums arm64.Group)) {
	l.unroll = neonAccumulators
	l.emit(f, k, func(a *arm64.Func) (func(*arm64.Step), func()) {
		sums := a.Vs(neonAccumulators)
		a.Zero(sums)
		return func(s *arm64.Step) { step(s, sums[:s.Vectors]) }, func() {
			neonTotal(a, sums, a.FADD)
			a.Fold(sums[0])
			a.StoreResult(sums[0])
		}
	})
}

// neonTotal folds registers, a power of two, pairwise into the first.
func neonTotal(a *arm64.Func, g arm64.Group, op func(d, n, m arm64.Group)) {
	for n := len(g) / 2; n > 0; n /= 2 {
		op(g[:n], g[:n], g[n:2*n])
	}
}

// neonReductions writes the loops that fold a slice to a number.
func neonReductions(f *arm64.File) {
	for _, k := range neonKinds {
		neonSum(f, k, neonLoop{name: "dot", signature: "func(x, y []E) float32", doc: "is Σ x·y.", slices: []string{"x", "y"}},
			func(s *arm64.Step, sums arm64.Group) { s.FMLA(sums, s.Read("x"), s.Read("y")) })
		neonSum(f, k, neonLoop{name: "sum", signature: "func(x []E) float32", doc: "is Σ x.", slices: []string{"x"}},
			func(s *arm64.Step, sums arm64.Group) { s.FADD(sums, sums, s.Read("x")) })
		neonSum(f, k, neonLoop{name: "sumSquares", signature: "func(x []E) float32", doc: "is Σ x².", slices: []string{"x"}},
			func(s *arm64.Step, sums arm64.Group) { x := s.Read("x"); s.FMLA(sums, x, x) })

		extreme := func(name, doc string, identity float64, pick func(a *arm64.Func) func(d, n, m arm64.Group), across func(a *arm64.Func, v arm64.V)) {
			neonLoop{name, "func(x []E) float32", doc, []string{"x"}, neonAccumulators}.emit(f, k,
				func(a *arm64.Func) (func(*arm64.Step), func()) {
					do, best := pick(a), a.Vs(neonAccumulators)
					a.Move(best, a.Constants(name+"Identity", float32(identity)))
					return func(s *arm64.Step) {
							x := s.Read("x")
							s.RepeatPart(x)
							do(best[:s.Vectors], best[:s.Vectors], x)
						}, func() {
							neonTotal(a, best, do)
							across(a, best[0])
							a.StoreResult(best[0])
						}
				})
		}
		extreme("max", "is the largest element of x, NaN if there is one, −Inf if x is empty.", math.Inf(-1),
			func(a *arm64.Func) func(d, n, m arm64.Group) { return a.FMAX }, func(a *arm64.Func, v arm64.V) { a.FMAXV(v, v) })
		extreme("min", "is the smallest element of x, NaN if there is one, +Inf if x is empty.", math.Inf(1),
			func(a *arm64.Func) func(d, n, m arm64.Group) { return a.FMIN }, func(a *arm64.Func, v arm64.V) { a.FMINV(v, v) })
	}
}
