package cpu

import (
	"math"

	"github.com/hone-ml/hone/internal/cpu/simd"
)

// Vector primitives over the compute types of float kernels: float32 goes to package simd, float64
// through the plain loops below. An output may be one of the inputs.

func dot[C float](x, y []C) C {
	if isFloat32[C]() {
		return C(simd.Dot(cast[float32](x), cast[float32](y)))
	}
	var s C
	y = y[:len(x)]
	for i, v := range x {
		s += v * y[i]
	}
	return s
}

// maximum is NaN if an element is, -Inf of nothing.
func maximum[C float](x []C) C {
	if isFloat32[C]() {
		return C(simd.Max(cast[float32](x)))
	}
	m := C(math.Inf(-1))
	for _, v := range x {
		m = max(m, v)
	}
	return m
}

func add[C float](out, x, y []C) {
	if isFloat32[C]() {
		simd.Add(cast[float32](out), cast[float32](x), cast[float32](y))
		return
	}
	for i := range out {
		out[i] = x[i] + y[i]
	}
}

func mul[C float](out, x, y []C) {
	if isFloat32[C]() {
		simd.Mul(cast[float32](out), cast[float32](x), cast[float32](y))
		return
	}
	for i := range out {
		out[i] = x[i] * y[i]
	}
}

// addScaled sets y += a·x.
func addScaled[C float](y []C, a C, x []C) {
	if isFloat32[C]() {
		simd.Axpy(cast[float32](y), float32(a), cast[float32](x))
		return
	}
	for i := range y {
		y[i] += a * x[i]
	}
}

// scale sets out = a·x.
func scale[C float](out, x []C, a C) {
	if isFloat32[C]() {
		simd.Scale(cast[float32](out), cast[float32](x), float32(a))
		return
	}
	for i := range out {
		out[i] = a * x[i]
	}
}

func addScalar[C float](out, x []C, a C) {
	if isFloat32[C]() {
		simd.AddScalar(cast[float32](out), cast[float32](x), float32(a))
		return
	}
	for i := range out {
		out[i] = x[i] + a
	}
}

// exp sets out = exp(x − bias) and returns its sum.
func exp[C float](out, x []C, bias C) C {
	if isFloat32[C]() {
		return C(simd.Exp(cast[float32](out), cast[float32](x), float32(bias)))
	}
	var s C
	for i := range out {
		out[i] = C(math.Exp(float64(x[i] - bias)))
		s += out[i]
	}
	return s
}
