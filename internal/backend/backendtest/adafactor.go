package backendtest

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/internal/backend"
)

// adafactorRef is one step of Adafactor in float64. row and col, or v, become what they are after it.
func adafactorRef(w, grad array, row, col, v *array, h []float64, a backend.AdafactorArgs) (wantW array) {
	n := len(grad.data)
	rows, cols := 1, n
	if v == nil {
		rows, cols = grad.shape[len(grad.shape)-2], grad.shape[len(grad.shape)-1]
	}
	lr, wd, q := h[0], h[1], h[4]
	g, estimate := make([]float64, n), make([]float64, n)
	weights, updates := 0.0, 0.0
	for i := range g {
		g[i] = grad.data[i] * h[2]
		weights += w.data[i] * w.data[i]
	}
	if v != nil {
		for i := range g {
			v.data[i] += q * (g[i]*g[i] - v.data[i])
			estimate[i] = v.data[i]
		}
	} else {
		for first := 0; first < n; first += rows * cols {
			matrix, mean := first/(rows*cols), 0.0
			for r := range rows {
				squares := 0.0
				for c := range cols {
					squares += g[first+r*cols+c] * g[first+r*cols+c]
				}
				at := &row.data[matrix*rows+r]
				*at += q * (squares/float64(cols) - *at)
				mean += *at / float64(rows)
			}
			for c := range cols {
				squares := 0.0
				for r := range rows {
					squares += g[first+r*cols+c] * g[first+r*cols+c]
				}
				at := &col.data[matrix*cols+c]
				*at += q * (squares/float64(rows) - *at)
				for r := range rows {
					estimate[first+r*cols+c] = row.data[matrix*rows+r] * *at / max(mean, a.Eps1)
				}
			}
		}
	}
	for i := range g {
		g[i] /= math.Sqrt(max(estimate[i], a.Eps1*a.Eps1))
		updates += g[i] * g[i]
	}
	step := h[3] * max(a.Eps2, math.Sqrt(weights/float64(n))) / max(1, math.Sqrt(updates/float64(n))/a.D)
	wantW = newArray(w.shape...)
	for i := range g {
		wantW.data[i] = w.data[i]*(1-lr*wd) - step*g[i]
	}
	return wantW
}

func testAdafactor(s *suite) {
	b := s.b.(backend.Adafactorer)
	// One block and many, rows longer than a block, more rows than parts, many matrices, one and no axis.
	for _, shape := range [][]int{{}, {1}, {1000}, {40001}, {1, 1}, {5, 12}, {33, 2100}, {9000, 9}, {3, 2, 5, 7}, {500, 3, 3}, {2, 400, 100}} {
		for _, gradient := range []backend.DType{backend.F32, backend.BF16} {
			for _, d := range []float64{1, 50} { // updates that are too large, and that are not
				w, grad := s.normal(backend.F32, 0.02, shape...), s.normal(gradient, 1e-2, shape...)
				hyper := array{[]int{backend.AdafactorHyper}, []float64{0.1, 0.2, 0.5, 0.05, 0.4}}.rounded(backend.F32)
				args := backend.AdafactorArgs{Eps1: 1e-4, Eps2: 1e-3, D: d}
				var row, col, v *array
				squares := func(shape ...int) *array {
					x := s.normal(backend.F32, 1e-3, shape...).mapped(math.Abs)
					return &x
				}
				if n := len(shape); n < 2 {
					v = squares(shape...)
				} else {
					row, col = squares(shape[:n-1]...), squares(append(shape[:n-2:n-2], shape[n-1])...)
				}
				s.try(fmt.Sprintf("%v, gradient %v, d %g", shape, gradient, d), func() {
					tg, th := s.in(gradient, grad, contiguous), s.in(backend.F32, hyper, contiguous)
					var want, held array
					for _, param := range []backend.DType{backend.F32, backend.BF16, backend.F16, backend.U8} {
						var state backend.AdafactorState
						kept := map[string]*tensor{}
						results := map[string]*array{}
						for name, x := range map[string]*array{"row": row, "col": col, "v": v} {
							if x == nil {
								continue
							}
							copied := x.mapped(func(x float64) float64 { return x })
							kept[name], results[name] = s.inout(backend.F32, *x, contiguous), &copied
						}
						for name, to := range map[string]**backend.View{"row": &state.Row, "col": &state.Col, "v": &state.V} {
							if t := kept[name]; t != nil {
								*to = &t.view
							}
						}
						want = adafactorRef(w, grad, results["row"], results["col"], results["v"], hyper.data, args)
						if param == backend.U8 { // a remainder: the same weights to the bit
							p, rest := splitMasters(w)
							tp, tr := s.inout(backend.BF16, p, contiguous), s.inout(backend.U8, rest, contiguous)
							state.WeightState = backend.WeightState{Param: &tp.view, Remainder: &tr.view}
							b.Adafactor(state, tg, th, args)
							wantP, wantR := splitMasters(held)
							s.expect("param", tp, exact, func() array { return wantP })
							s.expect("remainder", tr, exact, func() array { return wantR })
							continue
						}
						tw, tp := s.inout(backend.F32, w, contiguous), s.out(param, contiguous, shape...)
						state.WeightState = backend.WeightState{Master: &tw.view}
						if param != backend.F32 {
							state.Param = &tp.view
						}
						b.Adafactor(state, tg, th, args)
						s.expect("w", tw, tolerance{relative: 4e-6, scale: 4e-6}, func() array { return want })
						for _, name := range []string{"row", "col", "v"} {
							if kept[name] != nil {
								s.expect(name, kept[name], tolerance{relative: 1e-5}, func() array { return *results[name] })
							}
						}
						held = tw.decode(tw.download(s))
						if state.Param != nil {
							s.expect("param", tp, exact, func() array { return held.rounded(param) })
						}
					}
				})
			}
		}
	}
}
