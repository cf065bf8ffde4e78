package backendtest

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/internal/backend"
)

func testLayerNorm(s *suite) {
	b := s.b.(backend.LayerNormer)
	const eps = 1e-5
	for _, shape := range [][]int{{1, 2}, {3, 7}, {5, 64}, {65, 32}, {200, 128}, {3, 1024}, {2, 1030}, {700, 16}, {0, 8}, {129, 33}} {
		n, d := shape[0], shape[1]
		for _, dt := range floatDTypes {
			acc := dt.Accumulator()
			for _, scale := range []float64{1e-3, 1, 1e3} {
				l := rowLayouts[s.rng.IntN(2)]
				x, w, bias, dy := s.normal(dt, scale, n, d), s.normal(dt, 1, d), s.normal(dt, 1, d), s.normal(dt, 1, n, d)
				mean, rstd, t := newArray(n), newArray(n), newArray(n, d)
				for i := range n {
					row := x.data[i*d : (i+1)*d]
					variance := 0.0
					for _, v := range row {
						mean.data[i] += v / float64(d)
					}
					for _, v := range row {
						variance += (v - mean.data[i]) * (v - mean.data[i]) / float64(d)
					}
					rstd.data[i] = 1 / math.Sqrt(variance+eps)
					for j, v := range row {
						t.data[i*d+j] = (v - mean.data[i]) * rstd.data[i]
					}
				}
				label := fmt.Sprintf("%v%v %v, scale %v", dt, shape, l, scale)
				// The mean cancels where it is subtracted.
				tol := within(dt)
				tol.scale, tol.absolute = tol.relative, tol.relative
				s.try(label, func() {
					out, m, r := s.out(dt, l, n, d), s.out(acc, contiguous, n), s.out(acc, contiguous, n)
					b.LayerNorm(&out.view, &m.view, &r.view, s.in(dt, x, l), s.in(dt, w, contiguous), s.in(dt, bias, contiguous), eps)
					means := within(dt)
					means.absolute = means.relative * scale
					s.expect("mean", m, means, func() array { return mean })
					s.expect("rstd", r, tol, func() array { return rstd })
					s.expect("out", out, tol, func() array {
						want := newArray(n, d)
						for i, v := range t.data {
							want.data[i] = v*w.data[i%d] + bias.data[i%d]
						}
						return want
					})
				})
				for _, weights := range []backend.DType{acc, dt} {
					beforeW, beforeB := s.normal(weights, 1, d), s.normal(weights, 1, d)
					s.try(fmt.Sprintf("backward %s, dw %v", label, weights), func() {
						vx, vw, vdy := s.in(dt, x, l), s.in(dt, w, contiguous), s.in(dt, dy, l)
						vm, vr := s.in(acc, mean.rounded(acc), contiguous), s.in(acc, rstd.rounded(acc), contiguous)
						dx, dw, db := s.out(dt, l, n, d), s.inout(weights, beforeW, contiguous), s.inout(weights, beforeB, contiguous)
						inPlace, onlyDW, onlyDB := s.inout(dt, dy, l), s.inout(weights, beforeW, contiguous), s.inout(weights, beforeB, contiguous)
						b.LayerNormBackward(&dx.view, &dw.view, &db.view, vdy, vx, vw, vm, vr)
						b.LayerNormBackward(&inPlace.view, nil, nil, &inPlace.view, vx, vw, vm, vr)
						b.LayerNormBackward(nil, &onlyDW.view, nil, vdy, vx, vw, vm, vr)
						b.LayerNormBackward(nil, nil, &onlyDB.view, vdy, vx, vw, vm, vr)
						wantX, wantW, wantB := newArray(n, d), newArray(d), newArray(d)
						copy(wantW.data, beforeW.data)
						copy(wantB.data, beforeB.data)
						largest := 0.0 // of the terms of dx, which cancel
						for i := range n {
							meanG, meanGT := 0.0, 0.0
							for j := range d {
								at := i*d + j
								g := dy.data[at] * w.data[j]
								meanG += g / float64(d)
								meanGT += g * t.data[at] / float64(d)
								wantW.data[j] += dy.data[at] * t.data[at]
								wantB.data[j] += dy.data[at]
							}
							for j := range d {
								at := i*d + j
								g := dy.data[at] * w.data[j]
								largest = max(largest, rstd.data[i]*math.Abs(g))
								wantX.data[at] = rstd.data[i] * (g - meanG - t.data[at]*meanGT)
							}
						}
						forX := toleranceOf(dt)
						forX.absolute = within(dt).relative * 4 * largest
						x, w, b := func() array { return wantX }, func() array { return wantW }, func() array { return wantB }
						s.expect("dx", dx, forX, x)
						s.expect("dx in dy", inPlace, forX, x)
						s.expect("dw", dw, toleranceOf(dt), w)
						s.expect("dw alone", onlyDW, toleranceOf(dt), w)
						s.expect("db", db, toleranceOf(dt), b)
						s.expect("db alone", onlyDB, toleranceOf(dt), b)
					})
				}
			}
		}
	}
}
