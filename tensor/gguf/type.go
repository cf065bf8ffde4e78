package gguf

import (
	"fmt"
	"math"
)

// Type is how the elements of a tensor are stored, by ggml's number.
type Type uint32

// The types that this package reads. Elements of F32, F16 and BF16 stand alone; those of the others are
// quantised, in blocks of 32 or, for the K types, 256 along the last axis.
const (
	F32  Type = 0
	F16  Type = 1 // IEEE 754 binary16
	Q4_0 Type = 2 // a block is a scale d and 4-bit q; a weight is (q−8)·d
	Q4_1 Type = 3 // d, a minimum m and 4-bit q: q·d + m
	Q5_0 Type = 6 // d and 5-bit q: (q−16)·d
	Q5_1 Type = 7 // d, m and 5-bit q: q·d + m
	Q8_0 Type = 8 // d and int8 q: q·d
	Q4_K Type = 12
	Q5_K Type = 13
	Q6_K Type = 14
	BF16 Type = 30
)

// typeInfo is the layout of a type.
type typeInfo struct {
	name  string
	block int // elements
	size  int // bytes of a block
	read  bool
}

// types holds every type that occurs in files (gguf-py's GGML_QUANT_SIZES), so that a file with others among
// its tensors can be opened and the rest of it be used.
var types = map[Type]typeInfo{
	F32: {"F32", 1, 4, true}, F16: {"F16", 1, 2, true}, BF16: {"BF16", 1, 2, true},
	Q4_0: {"Q4_0", 32, 18, true}, Q4_1: {"Q4_1", 32, 20, true}, Q5_0: {"Q5_0", 32, 22, true},
	Q5_1: {"Q5_1", 32, 24, true}, Q8_0: {"Q8_0", 32, 34, true},
	Q4_K: {"Q4_K", 256, 144, true}, Q5_K: {"Q5_K", 256, 176, true}, Q6_K: {"Q6_K", 256, 210, true},

	10: {"Q2_K", 256, 84, false}, 11: {"Q3_K", 256, 110, false},
	16: {"IQ2_XXS", 256, 66, false}, 17: {"IQ2_XS", 256, 74, false}, 18: {"IQ3_XXS", 256, 98, false}, 19: {"IQ1_S", 256, 50, false},
	20: {"IQ4_NL", 32, 18, false}, 21: {"IQ3_S", 256, 110, false}, 22: {"IQ2_S", 256, 82, false}, 23: {"IQ4_XS", 256, 136, false},
	24: {"I8", 1, 1, false}, 25: {"I16", 1, 2, false}, 26: {"I32", 1, 4, false}, 27: {"I64", 1, 8, false}, 28: {"F64", 1, 8, false},
	29: {"IQ1_M", 256, 56, false}, 34: {"TQ1_0", 256, 54, false}, 35: {"TQ2_0", 256, 66, false}, 39: {"MXFP4", 32, 17, false},
	40: {"NVFP4", 64, 36, false}, 41: {"Q1_0", 128, 18, false},
}

// String is ggml's name: "F32", "Q4_K".
func (t Type) String() string {
	if info, ok := types[t]; ok {
		return info.name
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// Block is the number of elements that are stored together, 0 if t is not one of ggml's types.
func (t Type) Block() int { return types[t].block }

// Size is the bytes of a block, 0 if t is not one of ggml's types.
func (t Type) Size() int { return types[t].size }

// Readable reports whether [Dequantize] knows t.
func (t Type) Readable() bool { return types[t].read }

// maxRank is the most dimensions that ggml's tensors have.
const maxRank = 4

// size is the bytes of a tensor of a type that ggml has. The product of the dimensions that are not zero
// must fit too, so that strides computed from the shape of an empty tensor cannot overflow either.
func size(t Type, shape []int) (int64, error) {
	if len(shape) > maxRank {
		return 0, fmt.Errorf("%d dimensions, the format has at most %d", len(shape), maxRank)
	}
	info, ok := types[t]
	if !ok {
		return 0, fmt.Errorf("%s is not known: a newer program wrote the file", t)
	}
	last, elements, empty := 1, int64(1), false
	for _, n := range shape {
		switch {
		case n < 0:
			return 0, fmt.Errorf("shape %v has a dimension below 0 or above %d", shape, math.MaxInt)
		case n == 0:
			empty = true
		case elements > math.MaxInt64/int64(info.size)/int64(n):
			return 0, fmt.Errorf("the size of shape %v of %s overflows 64 bits", shape, t)
		default:
			elements *= int64(n)
		}
		last = n
	}
	switch {
	case last%info.block != 0:
		return 0, fmt.Errorf("rows of %d elements are no whole blocks of %s, which have %d", last, t, info.block)
	case empty:
		return 0, nil
	}
	return elements / int64(info.block) * int64(info.size), nil
}
