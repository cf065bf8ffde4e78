package main

import (
	"fmt"

	"github.com/hone-ml/hone/internal/gen/arm64"
)

// neonAdamW writes the sweep of the optimizer over weights and moments of float32, once for each form of
// weights and gradients. Other moments are left to plain Go.
func neonAdamW(f *arm64.File) {
	for weights, w := range weightForms {
		for grads, g := range gradForms {
			neonSweep(f, fmt.Sprintf("adamW%s%sNEON", w, g), fmt.Sprintf("does a step of AdamW, form %s %s, moments of float32.", w, g),
				weights, grads == 1)
		}
	}
}

func neonSweep(f *arm64.File, name, doc string, weights int, grads16 bool) {
	a := f.Func(name, "func(args *byte)", doc)
	args := a.Load("args")
	field := func(offset int) arm64.R {
		r := a.R()
		a.I("MOVD %d(%v), %v", offset, args, r)
		return r
	}
	l := &arm64.Loop{Unroll: 2, Whole: true, Length: field(adamWLen)}
	if weights != splitWeights {
		l.Stream("master", field(adamWMaster), 4)
	}
	if weights != masterWeights {
		l.Stream("param", field(adamWParam), 2)
	}
	if weights == splitWeights {
		l.Stream("remainder", field(adamWRemainder), 2)
	}
	l.Stream("m", field(adamWM), 4)
	l.Stream("v", field(adamWV), 4)
	l.Stream("grad", field(adamWGrad), map[bool]int{true: 2, false: 4}[grads16])

	// In the order in which package simd names them.
	c := a.Vs(10)
	a.Scope(func() {
		p := field(adamWConstants)
		for i, v := range c {
			a.I("FMOVQ %d(%v), %s", 64*i, p, v.F())
		}
	})
	constant := func(i int) arm64.Group { return c[i : i+1] }
	decay, beta1, rest1, beta2, rest2 := constant(0), constant(1), constant(2), constant(3), constant(4)
	c2, eps, step, gradScale, l2 := constant(5), constant(6), constant(7), constant(8), constant(9)
	read, write := neonWeights(a, weights)
	l.Step = func(s *arm64.Step) {
		g, w, m, v, t := s.Read("grad"), read(s), s.Read("m"), s.Read("v"), s.Vs(s.Vectors)
		s.FMUL(g, g, gradScale)
		s.FMLA(g, w, l2)
		s.FMUL(m, m, beta1)
		s.FMLA(m, g, rest1)
		s.Write("m", m)
		s.FMUL(v, v, beta2)
		s.FMUL(t, g, rest2)
		s.FMLA(v, g, t)
		s.Write("v", v)
		s.FMUL(v, v, c2)
		s.FSQRT(v, v)
		s.FADD(v, v, eps)
		s.FMUL(m, m, step)
		s.FDIV(m, m, v)
		s.FMUL(w, w, decay)
		s.FSUB(w, w, m)
		write(s, w)
	}
	a.Emit(l)
	a.End()
}

// neonWeights gives the loads and the stores of weights: see backend.JoinMaster and backend.SplitMaster.
func neonWeights(a *arm64.Func, weights int) (read func(s *arm64.Step) arm64.Group, write func(s *arm64.Step, w arm64.Group)) {
	read = func(s *arm64.Step) arm64.Group { return s.Read("master") }
	write = func(s *arm64.Step, w arm64.Group) { s.Write("master", w) }
	if weights == masterWeights {
		return read, write
	}
	quiet := arm64.Same(a.Bits(0x7fc00000)) // for NaNs, whose bits rounding would carry over
	number := func(s *arm64.Step, w arm64.Group) {
		mask := s.Vs(s.Vectors)
		s.FCMEQ(mask, w, w)
		s.Select(w, quiet, mask)
	}
	if weights == roundedWeights {
		almostHalf, one := arm64.Same(a.Bits(0x7fff)), arm64.Same(a.Bits(1))
		return read, func(s *arm64.Step, w arm64.Group) {
			s.Write("master", w)
			number(s, w)
			t := s.Vs(s.Vectors)
			s.USHR(t, w, 16) // ties to even
			s.AND(t, t, one)
			s.ADD(t, t, almostHalf)
			s.ADDHN(t, w, t)
			s.WriteRaw("param", t)
		}
	}
	half, magnitude, sign, zero := arm64.Same(a.Bits(0x8000)), arm64.Same(a.Bits(0x7fffffff)), arm64.Same(a.Bits(1<<31)), a.Vs(1)
	a.Zero(zero)
	read = func(s *arm64.Step) arm64.Group {
		w := s.Vs(s.Vectors)
		s.Scope(func() {
			p, r := s.Read("param"), s.ReadRaw("remainder")
			s.SSHLL(r, r)
			s.AND(w, p, magnitude)
			s.ADD(w, w, r)
			s.SMAX(w, w, zero)
			s.AND(p, p, sign)
			s.ORR(w, w, p)
		})
		return w
	}
	return read, func(s *arm64.Step, w arm64.Group) {
		number(s, w)
		t := s.Vs(s.Vectors)
		s.ADDHN(t, w, half)
		s.WriteRaw("param", t)
		s.XTN(w, w)
		s.WriteRaw("remainder", w)
	}
}
