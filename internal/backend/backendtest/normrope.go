package backendtest

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/internal/backend"
)

func testNormRoPE(s *suite) {
	b := s.b.(backend.NormRoPEr)
	const eps = 1e-6
	for _, shape := range [][]int{{1, 1, 2}, {5, 3, 8}, {33, 4, 32}, {17, 2, 128}, {0, 2, 4}, {3, 1, 34}, {300, 4, 64}} {
		n, heads, d := shape[0], shape[1], shape[2]
		for _, dt := range floatDTypes {
			acc := dt.Accumulator()
			for _, scale := range []float64{1e-4, 1, 1e3} {
				l := rowLayouts[s.rng.IntN(2)]
				x, w, dy := s.normal(dt, scale, shape...), s.normal(dt, 1, d), s.normal(dt, 1, shape...)
				angles := s.normal(backend.F64, 100, n, d/2)
				cos, sin := angles.mapped(math.Cos).rounded(acc), angles.mapped(math.Sin).rounded(acc)
				rstd := newArray(n, heads)
				for i := range rstd.data {
					sum := 0.0
					for _, v := range x.data[i*d : (i+1)*d] {
						sum += v * v
					}
					rstd.data[i] = 1 / math.Sqrt(sum/float64(d)+eps)
				}
				label := fmt.Sprintf("%v%v %v, scale %v", dt, shape, l, scale)
				// Steps of which some are rounded to dt, and which cancel.
				tol := toleranceOf(dt)
				s.try(label, func() {
					out, r := s.out(dt, l, shape...), s.out(acc, contiguous, n, heads)
					vc, vs := s.in(acc, cos, contiguous), s.in(acc, sin, contiguous)
					b.NormRoPE(&out.view, &r.view, s.in(dt, x, l), s.in(dt, w, contiguous), vc, vs, eps)
					s.expect("rstd", r, within(dt), func() array { return rstd })
					s.expect("out", out, tol, func() array {
						normed := newArray(shape...)
						for i, v := range x.data {
							normed.data[i] = round(dt, round(dt, v*rstd.data[i/d])*w.data[i%d])
						}
						return rope(normed, cos.rounded(dt), sin.rounded(dt), false)
					})
				})
				for _, weights := range []backend.DType{acc, dt} {
					before := s.normal(weights, 1, d)
					s.try(fmt.Sprintf("backward %s, dw %v", label, weights), func() {
						vx, vw, vdy, vr := s.in(dt, x, l), s.in(dt, w, contiguous), s.in(dt, dy, l), s.in(acc, rstd, contiguous)
						vc, vs := s.in(acc, cos, contiguous), s.in(acc, sin, contiguous)
						dx, dw := s.out(dt, l, shape...), s.inout(weights, before, contiguous)
						inPlace, onlyDW := s.inout(dt, dy, l), s.inout(weights, before, contiguous)
						b.NormRoPEBackward(&dx.view, &dw.view, vdy, vx, vw, vr, vc, vs)
						b.NormRoPEBackward(&inPlace.view, nil, &inPlace.view, vx, vw, vr, vc, vs)
						b.NormRoPEBackward(nil, &onlyDW.view, vdy, vx, vw, vr, vc, vs)
						turned := rope(dy, cos.rounded(dt), sin.rounded(dt), true)
						wantX, wantW := newArray(shape...), newArray(d)
						largest := 0.0 // of the terms of dx, which cancel when d is small
						copy(wantW.data, before.data)
						for i, r := range rstd.data {
							dot := 0.0
							for j := range d {
								g, v := turned.data[i*d+j], x.data[i*d+j]
								dot += g * w.data[j] * v
								wantW.data[j] += g * v * r
							}
							for j := range d {
								term := r * turned.data[i*d+j] * w.data[j]
								largest = max(largest, math.Abs(term))
								wantX.data[i*d+j] = term - x.data[i*d+j]*r*r*r*dot/float64(d)
							}
						}
						x, w := func() array { return wantX }, func() array { return wantW }
						forX := tol
						forX.absolute = max(within(dt).relative, tol.scale) * largest
						s.expect("dx", dx, forX, x)
						s.expect("dx in dy", inPlace, forX, x)
						s.expect("dw", dw, tol, w)
						s.expect("dw alone", onlyDW, tol, w)
					})
				}
			}
		}
	}
}
