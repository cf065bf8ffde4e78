package cpu

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

// The float functions that have no SIMD loop, and all of them in F64: one call for each element, computed in
// float64.

// pointwise is the loop of a float op.
func pointwise[T float](op backend.UnaryOp) func(out, x []T) {
	switch op {
	case backend.Neg, backend.Square, backend.Sign, backend.ReLU:
		return integerUnary[T](op)
	case backend.Floor, backend.Ceil, backend.Trunc, backend.Round:
		return rounding[T](op)
	}
	if isFloat32[T]() {
		if f := composed32(op); f != nil {
			return func(out, x []T) { f(cast[float32](out), cast[float32](x)) }
		}
	}
	f := mathFunction(op)
	return func(out, x []T) {
		for i, v := range x {
			out[i] = T(f(float64(v)))
		}
	}
}

// rounding has loops of its own: these functions are one instruction, a call would be ten.
func rounding[T float](op backend.UnaryOp) func(out, x []T) {
	switch op {
	case backend.Floor:
		return func(out, x []T) {
			for i, v := range x {
				out[i] = T(math.Floor(float64(v)))
			}
		}
	case backend.Ceil:
		return func(out, x []T) {
			for i, v := range x {
				out[i] = T(math.Ceil(float64(v)))
			}
		}
	case backend.Trunc:
		return func(out, x []T) {
			for i, v := range x {
				out[i] = T(math.Trunc(float64(v)))
			}
		}
	default:
		return func(out, x []T) {
			for i, v := range x {
				out[i] = T(math.RoundToEven(float64(v)))
			}
		}
	}
}

// mathFunction is op on one float64.
func mathFunction(op backend.UnaryOp) func(float64) float64 {
	switch op {
	case backend.Abs:
		return math.Abs
	case backend.Exp:
		return math.Exp
	case backend.Log:
		return math.Log
	case backend.Sqrt:
		return math.Sqrt
	case backend.Rsqrt:
		return func(x float64) float64 { return 1 / math.Sqrt(x) }
	case backend.Sin:
		return math.Sin
	case backend.Cos:
		return math.Cos
	case backend.Tanh:
		return math.Tanh
	case backend.Sigmoid:
		return sigmoid
	case backend.SiLU:
		return silu
	case backend.Reciprocal:
		return func(x float64) float64 { return 1 / x }
	case backend.Exp2:
		return math.Exp2
	case backend.Expm1:
		return math.Expm1
	case backend.Log2:
		return math.Log2
	case backend.Log10:
		return math.Log10
	case backend.Log1p:
		return math.Log1p
	case backend.Tan:
		return math.Tan
	case backend.Asin:
		return math.Asin
	case backend.Acos:
		return math.Acos
	case backend.Atan:
		return math.Atan
	case backend.Sinh:
		return math.Sinh
	case backend.Cosh:
		return math.Cosh
	case backend.Asinh:
		return math.Asinh
	case backend.Acosh:
		return math.Acosh
	case backend.Atanh:
		return math.Atanh
	case backend.Erf:
		return math.Erf
	case backend.Erfc:
		return math.Erfc
	case backend.Softplus:
		return softplus
	case backend.GELU:
		return simd.GELU64
	case backend.GELUSlope:
		return simd.GELUSlope64
	case backend.GELUTanh:
		return simd.GELUTanh64
	case backend.GELUTanhSlope:
		return simd.GELUTanhSlope64
	}
	panic(fmt.Sprintf("cpu: unary operation %v of a float dtype", op))
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
func silu(x float64) float64    { return x / (1 + math.Exp(-x)) }

// softplus does not overflow and keeps the small values of a negative x.
func softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

// numberFunction is a binary op on two numbers.
func numberFunction[T number](op backend.BinaryOp) func(x, y T) T {
	switch op {
	case backend.Atan2:
		return func(x, y T) T { return T(math.Atan2(float64(x), float64(y))) }
	case backend.Hypot:
		return func(x, y T) T { return T(math.Hypot(float64(x), float64(y))) }
	case backend.Remainder:
		switch {
		case isFloat32[T]():
			return func(x, y T) T { return T(floorMod32(float64(x), float64(y))) }
		case isFloat[T]():
			return func(x, y T) T { return T(floorMod(float64(x), float64(y))) }
		}
		return remainder[T]
	case backend.Fmod:
		switch {
		case isFloat32[T]():
			return func(x, y T) T { return T(mod32(float64(x), float64(y))) }
		case isFloat[T]():
			return func(x, y T) T { return T(math.Mod(float64(x), float64(y))) }
		}
		return func(x, y T) T { return x - x/y*y }
	}
	panic(fmt.Sprintf("cpu: binary operation %v", op))
}

// floorMod has the sign of y, as Python's %.
func floorMod(x, y float64) float64 {
	m := math.Mod(x, y)
	if m != 0 && (m < 0) != (y < 0) {
		m += y
	}
	return m
}

// mod32 is math.Mod of numbers that float32 holds, without its loop where the quotient is not too large: then
// the product of the whole quotient and y has at most 53 bits, and the difference from x is exact. A quotient
// that was rounded up to a whole number is one too large.
func mod32(x, y float64) float64 {
	q := math.Trunc(x / y)
	if !(math.Abs(q) < 1<<28) || y == 0 || math.IsInf(y, 0) {
		return math.Mod(x, y)
	}
	m := x - float64(q*y)
	switch {
	case m == 0:
		return math.Copysign(0, x)
	case (m < 0) != (x < 0):
		m += math.Copysign(y, x)
	}
	return m
}

// floorMod32 is floorMod of numbers that float32 holds.
func floorMod32(x, y float64) float64 {
	m := mod32(x, y)
	if m != 0 && (m < 0) != (y < 0) {
		m += y
	}
	return m
}

// remainder is floorMod of integers.
func remainder[T number](x, y T) T {
	m := x - x/y*y
	if m != 0 && (m < 0) != (y < 0) {
		m += y
	}
	return m
}
