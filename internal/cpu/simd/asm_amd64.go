//go:build !purego

package simd

import "golang.org/x/sys/cpu"

func detect() (paths []Level, preferred Level) {
	x := &cpu.X86
	paths = []Level{Generic}
	if x.HasAVX2 && x.HasFMA && x.HasBMI2 {
		paths = append(paths, AVX2)
		if x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL {
			paths = append(paths, AVX512)
			if x.HasAVX512BF16 {
				paths = append(paths, AVX512BF16)
				if x.HasAMXTile && x.HasAMXBF16 && permitTiles() {
					paths = append(paths, AMX)
				}
			}
		}
	}
	preferred = paths[len(paths)-1]
	if preferred == AVX512BF16 && vendor() == "GenuineIntel" {
		// Intel's cores do a VDPBF16PS every other cycle, which is half the rate of their F32 FMAs: 102
		// against 218 GFLOP/s were measured. AMD's do both at full rate.
		preferred = AVX512
	}
	return paths, preferred
}

// vendor is the processor's maker as CPUID has it: "GenuineIntel", "AuthenticAMD".
func vendor() string {
	var v [12]byte
	cpuVendor(&v)
	return string(v[:])
}

// tables are the kernels by path. Loops over vectors are the same from AVX512 on.
var tables = [Levels]kernels{
	Generic:    genericKernels,
	AVX2:       kernelsAVX2,
	AVX512:     kernelsAVX512,
	AVX512BF16: kernelsAVX512,
	AMX:        kernelsAVX512,
}

var (
	kernelsAVX2 = kernels{
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
		adamW:          adamWKernelsAVX2,
		bf16ToF32:      bf16ToF32WithTail,
		f32ToBF16:      f32ToBF16WithTail,
	}
	kernelsAVX512 = kernels{
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
		adamW:          adamWKernelsAVX512,
		bf16ToF32:      bf16ToF32AVX512,
		f32ToBF16:      f32ToBF16AVX512,
	}
)

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
