//go:build !purego

package simd

import "golang.org/x/sys/cpu"

var best = func() Level {
	x := &cpu.X86
	switch {
	case !(x.HasAVX2 && x.HasFMA && x.HasBMI2):
		return Generic
	case !(x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL):
		return AVX2
	}
	return AVX512
}()

var tables = [...]kernels{
	Generic: genericKernels,
	AVX2: {
		dot:            dotAVX2,
		sum:            sumAVX2,
		max:            maxAVX2,
		sumSquares:     sumSquaresAVX2,
		axpy:           axpyAVX2,
		add:            addAVX2,
		sub:            subAVX2,
		mul:            mulAVX2,
		div:            divAVX2,
		mulAdd:         mulAddAVX2,
		scale:          scaleAVX2,
		addScalar:      addScalarAVX2,
		mulScaleAdd:    mulScaleAddAVX2,
		exp:            expAVX2,
		sigmoid:        sigmoidAVX2,
		silu:           siluAVX2,
		swiGLU:         swiGLUAVX2,
		swiGLUBackward: swiGLUBackwardAVX2,
		adamW:          adamWAVX2,
		bf16ToF32:      bf16ToF32WithTail,
		f32ToBF16:      f32ToBF16WithTail,
	},
	AVX512: {
		dot:            dotAVX512,
		sum:            sumAVX512,
		max:            maxAVX512,
		sumSquares:     sumSquaresAVX512,
		axpy:           axpyAVX512,
		add:            addAVX512,
		sub:            subAVX512,
		mul:            mulAVX512,
		div:            divAVX512,
		mulAdd:         mulAddAVX512,
		scale:          scaleAVX512,
		addScalar:      addScalarAVX512,
		mulScaleAdd:    mulScaleAddAVX512,
		exp:            expAVX512,
		sigmoid:        sigmoidAVX512,
		silu:           siluAVX512,
		swiGLU:         swiGLUAVX512,
		swiGLUBackward: swiGLUBackwardAVX512,
		adamW:          adamWAVX512,
		bf16ToF32:      bf16ToF32AVX512,
		f32ToBF16:      f32ToBF16AVX512,
	},
}

// The AVX2 casts leave out what does not fill a vector of 8.

func bf16ToF32WithTail(dst []float32, src []uint16) {
	bf16ToF32AVX2(dst, src)
	whole := len(dst) &^ 7
	bf16ToF32Generic(dst[whole:], src[whole:])
}

func f32ToBF16WithTail(dst []uint16, src []float32) {
	f32ToBF16AVX2(dst, src)
	whole := len(dst) &^ 7
	f32ToBF16Generic(dst[whole:], src[whole:])
}
