package simd

import (
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// specials are bits of bfloat16 numbers at the edges: zeros, denormals, ones, the largest, infinities, NaNs.
var specials = []uint16{0, 0x8000, 1, 0x8001, 0x7f, 0x80, 0x3f80, 0xbf80, 0x42b1, 0xc2d0, 0x7f7f, 0xff7f, 0x7f80, 0xff80, 0x7fc0, 0xffff, 0x7f81}

// random16 fills x with bfloat16 numbers: normal ones, specials, and any bits at all.
func random16(r *rand.Rand, x []uint16) {
	for i := range x {
		switch r.IntN(8) {
		case 0:
			x[i] = specials[r.IntN(len(specials))]
		case 1:
			x[i] = uint16(r.Uint32())
		default:
			x[i] = BF16(float32(r.NormFloat64()))
		}
	}
}

func widenAll(x []uint16) []float32 {
	out := make([]float32, len(x))
	BF16ToF32(out, x)
	return out
}

func roundAll(x []float32) []uint16 {
	out := make([]uint16, len(x))
	F32ToBF16(out, x)
	return out
}

// roundFlushed is roundAll with zeros of what is below 2⁻¹²⁶, where the processor's rounding makes them.
func roundFlushed(x []float32) []uint16 {
	kept := make([]float32, len(x))
	for i, v := range x {
		if kept[i] = v; v > -0x1p-126 && v < 0x1p-126 && (Active() == AVX512BF16 || Active() == AMX) {
			kept[i] = float32(math.Copysign(0, float64(v)))
		}
	}
	return roundAll(kept)
}

// same16 reports whether two numbers have the same bits or are both NaN.
func same16(a, b uint16) bool { return a == b || a&0x7fff > 0x7f80 && b&0x7fff > 0x7f80 }

func TestBF16LoopsGiveTheRoundedResultsOfTheFloat32LoopsToTheBit(t *testing.T) {
	forEachPath(t, func(t *testing.T) {
		narrow, wide := vectorCases[uint16](), vectorCases[float32]()
		for i, c := range narrow {
			r := rand.New(rand.NewPCG(21, uint64(i)))
			for _, n := range lengths() {
				offset := r.IntN(32)
				var g guarded
				outs, ins := make([][]uint16, c.outs), make([][]uint16, c.ins)
				f32s, wide32s := make([][]float32, c.f32s), make([][]float32, c.f32s)
				for o := range outs {
					outs[o] = g.make16(n, offset)
				}
				wideIns, wideOuts := make([][]float32, c.ins), make([][]float32, c.outs)
				for in := range ins {
					ins[in] = g.make16(n, offset)
					random16(r, ins[in])
					wideIns[in] = widenAll(ins[in])
				}
				for m := range f32s {
					f32s[m] = g.make(n, offset)
					random(r, f32s[m])
					wide32s[m] = append([]float32(nil), f32s[m]...)
				}
				for o := range wideOuts {
					wideOuts[o] = make([]float32, n)
				}
				wide[i].f(wideOuts, wideIns, wide32s)
				c.f(outs, ins, f32s)
				g.check(t, n, offset)
				for o := range outs {
					want, orZero := roundAll(wideOuts[o]), roundFlushed(wideOuts[o])
					for at := range want {
						if !same16(outs[o][at], want[at]) && !same16(outs[o][at], orZero[at]) {
							t.Fatalf("%s n=%d: output %d at %d is %#04x, want %#04x", c.name, n, o, at, outs[o][at], want[at])
						}
					}
				}
				for m := range f32s {
					for at, want := range wide32s[m] {
						if got := f32s[m][at]; got != want && (got == got || want == want) {
							t.Fatalf("%s n=%d: float32 %d at %d is %v, want %v", c.name, n, m, at, got, want)
						}
					}
				}
			}
		}
	})
}

func TestBF16NormsRoundTheNormalisedNumber(t *testing.T) {
	const rstd = 0.37
	forEachPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(22, 1))
		for _, n := range lengths() {
			offset := r.IntN(32)
			var g guarded
			x, out, out2 := make([][]uint16, 4), g.make16(n, offset), g.make16(n, offset)
			for i := range x {
				x[i] = g.make16(n, offset)
				random16(r, x[i])
			}
			cos, sin := g.make(n, offset), g.make(n, offset)
			random(r, cos)
			random(r, sin)
			norm := func(x, w []uint16) []uint16 {
				v := widenAll(x)
				Scale(v, v, rstd)
				v = widenAll(roundFlushed(v))
				Mul(v, v, widenAll(w))
				return roundFlushed(v)
			}
			equal := func(name string, got, want []uint16) {
				t.Helper()
				for i := range want {
					if !same16(got[i], want[i]) {
						t.Fatalf("%s n=%d: at %d %#04x, want %#04x", name, n, i, got[i], want[i])
					}
				}
			}
			a, b := norm(x[0], x[2]), norm(x[1], x[3])
			RMSNorm(out, x[0], x[2], rstd)
			g.check(t, n, offset)
			equal("RMSNorm", out, a)
			NormRotate(out, out2, x[0], x[1], x[2], x[3], cos, sin, rstd)
			g.check(t, n, offset)
			Rotate(a, b, a, b, cos, sin) // of the same path
			equal("NormRotate's first half", out, a)
			equal("NormRotate's second half", out2, b)
		}
	})
}

func TestBF16ReductionsAgreeWithFloat64(t *testing.T) {
	forEachPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(23, 1))
		for _, n := range lengths() {
			offset := r.IntN(32)
			var g guarded
			x, y, w := g.make16(n, offset), g.make16(n, offset), g.make16(n, offset)
			acc := g.make(n, offset)
			random(r, acc)
			wantAcc := make([]float64, n)
			var dot, weighted, sum, squares, diffs, centered, exps, size float64
			largest, smallest := math.Inf(-1), math.Inf(1)
			for i := range n {
				x[i], y[i], w[i] = BF16(float32(r.NormFloat64())), BF16(float32(r.NormFloat64())), BF16(float32(r.NormFloat64()))
				a, b, c := float64(widen(x[i])), float64(widen(y[i])), float64(widen(w[i]))
				dot += a * b
				weighted += a * b * c
				sum += a
				diffs += (a - 0.25) * (a - 0.25)
				centered += a * c * (b - 0.25)
				squares += a * a
				exps += math.Exp(a - 0.5)
				size += math.Abs(a) + a*a + math.Abs(a*b) + math.Abs(a*b*c) + math.Exp(a-0.5)
				largest, smallest = max(largest, a), min(smallest, a)
				wantAcc[i] = float64(acc[i] + widen(x[i]))
			}
			Accumulate(acc, x)
			g.check(t, n, offset)
			for i := range acc {
				if float64(acc[i]) != wantAcc[i] {
					t.Fatalf("Accumulate n=%d: at %d %v, want %v", n, i, acc[i], wantAcc[i])
				}
			}
			for _, c := range []struct {
				name string
				got  float32
				want float64
			}{
				{"Dot", Dot(x, y), dot}, {"DotWeighted", DotWeighted(x, y, w), weighted}, {"Sum", Sum(x), sum},
				{"SumSquares", SumSquares(x), squares}, {"SumExp", SumExp(x, 0.5), exps}, {"Max", Max(x), largest}, {"Min", Min(x), smallest},
				{"SumSquaredDiff", SumSquaredDiff(x, 0.25), diffs}, {"DotCentered", DotCentered(x, y, w, 0.25), centered},
				{"float32 SumSquaredDiff", SumSquaredDiff(widenAll(x), 0.25), diffs},
				{"float32 DotCentered", DotCentered(widenAll(x), widenAll(y), widenAll(w), 0.25), centered},
				{"float32 DotWeighted", DotWeighted(widenAll(x), widenAll(y), widenAll(w)), weighted},
				{"float32 SumExp", SumExp(widenAll(x), 0.5), exps}, {"float32 Min", Min(widenAll(x)), smallest},
			} {
				if !near(c.got, c.want, size*(1+float64(n)/2000)) && float64(c.got) != c.want {
					t.Errorf("%s n=%d: %v, want %v", c.name, n, c.got, c.want)
				}
			}
		}
	})
}

func TestExtremesGiveNaNWhereverItIs(t *testing.T) {
	nan := float32(math.NaN())
	forEachPath(t, func(t *testing.T) {
		for _, n := range []int{1, 7, 8, 9, 16, 33, 64, 65, 127, 130, 300} {
			for at := range n {
				x := make([]float32, n)
				for i := range x {
					x[i] = float32(i) - 100
				}
				x[at] = nan
				for name, got := range map[string]float32{
					"Max": Max(x), "Min": Min(x), "Max of bf16": Max(roundAll(x)), "Min of bf16": Min(roundAll(x)),
				} {
					if got == got {
						t.Fatalf("%s of %d numbers with a NaN at %d is %v", name, n, at, got)
					}
				}
				out := make([]float32, n)
				y := make([]float32, n)
				for name, f := range map[string]func(){
					"Larger": func() { Larger(out, x, y) }, "Smaller": func() { Smaller(out, x, y) },
					"Larger, y": func() { Larger(out, y, x) }, "Smaller, y": func() { Smaller(out, y, x) },
				} {
					if f(); out[at] == out[at] {
						t.Fatalf("%s of %d numbers with a NaN at %d is %v there", name, n, at, out[at])
					}
				}
			}
		}
		out := make([]float32, 20)
		if LargerScalar(out, out, nan); out[3] == out[3] {
			t.Errorf("max(0, NaN) = %v", out[3])
		}
		if SmallerScalar(out, make([]float32, 20), nan); out[3] == out[3] {
			t.Errorf("min(0, NaN) = %v", out[3])
		}
		inf := float32(math.Inf(1))
		if Larger(out[:1], []float32{inf}, []float32{-inf}); out[0] != inf {
			t.Errorf("max(Inf, -Inf) = %v", out[0])
		}
	})
}

func TestScaledExpToMayWriteOverItsInput(t *testing.T) {
	forEachPath(t, func(t *testing.T) {
		for _, n := range lengths() {
			x := make([]float32, n)
			random(rand.New(rand.NewPCG(24, 1)), x)
			wide := make([]float32, n)
			ScaledExp(wide, x, 0.25, 1.5, -0.125)
			want, apart := roundAll(wide), make([]uint16, n)
			ScaledExpTo(apart, x, 0.25, 1.5, -0.125)
			over := bits16(x)
			ScaledExpTo(over, x, 0.25, 1.5, -0.125)
			for i := range want {
				if apart[i] != want[i] || over[i] != want[i] {
					t.Fatalf("n=%d: at %d %#04x, over its input %#04x, want %#04x", n, i, apart[i], over[i], want[i])
				}
			}
		}
	})
}

// bits16 is the first half of x's memory as bfloat16 numbers.
func bits16(x []float32) []uint16 {
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(x))), len(x))
}
