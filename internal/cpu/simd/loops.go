package simd

import "unsafe"

// An Element is float32, or uint16 with the bits of a bfloat16. Loops over bfloat16 compute in float32
// and round each result once, to nearest even: they give what the float32 loop of the path would give of
// the widened numbers, rounded, unless they say that something in between is rounded too. On the paths
// avx512bf16 and amx those of norms, rotations, sigmoids and exponentials make results below 2⁻¹²⁶ zero,
// as the processor's own rounding does.
type Element interface{ float32 | uint16 }

// loops are the inner loops over one type of elements. Lengths agree when they are called.
type loops[E Element] struct {
	add, sub, mul, div, larger, smaller                                    func(out, x, y []E)
	scale, addScalar, divScalar, largerScalar, smallerScalar               func(out, x []E, a float32)
	sigmoid, silu, abs, relu, sqrt, rsqrt, reciprocal, log, sin, cos, tanh func(out, x []E)
	gelu, geluSlope, geluTanh, geluTanhSlope                               func(out, x []E)
	swiGLU                                                                 func(out, gate, up []E)
	swiGLUBackward                                                         func(dgate, dup, dy, gate, up []E)
	dot                                                                    func(x, y []E) float32
	dotWeighted                                                            func(dy, x, w []E) float32
	sum, sumSquares, max, min                                              func(x []E) float32
	sumExp                                                                 func(x []E, bias float32) float32
	scaledExp                                                              func(out, x []E, bias, scale, shift float32)
	softmaxBackward                                                        func(dx, dy, y []E, a float32)
	less, lessEqual, equal, notEqual                                       func(out []uint8, x, y []E)
	rmsNorm                                                                func(out, x, w []E, rstd float32)
	sumSquaredDiff                                                         func(x []E, mean float32) float32
	dotCentered                                                            func(dy, x, w []E, mean float32) float32
	layerNorm                                                              func(out, x, w, b []E, mean, rstd float32)
	layerNormBackward                                                      func(dx []E, dw, db []float32, dy, x, w []E, mean, rstd, c, d float32)
	rmsNormBackward                                                        func(dx []E, dw []float32, dy, x, w []E, rstd, c float32)
	rotate                                                                 func(out1, out2, x1, x2 []E, cos, sin []float32)
	normRotate                                                             func(out1, out2, x1, x2, w1, w2 []E, cos, sin []float32, rstd float32)
}

// kernels is one path's table of inner loops. It has nothing but functions in it, see complete.
type kernels struct {
	f32  loops[float32]
	bf16 loops[uint16]

	axpy         func(y []float32, a float32, x []float32)
	mulAdd       func(out, x, y []float32)
	mulScaleAdd  func(out, x []float32, a float32, y []float32, b float32)
	exp          func(out, x []float32, bias float32) float32
	scaledExpTo  func(out []uint16, x []float32, bias, scale, shift float32)
	accumulate   func(y []float32, x []uint16)
	adamW        adamWKernels
	joinMasters  func(out []float32, param, remainder []uint16)
	splitMasters func(param, remainder []uint16, w []float32)
	where16      func(out []uint16, cond []uint8, x, y []uint16)
	where32      func(out []uint32, cond []uint8, x, y []uint32)
	bf16ToF32    func(dst []float32, src []uint16)
	f32ToBF16    func(dst []uint16, src []float32)
	f16ToF32     func(dst []float32, src []uint16)
	f32ToF16     func(dst []uint16, src []float32)
}

// of are the loops of the path in use over elements E.
func of[E Element]() *loops[E] {
	if unsafe.Sizeof(*new(E)) == 2 {
		return (*loops[E])(unsafe.Pointer(&k.bf16))
	}
	return (*loops[E])(unsafe.Pointer(&k.f32))
}

// complete fills in the loops that a path has not: those over bfloat16 by way of its own over float32, and
// before that whatever else there is in plain Go.
func (t *kernels) complete() {
	fill(t, &genericKernels)
	bf16 := widened(t)
	fill(&t.bf16, &bf16)
}

// fill sets the functions of dst that are nil to those of src. T is a struct of functions only, each of
// them one pointer.
func fill[T any](dst, src *T) {
	d, s := words(dst), words(src)
	for i := range d {
		if d[i] == nil {
			d[i] = s[i]
		}
	}
}

func words[T any](t *T) []unsafe.Pointer {
	return unsafe.Slice((*unsafe.Pointer)(unsafe.Pointer(t)), unsafe.Sizeof(*t)/unsafe.Sizeof(uintptr(0)))
}
