package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// guarded makes slices with canaries on both sides, at addresses that are no multiple of a vector.
type guarded struct {
	memory [][]float32
	halves [][]uint16
}

const guard = 40

var canary = math.Float32frombits(0x7fa5a5a5) // a signalling NaN: what reads it shows it

func (g *guarded) make(n, offset int) []float32 {
	m := make([]float32, n+2*guard+offset)
	for i := range m {
		m[i] = canary
	}
	g.memory = append(g.memory, m)
	g.halves = append(g.halves, nil)
	return m[guard+offset : guard+offset+n : guard+offset+n]
}

func (g *guarded) make16(n, offset int) []uint16 {
	m := make([]uint16, n+2*guard+offset)
	for i := range m {
		m[i] = 0xA5A5
	}
	g.memory = append(g.memory, nil)
	g.halves = append(g.halves, m)
	return m[guard+offset : guard+offset+n : guard+offset+n]
}

func (g *guarded) check(t *testing.T, n, offset int) {
	t.Helper()
	for s := range g.memory {
		for i, v := range g.memory[s] {
			if (i < guard+offset || i >= guard+offset+n) && math.Float32bits(v) != 0x7fa5a5a5 {
				t.Fatalf("n=%d: slice %d was overwritten at %d", n, s, i-guard-offset)
			}
		}
		for i, v := range g.halves[s] {
			if (i < guard+offset || i >= guard+offset+n) && v != 0xA5A5 {
				t.Fatalf("n=%d: slice %d was overwritten at %d", n, s, i-guard-offset)
			}
		}
	}
}

// lengths are all the short ones, so that every remainder of every unrolling occurs, and one beyond a block.
func lengths() []int {
	ns := []int{1000, block + 37}
	for n := range 131 {
		ns = append(ns, n)
	}
	return ns
}

func random(r *rand.Rand, x []float32) {
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
}

// near allows a relative error of some roundings and an absolute one for results that cancel.
func near(got float32, want, size float64) bool {
	return math.Abs(float64(got)-want) <= 1e-6*math.Abs(want)+2e-7*size
}

// An elementwise case: f works on outs, ins and f32s, which are both and stay float32 when the elements are
// bfloat16. want gives the float64 results of one element of outs, then of f32s if f changes them, given
// the old values.
type elementwise[E Element] struct {
	name            string
	outs, ins, f32s int
	f               func(o, x [][]E, m [][]float32)
	want            func(o, x, m []float64) []float64
}

// vectorCases are those of either type of elements.
func vectorCases[E Element]() []elementwise[E] {
	const a, b, c = 1.75, -0.375, 0.625
	type vs = [][]E
	var cases []elementwise[E]
	unary := func(name string, f func(out, x []E), want func(x float64) float64) {
		cases = append(cases, elementwise[E]{name, 1, 1, 0, func(o, x vs, _ [][]float32) { f(o[0], x[0]) },
			func(_, x, _ []float64) []float64 { return []float64{want(x[0])} }})
	}
	binary := func(name string, f func(out, x, y []E), want func(x, y float64) float64) {
		cases = append(cases, elementwise[E]{name, 1, 2, 0, func(o, x vs, _ [][]float32) { f(o[0], x[0], x[1]) },
			func(_, x, _ []float64) []float64 { return []float64{want(x[0], x[1])} }})
	}
	binary("Add", Add[E], func(x, y float64) float64 { return x + y })
	binary("Sub", Sub[E], func(x, y float64) float64 { return x - y })
	binary("Mul", Mul[E], func(x, y float64) float64 { return x * y })
	binary("Div", Div[E], func(x, y float64) float64 { return x / y })
	binary("Larger", Larger[E], func(x, y float64) float64 { return max(x, y) })
	binary("Smaller", Smaller[E], func(x, y float64) float64 { return min(x, y) })
	unary("Scale", func(out, x []E) { Scale(out, x, a) }, func(x float64) float64 { return a * x })
	unary("AddScalar", func(out, x []E) { AddScalar(out, x, a) }, func(x float64) float64 { return x + a })
	unary("DivScalar", func(out, x []E) { DivScalar(out, x, a) }, func(x float64) float64 { return x / a })
	unary("LargerScalar", func(out, x []E) { LargerScalar(out, x, b) }, func(x float64) float64 { return max(x, b) })
	unary("SmallerScalar", func(out, x []E) { SmallerScalar(out, x, b) }, func(x float64) float64 { return min(x, b) })
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	unary("Sigmoid", Sigmoid[E], sigmoid)
	unary("SiLU", SiLU[E], func(x float64) float64 { return x * sigmoid(x) })
	binary("SwiGLU", SwiGLU[E], func(x, y float64) float64 { return x * sigmoid(x) * y })
	unary("ScaledExp", func(out, x []E) { ScaledExp(out, x, b, a, c) }, func(x float64) float64 { return a*math.Exp(x-b) + c })
	binary("SoftmaxBackward", func(out, x, y []E) { SoftmaxBackward(out, x, y, a) }, func(x, y float64) float64 { return (x - a) * y })
	of := func(f func(out, x []E)) func(out, x []E) { // of |x|
		return func(out, x []E) { Abs(out, x); f(out, out) }
	}
	unary("Abs", Abs[E], math.Abs)
	unary("ReLU", ReLU[E], func(x float64) float64 { return max(x, 0) })
	unary("Sqrt", of(Sqrt[E]), func(x float64) float64 { return math.Sqrt(math.Abs(x)) })
	unary("Rsqrt", of(Rsqrt[E]), func(x float64) float64 { return 1 / math.Sqrt(math.Abs(x)) })
	unary("Reciprocal", Reciprocal[E], func(x float64) float64 { return 1 / x })
	unary("Log", of(Log[E]), func(x float64) float64 { return math.Log(math.Abs(x)) })
	unary("Sin", Sin[E], math.Sin)
	unary("Cos", Cos[E], math.Cos)
	unary("Tanh", Tanh[E], math.Tanh)
	return append(cases,
		elementwise[E]{"LayerNorm", 1, 3, 0, func(o, x vs, _ [][]float32) { LayerNorm(o[0], x[0], x[1], x[2], a, c) },
			func(_, x, _ []float64) []float64 { return []float64{(x[0]-a)*c*x[1] + x[2]} }},
		elementwise[E]{"LayerNormBackward", 1, 3, 2, func(o, x vs, m [][]float32) {
			LayerNormBackward(o[0], m[0], m[1], x[0], x[1], x[2], a, c, b, 0.5)
		}, func(_, x, m []float64) []float64 {
			t := (x[1] - a) * c
			return []float64{c*x[0]*x[2] + b*t + 0.5, m[0] + x[0]*t, m[1] + x[0]}
		}},
		elementwise[E]{"SwiGLUBackward", 2, 3, 0, func(o, x vs, _ [][]float32) { SwiGLUBackward(o[0], o[1], x[0], x[1], x[2]) },
			func(_, x, _ []float64) []float64 {
				dy, g, u := x[0], x[1], x[2]
				s := sigmoid(g)
				return []float64{dy * u * s * (1 + g*(1-s)), dy * g * s}
			}},
		elementwise[E]{"RMSNormBackward", 1, 3, 1, func(o, x vs, m [][]float32) { RMSNormBackward(o[0], m[0], x[0], x[1], x[2], a, b) },
			func(_, x, m []float64) []float64 {
				return []float64{a*x[0]*x[2] + b*x[1], m[0] + x[0]*x[1]*a}
			}},
		elementwise[E]{"Rotate", 2, 2, 2, func(o, x vs, m [][]float32) { Rotate(o[0], o[1], x[0], x[1], m[0], m[1]) },
			func(_, x, m []float64) []float64 {
				return []float64{x[0]*m[0] - x[1]*m[1], x[1]*m[0] + x[0]*m[1]}
			}},
	)
}

// float32Cases are vectorCases and those that float32 alone has, or that round in between in bfloat16.
func float32Cases() []elementwise[float32] {
	const a, b = 1.75, -0.375
	type vs = [][]float32
	return append(vectorCases[float32](), []elementwise[float32]{
		{"Axpy", 1, 1, 0, func(o, x, _ vs) { Axpy(o[0], a, x[0]) }, func(o, x, _ []float64) []float64 { return []float64{o[0] + a*x[0]} }},
		{"MulAdd", 1, 2, 0, func(o, x, _ vs) { MulAdd(o[0], x[0], x[1]) }, func(o, x, _ []float64) []float64 { return []float64{o[0] + x[0]*x[1]} }},
		{"MulScaleAdd", 1, 2, 0, func(o, x, _ vs) { MulScaleAdd(o[0], x[0], a, x[1], b) }, func(_, x, _ []float64) []float64 { return []float64{a*x[0] + b*x[1]} }},
		{"Exp", 1, 1, 0, func(o, x, _ vs) { Exp(o[0], x[0], b) }, func(_, x, _ []float64) []float64 { return []float64{math.Exp(x[0] - b)} }},
		{"RMSNorm", 1, 2, 0, func(o, x, _ vs) { RMSNorm(o[0], x[0], x[1], a) }, func(_, x, _ []float64) []float64 { return []float64{a * x[0] * x[1]} }},
		{"NormRotate", 2, 4, 2, func(o, x, m vs) { NormRotate(o[0], o[1], x[0], x[1], x[2], x[3], m[0], m[1], a) },
			func(_, x, m []float64) []float64 {
				p, q := a*x[0]*x[2], a*x[1]*x[3]
				return []float64{p*m[0] - q*m[1], q*m[0] + p*m[1]}
			}},
	}...)
}

func TestElementwiseAgreesWithFloat64AtEveryLengthAndStaysInBounds(t *testing.T) {
	forEachPath(t, func(t *testing.T) {
		for _, c := range float32Cases() {
			r := rand.New(rand.NewPCG(7, 8))
			for _, n := range lengths() {
				offset := r.IntN(16)
				var g guarded
				slice := func(count int) (s [][]float32) {
					for range count {
						s = append(s, g.make(n, offset))
						random(r, s[len(s)-1])
					}
					return s
				}
				outs, ins, f32s := slice(c.outs), slice(c.ins), slice(c.f32s)
				want := make([][]float64, n)
				for i := range n {
					want[i] = c.want(column(outs, i), column(ins, i), column(f32s, i))
				}
				c.f(outs, ins, f32s)
				g.check(t, n, offset)
				results := append(outs, f32s...)
				for i := range n {
					for o := range want[i] {
						if !near(results[o][i], want[i][o], 8) {
							t.Fatalf("%s n=%d: output %d at %d is %v, want %v", c.name, n, o, i, results[o][i], want[i][o])
						}
					}
				}
			}
		}
	})
}

func TestOutputsMayBeTheInputs(t *testing.T) {
	forEachPath(t, func(t *testing.T) {
		const n = 203
		for _, c := range float32Cases() {
			for o := range c.outs {
				for in := range c.ins {
					var g guarded
					run := func(alias bool) [][]float32 {
						r := rand.New(rand.NewPCG(11, uint64(o*8+in)))
						outs, ins := make([][]float32, c.outs), make([][]float32, c.ins)
						for i := range ins {
							ins[i] = g.make(n, 3)
							random(r, ins[i])
						}
						for i := range outs {
							outs[i] = append([]float32(nil), ins[in]...)
						}
						if alias {
							outs[o] = ins[in]
						}
						f32s := make([][]float32, c.f32s)
						for i := range f32s {
							f32s[i] = g.make(n, 3)
							random(r, f32s[i])
						}
						c.f(outs, ins, f32s)
						return outs
					}
					apart, same := run(false), run(true)
					for i := range n {
						if apart[o][i] != same[o][i] {
							t.Fatalf("%s: output %d as input %d gives %v at %d, want %v", c.name, o, in, same[o][i], i, apart[o][i])
						}
					}
				}
			}
		}
	})
}

func column(s [][]float32, i int) []float64 {
	c := make([]float64, len(s))
	for j := range s {
		c[j] = float64(s[j][i])
	}
	return c
}

func TestReductionsAgreeWithFloat64AtEveryLength(t *testing.T) {
	forEachPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(12, 13))
		for _, n := range lengths() {
			offset := r.IntN(16)
			var g guarded
			x, y, out := g.make(n, offset), g.make(n, offset), g.make(n, offset)
			random(r, x)
			random(r, y)
			var dot, sum, squares, size, exps float64
			largest := math.Inf(-1)
			for i := range n {
				a, b := float64(x[i]), float64(y[i])
				dot += a * b
				sum += a
				squares += a * a
				exps += math.Exp(a - 0.5)
				size += math.Abs(a) + math.Abs(a*b)
				largest = max(largest, a)
			}
			for _, c := range []struct {
				name string
				got  float32
				want float64
			}{
				{"Dot", Dot(x, y), dot}, {"Sum", Sum(x), sum}, {"SumSquares", SumSquares(x), squares},
				{"Max", Max(x), largest}, {"Exp", Exp(out, x, 0.5), exps},
			} {
				if !near(c.got, c.want, size) && float64(c.got) != c.want {
					t.Errorf("%s n=%d: %v, want %v", c.name, n, c.got, c.want)
				}
			}
		}
	})
}

func TestMaxGivesNaNWhereverItIs(t *testing.T) {
	forEachPath(t, func(t *testing.T) {
		for _, n := range []int{1, 7, 8, 9, 16, 33, 64, 65, 127, 130} {
			for at := range n {
				x := make([]float32, n)
				for i := range x {
					x[i] = float32(i) - 1000
				}
				x[(at+1)%n] = float32(math.Inf(1))
				if got := Max(x); !math.IsInf(float64(got), 1) {
					t.Fatalf("n=%d: max with an infinity at %d is %v", n, (at+1)%n, got)
				}
				x[at] = float32(math.NaN())
				if got := Max(x); got == got {
					t.Fatalf("n=%d: max with a NaN at %d is %v", n, at, got)
				}
			}
		}
		if got := Max[float32](nil); !math.IsInf(float64(got), -1) {
			t.Errorf("max of nothing is %v", got)
		}
		if got := Max([]float32{-3, -2, -5}); got != -2 {
			t.Errorf("max of negative numbers is %v", got)
		}
	})
}

func TestLengthsThatDisagreePanic(t *testing.T) {
	forEachPath(t, func(t *testing.T) {
		long, short := make([]float32, 9), make([]float32, 8, 16)
		for name, f := range map[string]func(){
			"Dot": func() { Dot(long, short) }, "Add": func() { Add(long, long, short) },
			"Axpy": func() { Axpy(long, 1, short) }, "BF16ToF32": func() { BF16ToF32(long, make([]uint16, 8, 16)) },
			"AdamW": func() { AdamW(AdamWState{Master: long, M: long, V: short, Grad: long}, AdamWHyper{}) },
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s takes slices of different lengths", name)
					}
				}()
				f()
			}()
		}
	})
}

func TestBF16CastsAgreeWithTheDefinition(t *testing.T) {
	special := []uint32{0, 1 << 31, 1, 0x7fff, 0x8000, 0x8001, 0x18000, 0x3f800000, 0x3f808000, 0x3f818000, 0x3f807fff, 0x3f808001,
		0x7f7fffff, 0x7f7f7fff, 0x7f800000, 0xff800000, 0x7f800001, 0xff800001, 0x7fc00000, 0x7fffffff, 0xffffffff, 0x007fffff}
	forEachPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(16, 17))
		for _, n := range lengths() {
			var g guarded
			x, back, h := g.make(n, 3), g.make(n, 3), g.make16(n, 3)
			for i := range x {
				if r.IntN(2) == 0 {
					x[i] = math.Float32frombits(special[r.IntN(len(special))])
				} else {
					x[i] = math.Float32frombits(r.Uint32())
				}
			}
			F32ToBF16(h, x)
			BF16ToF32(back, h)
			g.check(t, n, 3)
			for i, f := range x {
				if math.Float32bits(back[i]) != uint32(h[i])<<16 {
					t.Fatalf("n=%d: %#x widens to %#x", n, h[i], math.Float32bits(back[i]))
				}
				if f != f {
					if back[i] == back[i] || h[i]&0x40 == 0 {
						t.Fatalf("n=%d: NaN %#x becomes %#x", n, math.Float32bits(f), h[i])
					}
					continue
				}
				if !nearestEven(f, h[i]) {
					t.Fatalf("n=%d: %v (%#x) rounds to %#x", n, f, math.Float32bits(f), h[i])
				}
			}
		}
	})
}

// nearestEven reports whether h is the bfloat16 number nearest to f, the even one of two. Overflow
// rounds as if the exponent had no bound.
func nearestEven(f float32, h uint16) bool {
	value := func(b uint16) float64 {
		if b&0x7fff == 0x7f80 {
			return math.Copysign(0x1p128, float64(1-2*int(b>>15)))
		}
		return float64(math.Float32frombits(uint32(b) << 16))
	}
	if math.IsInf(float64(f), 0) {
		return math.Float32frombits(uint32(h)<<16) == f
	}
	if math.Signbit(float64(f)) != (h>>15 == 1) {
		return false
	}
	d := math.Abs(float64(f) - value(h))
	for _, other := range []uint16{h + 1, h - 1} {
		if other&0x7fff > 0x7f80 || other>>15 != h>>15 {
			continue
		}
		if e := math.Abs(float64(f) - value(other)); e < d || e == d && h&1 == 1 {
			return false
		}
	}
	return true
}

func BenchmarkElementwise(b *testing.B) {
	const n = 4096 // in the first-level cache
	x, y, z, u, v := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
	h := make([]uint16, n)
	random(rand.New(rand.NewPCG(1, 2)), x)
	random(rand.New(rand.NewPCG(3, 4)), y)
	var sink float32
	for _, c := range []struct {
		name string
		f    func()
	}{
		{"Dot", func() { sink += Dot(x, y) }},
		{"Sum", func() { sink += Sum(x) }},
		{"Max", func() { sink += Max(x) }},
		{"Axpy", func() { Axpy(z, 0.5, x) }},
		{"Add", func() { Add(z, x, y) }},
		{"Exp", func() { sink += Exp(z, x, 1) }},
		{"SiLU", func() { SiLU(z, x) }},
		{"SwiGLU", func() { SwiGLU(z, x, y) }},
		{"SwiGLUBackward", func() { SwiGLUBackward(z, u, x, y, x) }},
		{"F32ToBF16", func() { F32ToBF16(h, x) }},
		{"BF16ToF32", func() { BF16ToF32(z, h) }},
	} {
		ForEachPath(func(path string) {
			b.Run(fmt.Sprintf("%s/%s", c.name, path), func(b *testing.B) {
				for i := range u {
					u[i], v[i], z[i] = 1, 1, 1
				}
				for b.Loop() {
					c.f()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/element")
			})
		})
	}
	_ = sink
}
