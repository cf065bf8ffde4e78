package simd

import (
	"math"

	"github.com/x448/float16"
)

// genericKernels are the loops in plain Go: the reference for the others, and all there is elsewhere.
var genericKernels = kernels{
	f32: loops[float32]{
		add:               addGeneric,
		sub:               subGeneric,
		mul:               mulGeneric,
		div:               divGeneric,
		larger:            largerGeneric,
		smaller:           smallerGeneric,
		scale:             scaleGeneric,
		addScalar:         addScalarGeneric,
		divScalar:         divScalarGeneric,
		largerScalar:      largerScalarGeneric,
		smallerScalar:     smallerScalarGeneric,
		sigmoid:           sigmoidGeneric,
		silu:              siluGeneric,
		swiGLU:            swiGLUGeneric,
		swiGLUBackward:    swiGLUBackwardGeneric,
		dot:               dotGeneric,
		dotWeighted:       dotWeightedGeneric,
		sum:               sumGeneric,
		sumSquares:        func(x []float32) float32 { return dotGeneric(x, x) },
		max:               maxGeneric,
		min:               minGeneric,
		sumExp:            sumExpGeneric,
		scaledExp:         scaledExpGeneric,
		softmaxBackward:   softmaxBackwardGeneric,
		rmsNorm:           rmsNormGeneric,
		rmsNormBackward:   rmsNormBackwardGeneric,
		rotate:            rotateGeneric,
		normRotate:        normRotateGeneric,
		abs:               absGeneric,
		relu:              reluGeneric,
		sqrt:              sqrtGeneric,
		rsqrt:             rsqrtGeneric,
		reciprocal:        reciprocalGeneric,
		log:               logGeneric,
		sin:               sinGeneric,
		cos:               cosGeneric,
		tanh:              tanhGeneric,
		gelu:              geluGeneric,
		geluSlope:         geluSlopeGeneric,
		geluTanh:          geluTanhGeneric,
		geluTanhSlope:     geluTanhSlopeGeneric,
		sumSquaredDiff:    sumSquaredDiffGeneric,
		dotCentered:       dotCenteredGeneric,
		layerNorm:         layerNormGeneric,
		layerNormBackward: layerNormBackwardGeneric,
		less:              lessGeneric,
		lessEqual:         lessEqualGeneric,
		equal:             equalGeneric,
		notEqual:          notEqualGeneric,
	},
	axpy:         axpyGeneric,
	mulAdd:       mulAddGeneric,
	mulScaleAdd:  mulScaleAddGeneric,
	exp:          expGeneric,
	scaledExpTo:  scaledExpToGeneric,
	accumulate:   accumulateGeneric,
	joinMasters:  joinMastersGeneric,
	splitMasters: splitMastersGeneric,
	bf16ToF32:    bf16ToF32Generic,
	f32ToBF16:    f32ToBF16Generic,
	where16:      whereGeneric[uint16],
	where32:      whereGeneric[uint32],
	f16ToF32:     f16ToF32Generic,
	f32ToF16:     f32ToF16Generic,
}

func dotGeneric(x, y []float32) float32 {
	var s0, s1, s2, s3 float32
	for len(x) >= 4 {
		s0 += x[0] * y[0]
		s1 += x[1] * y[1]
		s2 += x[2] * y[2]
		s3 += x[3] * y[3]
		x, y = x[4:], y[4:]
	}
	for i, v := range x {
		s0 += v * y[i]
	}
	return (s0 + s1) + (s2 + s3)
}

func sumGeneric(x []float32) float32 {
	var s0, s1, s2, s3 float32
	for len(x) >= 4 {
		s0 += x[0]
		s1 += x[1]
		s2 += x[2]
		s3 += x[3]
		x = x[4:]
	}
	for _, v := range x {
		s0 += v
	}
	return (s0 + s1) + (s2 + s3)
}

func maxGeneric(x []float32) float32 {
	m := float32(math.Inf(-1))
	for _, v := range x {
		m = max(m, v)
	}
	return m
}

func minGeneric(x []float32) float32 {
	m := float32(math.Inf(1))
	for _, v := range x {
		m = min(m, v)
	}
	return m
}

func dotWeightedGeneric(dy, x, w []float32) float32 {
	var sum float32
	for i, g := range dy {
		sum += g * w[i] * x[i]
	}
	return sum
}

func accumulateGeneric(y []float32, x []uint16) {
	for i, b := range x {
		y[i] += widen(b)
	}
}

func axpyGeneric(y []float32, a float32, x []float32) {
	for i, v := range x {
		y[i] += a * v
	}
}

func addGeneric(out, x, y []float32) {
	for i := range out {
		out[i] = x[i] + y[i]
	}
}

func subGeneric(out, x, y []float32) {
	for i := range out {
		out[i] = x[i] - y[i]
	}
}

func mulGeneric(out, x, y []float32) {
	for i := range out {
		out[i] = x[i] * y[i]
	}
}

func divGeneric(out, x, y []float32) {
	for i := range out {
		out[i] = x[i] / y[i]
	}
}

func largerGeneric(out, x, y []float32) {
	for i := range out {
		out[i] = max(x[i], y[i])
	}
}

func smallerGeneric(out, x, y []float32) {
	for i := range out {
		out[i] = min(x[i], y[i])
	}
}

func mulAddGeneric(out, x, y []float32) {
	for i := range out {
		out[i] += x[i] * y[i]
	}
}

func scaleGeneric(out, x []float32, a float32) {
	for i := range out {
		out[i] = a * x[i]
	}
}

func addScalarGeneric(out, x []float32, a float32) {
	for i := range out {
		out[i] = x[i] + a
	}
}

func divScalarGeneric(out, x []float32, a float32) {
	for i := range out {
		out[i] = x[i] / a
	}
}

func largerScalarGeneric(out, x []float32, a float32) {
	for i := range out {
		out[i] = max(x[i], a)
	}
}

func smallerScalarGeneric(out, x []float32, a float32) {
	for i := range out {
		out[i] = min(x[i], a)
	}
}

func mulScaleAddGeneric(out, x []float32, a float32, y []float32, b float32) {
	for i := range out {
		out[i] = a*x[i] + b*y[i]
	}
}

func bf16ToF32Generic(dst []float32, src []uint16) {
	for i, b := range src {
		dst[i] = widen(b)
	}
}

// widen is BF16ToF32 for one number.
func widen(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }

func f32ToBF16Generic(dst []uint16, src []float32) {
	for i, f := range src {
		dst[i] = BF16(f)
	}
}

// BF16 is F32ToBF16 for one number.
func BF16(f float32) uint16 {
	b := math.Float32bits(f)
	if b&0x7fffffff > 0x7f800000 {
		return uint16(b>>16) | 0x40 // a payload in the lower half alone would round to infinity
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

func f16ToF32Generic(dst []float32, src []uint16) {
	for i, b := range src {
		dst[i] = float16.Frombits(b).Float32()
	}
}

func f32ToF16Generic(dst []uint16, src []float32) {
	for i, f := range src {
		dst[i] = float16.Fromfloat32(f).Bits()
	}
}
