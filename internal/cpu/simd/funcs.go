package simd

import (
	"fmt"
	"math"
)

// k are the kernels of the path in use.
var k = &tables[Generic]

// block is the most elements that a kernel sees at a time. Assembly cannot be preempted: a longer call
// would hold up the garbage collector, which waits for every goroutine.
const block = 1 << 16

// cut is the first n elements of x. Slicing alone would go beyond the end of a short x with capacity.
func cut[T any](x []T, n int) []T {
	if len(x) < n {
		panic(fmt.Sprintf("simd: a vector of %d elements beside one of %d", len(x), n))
	}
	return x[:n]
}

// inBlocks calls f for consecutive ranges that cover [0, n).
func inBlocks(n int, f func(lo, hi int)) {
	for lo := 0; lo < n; lo += block {
		f(lo, min(lo+block, n))
	}
}

// fold adds up a sum over blocks.
func fold[E Element](x []E, f func(x []E) float32) float32 {
	if len(x) <= block {
		return f(x)
	}
	var sum float32
	for ; len(x) > block; x = x[block:] {
		sum += f(x[:block])
	}
	return sum + f(x)
}

// unary runs a loop of one input over blocks.
func unary[E Element](out, x []E, f func(out, x []E)) {
	x = cut(x, len(out))
	for ; len(out) > block; out, x = out[block:], x[block:] {
		f(out[:block], x[:block])
	}
	f(out, x)
}

// scalar runs a loop of an input and a number over blocks.
func scalar[E Element](out, x []E, a float32, f func(out, x []E, a float32)) {
	x = cut(x, len(out))
	for ; len(out) > block; out, x = out[block:], x[block:] {
		f(out[:block], x[:block], a)
	}
	f(out, x, a)
}

// binary runs a loop of two inputs over blocks.
func binary[E Element](out, x, y []E, f func(out, x, y []E)) {
	x, y = cut(x, len(out)), cut(y, len(out))
	for ; len(out) > block; out, x, y = out[block:], x[block:], y[block:] {
		f(out[:block], x[:block], y[:block])
	}
	f(out, x, y)
}

// Dot is Σ x·y.
func Dot[E Element](x, y []E) float32 {
	y = cut(y, len(x))
	dot := of[E]().dot
	if len(x) <= block {
		return dot(x, y)
	}
	var sum float32
	for ; len(x) > block; x, y = x[block:], y[block:] {
		sum += dot(x[:block], y[:block])
	}
	return sum + dot(x, y)
}

// DotWeighted is Σ dy·w·x.
func DotWeighted[E Element](dy, x, w []E) float32 {
	n := len(dy)
	x, w = cut(x, n), cut(w, n)
	dot := of[E]().dotWeighted
	if n <= block {
		return dot(dy, x, w)
	}
	var sum float32
	inBlocks(n, func(lo, hi int) { sum += dot(dy[lo:hi], x[lo:hi], w[lo:hi]) })
	return sum
}

// Sum is Σ x.
func Sum[E Element](x []E) float32 { return fold(x, of[E]().sum) }

// SumSquares is Σ x².
func SumSquares[E Element](x []E) float32 { return fold(x, of[E]().sumSquares) }

// Max is the largest element, NaN if there is one, -Inf if x is empty.
func Max[E Element](x []E) float32 {
	f, largest := of[E]().max, float32(math.Inf(-1))
	for ; len(x) > block; x = x[block:] {
		largest = max(largest, f(x[:block]))
	}
	return max(largest, f(x))
}

// Min is the smallest element, NaN if there is one, +Inf if x is empty.
func Min[E Element](x []E) float32 {
	f, smallest := of[E]().min, float32(math.Inf(1))
	for ; len(x) > block; x = x[block:] {
		smallest = min(smallest, f(x[:block]))
	}
	return min(smallest, f(x))
}

// Axpy sets y += a·x.
func Axpy(y []float32, a float32, x []float32) {
	x = cut(x, len(y))
	for ; len(y) > block; y, x = y[block:], x[block:] {
		k.axpy(y[:block], a, x[:block])
	}
	k.axpy(y, a, x)
}

// Accumulate sets y += x, which is bfloat16.
func Accumulate(y []float32, x []uint16) {
	x = cut(x, len(y))
	for ; len(y) > block; y, x = y[block:], x[block:] {
		k.accumulate(y[:block], x[:block])
	}
	k.accumulate(y, x)
}

// Add sets out = x + y.
func Add[E Element](out, x, y []E) { binary(out, x, y, of[E]().add) }

// Sub sets out = x − y.
func Sub[E Element](out, x, y []E) { binary(out, x, y, of[E]().sub) }

// Mul sets out = x·y.
func Mul[E Element](out, x, y []E) { binary(out, x, y, of[E]().mul) }

// Div sets out = x / y.
func Div[E Element](out, x, y []E) { binary(out, x, y, of[E]().div) }

// Larger sets out = max(x, y), NaN if either is. Which zero it gives of two of different signs is open.
func Larger[E Element](out, x, y []E) { binary(out, x, y, of[E]().larger) }

// Smaller sets out = min(x, y), NaN if either is. Which zero it gives of two of different signs is open.
func Smaller[E Element](out, x, y []E) { binary(out, x, y, of[E]().smaller) }

// MulAdd sets out += x·y.
func MulAdd(out, x, y []float32) { binary(out, x, y, k.mulAdd) }

// Scale sets out = a·x.
func Scale[E Element](out, x []E, a float32) { scalar(out, x, a, of[E]().scale) }

// AddScalar sets out = x + a.
func AddScalar[E Element](out, x []E, a float32) { scalar(out, x, a, of[E]().addScalar) }

// DivScalar sets out = x / a.
func DivScalar[E Element](out, x []E, a float32) { scalar(out, x, a, of[E]().divScalar) }

// LargerScalar sets out = max(x, a), NaN if either is; see Larger.
func LargerScalar[E Element](out, x []E, a float32) { scalar(out, x, a, of[E]().largerScalar) }

// SmallerScalar sets out = min(x, a), NaN if either is; see Smaller.
func SmallerScalar[E Element](out, x []E, a float32) { scalar(out, x, a, of[E]().smallerScalar) }

// MulScaleAdd sets out = a·x + b·y.
func MulScaleAdd(out, x []float32, a float32, y []float32, b float32) {
	x, y = cut(x, len(out)), cut(y, len(out))
	for ; len(out) > block; out, x, y = out[block:], x[block:], y[block:] {
		k.mulScaleAdd(out[:block], x[:block], a, y[:block], b)
	}
	k.mulScaleAdd(out, x, a, y, b)
}

// Exp sets out = exp(x − bias) and returns the sum of out. The error is at most 2 ulp of the exact
// exponential of the rounded difference, denormal results included.
func Exp(out, x []float32, bias float32) float32 {
	x = cut(x, len(out))
	if len(out) <= block {
		return k.exp(out, x, bias)
	}
	var sum float32
	for ; len(out) > block; out, x = out[block:], x[block:] {
		sum += k.exp(out[:block], x[:block], bias)
	}
	return sum + k.exp(out, x, bias)
}

// BF16ToF32 widens bfloat16 numbers, given by their bits.
func BF16ToF32(dst []float32, src []uint16) {
	src = cut(src, len(dst))
	for ; len(dst) > block; dst, src = dst[block:], src[block:] {
		k.bf16ToF32(dst[:block], src[:block])
	}
	k.bf16ToF32(dst, src)
}

// F32ToBF16 rounds to bfloat16, ties to even. A NaN stays a quiet NaN.
func F32ToBF16(dst []uint16, src []float32) {
	src = cut(src, len(dst))
	for ; len(dst) > block; dst, src = dst[block:], src[block:] {
		k.f32ToBF16(dst[:block], src[:block])
	}
	k.f32ToBF16(dst, src)
}

// F16ToF32 widens IEEE half-precision numbers, given by their bits.
func F16ToF32(dst []float32, src []uint16) {
	src = cut(src, len(dst))
	inBlocks(len(dst), func(lo, hi int) { k.f16ToF32(dst[lo:hi], src[lo:hi]) })
}

// F32ToF16 rounds to IEEE half precision, ties to even.
func F32ToF16(dst []uint16, src []float32) {
	src = cut(src, len(dst))
	inBlocks(len(dst), func(lo, hi int) { k.f32ToF16(dst[lo:hi], src[lo:hi]) })
}
