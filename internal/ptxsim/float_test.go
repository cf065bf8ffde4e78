package ptxsim

import (
	"math"
	"math/big"
	"math/rand"
	"testing"
)

var floatEdges = []float32{0, float32(math.Copysign(0, -1)), 1, -1, 1.5, -2.25, 3.1415927, 1e-45, -1e-45, 1e-40, 1.1754944e-38, 1e-30, 1e30, -1e30,
	math.MaxFloat32, -math.MaxFloat32, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), 0.1, 16777217, 1 + 1.0/(1<<23)}

func floatRows(n int) [][]uint64 {
	var edges []uint64
	for _, f := range floatEdges {
		edges = append(edges, uint64(math.Float32bits(f)))
	}
	return product(edges, n)
}

func TestFloatArithmeticIsIEEE(t *testing.T) {
	for _, c := range []struct {
		text string
		want func(a, b float32) float32
	}{
		{"add.f32 D, A, B;", func(a, b float32) float32 { return a + b }},
		{"sub.rn.f32 D, A, B;", func(a, b float32) float32 { return a - b }},
		{"mul.f32 D, A, B;", func(a, b float32) float32 { return a * b }},
		{"div.rn.f32 D, A, B;", func(a, b float32) float32 { return a / b }},
	} {
		check(t, c.text, "f32", []string{"f32", "f32"}, floatRows(2), func(v []uint64) uint64 { return bits32(c.want(f32(v[0]), f32(v[1]))) })
	}
}

func randomFloats(n, count int) [][]uint64 {
	r := rand.New(rand.NewSource(4))
	rows := make([][]uint64, count)
	for i := range rows {
		for range n {
			rows[i] = append(rows[i], uint64(r.Uint32()))
		}
	}
	return rows
}

// fmaExact is a*b + c by arbitrary precision, rounded once.
func fmaExact(a, b, c float32) float32 {
	if x := float64(a)*float64(b) + float64(c); x-x != 0 || x == 0 {
		return float32(x) // NaN, Inf, and the sign of zero
	}
	exact := func(f float32) *big.Float { return new(big.Float).SetPrec(2000).SetFloat64(float64(f)) }
	p := exact(a)
	p.Mul(p, exact(b))
	p.Add(p, exact(c))
	f, _ := p.Float32()
	return f
}

func TestFusedMultiplyAddRoundsOnce(t *testing.T) {
	rows := append(floatRows(3), randomFloats(3, 20000)...)
	// Near ties: c is half an ulp of the product, and a little.
	for _, c := range []uint64{0x33800000, 0x33800001, 0x337fffff, 0xb3800000, 0xb3800001} {
		rows = append(rows, []uint64{0x3f800001, 0x3f800000, c}, []uint64{0x3f800001, 0x3f800001, c}, []uint64{0x3f7fffff, 0x3f800001, c})
	}
	check(t, "fma.rn.f32 D, A, B, C;", "f32", []string{"f32", "f32", "f32"}, rows, func(v []uint64) uint64 {
		return bits32(fmaExact(f32(v[0]), f32(v[1]), f32(v[2])))
	})
}

func TestMinAndMaxIgnoreNaNUnlessTold(t *testing.T) {
	pick := func(v []uint64, propagate bool, better func(a, b float32) bool) uint64 {
		a, b := f32(v[0]), f32(v[1])
		switch {
		case a != a && b != b, propagate && (a != a || b != b):
			return nan32
		case a != a:
			return v[1]
		case b != b:
			return v[0]
		case a == 0 && b == 0:
			if better(-1, 1) { // min: the negative zero
				return v[0] | v[1]
			}
			return v[0] & v[1]
		case better(a, b):
			return v[0]
		}
		return v[1]
	}
	less, greater := func(a, b float32) bool { return a < b }, func(a, b float32) bool { return a > b }
	two := []string{"f32", "f32"}
	check(t, "min.f32 D, A, B;", "f32", two, floatRows(2), func(v []uint64) uint64 { return pick(v, false, less) })
	check(t, "max.f32 D, A, B;", "f32", two, floatRows(2), func(v []uint64) uint64 { return pick(v, false, greater) })
	check(t, "min.NaN.f32 D, A, B;", "f32", two, floatRows(2), func(v []uint64) uint64 { return pick(v, true, less) })
	check(t, "max.NaN.f32 D, A, B;", "f32", two, floatRows(2), func(v []uint64) uint64 { return pick(v, true, greater) })
}

func TestFlushToZeroAndSaturation(t *testing.T) {
	two := []string{"f32", "f32"}
	check(t, "mul.ftz.f32 D, A, B;", "f32", two, floatRows(2), func(v []uint64) uint64 {
		return flush(bits32(f32(flush(v[0])) * f32(flush(v[1]))))
	})
	check(t, "add.sat.f32 D, A, B;", "f32", two, floatRows(2), func(v []uint64) uint64 {
		switch x := f32(v[0]) + f32(v[1]); {
		case !(x > 0):
			return 0
		case x > 1:
			return 0x3f800000
		default:
			return bits32(x)
		}
	})
	check(t, "neg.f32 D, A;", "f32", []string{"f32"}, floatRows(1), func(v []uint64) uint64 { return v[0] ^ 1<<31 })
	check(t, "abs.f32 D, A;", "f32", []string{"f32"}, floatRows(1), func(v []uint64) uint64 { return v[0] &^ (1 << 31) })
	check(t, "copysign.f32 D, A, B;", "f32", two, floatRows(2), func(v []uint64) uint64 { return v[0]&(1<<31) | v[1]&^(1<<31) })
}

func TestFunctionsAreThoseOfMathRoundedOnce(t *testing.T) {
	for text, f := range map[string]func(float64) float64{
		"sqrt.rn.f32 D, A;": math.Sqrt, "rcp.rn.f32 D, A;": func(x float64) float64 { return 1 / x },
		"ex2.approx.f32 D, A;": math.Exp2, "lg2.approx.f32 D, A;": math.Log2,
		"rsqrt.approx.f32 D, A;": func(x float64) float64 { return 1 / math.Sqrt(x) }, "sin.approx.f32 D, A;": math.Sin, "cos.approx.f32 D, A;": math.Cos,
	} {
		check(t, text, "f32", []string{"f32"}, floatRows(1), func(v []uint64) uint64 { return bits32(float32(f(float64(f32(v[0]))))) })
	}
	rows := [][]uint64{{0x3f000000}, {0xbf800000}, {0x40400000}, {0x7f800000}, {0xff800000}, {0}}
	for i, got := range evaluate(t, "tanh.approx.f32 D, A;", "f32", []string{"f32"}, rows) {
		want := math.Tanh(float64(f32(rows[i][0])))
		if e := math.Abs(float64(f32(got)) - want); e > math.Abs(want)*0x1p-11 {
			t.Errorf("tanh of %v: %v, want %v", f32(rows[i][0]), f32(got), want)
		}
	}
}

func TestDoublesAreIEEE(t *testing.T) {
	var edges []uint64
	for _, f := range []float64{0, math.Copysign(0, -1), 1, -1.5, math.Pi, 5e-324, 2.2e-308, math.MaxFloat64, math.Inf(1), math.Inf(-1), math.NaN(), 1e-200} {
		edges = append(edges, math.Float64bits(f))
	}
	two := []string{"f64", "f64"}
	for text, f := range map[string]func(a, b float64) float64{
		"add.f64 D, A, B;": func(a, b float64) float64 { return a + b }, "sub.f64 D, A, B;": func(a, b float64) float64 { return a - b },
		"mul.f64 D, A, B;": func(a, b float64) float64 { return a * b }, "div.rn.f64 D, A, B;": func(a, b float64) float64 { return a / b },
	} {
		check(t, text, "f64", two, product(edges, 2), func(v []uint64) uint64 { return bits64(f(f64(v[0]), f64(v[1]))) })
	}
	check(t, "fma.rn.f64 D, A, B, C;", "f64", []string{"f64", "f64", "f64"}, product(edges, 3), func(v []uint64) uint64 {
		return bits64(math.FMA(f64(v[0]), f64(v[1]), f64(v[2])))
	})
}
