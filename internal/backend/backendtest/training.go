package backendtest

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/internal/backend"
)

func testCrossEntropy(s *suite) {
	b := s.b.(backend.CrossEntropyer)
	const ignore = -100
	for _, shape := range [][]int{{1, 1}, {3, 7}, {33, 65}, {5, 1025}, {2, 5003}, {0, 5}, {300, 40}} {
		n, classes := shape[0], shape[1]
		for _, dt := range floatDTypes {
			acc := dt.Accumulator()
			for _, scale := range []float64{1e-3, 3, 300} {
				for _, smoothing := range []float64{0, 0.1} {
					l := rowLayouts[s.rng.IntN(2)]
					args := backend.CrossEntropyArgs{IgnoreIndex: ignore, Smoothing: smoothing}
					logits, targets, weight := s.normal(dt, scale, n, classes), s.integers(0, classes, n), s.normal(acc, 1, n)
					for i := range targets.data {
						if i%4 == 2 {
							targets.data[i] = ignore
						}
					}
					loss, lse, grad := crossEntropy(logits, targets, weight, args)
					label := fmt.Sprintf("%v%v %v, scale %v, smoothing %v", dt, shape, l, scale, smoothing)
					s.try(label, func() {
						v, t := s.in(dt, logits, l), s.in(backend.I32, targets, contiguous)
						o, e := s.out(acc, contiguous, n), s.out(acc, contiguous, n)
						b.CrossEntropy(&o.view, &e.view, v, t, args)
						tol := within(dt)
						tol.absolute = tol.relative * scale
						s.expect("loss", o, tol, func() array { return loss })
						for i, target := range targets.data { // lse is free where the target is ignored
							if got := e.decode(e.download(s)).data[i]; target != ignore && !(math.Abs(got-lse.data[i]) <= 1e-5*max(1, math.Abs(lse.data[i]))) {
								s.errorf("lse: row %d is %v, want %v", i, got, lse.data[i])
								break
							}
						}
					})
					s.try("backward "+label, func() {
						v, t := s.in(dt, logits, l), s.in(backend.I32, targets, contiguous)
						e, w := s.in(acc, lse.rounded(acc), contiguous), s.in(acc, weight, contiguous)
						d, inPlace := s.out(dt, l, n, classes), s.inout(dt, logits, l)
						b.CrossEntropyBackward(&d.view, v, e, t, w, args)
						b.CrossEntropyBackward(&inPlace.view, &inPlace.view, e, t, w, args)
						tol := tolerance{} // softmax − target cancels, and the exponent has its own rounding
						for _, w := range weight.data {
							tol.absolute = max(tol.absolute, within(dt).relative*(1+scale/10)*math.Abs(w))
						}
						s.expect("dlogits", d, tol, func() array { return grad })
						s.expect("dlogits in logits", inPlace, tol, func() array { return grad })
					})
				}
			}
		}
	}
	for _, bad := range []int{-1, 7, -101} {
		s.try(fmt.Sprintf("target %d", bad), func() {
			targets := array{[]int{4}, []float64{1, ignore, float64(bad), 0}}
			args := backend.CrossEntropyArgs{IgnoreIndex: ignore}
			v, t := s.in(backend.F32, s.normal(backend.F32, 1, 4, 7), contiguous), s.in(backend.I32, targets, contiguous)
			loss, lse, d := s.out(backend.F32, contiguous, 4), s.out(backend.F32, contiguous, 4), s.out(backend.F32, contiguous, 4, 7)
			want := backend.IndexError{Position: 2, Index: int64(bad), Limit: 7}
			s.expectPanic(want, func() { b.CrossEntropy(&loss.view, &lse.view, v, t, args) })
			weight := s.in(backend.F32, newArray(4), contiguous)
			s.expectPanic(want, func() { b.CrossEntropyBackward(&d.view, v, &lse.view, t, weight, args) })
		})
	}
}

func crossEntropy(logits, targets, weight array, args backend.CrossEntropyArgs) (loss, lse, grad array) {
	n, classes := logits.shape[0], logits.shape[1]
	loss, lse, grad = newArray(n), newArray(n), newArray(n, classes)
	for i := range n {
		row := logits.data[i*classes : (i+1)*classes]
		largest, sum := math.Inf(-1), 0.0
		for _, v := range row {
			largest = max(largest, v)
		}
		for _, v := range row {
			sum += math.Exp(v - largest)
		}
		lse.data[i] = largest + math.Log(sum)
		if int(targets.data[i]) == args.IgnoreIndex {
			continue
		}
		for j, v := range row {
			target := args.Smoothing / float64(classes)
			if j == int(targets.data[i]) {
				target += 1 - args.Smoothing
			}
			loss.data[i] += target * (largest - v + math.Log(sum))
			grad.data[i*classes+j] = weight.data[i] * (math.Exp(v-lse.data[i]) - target)
		}
	}
	return loss, lse, grad
}

func testAdamW(s *suite) {
	b := s.b.(backend.AdamWer)
	for _, n := range []int{0, 1, 15, 16, 17, 1000, 1025, 70001} {
		for _, master := range []backend.DType{backend.F32, backend.F64} {
			for _, param := range []backend.DType{backend.F32, backend.F64, backend.BF16, backend.F16} {
				args := backend.AdamWArgs{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}
				w, m, g := s.normal(master, 0.02, n), s.normal(master, 1e-3, n), s.normal(master, 1e-2, n)
				v := s.normal(master, 1e-3, n).mapped(math.Abs).rounded(master)
				for i := range v.data {
					if i%10 == 3 { // a parameter that never had a gradient
						m.data[i], v.data[i], g.data[i] = 0, 0, 0
					}
				}
				hyper := array{[]int{5}, []float64{1e-3, 0.1, 1 / (1 - math.Pow(0.9, 7)), 1 / (1 - math.Pow(0.999, 7)), 0.25}}.rounded(backend.F32)
				s.try(fmt.Sprintf("%d of %v, param %v", n, master, param), func() {
					h, vg := s.in(backend.F32, hyper, contiguous), s.in(master, g, contiguous)
					tw, tm, tv, tp := s.inout(master, w, contiguous), s.inout(master, m, contiguous), s.inout(master, v, contiguous), s.out(param, contiguous, n)
					p := &tp.view
					if param == master {
						p = nil
					}
					b.AdamW(p, &tw.view, &tm.view, &tv.view, vg, h, args)
					wantW, wantM, wantV := newArray(n), newArray(n), newArray(n)
					lr, wd, c1, c2, scale := hyper.data[0], hyper.data[1], hyper.data[2], hyper.data[3], hyper.data[4]
					for i := range n {
						grad := g.data[i] * scale
						wantM.data[i] = args.Beta1*m.data[i] + (1-args.Beta1)*grad
						wantV.data[i] = args.Beta2*v.data[i] + (1-args.Beta2)*grad*grad
						wantW.data[i] = w.data[i]*(1-lr*wd) - lr*wantM.data[i]*c1/(math.Sqrt(wantV.data[i]*c2)+args.Eps)
					}
					tol := within(master)
					tol.scale = tol.relative
					s.expect("w", tw, tol, func() array { return wantW })
					s.expect("m", tm, tol, func() array { return wantM })
					s.expect("v", tv, tol, func() array { return wantV })
					if p != nil {
						// Rounding of the master that the device holds, to the bit.
						held := tw.decode(tw.download(s))
						s.expect("param", tp, exact, func() array {
							return held.mapped(func(x float64) float64 { return float64(float32(x)) }).rounded(param)
						})
					}
				})
			}
		}
	}
}
