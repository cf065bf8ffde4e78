package simd

import "math"

// The exponential and what is made of it.
//
// exp(x) = 2ⁿ·exp(r) with n the integer nearest x·log₂e and r = x − n·ln 2 in [−ln 2/2, ln 2/2], the
// subtraction in two steps with ln 2 split so that n·ln2Hi is exact (Cody and Waite 1980, "Software
// Manual for the Elementary Functions"). exp(r) is 1 + r + r²·P(r) with the polynomial of degree 5 that
// Cephes' expf.c (Moshier 1992) has for this interval.
const (
	log2e = 1.44269504088896341
	ln2Hi = 0.693359375
	ln2Lo = -2.12194440e-4

	expP0 = 1.9875691500e-4
	expP1 = 1.3981999507e-3
	expP2 = 8.3334519073e-3
	expP3 = 4.1665795894e-2
	expP4 = 1.6666665459e-1
	expP5 = 5.0000001201e-1

	// Beyond these the result is 0 or +Inf; the arguments are clamped to them, so that 2ⁿ can be made
	// as a product of two powers that are both normal numbers.
	expMin = -104
	expMax = 89

	// Numbers near it have no fraction: adding and subtracting it rounds to the nearest integer.
	roundBias = 0x1.8p23
)

func exp32(x float32) float32 {
	switch {
	case x != x:
		return x
	case x < expMin:
		return 0
	case x > expMax:
		return float32(math.Inf(1))
	}
	n := x*log2e + roundBias - roundBias
	r := x - n*ln2Hi
	r -= n * ln2Lo
	p := float32(expP0)
	p = p*r + expP1
	p = p*r + expP2
	p = p*r + expP3
	p = p*r + expP4
	p = p*r + expP5
	p = p*r*r + r + 1
	half := int32(n) >> 1
	return p * pow2(half) * pow2(int32(n)-half)
}

func pow2(n int32) float32 { return math.Float32frombits(uint32(n+127) << 23) }

func expGeneric(out, x []float32, bias float32) float32 {
	var s0, s1, s2, s3 float32
	i := 0
	for ; i+4 <= len(out); i += 4 {
		e0, e1, e2, e3 := exp32(x[i]-bias), exp32(x[i+1]-bias), exp32(x[i+2]-bias), exp32(x[i+3]-bias)
		out[i], out[i+1], out[i+2], out[i+3] = e0, e1, e2, e3
		s0 += e0
		s1 += e1
		s2 += e2
		s3 += e3
	}
	for ; i < len(out); i++ {
		out[i] = exp32(x[i] - bias)
		s0 += out[i]
	}
	return (s0 + s1) + (s2 + s3)
}

func sumExpGeneric(x []float32, bias float32) float32 {
	var s0, s1, s2, s3 float32
	for len(x) >= 4 {
		s0 += exp32(x[0] - bias)
		s1 += exp32(x[1] - bias)
		s2 += exp32(x[2] - bias)
		s3 += exp32(x[3] - bias)
		x = x[4:]
	}
	for _, v := range x {
		s0 += exp32(v - bias)
	}
	return (s0 + s1) + (s2 + s3)
}

func scaledExpGeneric(out, x []float32, bias, scale, shift float32) {
	for i := range out {
		out[i] = scale*exp32(x[i]-bias) + shift
	}
}

func scaledExpToGeneric(out []uint16, x []float32, bias, scale, shift float32) {
	for i := range out {
		out[i] = BF16(scale*exp32(x[i]-bias) + shift)
	}
}

func softmaxBackwardGeneric(dx, dy, y []float32, a float32) {
	for i := range dx {
		dx[i] = (dy[i] - a) * y[i]
	}
}
