package backendtest

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/internal/backend"
)

// momentumProblem is a step of an optimizer of one moment and its solution in float64.
type momentumProblem struct {
	w, m, grad, hyper, wantW, wantM array
}

// testMomentum tests a kernel over weights, moments and gradients of all forms. solve gives the weight and
// the moment after a step; without a moment m is nil.
func testMomentum(s *suite, hyper []float64, withMoment bool, step func(state backend.MomentumState, grad, hyper *backend.View), solve func(w, m, g float64, h []float64) (newW, newM float64)) {
	for _, n := range []int{0, 1, 17, 1000, 1025, 40001} {
		for _, moment := range []backend.DType{backend.F32, backend.BF16} {
			for _, gradient := range []backend.DType{backend.F32, backend.BF16} {
				if !withMoment && moment == backend.BF16 || n > 2000 && moment != gradient {
					continue
				}
				p := momentumProblem{w: s.normal(backend.F32, 0.02, n), m: s.normal(moment, 1e-2, n), grad: s.normal(gradient, 1e-2, n), wantW: newArray(n), wantM: newArray(n)}
				p.hyper = array{[]int{len(hyper)}, hyper}.rounded(backend.F32)
				for i := range n {
					if i%10 == 3 { // a parameter that never had a gradient
						p.m.data[i], p.grad.data[i] = 0, 0
					}
					p.wantW.data[i], p.wantM.data[i] = solve(p.w.data[i], p.m.data[i], p.grad.data[i], p.hyper.data)
				}
				s.try(fmt.Sprintf("%d, momentum %v, gradient %v", n, moment, gradient), func() { p.run(s, moment, gradient, withMoment, step) })
			}
		}
	}
}

// run demands the solution of masters, parameters that are these rounded, and remainders that give the
// same weights to the bit.
func (p *momentumProblem) run(s *suite, moment, gradient backend.DType, withMoment bool, step func(state backend.MomentumState, grad, hyper *backend.View)) {
	n := len(p.w.data)
	grad, hyper := s.in(gradient, p.grad, contiguous), s.in(backend.F32, p.hyper, contiguous)
	var held array // the weights that the device came to
	for _, param := range []backend.DType{backend.F32, backend.BF16, backend.F16} {
		w, m, rounded := s.inout(backend.F32, p.w, contiguous), s.inout(moment, p.m, contiguous), s.out(param, contiguous, n)
		state := backend.MomentumState{WeightState: backend.WeightState{Master: &w.view}}
		if withMoment {
			state.M = &m.view
		}
		if param != backend.F32 {
			state.Param = &rounded.view
		}
		step(state, grad, hyper)
		tol := within(backend.F32)
		tol.scale = tol.relative
		s.expect("w", w, tol, func() array { return p.wantW })
		if withMoment {
			s.expect("m", m, tol, func() array { return p.wantM })
		}
		held = w.decode(w.download(s))
		if state.Param != nil {
			s.expect("param", rounded, exact, func() array { return held.rounded(param) })
		}
	}
	param, rest := splitMasters(p.w)
	q, r, m := s.inout(backend.BF16, param, contiguous), s.inout(backend.U8, rest, contiguous), s.inout(moment, p.m, contiguous)
	state := backend.MomentumState{WeightState: backend.WeightState{Param: &q.view, Remainder: &r.view}}
	if withMoment {
		state.M = &m.view
	}
	step(state, grad, hyper)
	wantParam, wantRest := splitMasters(held)
	s.expect("param", q, exact, func() array { return wantParam })
	s.expect("remainder", r, exact, func() array { return wantRest })
}

func testSGD(s *suite) {
	b := s.b.(backend.SGDer)
	for _, c := range []struct {
		args   backend.SGDArgs
		moment bool
	}{{backend.SGDArgs{}, false}, {backend.SGDArgs{Momentum: 0.9}, true}, {backend.SGDArgs{Momentum: 0.9, Nesterov: true}, true}} {
		testMomentum(s, []float64{0.1, 0.2, 0.5, 0.75}, c.moment,
			func(state backend.MomentumState, grad, hyper *backend.View) { b.SGD(state, grad, hyper, c.args) },
			func(w, m, g float64, h []float64) (float64, float64) {
				g = g*h[2] + h[1]*w
				u := g
				if c.moment {
					m = c.args.Momentum*m + h[3]*g
					u = m
				}
				if c.args.Nesterov {
					u = g + c.args.Momentum*m
				}
				return w - h[0]*u, m
			})
	}
}

func testLion(s *suite) {
	b := s.b.(backend.Lioner)
	args := backend.LionArgs{Beta1: 0.9, Beta2: 0.99}
	testMomentum(s, []float64{1e-3, 0.2, 0.5}, true,
		func(state backend.MomentumState, grad, hyper *backend.View) { b.Lion(state, grad, hyper, args) },
		func(w, m, g float64, h []float64) (float64, float64) {
			g *= h[2]
			u := args.Beta1*m + (1-args.Beta1)*g
			if u != 0 {
				u = math.Copysign(1, u)
			}
			return w*(1-h[0]*h[1]) - h[0]*u, args.Beta2*m + (1-args.Beta2)*g
		})
}
