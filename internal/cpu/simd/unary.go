package simd

import "math"

// Abs sets out = |x|.
func Abs[E Element](out, x []E) { unary(out, x, of[E]().abs) }

// ReLU sets out = max(x, 0), NaN of NaN.
func ReLU[E Element](out, x []E) { unary(out, x, of[E]().relu) }

// Sqrt sets out = √x, correctly rounded in float32.
func Sqrt[E Element](out, x []E) { unary(out, x, of[E]().sqrt) }

// Rsqrt sets out = 1/√x, within 1.5 ulp in float32: a root and a quotient, each correctly rounded.
func Rsqrt[E Element](out, x []E) { unary(out, x, of[E]().rsqrt) }

// Reciprocal sets out = 1/x, correctly rounded in float32.
func Reciprocal[E Element](out, x []E) { unary(out, x, of[E]().reciprocal) }

// Log sets out = ln x, within 1 ulp in float32, denormal arguments included: −Inf of 0, NaN below it.
func Log[E Element](out, x []E) { unary(out, x, of[E]().log) }

// Tanh sets out = tanh x, within 2 ulp in float32.
func Tanh[E Element](out, x []E) { unary(out, x, of[E]().tanh) }

// Sin sets out = sin x, within 10⁻⁷ in float32, however large the angle is.
func Sin[E Element](out, x []E) { circular(out, x, of[E]().sin, math.Sin) }

// Cos sets out = cos x, as exact as Sin.
func Cos[E Element](out, x []E) { circular(out, x, of[E]().cos, math.Cos) }

// circularLimit is the largest angle that the loops reduce exactly enough: the number of quarters in it
// times the first part of π/2 is within what a fused multiply-add keeps.
const circularLimit = 1 << 17

// circular runs a loop, but for larger angles f, a number at a time.
func circular[E Element](out, x []E, loop func(out, x []E), f func(float64) float64) {
	x = cut(x, len(out))
	stretches(len(out), func(lo, hi int) {
		o, in := out[lo:hi], x[lo:hi]
		if Max(in) <= circularLimit && Min(in) >= -circularLimit {
			loop(o, in)
			return
		}
		var kept [stretch]E // out may be x
		copy(kept[:], in)
		loop(o, in)
		for i, v := range kept[:len(o)] {
			if a := number(v); math.Abs(a) > circularLimit {
				o[i] = rounded[E](f(a))
			}
		}
	})
}

// number is what an element stands for.
func number[E Element](x E) float64 {
	if bits, ok := any(x).(uint16); ok {
		return float64(widen(bits))
	}
	return float64(x)
}

// rounded is the element nearest to x, by way of float32.
func rounded[E Element](x float64) E {
	var e E
	switch p := any(&e).(type) {
	case *uint16:
		*p = BF16(float32(x))
	case *float32:
		*p = float32(x)
	}
	return e
}

// The plain functions are package math's, rounded.

func absGeneric(out, x []float32)  { each(out, x, math.Abs) }
func sqrtGeneric(out, x []float32) { each(out, x, math.Sqrt) }
func rsqrtGeneric(out, x []float32) {
	each(out, x, func(x float64) float64 { return 1 / math.Sqrt(x) })
}
func reciprocalGeneric(out, x []float32) { each(out, x, func(x float64) float64 { return 1 / x }) }
func logGeneric(out, x []float32)        { each(out, x, math.Log) }
func sinGeneric(out, x []float32)        { each(out, x, math.Sin) }
func cosGeneric(out, x []float32)        { each(out, x, math.Cos) }
func tanhGeneric(out, x []float32)       { each(out, x, math.Tanh) }

func reluGeneric(out, x []float32) {
	for i := range out {
		out[i] = max(x[i], 0)
	}
}

func each(out, x []float32, f func(float64) float64) {
	for i := range out {
		out[i] = float32(f(float64(x[i])))
	}
}
