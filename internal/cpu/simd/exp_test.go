package simd

import (
	"math"
	"testing"
)

// ulps is the distance of got from want in units of the last place of a float32 at want.
func ulps(got float32, want float64) float64 {
	if math.IsInf(float64(got), 0) && math.Abs(want) > math.MaxFloat32 {
		return 0
	}
	_, e := math.Frexp(want)
	return math.Abs(float64(got)-want) / math.Ldexp(1, max(e-24, -149))
}

func TestExpIsWithin2ULPOverItsWholeRange(t *testing.T) {
	forEachPath(t, func(t *testing.T) {
		const n = 1 << 12
		x, out := make([]float32, n), make([]float32, n)
		worst, at := 0.0, float32(0)
		for lo := -104.0; lo < 89; lo++ {
			for i := range x {
				x[i] = float32(lo + float64(i)/n)
			}
			Exp(out, x, 0)
			for i, got := range out {
				if u := ulps(got, math.Exp(float64(x[i]))); u > worst {
					worst, at = u, x[i]
				}
			}
		}
		t.Logf("largest error %.3f ulp, at %v", worst, at)
		if !(worst <= 2) {
			t.Errorf("exp(%v) is %.3f ulp off", at, worst)
		}
	})
}

func TestExpOfSpecialNumbers(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	cases := []struct{ x, bias, want float32 }{
		{0, 0, 1}, {float32(math.Copysign(0, -1)), 0, 1}, {1e-45, 0, 1}, {-1e-40, 0, 1},
		{inf, 0, inf}, {-inf, 0, 0}, {nan, 0, nan}, {0, nan, nan}, {-inf, 5, 0}, {inf, inf, nan}, {-inf, -inf, nan},
		{88.73, 0, inf}, {1000, 0, inf}, {math.MaxFloat32, 0, inf}, {-104, 0, 0}, {-1000, 0, 0}, {-math.MaxFloat32, 0, 0},
		{1000, 1000, 1}, {-1000, -1000, 1}, {0, inf, 0},
		{-103.2, 0, math.SmallestNonzeroFloat32},
	}
	forEachPath(t, func(t *testing.T) {
		for _, n := range []int{1, 5, 16, 35} { // in the part of a vector and in a whole one
			for _, c := range cases {
				x, out := make([]float32, n), make([]float32, n)
				for i := range x {
					x[i] = c.x
				}
				sum := Exp(out, x, c.bias)
				for _, got := range out {
					if got != c.want && !(got != got && c.want != c.want) {
						t.Errorf("exp(%v − %v) = %v, want %v", c.x, c.bias, got, c.want)
					}
				}
				if want := float32(n) * c.want; sum != want && !(sum != sum && want != want) {
					t.Errorf("the sum of %d exp(%v − %v) is %v, want %v", n, c.x, c.bias, sum, want)
				}
			}
		}
	})
}

func TestSigmoidAndSiLUOfSpecialNumbers(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	forEachPath(t, func(t *testing.T) {
		for _, c := range []struct{ x, sigmoid, silu float32 }{
			{0, 0.5, 0}, {inf, 1, inf}, {-inf, 0, nan}, {nan, nan, nan}, {200, 1, 200}, {-200, 0, 0}, {-1e30, 0, 0}, {1e30, 1, 1e30},
		} {
			for _, n := range []int{1, 33} {
				x, s, y := make([]float32, n), make([]float32, n), make([]float32, n)
				for i := range x {
					x[i] = c.x
				}
				Sigmoid(s, x)
				SiLU(y, x)
				for i := range x {
					if s[i] != c.sigmoid && !(s[i] != s[i] && c.sigmoid != c.sigmoid) {
						t.Errorf("sigmoid(%v) = %v, want %v", c.x, s[i], c.sigmoid)
					}
					if y[i] != c.silu && !(y[i] != y[i] && c.silu != c.silu) {
						t.Errorf("silu(%v) = %v, want %v", c.x, y[i], c.silu)
					}
				}
			}
		}
	})
}
