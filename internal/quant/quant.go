// Package quant converts between floats and weights in blocks, in the formats of ggml
// (ggml-quants.c: block_q8_0 and block_q4_0 with their reference rounding).
//
// A block holds 32 consecutive weights and begins with their scale d, an IEEE half, little-endian:
//
//	Q8_0, 34 bytes: d, then 32 int8 q; a weight is q·d
//	Q4_0, 18 bytes: d, then 16 bytes of which the low halves are weights 0 to 15 and the high halves
//	                weights 16 to 31, each q from 0 to 15; a weight is (q−8)·d
//
// The products are exact in float32.
package quant

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/x448/float16"

	"github.com/hone-ml/hone/internal/backend"
)

// Block is the number of weights of a block.
const Block = 32

// Quantize sets dst to the blocks of src, whose length is a multiple of Block. The largest magnitude of a
// block becomes 127 steps of Q8_0 or, with its sign, −8 steps of Q4_0. A block that holds a NaN or an
// infinity becomes NaN as a whole. It panics if dst does not have the length that src needs.
func Quantize(dt backend.DType, dst []byte, src []float32) {
	fits(dt, dst, src)
	size := dt.Size()
	for ; len(src) > 0; dst, src = dst[size:], src[Block:] {
		if dt == backend.Q8_0 {
			quantizeQ8(dst[:size], (*[Block]float32)(src))
		} else {
			quantizeQ4(dst[:size], (*[Block]float32)(src))
		}
	}
}

// Dequantize sets dst to the weights of the blocks src. It panics if the lengths do not fit.
func Dequantize(dt backend.DType, dst []float32, src []byte) {
	fits(dt, src, dst)
	size := dt.Size()
	for ; len(dst) > 0; src, dst = src[size:], dst[Block:] {
		d, q := float16.Frombits(binary.LittleEndian.Uint16(src)).Float32(), src[2:size]
		if dt == backend.Q8_0 {
			for i, b := range q {
				dst[i] = float32(int8(b)) * d
			}
			continue
		}
		for i, b := range q {
			dst[i] = float32(int(b&15)-8) * d
			dst[i+Block/2] = float32(int(b>>4)-8) * d
		}
	}
}

func fits(dt backend.DType, blocks []byte, weights []float32) {
	if !dt.IsQuantized() || len(weights)%Block != 0 || len(blocks) != dt.Bytes(len(weights)) {
		panic(fmt.Sprintf("quant: %d bytes of %v for %d weights", len(blocks), dt, len(weights)))
	}
}

// farthest is the first number of the largest magnitude, NaN if there is a NaN or an infinity.
func farthest(x *[Block]float32) float32 {
	var far float32
	for _, v := range x {
		if !(abs(v) <= math.MaxFloat32) {
			return float32(math.NaN())
		}
		if abs(v) > abs(far) {
			far = v
		}
	}
	return far
}

func abs(v float32) float32 { return math.Float32frombits(math.Float32bits(v) &^ (1 << 31)) }

// inverse is what a block of the scale d is multiplied by, 0 where its weights cannot be told apart: all are
// zero, or become so or NaN.
func inverse(d float32) float32 {
	if i := 1 / d; abs(i) <= math.MaxFloat32 {
		return i
	}
	return 0
}

func quantizeQ8(dst []byte, x *[Block]float32) {
	d := abs(farthest(x)) / 127
	binary.LittleEndian.PutUint16(dst, float16.Fromfloat32(d).Bits())
	scale := inverse(d)
	for i, v := range x {
		dst[2+i] = 0
		if scale != 0 {
			dst[2+i] = byte(int8(math.Round(float64(v * scale)))) // half away from zero, as C's roundf
		}
	}
}

func quantizeQ4(dst []byte, x *[Block]float32) {
	d := farthest(x) / -8
	binary.LittleEndian.PutUint16(dst, float16.Fromfloat32(d).Bits())
	scale := inverse(d)
	step := func(v float32) byte {
		if scale == 0 {
			return 8
		}
		return byte(min(15, int8(float32(v*scale)+8.5))) // the product rounded, on every architecture
	}
	for i := range Block / 2 {
		dst[2+i] = step(x[i]) | step(x[i+Block/2])<<4
	}
}
