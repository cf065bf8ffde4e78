package backendtest

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/internal/backend"
)

// perRow computes a row at a time.
func perRow(x array, f func(row []float64) []float64) array {
	out := newArray(x.shape...)
	width := x.shape[len(x.shape)-1]
	for i := 0; i < len(x.data) && width > 0; i += width {
		copy(out.data[i:i+width], f(x.data[i:i+width]))
	}
	return out
}

func softmax(x []float64) []float64 {
	largest, sum := math.Inf(-1), 0.0
	for _, v := range x {
		largest = max(largest, v)
	}
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = math.Exp(v - largest)
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

func testSoftmax(s *suite) {
	b := s.b.(backend.Softmaxer)
	for _, shape := range [][]int{{1}, {7}, {1, 1}, {5, 1000}, {3, 1025}, {40, 64}, {2, 5003}, {3, 4, 17}, {2, 1, 2, 3, 2, 9}, {0, 5}, {4, 0}, {500, 33}} {
		for _, dt := range floatDTypes {
			for _, scale := range []float64{1e-3, 1, 300} {
				l := rowLayouts[s.rng.IntN(2)]
				x, dy := s.normal(dt, scale, shape...), s.normal(dt, 1, shape...)
				for i := range x.data {
					if scale > 1 && i%9 == 4 && shape[len(shape)-1] > 8 {
						x.data[i] = math.Inf(-1)
					}
				}
				y := perRow(x, softmax).rounded(dt)
				tol := within(dt)
				tol.relative *= 1 + scale/10 // the exponent's own rounding
				s.try(fmt.Sprintf("%v%v %v, scale %v", dt, shape, l, scale), func() {
					out, in := s.out(dt, l, shape...), s.inout(dt, x, l)
					vx := s.in(dt, x, l)
					b.Softmax(&out.view, vx)
					b.Softmax(&in.view, &in.view)
					want := func() array { return perRow(x, softmax) }
					s.expect("out", out, tol, want)
					s.expect("in place", in, tol, want)
				})
				want := func() array {
					width := shape[len(shape)-1]
					row := 0
					return perRow(dy, func(g []float64) []float64 {
						p := y.data[row*width : (row+1)*width]
						row++
						dot := 0.0
						for i := range g {
							dot += g[i] * p[i]
						}
						dx := make([]float64, width)
						for i := range dx {
							dx[i] = p[i] * (g[i] - dot)
						}
						return dx
					})
				}
				// dy − Σ dy·y cancels.
				cancels := within(dt)
				for i, p := range y.data {
					cancels.absolute = max(cancels.absolute, within(dt).relative*4*p*math.Abs(dy.data[i]))
				}
				s.try(fmt.Sprintf("backward %v%v %v, scale %v", dt, shape, l, scale), func() {
					dx, in := s.out(dt, l, shape...), s.inout(dt, dy, l)
					vy, vdy := s.in(dt, y, l), s.in(dt, dy, l)
					b.SoftmaxBackward(&dx.view, vdy, vy)
					b.SoftmaxBackward(&in.view, &in.view, vy)
					s.expect("dx", dx, cancels, want)
					s.expect("dx in dy", in, cancels, want)
				})
			}
		}
	}
}

// toleranceOf is for kernels of several steps, of which some are rounded to dt.
func toleranceOf(dt backend.DType) tolerance {
	t := summed(dt)
	switch dt {
	case backend.BF16:
		t.scale = 0x1p-7
	case backend.F16:
		t.scale = 0x1p-10
	}
	return t
}

func testRMSNorm(s *suite) {
	b := s.b.(backend.RMSNormer)
	const eps = 1e-6
	for _, shape := range [][]int{{1, 1}, {3, 7}, {5, 64}, {65, 32}, {200, 128}, {3, 1024}, {2, 1030}, {700, 16}, {0, 8}, {129, 33}} {
		n, d := shape[0], shape[1]
		for _, dt := range floatDTypes {
			acc := dt.Accumulator()
			for _, scale := range []float64{1e-4, 1, 1e3} {
				l := rowLayouts[s.rng.IntN(2)]
				x, w, dy := s.normal(dt, scale, n, d), s.normal(dt, 1, d), s.normal(dt, 1, n, d)
				rstd := newArray(n)
				for i := range n {
					sum := 0.0
					for _, v := range x.data[i*d : (i+1)*d] {
						sum += v * v
					}
					rstd.data[i] = 1 / math.Sqrt(sum/float64(d)+eps)
				}
				label := fmt.Sprintf("%v%v %v, scale %v", dt, shape, l, scale)
				s.try(label, func() {
					out, r := s.out(dt, l, n, d), s.out(acc, contiguous, n)
					b.RMSNorm(&out.view, &r.view, s.in(dt, x, l), s.in(dt, w, contiguous), eps)
					s.expect("rstd", r, within(dt), func() array { return rstd })
					tol := within(dt)
					if dt.Size() == 2 { // one more rounding, of the normalised row
						tol.relative, _ = storage(dt)
						tol.absolute = 1e-6
					}
					s.expect("out", out, tol, func() array {
						want := newArray(n, d)
						for i, v := range x.data {
							normed := round(dt, v*rstd.data[i/d])
							want.data[i] = normed * w.data[i%d]
						}
						return want
					})
				})
				for _, weights := range []backend.DType{acc, dt} {
					before := s.normal(weights, 1, d)
					s.try(fmt.Sprintf("backward %s, dw %v", label, weights), func() {
						vx, vw, vdy, vr := s.in(dt, x, l), s.in(dt, w, contiguous), s.in(dt, dy, l), s.in(acc, rstd, contiguous)
						dx, dw := s.out(dt, l, n, d), s.inout(weights, before, contiguous)
						inPlace, onlyDW := s.inout(dt, dy, l), s.inout(weights, before, contiguous)
						b.RMSNormBackward(&dx.view, &dw.view, vdy, vx, vw, vr)
						b.RMSNormBackward(&inPlace.view, nil, &inPlace.view, vx, vw, vr)
						b.RMSNormBackward(nil, &onlyDW.view, vdy, vx, vw, vr)
						wantX, wantW := newArray(n, d), newArray(d)
						largest := 0.0 // of the terms of dx, which cancel when d is small
						copy(wantW.data, before.data)
						for i := range n {
							r, dot := rstd.data[i], 0.0
							for j := range d {
								g, v := dy.data[i*d+j], x.data[i*d+j]
								dot += g * w.data[j] * v
								wantW.data[j] += g * v * r
							}
							for j := range d {
								term := r * dy.data[i*d+j] * w.data[j]
								largest = max(largest, within(dt).relative*math.Abs(term))
								wantX.data[i*d+j] = term - x.data[i*d+j]*r*r*r*dot/float64(d)
							}
						}
						x, w := func() array { return wantX }, func() array { return wantW }
						tol := toleranceOf(dt)
						tol.absolute = largest
						s.expect("dx", dx, tol, x)
						s.expect("dx in dy", inPlace, tol, x)
						s.expect("dw", dw, toleranceOf(dt), w)
						s.expect("dw alone", onlyDW, toleranceOf(dt), w)
					})
				}
			}
		}
	}
}

func testRoPE(s *suite) {
	b := s.b.(backend.RoPEr)
	for _, shape := range [][]int{{1, 1, 2}, {5, 3, 8}, {33, 4, 32}, {17, 2, 128}, {0, 2, 4}, {3, 1, 34}, {300, 4, 64}} {
		n, heads, d := shape[0], shape[1], shape[2]
		for _, dt := range floatDTypes {
			acc := dt.Accumulator()
			for _, inverse := range []bool{false, true} {
				for _, l := range rowLayouts {
					x, angles := s.normal(dt, 1, n, heads, d), s.normal(backend.F64, 100, n, d/2)
					cos, sin := angles.mapped(math.Cos).rounded(acc), angles.mapped(math.Sin).rounded(acc)
					s.try(fmt.Sprintf("%v%v %v, inverse %v", dt, shape, l, inverse), func() {
						vx, vc, vs := s.in(dt, x, l), s.in(acc, cos, contiguous), s.in(acc, sin, contiguous)
						out, inPlace := s.out(dt, l, n, heads, d), s.inout(dt, x, l)
						b.RoPE(&out.view, vx, vc, vs, inverse)
						b.RoPE(&inPlace.view, &inPlace.view, vc, vs, inverse)
						want := func() array { return rope(x, cos.rounded(dt), sin.rounded(dt), inverse) }
						tol := within(dt)
						tol.scale = tol.relative
						s.expect("out", out, tol, want)
						s.expect("in place", inPlace, tol, want)
					})
				}
			}
		}
	}
}

func rope(x, cos, sin array, inverse bool) array {
	out := newArray(x.shape...)
	d := x.shape[2]
	each(x.shape, func(i int, index []int) {
		half := d / 2
		j := index[2] % half
		c, sn := cos.at(index[0], j), sin.at(index[0], j)
		if inverse {
			sn = -sn
		}
		if index[2] < half {
			out.data[i] = x.data[i]*c - x.data[i+half]*sn
		} else {
			out.data[i] = x.data[i]*c + x.data[i-half]*sn
		}
	})
	return out
}

func testSwiGLU(s *suite) {
	b := s.b.(backend.SwiGLUer)
	for _, shape := range [][]int{{1, 1}, {3, 7}, {5, 64}, {65, 33}, {40, 1030}, {0, 8}, {8, 0}} {
		for _, dt := range floatDTypes {
			for _, scale := range []float64{0.1, 3, 60} {
				l := rowLayouts[s.rng.IntN(2)]
				gate, up, dy := s.normal(dt, scale, shape...), s.normal(dt, 1, shape...), s.normal(dt, 1, shape...)
				tol := within(dt)
				tol.relative *= 2
				tol.scale = tol.relative / 4
				s.try(fmt.Sprintf("%v%v %v, scale %v", dt, shape, l, scale), func() {
					out := s.out(dt, l, shape...)
					b.SwiGLU(&out.view, s.in(dt, gate, l), s.in(dt, up, l))
					s.expect("out", out, tol, func() array {
						return zip(gate, up, func(g, u float64) float64 { return g * sigmoid(g) * u })
					})
				})
				s.try(fmt.Sprintf("backward %v%v %v, scale %v", dt, shape, l, scale), func() {
					vy, vg, vu := s.in(dt, dy, l), s.in(dt, gate, l), s.in(dt, up, l)
					dgate, dup := s.out(dt, l, shape...), s.out(dt, l, shape...)
					gateOnly, upOnly := s.out(dt, l, shape...), s.out(dt, l, shape...)
					b.SwiGLUBackward(&dgate.view, &dup.view, vy, vg, vu)
					b.SwiGLUBackward(&gateOnly.view, nil, vy, vg, vu)
					b.SwiGLUBackward(nil, &upOnly.view, vy, vg, vu)
					wantGate := func() array {
						return zip(zip(dy, up, func(d, u float64) float64 { return d * u }), gate, func(du, g float64) float64 {
							sg := sigmoid(g)
							return du * sg * (1 + g*(1-sg))
						})
					}
					wantUp := func() array { return zip(dy, gate, func(d, g float64) float64 { return d * g * sigmoid(g) }) }
					s.expect("dgate", dgate, tol, wantGate)
					s.expect("dup", dup, tol, wantUp)
					s.expect("dgate alone", gateOnly, tol, wantGate)
					s.expect("dup alone", upOnly, tol, wantUp)
				})
			}
		}
	}
}

// activations are what ActivationBackward is told, with the derivative in terms of what is kept: the output where there is
// an output function, and the argument elsewhere.
var activations = []struct {
	name   string
	op     backend.UnaryOp
	output func(x float64) float64
	slope  func(kept float64) float64
}{
	{"Sigmoid", backend.Sigmoid, sigmoid, func(y float64) float64 { return y * (1 - y) }},
	{"Tanh", backend.Tanh, math.Tanh, func(y float64) float64 { return 1 - y*y }},
	{"ReLU", backend.ReLU, func(x float64) float64 { return max(x, 0) }, func(y float64) float64 {
		if y > 0 {
			return 1
		}
		return 0
	}},
	{"SiLU", backend.SiLU, nil, func(x float64) float64 { return sigmoid(x) * (1 + x*sigmoid(-x)) }},
	{"GELU", backend.GELU, nil, func(x float64) float64 {
		return math.Erfc(-x/math.Sqrt2)/2 + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
	}},
	{"GELUTanh", backend.GELUTanh, nil, func(x float64) float64 {
		a := 2 * geluAngle(x) // sigmoids keep the digits that 1 + tanh loses
		return sigmoid(a) + 2*x*sigmoid(a)*sigmoid(-a)*math.Sqrt(2/math.Pi)*(1+3*0.044715*x*x)
	}},
	{"Softplus", backend.Softplus, nil, sigmoid},
}

func testActivationBackward(s *suite) {
	b := s.b.(backend.ActivationDeriver)
	for _, c := range activations {
		for _, shape := range [][]int{{}, {0}, {7}, {33, 65}, {3, 1, 4, 5}, {5, 5003}} {
			for _, dt := range floatDTypes {
				for _, scale := range []float64{1e-3, 1, 30} {
					l := layouts[s.rng.IntN(len(layouts))]
					x, dy := s.normal(dt, scale, shape...), s.normal(dt, 1, shape...)
					kept := x
					if c.output != nil {
						kept = x.mapped(c.output).rounded(dt)
					}
					for i := range dy.data {
						if c.op == backend.ReLU && kept.data[i] == 0 && i%3 == 0 {
							dy.data[i] = math.NaN()
						}
					}
					want := func() array {
						return zip(dy, kept.mapped(c.slope), func(dy, slope float64) float64 {
							if c.op == backend.ReLU && slope == 0 {
								return 0
							}
							return dy * slope
						})
					}
					tol := within(dt)
					tol.relative *= 2
					tol.scale = tol.relative / 4
					if c.output != nil {
						tol.absolute = tol.relative / 16 // the slope of an output near its limit is what remains of 1
					}
					s.try(fmt.Sprintf("%s %v%v %v, scale %v", c.name, dt, shape, l, scale), func() {
						out, in := s.out(dt, l, shape...), s.inout(dt, dy, l)
						vy, vk := s.in(dt, dy, l), s.in(dt, kept, l)
						b.ActivationBackward(c.op, &out.view, vy, vk)
						b.ActivationBackward(c.op, &in.view, &in.view, vk)
						s.expect("dx", out, tol, want)
						s.expect("in place of dy", in, tol, want)
					})
				}
			}
		}
	}
}
