package main

import "github.com/hone-ml/hone/internal/gen/arm64"

// neonNorms writes the row loops of the normalisations and of rotary position embedding.
func neonNorms(f *arm64.File) {
	for _, k := range neonKinds {
		neonRMSNorm(f, k)
		neonRotations(f, k)
	}
}

// neonAsStored rounds x to bfloat16 where the elements of this kind are that.
func neonAsStored(s *arm64.Step, k neonKind, x arm64.Group) {
	if k == neonBF16 {
		s.BFCVTN(x, x)
		s.SHLL(x, x)
	}
}

func neonRMSNorm(f *arm64.File, k neonKind) {
	neonLoop{"rmsNorm", "func(out, x, w []E, rstd float32)", "sets out = E(x·rstd)·w.", []string{"out", "x", "w"}, 4}.emit(f, k,
		func(a *arm64.Func) (func(*arm64.Step), func()) {
			rstd := arm64.Same(a.LoadScalar("rstd"))
			return func(s *arm64.Step) {
				x, w := s.Read("x"), s.Read("w")
				s.FMUL(x, x, rstd)
				neonAsStored(s, k, x)
				s.FMUL(x, x, w)
				s.Write("out", x)
			}, nil
		})

	neonSum(f, k, neonLoop{name: "dotWeighted", signature: "func(dy, x, w []E) float32", doc: "is Σ dy·w·x.", slices: []string{"dy", "x", "w"}},
		func(s *arm64.Step, sums arm64.Group) {
			g, x, w := s.Read("dy"), s.Read("x"), s.Read("w")
			s.FMUL(g, g, w)
			s.FMLA(sums, g, x)
		})

	neonLoop{"rmsNormBackward", "func(dx []E, dw []float32, dy, x, w []E, rstd, c float32)",
		"sets dx = rstd·dy·w + c·x and adds dy·x·rstd to dw.", []string{"dx", "dw", "dy", "x", "w"}, 4}.emit(f, k,
		func(a *arm64.Func) (func(*arm64.Step), func()) {
			rstd, c := arm64.Same(a.LoadScalar("rstd")), arm64.Same(a.LoadScalar("c"))
			return func(s *arm64.Step) {
				g, x, sum, w := s.Read("dy"), s.Read("x"), s.Read("dw"), s.Read("w")
				s.FMUL(g, g, rstd)
				s.FMLA(sum, g, x)
				s.Write("dw", sum)
				s.FMUL(g, g, w)
				s.FMLA(g, x, c)
				s.Write("dx", g)
			}, nil
		})
}

func neonRotations(f *arm64.File, k neonKind) {
	neonLoop{"rotate", "func(out1, out2, x1, x2 []E, cos, sin []float32)",
		"sets out1 = x1·cos − x2·sin and out2 = x2·cos + x1·sin.", []string{"out1", "out2", "x1", "x2", "cos", "sin"}, 4}.emit(f, k,
		func(*arm64.Func) (func(*arm64.Step), func()) {
			return func(s *arm64.Step) { neonRotate(s, s.Read("x1"), s.Read("x2")) }, nil
		})
	neonLoop{"normRotate", "func(out1, out2, x1, x2, w1, w2 []E, cos, sin []float32, rstd float32)",
		"is rmsNorm and rotate in one: it rotates E(E(x·rstd)·w).",
		[]string{"out1", "out2", "x1", "x2", "w1", "w2", "cos", "sin"}, 4}.emit(f, k,
		func(a *arm64.Func) (func(*arm64.Step), func()) {
			rstd := arm64.Same(a.LoadScalar("rstd"))
			return func(s *arm64.Step) {
				norm := func(x, w string) arm64.Group {
					v := s.Read(x)
					s.FMUL(v, v, rstd)
					neonAsStored(s, k, v)
					s.Scope(func() { s.FMUL(v, v, s.Read(w)) })
					neonAsStored(s, k, v)
					return v
				}
				neonRotate(s, norm("x1", "w1"), norm("x2", "w2"))
			}, nil
		})
}

func neonRotate(s *arm64.Step, a, b arm64.Group) {
	cos, sin, p, q := s.Read("cos"), s.Read("sin"), s.Vs(s.Vectors), s.Vs(s.Vectors)
	s.FMUL(p, a, cos)
	s.FMLS(p, b, sin)
	s.FMUL(q, b, cos)
	s.FMLA(q, a, sin)
	s.Write("out1", p)
	s.Write("out2", q)
}
