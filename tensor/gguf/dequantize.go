package gguf

import (
	"fmt"
	"math"

	"github.com/x448/float16"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/quant"
)

// Dequantize sets dst to the weights that the blocks or elements src of type t hold, to the bit those of the
// Python package gguf. It panics if t is not [Type.Readable] or the lengths do not fit: src has len(dst)
// elements, whole blocks of them.
func Dequantize(t Type, dst []float32, src []byte) {
	info := types[t]
	if !info.read || len(dst)%info.block != 0 || len(src) != len(dst)/info.block*info.size {
		panic(fmt.Sprintf("gguf: %d bytes of %s for %d weights", len(src), t, len(dst)))
	}
	switch t {
	case F32:
		for i := range dst {
			dst[i] = math.Float32frombits(order.Uint32(src[4*i:]))
		}
	case F16:
		for i := range dst {
			dst[i] = half(src[2*i:])
		}
	case BF16:
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(order.Uint16(src[2*i:])) << 16)
		}
	case Q8_0:
		quant.Dequantize(backend.Q8_0, dst, src)
	case Q4_0:
		quant.Dequantize(backend.Q4_0, dst, src)
	default:
		dequantize := blockKernels[t]
		for len(dst) > 0 {
			dequantize(dst[:info.block], src[:info.size])
			dst, src = dst[info.block:], src[info.size:]
		}
	}
}

// blockKernels dequantise one block.
//
// A product and a sum are rounded one after the other, as NumPy does it: the conversions of products to
// float32 keep the compiler from fusing them.
var blockKernels = map[Type]func(dst []float32, src []byte){
	Q4_1: q4_1, Q5_0: q5_0, Q5_1: q5_1, Q4_K: q4K, Q5_K: q5K, Q6_K: q6K,
}

// half is an IEEE half.
func half(b []byte) float32 { return float16.Frombits(order.Uint16(b)).Float32() }

// q4_1: d, m, then 16 bytes of which the low halves are q 0 to 15 and the high halves q 16 to 31.
func q4_1(dst []float32, src []byte) {
	out, q := (*[32]float32)(dst), (*[16]byte)(src[4:])
	d, m := half(src), half(src[2:])
	var value [16]float32
	for i := range value {
		value[i] = float32(d*float32(i)) + m
	}
	for i, b := range q {
		out[i], out[i+16] = value[b&15], value[b>>4]
	}
}

// q5_0: d, 32 bits that are the fifth of each q, then the lower four as in q4_1.
func q5_0(dst []float32, src []byte) {
	out, q := (*[32]float32)(dst), (*[16]byte)(src[6:])
	d, high := half(src), order.Uint32(src[2:])
	for i, b := range q {
		lo, hi := int(b&15)|int(high>>i&1)<<4, int(b>>4)|int(high>>(i+16)&1)<<4
		out[i], out[i+16] = d*float32(lo-16), d*float32(hi-16)
	}
}

// q5_1: d, m, the fifth bits, the lower four.
func q5_1(dst []float32, src []byte) {
	out, q := (*[32]float32)(dst), (*[16]byte)(src[8:])
	d, m, high := half(src), half(src[2:]), order.Uint32(src[4:])
	for i, b := range q {
		lo, hi := int(b&15)|int(high>>i&1)<<4, int(b>>4)|int(high>>(i+16)&1)<<4
		out[i], out[i+16] = float32(d*float32(lo))+m, float32(d*float32(hi))+m
	}
}

// scaleAndMin are the 6-bit scale and minimum of the i-th of eight runs of 32 weights, from the 12 bytes in
// which Q4_K and Q5_K pack them: the first four whole in bytes 0 to 7, of the others the lower four bits in
// bytes 8 to 11 and the upper two on top of bytes 0 to 7.
func scaleAndMin(packed *[12]byte, i int) (scale, minimum float32) {
	if i < 4 {
		return float32(packed[i] & 63), float32(packed[i+4] & 63)
	}
	return float32(packed[i+4]&15 | packed[i-4]>>6<<4), float32(packed[i+4]>>4 | packed[i]>>6<<4)
}

// q4K: d, the scale of scales, and m, that of minima, 12 bytes of scales and minima, then four times 32
// bytes, whose low halves are 32 weights and whose high halves are the next 32.
func q4K(dst []float32, src []byte) {
	out, packed, q := (*[256]float32)(dst), (*[12]byte)(src[4:]), (*[128]byte)(src[16:])
	d, m := half(src), half(src[2:])
	for run := range 8 {
		scale, minimum := scaleAndMin(packed, run)
		scale, minimum = d*scale, m*minimum
		shift := run % 2 * 4
		for i := range 32 {
			out[32*run+i] = float32(scale*float32(q[run/2*32+i]>>shift&15)) - minimum
		}
	}
}

// q5K: as q4K, with the fifth bits before the lower four: bit r of byte i belongs to weight i of run r.
func q5K(dst []float32, src []byte) {
	out, packed, high, q := (*[256]float32)(dst), (*[12]byte)(src[4:]), (*[32]byte)(src[16:]), (*[128]byte)(src[48:])
	d, m := half(src), half(src[2:])
	for run := range 8 {
		scale, minimum := scaleAndMin(packed, run)
		scale, minimum = d*scale, m*minimum
		shift := run % 2 * 4
		for i := range 32 {
			x := q[run/2*32+i]>>shift&15 | high[i]>>run&1<<4
			out[32*run+i] = float32(scale*float32(x)) - minimum
		}
	}
}

// q6K: the lower four bits, the upper two, 16 int8 scales of 16 weights each, d. Of each half of 128
// weights, the lower bits are 64 bytes, whose low halves are 64 weights and whose high halves the next 64,
// and the upper bits 32 bytes, whose four pairs of bits, from the lowest, are those of 32 weights each.
func q6K(dst []float32, src []byte) {
	out, low, high, scales := (*[256]float32)(dst), (*[128]byte)(src), (*[64]byte)(src[128:]), (*[16]byte)(src[192:])
	d := half(src[208:])
	for run := range 8 { // of 32 weights
		h, quarter := run/4, run%4
		for i := range 32 {
			l := low[64*h+quarter%2*32+i] >> (quarter / 2 * 4) & 15
			u := high[32*h+i] >> (2 * quarter) & 3
			scale := d * float32(int8(scales[2*run+i/16]))
			out[32*run+i] = scale * float32(int(l|u<<4)-32)
		}
	}
}
