package tensor_test

import (
	"math"

	"github.com/hone-ml/hone/tensor"
)

// elementShapes are the shapes on which element-wise functions are tried.
var elementShapes = [][]int{{}, {1}, {5}, {2, 3, 4}, {3, 0, 2}}

// pairShapes broadcast.
var pairShapes = [][2][]int{{{3, 4}, {3, 4}}, {{2, 3, 4}, {4}}, {{3, 1}, {1, 4}}, {{}, {2, 3}}, {{0, 3}, {1, 3}}, {{1}, {1}}}

// mathsCases lists cases of the element-wise functions with a derivative.
func mathsCases() []opCase {
	var cases []opCase
	unary := func(op string, kind byte, fn func(x T) T, ref func(float64) float64) {
		for _, s := range elementShapes {
			cases = append(cases, opCase{op, []operand{{kind: kind, shape: s}}, func(x []T) T { return fn(x[0]) }, map1(ref)})
		}
	}
	unary("Exp2", normal, T.Exp2, math.Exp2)
	unary("Expm1", normal, T.Expm1, math.Expm1)
	unary("Log1p", positive, T.Log1p, math.Log1p)
	unary("Log2", positive, T.Log2, math.Log2)
	unary("Log10", positive, T.Log10, math.Log10)
	unary("Reciprocal", distant, T.Reciprocal, func(x float64) float64 { return 1 / x })
	unary("Erf", normal, T.Erf, math.Erf)
	unary("Erfc", normal, T.Erfc, math.Erfc)
	unary("Frac", normal, T.Frac, func(x float64) float64 { return x - math.Trunc(x) })
	unary("RemainderScalar", normal, func(x T) T { return x.RemainderScalar(0.75) }, func(x float64) float64 { return x - 0.75*math.Floor(x/0.75) })
	unary("FmodScalar", normal, func(x T) T { return x.FmodScalar(0.75) }, func(x float64) float64 { return math.Mod(x, 0.75) })
	unary("Clamp", normal, func(x T) T { return x.Clamp(-0.7, 0.9) }, func(x float64) float64 { return min(max(x, -0.7), 0.9) })
	unary("Clamp", normal, func(x T) T { return x.Clamp(math.Inf(-1), math.Inf(1)) }, func(x float64) float64 { return x })
	unary("ClampMin", normal, func(x T) T { return x.ClampMin(0.2) }, func(x float64) float64 { return max(x, 0.2) })
	unary("ClampMax", normal, func(x T) T { return x.ClampMax(0.2) }, func(x float64) float64 { return min(x, 0.2) })

	unit := func(fn func(x T) T) func(x T) T { return func(x T) T { return fn(x.Tanh().MulScalar(0.9)) } }
	unitRef := func(fn func(float64) float64) func(float64) float64 {
		return func(x float64) float64 { return fn(0.9 * math.Tanh(x)) }
	}
	unary("Tan", normal, unit(T.Tan), unitRef(math.Tan))
	unary("Asin", normal, unit(T.Asin), unitRef(math.Asin))
	unary("Acos", normal, unit(T.Acos), unitRef(math.Acos))
	unary("Atanh", normal, unit(T.Atanh), unitRef(math.Atanh))
	unary("Atan", normal, T.Atan, math.Atan)
	unary("Sinh", normal, T.Sinh, math.Sinh)
	unary("Cosh", normal, T.Cosh, math.Cosh)
	unary("Asinh", normal, T.Asinh, math.Asinh)
	unary("Acosh", positive, func(x T) T { return x.AddScalar(0.7).Acosh() }, func(x float64) float64 { return math.Acosh(x + 0.7) })

	softplus := func(x float64) float64 { return math.Log1p(math.Exp(x)) }
	unary("GELU", normal, T.GELU, func(x float64) float64 { return x * (1 + math.Erf(x/math.Sqrt2)) / 2 })
	unary("GELUTanh", normal, T.GELUTanh, func(x float64) float64 {
		return x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x))) / 2
	})
	unary("Softplus", normal, T.Softplus, softplus)
	unary("LogSigmoid", normal, T.LogSigmoid, func(x float64) float64 { return math.Log(sigmoid(x)) })
	unary("Mish", normal, T.Mish, func(x float64) float64 { return x * math.Tanh(softplus(x)) })
	unary("LeakyReLU", distant, func(x T) T { return x.LeakyReLU(-0.1) }, func(x float64) float64 { return max(x, 0) - 0.1*min(x, 0) })
	elu := func(alpha float64) func(x float64) float64 {
		return func(x float64) float64 { return max(x, 0) + alpha*math.Expm1(min(x, 0)) }
	}
	unary("ELU", distant, func(x T) T { return x.ELU(1.5) }, elu(1.5))
	unary("SELU", distant, T.SELU, func(x float64) float64 { return 1.0507009873554805 * elu(1.6732632423543772)(x) })
	six := func(fn func(x T) T) func(x T) T { return func(x T) T { return fn(x.MulScalar(4)) } }
	unary("ReLU6", distant, six(T.ReLU6), func(x float64) float64 { return min(max(4*x, 0), 6) })
	unary("HardSigmoid", distant, six(T.HardSigmoid), func(x float64) float64 { return min(max(4*x+3, 0), 6) / 6 })
	unary("HardSwish", distant, six(T.HardSwish), func(x float64) float64 { return 4 * x * min(max(4*x+3, 0), 6) / 6 })

	binary := func(op, kinds string, fn func(x, y T) T, ref func(x, y float64) float64) {
		for _, p := range pairShapes {
			cases = append(cases, opCase{op, []operand{{kind: kinds[0], shape: p[0]}, {kind: kinds[1], shape: p[1]}},
				func(x []T) T { return fn(x[0], x[1]) }, map2(ref)})
		}
	}
	binary("Pow", "pn", T.Pow, math.Pow)
	binary("Pow", "cp", func(x, y T) T { return x.Abs().Pow(y) }, func(x, y float64) float64 { return math.Pow(math.Abs(x), y) })
	binary("Pow", "nc", func(x, y T) T { return x.AddScalar(5).Pow(y.Round()) }, func(x, y float64) float64 { return math.Pow(x+5, math.RoundToEven(y)) })
	binary("Atan2", "dd", T.Atan2, math.Atan2)
	binary("Hypot", "dd", T.Hypot, math.Hypot)
	binary("Remainder", "nd", T.Remainder, func(x, y float64) float64 { return x - y*math.Floor(x/y) })
	binary("Fmod", "nd", T.Fmod, func(x, y float64) float64 { return x - y*math.Trunc(x/y) })
	for _, w := range []float64{0, 0.25, 0.75, 1, -1} {
		binary("Lerp", "nn", func(x, y T) T { return x.Lerp(y, w) }, func(x, y float64) float64 { return x + w*(y-x) })
	}

	for _, s := range [][]int{{3, 3}, {2, 4}, {4, 2}, {2, 3, 4}, {1, 1}, {0, 2}, {2, 0}} {
		for _, diagonal := range []int{0, 1, -1, 9, -9} {
			keep := func(above bool) func(x []nd) nd {
				return func(x []nd) nd {
					return build(s, func(at []int) float64 {
						if d := at[len(at)-1] - at[len(at)-2] - diagonal; above && d >= 0 || !above && d <= 0 {
							return *x[0].at(at...)
						}
						return 0
					})
				}
			}
			cases = append(cases,
				opCase{"Tril", []operand{n(s...)}, func(x []T) T { return x[0].Tril(diagonal) }, keep(false)},
				opCase{"Triu", []operand{n(s...)}, func(x []T) T { return x[0].Triu(diagonal) }, keep(true)})
		}
	}
	return cases
}

// mathsConstants lists cases of the element-wise functions without a derivative.
func mathsConstants() []opCase {
	var cases []opCase
	unary := func(op string, of operand, fn func(x T) T, ref func(float64) float64) {
		cases = append(cases, opCase{op, []operand{of}, func(x []T) T { return fn(x[0]) }, map1(ref)})
	}
	for _, s := range elementShapes {
		unary("Floor", c(s...), T.Floor, math.Floor)
		unary("Ceil", c(s...), T.Ceil, math.Ceil)
		unary("Trunc", c(s...), T.Trunc, math.Trunc)
		unary("Round", c(s...), func(x T) T { return x.MulScalar(2).Round() }, func(x float64) float64 { return math.RoundToEven(2 * x) })
		sign := func(x float64) float64 { return truth(x > 0) - truth(x < 0) }
		unary("Sign", c(s...), T.Sign, sign)
		unary("Sign", i(3, s...), func(x T) T { return x.AddScalar(-1).Sign() }, func(x float64) float64 { return sign(x - 1) })
		unary("NeScalar", i(3, s...), func(x T) T { return x.NeScalar(1) }, func(x float64) float64 { return truth(x != 1) })
		unary("LtScalar", c(s...), func(x T) T { return x.LtScalar(0.3) }, func(x float64) float64 { return truth(x < 0.3) })
		unary("LeScalar", i(3, s...), func(x T) T { return x.LeScalar(1) }, func(x float64) float64 { return truth(x <= 1) })
		broken := func(x T) T { return x.Log().Div(x.GtScalar(0.5).To(x.DType())) } // NaN, +∞, −∞ and numbers
		brokenRef := func(x float64) float64 { return math.Log(x) / truth(x > 0.5) }
		unary("IsNaN", c(s...), func(x T) T { return broken(x).IsNaN() }, func(x float64) float64 { x = brokenRef(x); return truth(x != x) })
		unary("IsInf", c(s...), func(x T) T { return broken(x).IsInf() }, func(x float64) float64 { return truth(math.IsInf(brokenRef(x), 0)) })
		unary("IsFinite", c(s...), func(x T) T { return broken(x).IsFinite() }, func(x float64) float64 { x = brokenRef(x); return truth(x-x == 0) })
		unary("ZerosLike", c(s...), tensor.ZerosLike, func(float64) float64 { return 0 })
		unary("OnesLike", c(s...), tensor.OnesLike, func(float64) float64 { return 1 })
		unary("FullLike", i(3, s...), func(x T) T { return tensor.FullLike(x, 7) }, func(float64) float64 { return 7 })
	}
	for _, p := range pairShapes {
		cases = append(cases, opCase{"Xor", []operand{b(p[0]...), b(p[1]...)}, func(x []T) T { return x[0].Xor(x[1]) },
			map2(func(x, y float64) float64 { return truth(x != y) })})
		cases = append(cases, opCase{"Remainder", []operand{i(20, p[0]...), i(5, p[1]...)},
			func(x []T) T { return x[0].AddScalar(-10).Remainder(x[1].AddScalar(1)) },
			map2(func(x, y float64) float64 { return (x - 10) - (y+1)*math.Floor((x-10)/(y+1)) })})
		cases = append(cases, opCase{"Fmod", []operand{i(20, p[0]...), i(5, p[1]...)},
			func(x []T) T { return x[0].AddScalar(-10).Fmod(x[1].AddScalar(1)) },
			map2(func(x, y float64) float64 { return math.Mod(x-10, y+1) })})
	}
	return cases
}
