package backendtest

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/hone-ml/hone/internal/backend"
)

// adamW is a problem of one step and its solution in float64.
type adamW struct {
	w, m, v, grad, hyper array
	args                 backend.AdamWArgs
	wantW, wantM, wantV  array
}

// newAdamW draws a problem: weights and moments of one dtype, gradients of another.
func (s *suite) newAdamW(dt, gradient backend.DType, n int) adamW {
	p := adamW{
		w: s.normal(dt, 0.02, n), m: s.normal(dt, 1e-3, n), grad: s.normal(gradient, 1e-2, n),
		v:     s.normal(dt, 1e-3, n).mapped(math.Abs).rounded(dt),
		hyper: array{[]int{backend.AdamWHyper}, []float64{1e-3, 0.1, 1 / (1 - math.Pow(0.9, 7)), 1 / (1 - math.Pow(0.999, 7)), 0.25, 7}}.rounded(backend.F32),
		args:  backend.AdamWArgs{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Stream: 1<<40 | 5},
	}
	for i := range n {
		if i%10 == 3 { // a parameter that never had a gradient
			p.m.data[i], p.v.data[i], p.grad.data[i] = 0, 0, 0
		}
	}
	p.solve()
	return p
}

func (p *adamW) solve() {
	n := len(p.w.data)
	p.wantW, p.wantM, p.wantV = newArray(n), newArray(n), newArray(n)
	lr, wd, c1, c2, scale := p.hyper.data[0], p.hyper.data[1], p.hyper.data[2], p.hyper.data[3], p.hyper.data[4]
	for i := range n {
		g, wd := p.grad.data[i]*scale, wd
		if p.args.Coupled {
			g, wd = g+wd*p.w.data[i], 0
		}
		p.wantM.data[i] = p.args.Beta1*p.m.data[i] + (1-p.args.Beta1)*g
		p.wantV.data[i] = p.args.Beta2*p.v.data[i] + (1-p.args.Beta2)*g*g
		p.wantW.data[i] = p.w.data[i]*(1-lr*wd) - lr*p.wantM.data[i]*c1/(math.Sqrt(p.wantV.data[i]*c2)+p.args.Eps)
	}
}

var adamWLengths = []int{0, 1, 15, 16, 17, 31, 32, 33, 255, 256, 257, 1000, 1025, 70001}

func testAdamW(s *suite) {
	b := s.b.(backend.AdamWer)
	for _, n := range adamWLengths {
		for _, master := range []backend.DType{backend.F32, backend.F64} {
			for _, param := range []backend.DType{backend.F32, backend.F64, backend.BF16, backend.F16} {
				for _, gradient := range []backend.DType{master, backend.BF16} {
					if master == backend.F64 && gradient == backend.BF16 {
						continue
					}
					p := s.newAdamW(master, gradient, n)
					s.try(fmt.Sprintf("%d of %v, param %v, gradient %v", n, master, param, gradient), func() {
						w, m, v, rounded := s.inout(master, p.w, contiguous), s.inout(master, p.m, contiguous), s.inout(master, p.v, contiguous), s.out(param, contiguous, n)
						state := backend.AdamWState{Param: &rounded.view, Master: &w.view, M: &m.view, V: &v.view}
						if param == master {
							state.Param = nil
						}
						b.AdamW(state, s.in(gradient, p.grad, contiguous), s.in(backend.F32, p.hyper, contiguous), p.args)
						p.expect(s, w, m, v)
						if state.Param != nil {
							// Rounding of the master that the device holds, to the bit.
							held := w.decode(w.download(s))
							s.expect("param", rounded, exact, func() array {
								return held.mapped(func(x float64) float64 { return float64(float32(x)) }).rounded(param)
							})
						}
					})
				}
			}
		}
	}
	testSplitAdamW(s, b)
	testBareAdamW(s, b)
	testPackedMoments(s, b)
	testCoupledAdam(s, b)
}

// testCoupledAdam adds the decay to the gradient, and demands of a parameter with a remainder the very weights
// that masters get.
func testCoupledAdam(s *suite, b backend.AdamWer) {
	for _, n := range []int{0, 1, 257, 40001} {
		for _, c := range [][2]backend.DType{{backend.F32, backend.F32}, {backend.F32, backend.BF16}, {backend.F64, backend.F64}} {
			for _, decay := range []float64{0, 0.1} {
				p := s.newAdamW(c[0], c[1], n)
				p.args.Coupled, p.hyper.data[1] = true, float64(float32(decay))
				p.solve()
				s.try(fmt.Sprintf("%d of %v, gradient %v, decay %g in the gradient", n, c[0], c[1], decay), func() {
					grad, hyper := s.in(c[1], p.grad, contiguous), s.in(backend.F32, p.hyper, contiguous)
					w, m, v := s.inout(c[0], p.w, contiguous), s.inout(c[0], p.m, contiguous), s.inout(c[0], p.v, contiguous)
					b.AdamW(backend.AdamWState{Master: &w.view, M: &m.view, V: &v.view}, grad, hyper, p.args)
					p.expect(s, w, m, v)
					if c[0] == backend.F64 {
						return
					}
					param, rest := splitMasters(p.w)
					q, r := s.inout(backend.BF16, param, contiguous), s.inout(backend.U8, rest, contiguous)
					m, v = s.inout(backend.F32, p.m, contiguous), s.inout(backend.F32, p.v, contiguous)
					b.AdamW(backend.AdamWState{Param: &q.view, Remainder: &r.view, M: &m.view, V: &v.view}, grad, hyper, p.args)
					wantParam, wantRest := splitMasters(w.decode(w.download(s)))
					s.expect("param", q, exact, func() array { return wantParam })
					s.expect("remainder", r, exact, func() array { return wantRest })
				})
			}
		}
	}
}

func (p *adamW) expectWeights(s *suite, w *tensor) {
	tol := within(w.view.DType)
	tol.scale = tol.relative
	s.expect("w", w, tol, func() array { return p.wantW })
}

func (p *adamW) expect(s *suite, w, m, v *tensor) {
	p.expectWeights(s, w)
	tol := within(w.view.DType)
	tol.scale = tol.relative
	s.expect("m", m, tol, func() array { return p.wantM })
	s.expect("v", v, tol, func() array { return p.wantV })
}

// testSplitAdamW demands of a parameter with a remainder the very weights that masters get.
func testSplitAdamW(s *suite, b backend.AdamWer) {
	for _, n := range adamWLengths {
		p := s.newAdamW(backend.F32, backend.F32, n)
		s.try(fmt.Sprintf("%d with remainders", n), func() {
			grad, hyper := s.in(backend.F32, p.grad, contiguous), s.in(backend.F32, p.hyper, contiguous)
			w, m, v := s.inout(backend.F32, p.w, contiguous), s.inout(backend.F32, p.m, contiguous), s.inout(backend.F32, p.v, contiguous)
			b.AdamW(backend.AdamWState{Master: &w.view, M: &m.view, V: &v.view}, grad, hyper, p.args)
			p.expect(s, w, m, v)

			param, rest := splitMasters(p.w)
			q, r := s.inout(backend.BF16, param, contiguous), s.inout(backend.U8, rest, contiguous)
			m, v = s.inout(backend.F32, p.m, contiguous), s.inout(backend.F32, p.v, contiguous)
			b.AdamW(backend.AdamWState{Param: &q.view, Remainder: &r.view, M: &m.view, V: &v.view}, grad, hyper, p.args)
			wantParam, wantRest := splitMasters(w.decode(w.download(s)))
			s.expect("param", q, exact, func() array { return wantParam })
			s.expect("remainder", r, exact, func() array { return wantRest })
		})
	}
}

// testBareAdamW demands of BF16 weights with nothing beside what masters become, rounded by the noise of the step.
func testBareAdamW(s *suite, b backend.AdamWer) {
	for _, n := range adamWLengths {
		for _, moments := range []backend.DType{backend.F32, backend.BF16, backend.U8} {
			for _, coupled := range []bool{false, true} {
				p := s.newAdamW(backend.F32, backend.BF16, n)
				p.w, p.args.Coupled = p.w.rounded(backend.BF16), coupled
				s.try(fmt.Sprintf("%d weights of bf16, moments %v, coupled %v", n, moments, coupled), func() {
					grad, hyper := s.in(backend.BF16, p.grad, contiguous), s.in(backend.F32, p.hyper, contiguous)
					step := func(weights backend.AdamWState) {
						blocks := (n + backend.QuantBlock - 1) / backend.QuantBlock
						zeros := func(dt backend.DType, n int) *backend.View { return &s.inout(dt, newArray(n), contiguous).view }
						if weights.M, weights.V = zeros(moments, n), zeros(moments, n); moments == backend.U8 {
							weights.MScale, weights.VScale = zeros(backend.F32, blocks), zeros(backend.F32, blocks)
						}
						b.AdamW(weights, grad, hyper, p.args)
					}
					master, param := s.inout(backend.F32, p.w, contiguous), s.inout(backend.BF16, p.w, contiguous)
					step(backend.AdamWState{Master: &master.view})
					step(backend.AdamWState{Param: &param.view})
					held := master.decode(master.download(s))
					s.expect("param", param, exact, func() array {
						want := newArray(n)
						for i, w := range held.data {
							noise := backend.WeightNoise(p.args.Stream, uint32(p.hyper.data[5]), i)
							want.data[i] = float64(math.Float32frombits(uint32(backend.StochasticBF16(float32(w), noise)) << 16))
						}
						return want
					})
				})
			}
		}
	}
}

// splitMasters is weights as BF16 parameters and remainders.
func splitMasters(weights array) (param, rest array) {
	shape := weights.shape
	param, rest = newArray(shape...), newArray(append(shape[:len(shape):len(shape)], 2)...)
	for i, x := range weights.data {
		q, r := backend.SplitMaster(float32(x))
		param.data[i] = float64(math.Float32frombits(uint32(q) << 16))
		rest.data[2*i], rest.data[2*i+1] = float64(r&0xff), float64(r>>8)
	}
	return param, rest
}

// testPackedMoments demands of BF16 and 8-bit moments the reference's bits. A device may compute a moment
// that differs in its last place, and so once in a while round it the other way.
func testPackedMoments(s *suite, b backend.AdamWer) {
	for _, n := range adamWLengths {
		for _, dt := range []backend.DType{backend.BF16, backend.U8} {
			p := s.newAdamW(backend.F32, backend.F32, n)
			blocks := (n + backend.QuantBlock - 1) / backend.QuantBlock
			mScale, vScale := newArray(blocks), newArray(blocks)
			var m, v array // as the device holds them
			if dt == backend.BF16 {
				p.m, p.v = p.m.rounded(dt), p.v.rounded(dt)
				m, v = p.m, p.v
			} else {
				m = pack(p.m, mScale, backend.QuantizeSigned, backend.DequantizeSigned)
				v = pack(p.v, vScale, backend.QuantizeUnsigned, backend.DequantizeUnsigned)
			}
			p.solve()
			s.try(fmt.Sprintf("%d with moments of %v", n, dt), func() {
				w, tm, tv := s.inout(backend.F32, p.w, contiguous), s.inout(dt, m, contiguous), s.inout(dt, v, contiguous)
				state := backend.AdamWState{Master: &w.view, M: &tm.view, V: &tv.view}
				ms, vs := s.inout(backend.F32, mScale, contiguous), s.inout(backend.F32, vScale, contiguous)
				if dt == backend.U8 {
					state.MScale, state.VScale = &ms.view, &vs.view
				}
				b.AdamW(state, s.in(backend.F32, p.grad, contiguous), s.in(backend.F32, p.hyper, contiguous), p.args)
				p.expectWeights(s, w)
				wantM, wantV := newArray(n), newArray(n)
				if dt == backend.BF16 {
					for i := range n {
						noise := backend.AdamWNoise(p.args.Stream, uint32(p.hyper.data[5]), i)
						wantM.data[i] = float64(backend.StochasticBF16(float32(p.wantM.data[i]), uint16(noise)))
						wantV.data[i] = float64(backend.StochasticBF16(float32(p.wantV.data[i]), uint16(noise>>16)))
					}
				} else {
					wantM = pack(p.wantM, mScale, backend.QuantizeSigned, backend.DequantizeSigned)
					wantV = pack(p.wantV, vScale, backend.QuantizeUnsigned, backend.DequantizeUnsigned)
					s.expect("scales of m", ms, within(backend.F32), func() array { return mScale })
					s.expect("scales of v", vs, within(backend.F32), func() array { return vScale })
				}
				s.expectBits("m", tm, wantM)
				s.expectBits("v", tv, wantV)
			})
		}
	}
}

// pack gives the codes of x, sets their scales and makes x what they stand for.
func pack(x, scales array, quantize func([]uint8, []float32) float32, number func(uint8, float32) float32) array {
	packed := newArray(len(x.data))
	for block := range scales.data {
		lo, hi := block*backend.QuantBlock, min((block+1)*backend.QuantBlock, len(x.data))
		values, codes := make([]float32, hi-lo), make([]uint8, hi-lo)
		for i := range values {
			values[i] = float32(x.data[lo+i])
		}
		scale := quantize(codes, values)
		scales.data[block] = float64(scale)
		for i, c := range codes {
			packed.data[lo+i], x.data[lo+i] = float64(c), float64(number(c, scale))
		}
	}
	return packed
}

// expectBits compares the bits of elements as numbers: at most one in a hundred is off, by at most 1.
func (s *suite) expectBits(what string, t *tensor, want array) {
	raw := t.download(s)
	t.verifyOutside(s, what, raw)
	off := 0
	for i, p := range t.offsets {
		got := float64(raw[p])
		if t.view.DType == backend.BF16 {
			got = float64(binary.NativeEndian.Uint16(raw[p:]))
		}
		if d := math.Abs(got - want.data[i]); d > 1 && d != 255 { // codes −1 and 0 are neighbours
			s.errorf("%s: element %d is %v, want %v", what, i, got, want.data[i])
			return
		} else if d != 0 {
			off++
		}
	}
	if off > 1+len(want.data)/100 {
		s.errorf("%s: %d of %d elements are off by one", what, off, len(want.data))
	}
}

// muonRef is one step of Muon in float64.
func muonRef(w, m, g array, hyper []float64, a backend.MuonArgs) (wantW, wantM array) {
	rows, cols := w.shape[0], w.shape[1]
	tall := rows > cols
	wantM, x := newArray(rows, cols), newArray(rows, cols)
	norm := 0.0
	for i := range g.data {
		grad := g.data[i] * hyper[2]
		wantM.data[i] = a.Momentum*m.data[i] + grad
		x.data[i] = grad + a.Momentum*wantM.data[i]
		norm += x.data[i] * x.data[i]
	}
	norm = math.Sqrt(norm) + 1e-7
	x = x.mapped(func(v float64) float64 { return v / norm })
	if tall { // the iteration is the same on the other side, where squares are smaller
		x = x.transposed()
	}
	n := min(rows, cols)
	for range a.Steps {
		gram := plainProduct(x, x.transposed())
		inner := plainProduct(gram, gram)
		for i := range inner.data {
			inner.data[i] = backend.MuonB*gram.data[i] + backend.MuonC*inner.data[i]
		}
		for i := range n {
			inner.data[i*n+i] += backend.MuonA
		}
		x = plainProduct(inner, x)
	}
	if tall {
		x = x.transposed()
	}
	scale := hyper[0] * math.Sqrt(max(1, float64(rows)/float64(cols)))
	wantW = newArray(rows, cols)
	for i := range w.data {
		wantW.data[i] = w.data[i]*(1-hyper[0]*hyper[1]) - scale*x.data[i]
	}
	return wantW, wantM
}

func plainProduct(x, y array) array {
	out := newArray(x.shape[0], y.shape[1])
	for i := range x.shape[0] {
		for k := range x.shape[1] {
			for j := range y.shape[1] {
				out.data[i*y.shape[1]+j] += x.data[i*x.shape[1]+k] * y.data[k*y.shape[1]+j]
			}
		}
	}
	return out
}

func (a array) transposed() array {
	b := newArray(a.shape[1], a.shape[0])
	for i := range a.shape[0] {
		for j := range a.shape[1] {
			b.data[j*a.shape[0]+i] = a.data[i*a.shape[1]+j]
		}
	}
	return b
}

func testMuon(s *suite) {
	b := s.b.(backend.Muoner)
	args := backend.MuonArgs{Momentum: 0.9, Steps: 5}
	for _, shape := range [][]int{{1, 1}, {1, 7}, {7, 1}, {5, 12}, {12, 5}, {16, 16}, {33, 65}, {66, 20}, {7000, 20}} {
		for _, param := range []backend.DType{backend.F32, backend.BF16} {
			for _, dt := range []backend.DType{backend.F32, backend.BF16} {
				if size(shape) > 1<<16 && dt != param {
					continue // the reference is slow
				}
				hyper := array{[]int{backend.MuonHyper}, []float64{0.02, 0.1, 0.5}}.rounded(backend.F32)
				s.try(fmt.Sprintf("%v, param %v, momentum and gradient %v", shape, param, dt), func() {
					var states []backend.MuonState
					var masters, momenta, params []*tensor
					var wantW, wantM []array
					for range 3 {
						w, m, g := s.normal(backend.F32, 0.1, shape...), s.normal(dt, 1, shape...), s.normal(dt, 1, shape...)
						wanted, moved := muonRef(w, m, g, hyper.data, args)
						wantW, wantM = append(wantW, wanted), append(wantM, moved)
						tw, tm, tp := s.inout(backend.F32, w, contiguous), s.inout(dt, m, contiguous), s.out(param, contiguous, shape...)
						masters, momenta, params = append(masters, tw), append(momenta, tm), append(params, tp)
						state := backend.MuonState{Param: &tp.view, Master: &tw.view, Momentum: &tm.view, Grad: s.in(dt, g, contiguous)}
						if param == backend.F32 {
							state.Param = nil
						}
						states = append(states, state)
					}
					scratch := s.out(backend.F32, contiguous, backend.MuonScratch(shape[0], shape[1]))
					b.Muon(states, s.in(backend.F32, hyper, contiguous), &scratch.view, args)
					for i := range states {
						s.expect("w", masters[i], tolerance{absolute: 1e-5}, func() array { return wantW[i] })
						s.expect("momentum", momenta[i], tolerance{relative: 4e-6, absolute: 1e-6}, func() array { return wantM[i] })
						if states[i].Param != nil {
							held := masters[i].decode(masters[i].download(s))
							s.expect("param", params[i], exact, func() array { return held.rounded(param) })
						}
					}
					scratch.verifyOutside(s, "scratch", scratch.download(s))
				})
			}
		}
	}
}

func testSumSquares(s *suite) {
	b := s.b.(backend.SquareSummer)
	for _, dt := range []backend.DType{backend.F32, backend.F64, backend.BF16, backend.F16} {
		for _, n := range []int{0, 1, 7, 1023, 1024, 1025, 5000, 70001} {
			for _, chunk := range []int{1, 3, 1024, 1 << 16} {
				if n > 5000 && chunk < 1000 {
					continue
				}
				x := s.normal(dt, 3, n)
				want := newArray((n + chunk - 1) / chunk)
				for i, v := range x.data {
					want.data[i/chunk] += v * v
				}
				s.try(fmt.Sprintf("%d of %v by %d", n, dt, chunk), func() {
					out := s.out(dt.Accumulator(), contiguous, len(want.data))
					b.SumSquares(&out.view, s.in(dt, x, contiguous), chunk)
					s.expect("sums", out, within(dt.Accumulator()), func() array { return want })
				})
			}
		}
	}
}
