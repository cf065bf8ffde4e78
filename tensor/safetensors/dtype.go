package safetensors

import (
	"fmt"
	"math"
)

// DType is the type of a tensor's elements, spelled as in the header of a file.
type DType string

// The dtypes of the format that take whole bytes.
const (
	Bool       DType = "BOOL" // one byte, 0 or 1
	U8         DType = "U8"
	I8         DType = "I8"
	F8E5M2     DType = "F8_E5M2"     // OCP 8-bit float (arXiv:2209.05433)
	F8E4M3     DType = "F8_E4M3"     // the same, without infinities
	F8E8M0     DType = "F8_E8M0"     // a power of two: the scale of an OCP microscaling block
	F8E4M3FNUZ DType = "F8_E4M3FNUZ" // neither infinities nor -0 (arXiv:2206.02915)
	F8E5M2FNUZ DType = "F8_E5M2FNUZ" // the same
	I16        DType = "I16"
	U16        DType = "U16"
	F16        DType = "F16"  // IEEE 754 binary16
	BF16       DType = "BF16" // bfloat16
	I32        DType = "I32"
	U32        DType = "U32"
	F32        DType = "F32"
	C64        DType = "C64" // two F32: real, imaginary
	F64        DType = "F64"
	I64        DType = "I64"
	U64        DType = "U64"
)

// dtypeInfo is what the format says of one dtype.
type dtypeInfo struct {
	order int // the reference serializer writes tensors by descending order
	size  int // bytes; 0 for a dtype narrower than a byte
	align int // bytes
}

// dtypes holds every dtype of the format, ordered as in the reference
// implementation: by alignment, and within it as they came into the format.
var dtypes = map[DType]dtypeInfo{
	Bool:       {0, 1, 1},
	"F4":       {1, 0, 1},
	"F6_E2M3":  {2, 0, 1},
	"F6_E3M2":  {3, 0, 1},
	U8:         {4, 1, 1},
	I8:         {5, 1, 1},
	F8E5M2:     {6, 1, 1},
	F8E4M3:     {7, 1, 1},
	F8E8M0:     {8, 1, 1},
	F8E4M3FNUZ: {9, 1, 1},
	F8E5M2FNUZ: {10, 1, 1},
	I16:        {11, 2, 2},
	U16:        {12, 2, 2},
	F16:        {13, 2, 2},
	BF16:       {14, 2, 2},
	I32:        {15, 4, 4},
	U32:        {16, 4, 4},
	F32:        {17, 4, 4},
	C64:        {18, 8, 4},
	F64:        {19, 8, 8},
	I64:        {20, 8, 8},
	U64:        {21, 8, 8},
}

// Size returns the bytes of one element, or 0 if d is not a dtype that this
// package reads and writes.
func (d DType) Size() int { return dtypes[d].size }

// check returns an error that says why tensors of dtype d are neither read nor
// written.
func (d DType) check() error {
	info, known := dtypes[d]
	switch {
	case !known:
		return fmt.Errorf("unknown dtype %s", quote(string(d)))
	case info.size == 0:
		return fmt.Errorf("dtype %s is narrower than a byte, which is not supported", d)
	}
	return nil
}

// maxRank is the most dimensions a tensor may have, as in NumPy. The format has
// no limit, but a hostile header is not to become an array eight times its size.
const maxRank = 64

// size returns the bytes of a tensor of a dtype that passed check. The product
// of the dimensions that are not zero must fit too, so that strides computed
// from the shape of an empty tensor cannot overflow either.
func size(d DType, shape []int) (int64, error) {
	if len(shape) > maxRank {
		return 0, fmt.Errorf("shape has %d dimensions, more than the %d that are supported", len(shape), maxRank)
	}
	bytes, empty := int64(dtypes[d].size), false
	for _, n := range shape {
		switch {
		case n < 0:
			return 0, fmt.Errorf("shape %v has a negative dimension", shape)
		case n == 0:
			empty = true
		case bytes > math.MaxInt64/int64(n):
			return 0, fmt.Errorf("the size of shape %v of %s overflows 64 bits", shape, d)
		default:
			bytes *= int64(n)
		}
	}
	if empty {
		return 0, nil
	}
	return bytes, nil
}
