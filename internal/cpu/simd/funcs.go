package simd

import (
	"fmt"
	"math"
)

// kernels is one path's table of inner loops. Lengths agree when they are called.
type kernels struct {
	dot            func(x, y []float32) float32
	sum            func(x []float32) float32
	max            func(x []float32) float32
	sumSquares     func(x []float32) float32
	axpy           func(y []float32, a float32, x []float32)
	add            func(out, x, y []float32)
	sub            func(out, x, y []float32)
	mul            func(out, x, y []float32)
	div            func(out, x, y []float32)
	mulAdd         func(out, x, y []float32)
	scale          func(out, x []float32, a float32)
	addScalar      func(out, x []float32, a float32)
	mulScaleAdd    func(out, x []float32, a float32, y []float32, b float32)
	exp            func(out, x []float32, bias float32) float32
	sigmoid        func(out, x []float32)
	silu           func(out, x []float32)
	swiGLU         func(out, gate, up []float32)
	swiGLUBackward func(dgate, dup, dy, gate, up []float32)
	adamW          adamWKernels
	bf16ToF32      func(dst []float32, src []uint16)
	f32ToBF16      func(dst []uint16, src []float32)
}

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

// fold adds up a sum over blocks.
func fold(x []float32, f func(x []float32) float32) float32 {
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
func unary(out, x []float32, f func(out, x []float32)) {
	x = cut(x, len(out))
	for ; len(out) > block; out, x = out[block:], x[block:] {
		f(out[:block], x[:block])
	}
	f(out, x)
}

// binary runs a loop of two inputs over blocks.
func binary(out, x, y []float32, f func(out, x, y []float32)) {
	x, y = cut(x, len(out)), cut(y, len(out))
	for ; len(out) > block; out, x, y = out[block:], x[block:], y[block:] {
		f(out[:block], x[:block], y[:block])
	}
	f(out, x, y)
}

// Dot is Σ x·y.
func Dot(x, y []float32) float32 {
	y = cut(y, len(x))
	if len(x) <= block {
		return k.dot(x, y)
	}
	var sum float32
	for ; len(x) > block; x, y = x[block:], y[block:] {
		sum += k.dot(x[:block], y[:block])
	}
	return sum + k.dot(x, y)
}

// Sum is Σ x.
func Sum(x []float32) float32 { return fold(x, k.sum) }

// SumSquares is Σ x².
func SumSquares(x []float32) float32 { return fold(x, k.sumSquares) }

// Max is the largest element, NaN if there is one, -Inf if x is empty.
func Max(x []float32) float32 {
	largest := float32(math.Inf(-1))
	for ; len(x) > block; x = x[block:] {
		largest = max(largest, k.max(x[:block]))
	}
	return max(largest, k.max(x))
}

// Axpy sets y += a·x.
func Axpy(y []float32, a float32, x []float32) {
	x = cut(x, len(y))
	for ; len(y) > block; y, x = y[block:], x[block:] {
		k.axpy(y[:block], a, x[:block])
	}
	k.axpy(y, a, x)
}

// Add sets out = x + y.
func Add(out, x, y []float32) { binary(out, x, y, k.add) }

// Sub sets out = x − y.
func Sub(out, x, y []float32) { binary(out, x, y, k.sub) }

// Mul sets out = x·y.
func Mul(out, x, y []float32) { binary(out, x, y, k.mul) }

// Div sets out = x / y.
func Div(out, x, y []float32) { binary(out, x, y, k.div) }

// MulAdd sets out += x·y.
func MulAdd(out, x, y []float32) { binary(out, x, y, k.mulAdd) }

// Scale sets out = a·x.
func Scale(out, x []float32, a float32) {
	x = cut(x, len(out))
	for ; len(out) > block; out, x = out[block:], x[block:] {
		k.scale(out[:block], x[:block], a)
	}
	k.scale(out, x, a)
}

// AddScalar sets out = x + a.
func AddScalar(out, x []float32, a float32) {
	x = cut(x, len(out))
	for ; len(out) > block; out, x = out[block:], x[block:] {
		k.addScalar(out[:block], x[:block], a)
	}
	k.addScalar(out, x, a)
}

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

// Sigmoid sets out = 1 / (1 + exp(−x)).
func Sigmoid(out, x []float32) { unary(out, x, k.sigmoid) }

// SiLU sets out = x·sigmoid(x), computed as x / (1 + exp(−x)).
func SiLU(out, x []float32) { unary(out, x, k.silu) }

// SwiGLU sets out = silu(gate)·up.
func SwiGLU(out, gate, up []float32) { binary(out, gate, up, k.swiGLU) }

// SwiGLUBackward sets the gradients of SwiGLU from that of its result: with s = sigmoid(gate),
// dup = dy·gate·s and dgate = dy·up·s·(1 + gate·(1 − s)).
func SwiGLUBackward(dgate, dup, dy, gate, up []float32) {
	n := len(dgate)
	dup, dy, gate, up = cut(dup, n), cut(dy, n), cut(gate, n), cut(up, n)
	for lo := 0; lo < n; lo += block {
		hi := min(lo+block, n)
		k.swiGLUBackward(dgate[lo:hi], dup[lo:hi], dy[lo:hi], gate[lo:hi], up[lo:hi])
	}
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
