package simd

import (
	"math"
	"math/rand/v2"
	"testing"
)

// edges are numbers of every kind that a function may stumble over.
var edges = []float32{0, float32(math.Copysign(0, -1)), 1e-45, -1e-45, 1e-40, -3e-39, 0x1p-126, 0.5, -0.5, 0.625, 0.6249999, 1, -1, 0.99999994, 1.0000001,
	math.Pi / 2, -math.Pi, 3 * math.Pi / 4, 22, 8.5, 9.1, -9.1, 88, 1 << 17, 1<<17 + 1, -1 << 20, 1e10, 0x1p127, math.MaxFloat32, -math.MaxFloat32,
	float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())}

func TestFunctionsStayWithinTheirStatedErrors(t *testing.T) {
	functions := []struct {
		name     string
		f        func(out, x []float32)
		want     func(x float64) float64
		bound    float64 // in ulp
		absolute float64
	}{
		{"Abs", Abs[float32], math.Abs, 0, 0},
		{"Sqrt", Sqrt[float32], math.Sqrt, 0.5000001, 0},
		{"Rsqrt", Rsqrt[float32], func(x float64) float64 { return 1 / math.Sqrt(x) }, 1.5, 0},
		{"Reciprocal", Reciprocal[float32], func(x float64) float64 { return 1 / x }, 0.5000001, 0},
		{"Log", Log[float32], math.Log, 1, 0},
		{"Tanh", Tanh[float32], math.Tanh, 2, 0},
		{"Sin", Sin[float32], math.Sin, 0, 1e-7},
		{"Cos", Cos[float32], math.Cos, 0, 1e-7},
		{"GELU", GELU[float32], GELU64, 6, 1e-38},
		{"GELUSlope", GELUSlope[float32], GELUSlope64, 0, 2e-7},
		{"GELUTanh", GELUTanh[float32], GELUTanh64, 4, 5e-7},
		{"GELUTanhSlope", GELUTanhSlope[float32], GELUTanhSlope64, 0, 1e-6},
	}
	forEachPath(t, func(t *testing.T) {
		for _, c := range functions {
			r := rand.New(rand.NewPCG(31, 32))
			x, out := make([]float32, 1<<16), make([]float32, 1<<16)
			for i := range x {
				switch i % 4 {
				case 0: // any bits at all
					x[i] = math.Float32frombits(r.Uint32())
				case 1:
					x[i] = float32(r.NormFloat64())
				case 2:
					x[i] = float32(r.NormFloat64()) * 3e4
				default:
					x[i] = 1 + float32(r.NormFloat64())*float32(math.Pow(2, -float64(r.IntN(24))))
				}
			}
			copy(x, edges)
			c.f(out, x)
			worst, at := 0.0, float32(0)
			for i, got := range out {
				want := c.want(float64(x[i]))
				switch {
				case math.IsNaN(want):
					if got == got {
						t.Fatalf("%s(%v) = %v, want NaN", c.name, x[i], got)
					}
				case math.IsInf(want, 0):
					if float64(got) != want {
						t.Fatalf("%s(%v) = %v, want %v", c.name, x[i], got, want)
					}
				case math.Abs(float64(got)-want) <= c.absolute:
				default:
					if u := ulps(got, want); !(u <= worst) {
						worst, at = u, x[i]
					}
				}
			}
			t.Logf("%s: largest error %.3f ulp, at %v", c.name, worst, at)
			if !(worst <= c.bound) {
				t.Errorf("%s(%v) is %.3f ulp off, more than %v", c.name, at, worst, c.bound)
			}
		}
	})
}

func TestOddFunctionsKeepTheSignOfZero(t *testing.T) {
	forEachPath(t, func(t *testing.T) {
		for name, f := range map[string]func(out, x []float32){"Sin": Sin[float32], "Tanh": Tanh[float32], "Sqrt": Sqrt[float32]} {
			x := []float32{float32(math.Copysign(0, -1)), 0}
			if f(x, x); !math.Signbit(float64(x[0])) || math.Signbit(float64(x[1])) || x[0] != 0 || x[1] != 0 {
				t.Errorf("%s(-0, 0) = %v", name, x)
			}
		}
	})
}

func TestReLUPassesNaN(t *testing.T) {
	forEachPath(t, func(t *testing.T) {
		x := make([]float32, 37)
		for i := range x {
			x[i] = []float32{float32(math.NaN()), -1, 2}[i%3]
		}
		ReLU(x, x)
		for i, v := range x {
			if want := []float32{float32(math.NaN()), 0, 2}[i%3]; v != want && (v == v || want == want) {
				t.Fatalf("at %d %v, want %v", i, v, want)
			}
		}
	})
}
