package backend

import "math"

// StochasticBF16 rounds x to one of the two bfloat16 between which it lies, to the farther one with a
// probability that makes the expectation x, given 16 uniformly random bits. A NaN stays one.
func StochasticBF16(x float32, random uint16) uint16 {
	b := math.Float32bits(x)
	if x != x {
		b = 0x7fc00000
	}
	return uint16((b + uint32(random)) >> 16)
}

// AdamWNoise is the random bits with which AdamW rounds the moments of element i at a step (its number
// modulo 2²⁴): M takes the lower 16, V the upper ones. Of a block of 32 elements each half takes two
// words of each of eight Philox blocks.
func AdamWNoise(stream uint64, step uint32, i int) uint32 {
	block := i/32*8 + i%16/2
	return Philox(uint64(step)<<32|uint64(uint32(block)), stream)[i%32/16*2+i%2]
}

// WeightNoise is the random bits with which AdamW rounds element i of weights that are BF16 and nothing beside, at a
// step (its number modulo 2²⁴): the lower half of a word and then the upper one, eight elements to a Philox block. The
// stream is not that of AdamWNoise.
func WeightNoise(stream uint64, step uint32, i int) uint16 {
	return WeightNoises(stream, step, i/8)[i%8]
}

// WeightNoises is WeightNoise of the eight elements from 8·block on.
func WeightNoises(stream uint64, step uint32, block int) (noise [8]uint16) {
	for i, word := range Philox(uint64(step)<<32|uint64(uint32(block)), ^stream) {
		noise[2*i], noise[2*i+1] = uint16(word), uint16(word>>16)
	}
	return noise
}

// QuantBlock is how many elements share a scale in 8-bit moments.
const QuantBlock = 256

// DynamicMap is one of the two maps of 8 bits to numbers from 0 to 1 of Dettmers et al., "8-bit Optimizers
// via Block-wise Quantization" (2022): "dynamic tree quantization". The range is cut into seven decades,
// from 10⁻⁷ up to 1, each with twice the steps of the one below; besides there are 0 and 1. A number is the
// middle of its step:
//
//	10⁻⁷⁺ᵈ·(0.1 + 0.9·(j + ½)/n)   in decade d = 1…7, step j of n
//
// Moments are held as codes, with one F32 scale for each block of QuantBlock elements: element = number of
// its code · scale. The first moment takes Signed, whose codes are int8: n is 2ᵈ⁻¹, the code's magnitude
// n + j, and −128 is −1. Its scale is the negated element of largest magnitude, so that this one is
// exact whatever its sign. The second takes Unsigned, n = 2ᵈ and code n − 1 + j; its scale is the largest
// element, whose code is 255. What is not 0 does not become 0 there: the update divides by it.
//
// The fields are laid out for kernels that look up a decade among eight; see Number and Code.
type DynamicMap struct {
	// Number: with f = code + Bias and e the lowest three bits of its exponent, f·Slope[e] − Shift[e].
	Bias         float32
	Slope, Shift [8]float32
	// Code: with d the number of Thresholds that y reaches, ⌊min(y·Rise[d] + Base[d], Last[d])⌋.
	Thresholds [7]float32
	Rise, Base [8]float32
	Last       [8]float32
}

// Signed and Unsigned are the maps of the first and of the second moment.
var Signed, Unsigned = newDynamicMap(true), newDynamicMap(false)

func newDynamicMap(signed bool) *DynamicMap {
	m := &DynamicMap{}
	steps := func(d int) float64 { return math.Ldexp(1, d) }
	first := func(d int) float64 { return steps(d) - 1 } // the lowest code of a decade
	one, bias := 255.0, 1.5
	if signed {
		steps = func(d int) float64 { return math.Ldexp(1, d-1) }
		first = steps
		one, bias = 128, 0.5
	}
	m.Bias = float32(bias)
	top := func(d int) float64 { return math.Pow10(d - 7) }
	number := func(d int, j float64) float64 { return top(d) * (0.1 + 0.9*(j+0.5)/steps(d)) }
	for d := 1; d <= 7; d++ {
		n := steps(d)
		exponent := (int(math.Log2(n)) + 127) % 8
		m.Slope[exponent], m.Shift[exponent] = float32(0.9*top(d)/n), float32(0.8*top(d))
		m.Rise[d], m.Base[d] = float32(n/(0.9*top(d))), float32(first(d)-n/9)
		m.Last[d] = float32(first(d) + n - 1)
		if d > 1 {
			m.Thresholds[d-1] = float32((number(d-1, steps(d-1)-1) + number(d, 0)) / 2)
		}
	}
	// The codes of 0 and 1 share the eighth exponent: a line through both.
	exponent := (int(math.Floor(math.Log2(bias))) + 127) % 8
	m.Slope[exponent] = float32(1 / one)
	m.Shift[exponent] = m.Bias * m.Slope[exponent]
	m.Last[7] = float32(one)
	m.Base[7] += 1e-3 // so that the element that is the scale reaches 1 though its quotient be rounded
	m.Thresholds[0] = float32(number(1, 0) / 2)
	if !signed {
		m.Thresholds[0] = math.SmallestNonzeroFloat32
		m.Rise[1], m.Base[1] = float32(2/(number(1, 0)+number(1, 1))), 1
	}
	return m
}

// Number is the number of a code: of its magnitude, in a signed map.
func (m *DynamicMap) Number(code uint8) float32 {
	f := float32(code) + m.Bias
	e := math.Float32bits(f) >> 23 & 7
	return float32(f*m.Slope[e]) - m.Shift[e]
}

// Code is the code of the nearest number to y, which lies in [0, 1].
func (m *DynamicMap) Code(y float32) uint8 {
	d := 0
	for d < 7 && y >= m.Thresholds[d] {
		d++
	}
	return uint8(min(float32(y*m.Rise[d])+m.Base[d], m.Last[d]))
}

// QuantizeSigned sets codes to those of x and returns their scale. A block that holds a NaN or an infinity
// gets a scale that does.
func QuantizeSigned(codes []uint8, x []float32) (scale float32) {
	largest := uint32(0)
	for _, v := range x {
		b := math.Float32bits(v)
		largest = max(largest, b<<1|b>>31)
	}
	scale = -math.Float32frombits(largest>>1 | largest<<31)
	inverse := quantInverse(scale)
	for i, v := range x {
		y := v * inverse
		c := Signed.Code(float32(math.Abs(float64(y))))
		if y < 0 {
			c = -c
		}
		codes[i] = c
	}
	return scale
}

// QuantizeUnsigned is QuantizeSigned for numbers that are not negative.
func QuantizeUnsigned(codes []uint8, x []float32) (scale float32) {
	largest := uint32(0)
	for _, v := range x {
		largest = max(largest, math.Float32bits(v))
	}
	scale = math.Float32frombits(largest)
	inverse := quantInverse(scale)
	for i, v := range x {
		codes[i] = Unsigned.Code(v * inverse)
	}
	return scale
}

// quantInverse is 1/scale, or 0 where that would not be a number to multiply by.
func quantInverse(scale float32) float32 {
	if math.Abs(float64(scale)) < 0x1p-126 {
		return 0
	}
	return 1 / scale
}

// DequantizeSigned is the number that a code and its block's scale stand for.
func DequantizeSigned(code uint8, scale float32) float32 {
	if c := int8(code); c < 0 {
		return -Signed.Number(uint8(-int(c))) * scale
	}
	return Signed.Number(code) * scale
}

// DequantizeUnsigned is DequantizeSigned for numbers that are not negative.
func DequantizeUnsigned(code uint8, scale float32) float32 { return Unsigned.Number(code) * scale }
