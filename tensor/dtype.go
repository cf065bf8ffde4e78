package tensor

import (
	"math"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/x448/float16"
)

// DType is the type of a tensor's elements: F32, F64, BF16, F16, I32, I64, U8 or Bool, or that of quantised
// weights, Q8_0 or Q4_0. Its methods are Bytes (what so many elements take), Size (bytes an element, or a
// block), Block (elements that are stored together), String ("f32"), IsFloat, IsQuantized and Accumulator
// (the dtype in which sums are kept).
type DType = backend.DType

// The element types. BF16 and F16 are storage formats: arithmetic on them happens in F32.
//
// Q8_0 and Q4_0 are for frozen weights: blocks of 32 elements of the last axis, whose length must be a
// multiple of that, in 34 and 18 bytes, as ggml's formats of those names. To quantises, with ggml's rounding,
// and converts back; Linear takes such a tensor as its weight and MatMul as its right operand. A matrix can be
// transposed and the first axis sliced; everything else panics.
const (
	F32  = backend.F32
	F64  = backend.F64
	BF16 = backend.BF16
	F16  = backend.F16
	I32  = backend.I32
	I64  = backend.I64
	U8   = backend.U8
	Bool = backend.Bool
	Q8_0 = backend.Q8_0
	Q4_0 = backend.Q4_0
)

// MaxRank is the largest number of axes of a tensor.
const MaxRank = backend.MaxRank

// BFloat16 is the bit pattern of a bfloat16: the upper half of an IEEE single.
type BFloat16 uint16

// ToBFloat16 rounds to nearest, ties to even; NaN stays NaN.
func ToBFloat16(f float32) BFloat16 {
	u := math.Float32bits(f)
	if f != f {
		return BFloat16(u>>16 | 0x40)
	}
	return BFloat16((u + 0x7fff + u>>16&1) >> 16)
}

// Float32 is the exact value.
func (b BFloat16) Float32() float32 { return math.Float32frombits(uint32(b) << 16) }

// Element is a Go type that a tensor's elements can be copied from and to.
type Element interface {
	float32 | float64 | BFloat16 | float16.Float16 | int32 | int64 | uint8 | bool
}

// DTypeOf is the dtype that corresponds to T.
func DTypeOf[T Element]() DType {
	var zero T
	switch any(zero).(type) {
	case float32:
		return F32
	case float64:
		return F64
	case BFloat16:
		return BF16
	case float16.Float16:
		return F16
	case int32:
		return I32
	case int64:
		return I64
	case uint8:
		return U8
	}
	return Bool
}
