package cpu

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

// The loops over contiguous blocks that element-wise operations are made of. An output may be one of
// the inputs.

// vectorUnary is the SIMD loop of a float op and its grain; nil if there is none.
func vectorUnary[E simd.Element](op backend.UnaryOp) (kernel func(out, x []E), grain int) {
	switch op {
	case backend.Neg:
		return func(out, x []E) { simd.Scale(out, x, -1) }, grainCheap
	case backend.Square:
		return func(out, x []E) { simd.Mul(out, x, x) }, grainCheap
	case backend.Exp:
		return func(out, x []E) { simd.ScaledExp(out, x, 0, 1, 0) }, grainScalar
	case backend.Sigmoid:
		return simd.Sigmoid[E], grainScalar
	case backend.SiLU:
		return simd.SiLU[E], grainScalar
	case backend.Abs:
		return simd.Abs[E], grainCheap
	case backend.ReLU:
		return simd.ReLU[E], grainCheap
	case backend.Sqrt:
		return simd.Sqrt[E], grainScalar
	case backend.Rsqrt:
		return simd.Rsqrt[E], grainScalar
	case backend.Reciprocal:
		return simd.Reciprocal[E], grainScalar
	case backend.Log:
		return simd.Log[E], grainScalar
	case backend.Sin:
		return simd.Sin[E], grainScalar
	case backend.Cos:
		return simd.Cos[E], grainScalar
	case backend.Tanh:
		return simd.Tanh[E], grainScalar
	case backend.GELU:
		return simd.GELU[E], grainScalar
	case backend.GELUSlope:
		return simd.GELUSlope[E], grainScalar
	case backend.GELUTanh:
		return simd.GELUTanh[E], grainScalar
	case backend.GELUTanhSlope:
		return simd.GELUTanhSlope[E], grainScalar
	}
	return nil, 0
}

// vectorBinary is the SIMD loop of op; nil if there is none.
func vectorBinary[E simd.Element](op backend.BinaryOp) func(out, x, y []E) {
	switch op {
	case backend.Add:
		return simd.Add[E]
	case backend.Sub:
		return simd.Sub[E]
	case backend.Mul:
		return simd.Mul[E]
	case backend.Div:
		return simd.Div[E]
	case backend.Max:
		return simd.Larger[E]
	case backend.Min:
		return simd.Smaller[E]
	}
	return nil
}

// vectorScalar is the SIMD loop of op with a number; nil if there is none.
func vectorScalar[E simd.Element](op backend.BinaryOp) func(out, x []E, s float32) {
	switch op {
	case backend.Add:
		return simd.AddScalar[E]
	case backend.Sub:
		return func(out, x []E, s float32) { simd.AddScalar(out, x, -s) }
	case backend.Mul:
		return simd.Scale[E]
	case backend.Div:
		return simd.DivScalar[E]
	case backend.Max:
		return simd.LargerScalar[E]
	case backend.Min:
		return simd.SmallerScalar[E]
	}
	return nil
}

func integerUnary[T number](op backend.UnaryOp) func(out, x []T) {
	switch op {
	case backend.Neg:
		return func(out, x []T) {
			for i, v := range x {
				out[i] = -v
			}
		}
	case backend.Abs:
		return func(out, x []T) {
			for i, v := range x {
				if v < 0 {
					v = -v
				}
				out[i] = v
			}
		}
	case backend.Square:
		return func(out, x []T) {
			for i, v := range x {
				out[i] = v * v
			}
		}
	case backend.Sign:
		return sign[T]
	case backend.ReLU:
		return relu[T]
	}
	panic(fmt.Sprintf("cpu: unary operation %d of an integer dtype", op))
}

// relu keeps NaN.
func relu[T number](out, x []T) {
	for i, v := range x {
		if v < 0 {
			v = 0
		}
		out[i] = v
	}
}

// sign is 0 for NaN.
func sign[T number](out, x []T) {
	for i, v := range x {
		out[i] = T(truth(v > 0)) - T(truth(v < 0))
	}
}

func not(out, x []uint8) {
	for i, v := range x {
		out[i] = truth(v == 0)
	}
}

func arithmetic[T number](op backend.BinaryOp) func(out, x, y []T) {
	if isFloat32[T]() {
		if f := vectorBinary[float32](op); f != nil {
			return func(out, x, y []T) { f(cast[float32](out), cast[float32](x), cast[float32](y)) }
		}
	}
	switch op {
	case backend.Add:
		return func(out, x, y []T) {
			x, y = x[:len(out)], y[:len(out)]
			for i := range out {
				out[i] = x[i] + y[i]
			}
		}
	case backend.Sub:
		return func(out, x, y []T) {
			x, y = x[:len(out)], y[:len(out)]
			for i := range out {
				out[i] = x[i] - y[i]
			}
		}
	case backend.Mul:
		return func(out, x, y []T) {
			x, y = x[:len(out)], y[:len(out)]
			for i := range out {
				out[i] = x[i] * y[i]
			}
		}
	case backend.Div:
		return func(out, x, y []T) {
			x, y = x[:len(out)], y[:len(out)]
			for i := range out {
				out[i] = x[i] / y[i]
			}
		}
	case backend.Max:
		return func(out, x, y []T) {
			x, y = x[:len(out)], y[:len(out)]
			for i := range out {
				out[i] = max(x[i], y[i])
			}
		}
	case backend.Min:
		return func(out, x, y []T) {
			x, y = x[:len(out)], y[:len(out)]
			for i := range out {
				out[i] = min(x[i], y[i])
			}
		}
	case backend.Pow:
		return func(out, x, y []T) {
			x, y = x[:len(out)], y[:len(out)]
			for i := range out {
				out[i] = T(math.Pow(float64(x[i]), float64(y[i])))
			}
		}
	case backend.Atan2, backend.Hypot, backend.Remainder, backend.Fmod:
		f := numberFunction[T](op)
		return func(out, x, y []T) {
			x, y = x[:len(out)], y[:len(out)]
			for i := range out {
				out[i] = f(x[i], y[i])
			}
		}
	case backend.And:
		return func(out, x, y []T) {
			x, y = x[:len(out)], y[:len(out)]
			for i := range out {
				out[i] = T(truth(x[i] != 0 && y[i] != 0))
			}
		}
	case backend.Or:
		return func(out, x, y []T) {
			x, y = x[:len(out)], y[:len(out)]
			for i := range out {
				out[i] = T(truth(x[i] != 0 || y[i] != 0))
			}
		}
	case backend.Xor:
		return func(out, x, y []T) {
			x, y = x[:len(out)], y[:len(out)]
			for i := range out {
				out[i] = T(truth((x[i] != 0) != (y[i] != 0)))
			}
		}
	}
	panic(fmt.Sprintf("cpu: binary operation %d", op))
}

func arithmeticScalar[T number](op backend.BinaryOp) func(out, x []T, s T) {
	if isFloat32[T]() {
		if f := vectorScalar[float32](op); f != nil {
			return func(out, x []T, s T) { f(cast[float32](out), cast[float32](x), float32(s)) }
		}
	}
	switch op {
	case backend.Add:
		return func(out, x []T, s T) {
			for i, v := range x {
				out[i] = v + s
			}
		}
	case backend.Sub:
		return func(out, x []T, s T) {
			for i, v := range x {
				out[i] = v - s
			}
		}
	case backend.Mul:
		return func(out, x []T, s T) {
			for i, v := range x {
				out[i] = v * s
			}
		}
	case backend.Div:
		return func(out, x []T, s T) {
			for i, v := range x {
				out[i] = v / s
			}
		}
	case backend.Max:
		return func(out, x []T, s T) {
			for i, v := range x {
				out[i] = max(v, s)
			}
		}
	case backend.Min:
		return func(out, x []T, s T) {
			for i, v := range x {
				out[i] = min(v, s)
			}
		}
	case backend.Pow:
		return powScalar[T]
	case backend.Atan2, backend.Hypot, backend.Remainder, backend.Fmod:
		f := numberFunction[T](op)
		return func(out, x []T, s T) {
			for i, v := range x {
				out[i] = f(v, s)
			}
		}
	case backend.And:
		return func(out, x []T, s T) {
			for i, v := range x {
				out[i] = T(truth(v != 0 && s != 0))
			}
		}
	case backend.Or:
		return func(out, x []T, s T) {
			for i, v := range x {
				out[i] = T(truth(v != 0 || s != 0))
			}
		}
	case backend.Xor:
		return func(out, x []T, s T) {
			for i, v := range x {
				out[i] = T(truth((v != 0) != (s != 0)))
			}
		}
	}
	panic(fmt.Sprintf("cpu: binary operation %d with a scalar", op))
}

// powScalar multiplies where the exponent is a small whole number.
func powScalar[T number](out, x []T, s T) {
	switch s {
	case 1:
		copy(out, x)
	case 2:
		for i, v := range x {
			out[i] = v * v
		}
	case 3:
		for i, v := range x {
			f := float64(v)
			out[i] = T(f * f * f)
		}
	case 4:
		for i, v := range x {
			f := float64(v) * float64(v)
			out[i] = T(f * f)
		}
	default:
		for i, v := range x {
			out[i] = T(math.Pow(float64(v), float64(s)))
		}
	}
}

// vectorComparison is the SIMD loop of a comparison.
func vectorComparison[E simd.Element](op backend.BinaryOp) func(out []uint8, x, y []E) {
	switch op {
	case backend.Eq:
		return simd.Equal[E]
	case backend.Ne:
		return simd.NotEqual[E]
	case backend.Lt:
		return simd.Less[E]
	case backend.Le:
		return simd.LessEqual[E]
	case backend.Gt:
		return func(out []uint8, x, y []E) { simd.Less(out, y, x) }
	default:
		return func(out []uint8, x, y []E) { simd.LessEqual(out, y, x) }
	}
}

// compareWith runs a comparison with a number, by way of a vector of nothing else.
func compareWith[E simd.Element](out []uint8, x []E, s E, kernel func(out []uint8, x, y []E)) {
	var same [256]E
	fill(same[:min(len(x), len(same))], s)
	for len(x) > len(same) {
		kernel(out[:len(same)], x[:len(same)], same[:])
		out, x = out[len(same):], x[len(same):]
	}
	kernel(out, x, same[:len(x)])
}

func comparison[T number](op backend.BinaryOp) func(out []uint8, x, y []T) {
	if isFloat32[T]() {
		f := vectorComparison[float32](op)
		return func(out []uint8, x, y []T) { f(out, cast[float32](x), cast[float32](y)) }
	}
	switch op {
	case backend.Eq:
		return func(out []uint8, x, y []T) {
			x, y = x[:len(out)], y[:len(out)]
			for i := range out {
				out[i] = truth(x[i] == y[i])
			}
		}
	case backend.Ne:
		return func(out []uint8, x, y []T) {
			x, y = x[:len(out)], y[:len(out)]
			for i := range out {
				out[i] = truth(x[i] != y[i])
			}
		}
	case backend.Lt:
		return func(out []uint8, x, y []T) {
			x, y = x[:len(out)], y[:len(out)]
			for i := range out {
				out[i] = truth(x[i] < y[i])
			}
		}
	case backend.Le:
		return func(out []uint8, x, y []T) {
			x, y = x[:len(out)], y[:len(out)]
			for i := range out {
				out[i] = truth(x[i] <= y[i])
			}
		}
	case backend.Gt:
		less := comparison[T](backend.Lt)
		return func(out []uint8, x, y []T) { less(out, y, x) }
	default:
		lessEqual := comparison[T](backend.Le)
		return func(out []uint8, x, y []T) { lessEqual(out, y, x) }
	}
}

func comparisonScalar[T number](op backend.BinaryOp) func(out []uint8, x []T, s T) {
	if isFloat32[T]() {
		f := vectorComparison[float32](op)
		return func(out []uint8, x []T, s T) { compareWith(out, cast[float32](x), float32(s), f) }
	}
	switch op {
	case backend.Eq:
		return func(out []uint8, x []T, s T) {
			for i, v := range x {
				out[i] = truth(v == s)
			}
		}
	case backend.Ne:
		return func(out []uint8, x []T, s T) {
			for i, v := range x {
				out[i] = truth(v != s)
			}
		}
	case backend.Lt:
		return func(out []uint8, x []T, s T) {
			for i, v := range x {
				out[i] = truth(v < s)
			}
		}
	case backend.Le:
		return func(out []uint8, x []T, s T) {
			for i, v := range x {
				out[i] = truth(v <= s)
			}
		}
	case backend.Gt:
		return func(out []uint8, x []T, s T) {
			for i, v := range x {
				out[i] = truth(v > s)
			}
		}
	default:
		return func(out []uint8, x []T, s T) {
			for i, v := range x {
				out[i] = truth(v >= s)
			}
		}
	}
}
