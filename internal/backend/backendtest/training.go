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
					s.try("parts "+label, func() {
						t, e, w := s.in(backend.I32, targets, contiguous), s.in(acc, lse.rounded(acc), contiguous), s.in(acc, weight, contiguous)
						o, logSums, state := s.out(acc, contiguous, n), s.out(acc, contiguous, n), s.out(acc, contiguous, n, backend.CrossEntropyState)
						d := s.out(dt, l, n, classes)
						v := s.in(dt, logits, l)
						for first, step := 0, 1+classes/3; first < classes; first += step {
							last := min(first+step, classes)
							args := args
							args.First, args.Classes = first, classes
							part, dpart := v.Slice(1, first, last), d.view.Slice(1, first, last)
							if last < classes {
								b.CrossEntropyPart(nil, nil, &state.view, &part, t, args)
							} else {
								b.CrossEntropyPart(&o.view, &logSums.view, &state.view, &part, t, args)
							}
							b.CrossEntropyBackward(&dpart, &part, e, t, w, args)
						}
						s.expect("loss of parts", o, tolerance{absolute: within(acc).relative * 10 * max(1, scale)}, func() array { return loss })
						tol := tolerance{}
						for _, w := range weight.data {
							tol.absolute = max(tol.absolute, within(dt).relative*(1+scale/10)*math.Abs(w))
						}
						s.expect("dlogits of parts", d, tol, func() array { return grad })
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
						if dt == backend.F32 {
							half, over := s.out(backend.BF16, l, n, classes), s.inout(dt, logits, l).halves()
							b.CrossEntropyBackward(&half.view, v, e, t, w, args)
							b.CrossEntropyBackward(&over.view, &over.whole, e, t, w, args)
							s.expect("dlogits in BF16", half, tol, func() array { return grad })
							s.expect("dlogits in BF16 over logits", &over.tensor, tol, func() array { return grad })
						}
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

// overlaid is a matrix of BF16 in the memory of one of F32.
type overlaid struct {
	tensor
	whole backend.View // the memory as F32
}

// halves is a BF16 matrix each row of which begins where t's does.
func (t *tensor) halves() *overlaid {
	o := &overlaid{*t, t.view}
	o.view.DType = backend.BF16
	o.view.Strides[0] *= 2
	o.offsets = make([]int, len(t.offsets))
	classes := max(t.view.Shape[1], 1)
	for i := range o.offsets {
		o.offsets[i] = t.offsets[i/classes*classes] + i%classes*2
	}
	return o
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
