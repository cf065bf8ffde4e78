//go:build !purego

package simd

import "golang.org/x/sys/cpu"

func detect() (paths []Level, preferred Level) {
	paths = []Level{Generic}
	if cpu.ARM64.HasASIMD {
		paths = append(paths, NEON)
		if hasBF16() {
			paths = append(paths, NEONBF16)
		}
	}
	return paths, paths[len(paths)-1]
}

// tables are the kernels by path. Loops over vectors are the same on both, but for the rounding.
var tables = [Levels]kernels{
	Generic:  genericKernels,
	NEON:     kernelsNEON,
	NEONBF16: kernelsNEONBF16(),
}

var kernelsNEON = kernels{
	f32: loops[float32]{
		dot:            dotNEON,
		sum:            sumNEON,
		max:            maxNEON,
		sumSquares:     sumSquaresNEON,
		add:            addNEON,
		sub:            subNEON,
		mul:            mulNEON,
		div:            divNEON,
		scale:          scaleNEON,
		addScalar:      addScalarNEON,
		sigmoid:        sigmoidNEON,
		silu:           siluNEON,
		swiGLU:         swiGLUNEON,
		swiGLUBackward: swiGLUBackwardNEON,
	},
	axpy:        axpyNEON,
	mulAdd:      mulAddNEON,
	mulScaleAdd: mulScaleAddNEON,
	exp:         expNEON,
	bf16ToF32:   bf16ToF32NEON,
	f32ToBF16:   f32ToBF16NEON,
}

func kernelsNEONBF16() kernels {
	ks := kernelsNEON
	ks.f32ToBF16 = f32ToBF16NEONBF16
	return ks
}
