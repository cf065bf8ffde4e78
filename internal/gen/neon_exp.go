package main

import "github.com/hone-ml/hone/internal/gen/arm64"

// neonExpConstants are the numbers of the exponential. Package simd's exp.go has them too, with their
// source.
type neonExpConstants struct {
	min, max, one, bias arm64.Group
	p                   [6]arm64.Group
	ln                  arm64.V // by lane: log₂e, ln2Hi, ln2Lo
}

func newNeonExpConstants(a *arm64.Func) (c neonExpConstants) {
	g := a.Constants("expConstants", -104, 89, 1,
		1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
	c.min, c.max, c.one = g[0:1], g[1:2], g[2:3]
	for i := range c.p {
		c.p[i] = g[3+i : 4+i]
	}
	c.ln = a.Lanes("expLogarithms", [4]float32{1.44269504088896341, 0.693359375, -2.12194440e-4})
	c.bias = arm64.Same(a.Bits(127))
	return c
}

// neonExp replaces x by e to the power of x. It takes three registers for each of x.
func neonExp(s *arm64.Step, c neonExpConstants, x arm64.Group) {
	n, p, t := s.Vs(len(x)), s.Vs(len(x)), s.Vs(len(x))
	s.FMAX(x, x, c.min) // a NaN stays one
	s.FMIN(x, x, c.max)
	s.FMULLane(n, x, c.ln, 0)
	s.FCVTNS(n, n)
	s.SCVTF(t, n)
	s.FMLSLane(x, t, c.ln, 1)
	s.FMLSLane(x, t, c.ln, 2)
	s.Move(p, c.p[0])
	for _, coefficient := range c.p[1:] {
		s.Move(t, coefficient)
		s.FMLA(t, p, x)
		p, t = t, p
	}
	s.FMUL(t, x, x)
	s.FMLA(x, p, t)
	s.FADD(x, x, c.one)
	// 2ⁿ as a product of two powers: n itself may be beyond the exponents of normal numbers.
	s.SSHR(p, n, 1)
	s.SUB(n, n, p)
	for _, power := range []arm64.Group{p, n} {
		s.ADD(power, power, c.bias)
		s.SHL(power, power, 23)
		s.FMUL(x, x, power)
	}
}

// neonOnePlusExpMinus gives 1 + exp(−x).
func neonOnePlusExpMinus(s *arm64.Step, c neonExpConstants, x arm64.Group) arm64.Group {
	d := s.Vs(len(x))
	s.Scope(func() {
		s.FNEG(d, x)
		neonExp(s, c, d)
		s.FADD(d, d, c.one)
	})
	return d
}

// neonExponentials writes the exponential and what is made of it.
func neonExponentials(f *arm64.File) {
	neonLoop{"exp", "func(out, x []float32, bias float32) float32", "sets out = exp(x − bias) and returns the sum of out.",
		[]string{"out", "x"}, 4}.emit(f, neonF32, func(a *arm64.Func) (func(*arm64.Step), func()) {
		c, bias, sum := newNeonExpConstants(a), arm64.Same(a.LoadScalar("bias")), a.Vs(1)
		a.Zero(sum)
		return func(s *arm64.Step) {
			x := neonBiasedExp(s, c, bias)
			s.Write("out", x)
			neonAddTo(s, sum, x)
		}, func() { a.Fold(sum[0]); a.StoreResult(sum[0]) }
	})
	for _, k := range neonKinds {
		neonSigmoids(f, k)
		neonSoftmax(f, k)
		neonScaledExp(f, k, "scaledExp", "func(out, x []E, bias, scale, shift float32)")
	}
	neonScaledExp(f, neonBF16, "scaledExpTo", "func(out []uint16, x []float32, bias, scale, shift float32)")
}

// neonBiasedExp gives exp(x − bias) of the stream x.
func neonBiasedExp(s *arm64.Step, c neonExpConstants, bias arm64.Group) arm64.Group {
	x := s.Read("x")
	s.FSUB(x, x, bias)
	s.Scope(func() { neonExp(s, c, x) })
	return x
}

// neonAddTo adds all of x, which it destroys, to the lanes of sum.
func neonAddTo(s *arm64.Step, sum, x arm64.Group) {
	s.KeepPart(x)
	neonTotal(s.Func, x, s.FADD)
	s.FADD(sum, sum, x[:1])
}

// neonSigmoids writes what is made of the logistic function.
func neonSigmoids(f *arm64.File, k neonKind) {
	loop := func(l neonLoop, step func(s *arm64.Step, c neonExpConstants)) {
		l.emit(f, k, func(a *arm64.Func) (func(*arm64.Step), func()) {
			c := newNeonExpConstants(a)
			return func(s *arm64.Step) { step(s, c) }, nil
		})
	}
	loop(neonLoop{"sigmoid", "func(out, x []E)", "sets out = 1 / (1 + exp(−x)).", []string{"out", "x"}, 4},
		func(s *arm64.Step, c neonExpConstants) {
			x := s.Read("x")
			s.FNEG(x, x)
			s.Scope(func() { neonExp(s, c, x) })
			s.FADD(x, x, c.one)
			s.FDIV(x, c.one, x)
			s.Write("out", x)
		})
	loop(neonLoop{"silu", "func(out, x []E)", "sets out = x / (1 + exp(−x)).", []string{"out", "x"}, 4},
		func(s *arm64.Step, c neonExpConstants) {
			x := s.Read("x")
			s.FDIV(x, x, neonOnePlusExpMinus(s, c, x))
			s.Write("out", x)
		})
	loop(neonLoop{"swiGLU", "func(out, gate, up []E)", "sets out = silu(gate)·up.", []string{"out", "gate", "up"}, 4},
		func(s *arm64.Step, c neonExpConstants) {
			gate := s.Read("gate")
			s.FDIV(gate, gate, neonOnePlusExpMinus(s, c, gate))
			s.FMUL(gate, gate, s.Read("up"))
			s.Write("out", gate)
		})
	loop(neonLoop{"swiGLUBackward", "func(dgate, dup, dy, gate, up []E)",
		"sets dup = dy·gate·s and dgate = dy·up·s·(1 + gate·(1 − s)) with s = sigmoid(gate).",
		[]string{"dgate", "dup", "dy", "gate", "up"}, 2}, func(s *arm64.Step, c neonExpConstants) {
		gate := s.Read("gate")
		sig := neonOnePlusExpMinus(s, c, gate)
		s.FDIV(sig, c.one, sig)
		dy, up, t := s.Read("dy"), s.Read("up"), s.Vs(s.Vectors)
		s.FMUL(dy, dy, sig)
		s.FMUL(t, dy, gate)
		s.Write("dup", t)
		s.FMUL(dy, dy, up)
		s.FSUB(sig, c.one, sig)
		s.Move(t, c.one)
		s.FMLA(t, gate, sig)
		s.FMUL(dy, dy, t)
		s.Write("dgate", dy)
	})
}

// neonSoftmax writes the sum of softmax and cross-entropy, and softmax's gradient.
func neonSoftmax(f *arm64.File, k neonKind) {
	neonLoop{"sumExp", "func(x []E, bias float32) float32", "is Σ exp(x − bias).", []string{"x"}, 4}.emit(f, k,
		func(a *arm64.Func) (func(*arm64.Step), func()) {
			c, bias, sum := newNeonExpConstants(a), arm64.Same(a.LoadScalar("bias")), a.Vs(1)
			a.Zero(sum)
			return func(s *arm64.Step) { neonAddTo(s, sum, neonBiasedExp(s, c, bias)) },
				func() { a.Fold(sum[0]); a.StoreResult(sum[0]) }
		})
	neonLoop{"softmaxBackward", "func(dx, dy, y []E, a float32)", "sets dx = (dy − a)·y.", []string{"dx", "dy", "y"}, 4}.emit(f, k,
		func(a *arm64.Func) (func(*arm64.Step), func()) {
			c := arm64.Same(a.LoadScalar("a"))
			return func(s *arm64.Step) {
				g, y := s.Read("dy"), s.Read("y")
				s.FSUB(g, g, c)
				s.FMUL(g, g, y)
				s.Write("dx", g)
			}, nil
		})
}

// neonScaledExp writes the exponentials of softmax and cross-entropy.
func neonScaledExp(f *arm64.File, k neonKind, name, signature string) {
	neonLoop{name, signature, "sets out = scale·exp(x − bias) + shift.", []string{"out", "x"}, 4}.emit(f, k,
		func(a *arm64.Func) (func(*arm64.Step), func()) {
			c, bias := newNeonExpConstants(a), arm64.Same(a.LoadScalar("bias"))
			scale, shift := arm64.Same(a.LoadScalar("scale")), arm64.Same(a.LoadScalar("shift"))
			return func(s *arm64.Step) {
				x, out := neonBiasedExp(s, c, bias), s.Vs(s.Vectors)
				s.Move(out, shift)
				s.FMLA(out, x, scale)
				s.Write("out", out)
			}, nil
		})
}
