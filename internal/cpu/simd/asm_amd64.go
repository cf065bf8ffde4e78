//go:build !purego

package simd

import "golang.org/x/sys/cpu"

func detect() (paths []Level, preferred Level) {
	x := &cpu.X86
	paths = []Level{Generic}
	if x.HasAVX2 && x.HasFMA && x.HasBMI2 && x.HasF16C {
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

// tables are the kernels by path. Loops over vectors are the same from AVX512 on, but for the rounding.
var tables = [Levels]kernels{
	Generic:    genericKernels,
	AVX2:       kernelsAVX2,
	AVX512:     kernelsAVX512,
	AVX512BF16: kernelsAVX512BF16(),
	AMX:        kernelsAVX512BF16(),
}

var (
	kernelsAVX2 = kernels{
		f32: loops[float32]{
			add:               addAVX2,
			sub:               subAVX2,
			mul:               mulAVX2,
			div:               divAVX2,
			larger:            largerAVX2,
			smaller:           smallerAVX2,
			scale:             scaleAVX2,
			addScalar:         addScalarAVX2,
			divScalar:         divScalarAVX2,
			largerScalar:      largerScalarAVX2,
			smallerScalar:     smallerScalarAVX2,
			sigmoid:           sigmoidAVX2,
			silu:              siluAVX2,
			swiGLU:            swiGLUAVX2,
			swiGLUBackward:    swiGLUBackwardAVX2,
			dot:               dotAVX2,
			dotWeighted:       dotWeightedAVX2,
			sum:               sumAVX2,
			sumSquares:        sumSquaresAVX2,
			max:               maxAVX2,
			min:               minAVX2,
			sumExp:            sumExpAVX2,
			scaledExp:         scaledExpAVX2,
			softmaxBackward:   softmaxBackwardAVX2,
			rmsNorm:           rmsNormAVX2,
			rmsNormBackward:   rmsNormBackwardAVX2,
			rotate:            rotateAVX2,
			normRotate:        normRotateAVX2,
			abs:               absAVX2,
			relu:              reluAVX2,
			sqrt:              sqrtAVX2,
			rsqrt:             rsqrtAVX2,
			reciprocal:        reciprocalAVX2,
			log:               logAVX2,
			sin:               sinAVX2,
			cos:               cosAVX2,
			tanh:              tanhAVX2,
			gelu:              geluAVX2,
			geluSlope:         geluSlopeAVX2,
			geluTanh:          geluTanhAVX2,
			geluTanhSlope:     geluTanhSlopeAVX2,
			sumSquaredDiff:    sumSquaredDiffAVX2,
			dotCentered:       dotCenteredAVX2,
			layerNorm:         layerNormAVX2,
			layerNormBackward: layerNormBackwardAVX2,
			less:              lessAVX2,
			lessEqual:         lessEqualAVX2,
			equal:             equalAVX2,
			notEqual:          notEqualAVX2,
		},
		bf16: loops[uint16]{
			add:               addBF16AVX2,
			sub:               subBF16AVX2,
			mul:               mulBF16AVX2,
			div:               divBF16AVX2,
			larger:            largerBF16AVX2,
			smaller:           smallerBF16AVX2,
			scale:             scaleBF16AVX2,
			addScalar:         addScalarBF16AVX2,
			divScalar:         divScalarBF16AVX2,
			largerScalar:      largerScalarBF16AVX2,
			smallerScalar:     smallerScalarBF16AVX2,
			sigmoid:           sigmoidBF16AVX2,
			silu:              siluBF16AVX2,
			swiGLU:            swiGLUBF16AVX2,
			swiGLUBackward:    swiGLUBackwardBF16AVX2,
			dot:               dotBF16AVX2,
			dotWeighted:       dotWeightedBF16AVX2,
			sum:               sumBF16AVX2,
			sumSquares:        sumSquaresBF16AVX2,
			max:               maxBF16AVX2,
			min:               minBF16AVX2,
			sumExp:            sumExpBF16AVX2,
			scaledExp:         scaledExpBF16AVX2,
			softmaxBackward:   softmaxBackwardBF16AVX2,
			rmsNorm:           rmsNormBF16AVX2,
			rmsNormBackward:   rmsNormBackwardBF16AVX2,
			rotate:            rotateBF16AVX2,
			normRotate:        normRotateBF16AVX2,
			abs:               absBF16AVX2,
			relu:              reluBF16AVX2,
			sqrt:              sqrtBF16AVX2,
			rsqrt:             rsqrtBF16AVX2,
			reciprocal:        reciprocalBF16AVX2,
			log:               logBF16AVX2,
			sin:               sinBF16AVX2,
			cos:               cosBF16AVX2,
			tanh:              tanhBF16AVX2,
			gelu:              geluBF16AVX2,
			geluSlope:         geluSlopeBF16AVX2,
			geluTanh:          geluTanhBF16AVX2,
			geluTanhSlope:     geluTanhSlopeBF16AVX2,
			sumSquaredDiff:    sumSquaredDiffBF16AVX2,
			dotCentered:       dotCenteredBF16AVX2,
			layerNorm:         layerNormBF16AVX2,
			layerNormBackward: layerNormBackwardBF16AVX2,
			less:              lessBF16AVX2,
			lessEqual:         lessEqualBF16AVX2,
			equal:             equalBF16AVX2,
			notEqual:          notEqualBF16AVX2,
		},
		axpy:         axpyAVX2,
		mulAdd:       mulAddAVX2,
		mulScaleAdd:  mulScaleAddAVX2,
		joinMasters:  joinMastersAVX2,
		splitMasters: splitMastersAVX2,
		exp:          expAVX2,
		scaledExpTo:  scaledExpToBF16AVX2,
		accumulate:   accumulateAVX2,
		adamW:        adamWKernelsAVX2,
		bf16ToF32:    bf16ToF32AVX2,
		f32ToBF16:    f32ToBF16AVX2,
		where16:      where16AVX2,
		where32:      where32AVX2,
		f16ToF32:     f16ToF32AVX2,
		f32ToF16:     f32ToF16AVX2,
	}
	kernelsAVX512 = kernels{
		f32: loops[float32]{
			add:               addAVX512,
			sub:               subAVX512,
			mul:               mulAVX512,
			div:               divAVX512,
			larger:            largerAVX512,
			smaller:           smallerAVX512,
			scale:             scaleAVX512,
			addScalar:         addScalarAVX512,
			divScalar:         divScalarAVX512,
			largerScalar:      largerScalarAVX512,
			smallerScalar:     smallerScalarAVX512,
			sigmoid:           sigmoidAVX512,
			silu:              siluAVX512,
			swiGLU:            swiGLUAVX512,
			swiGLUBackward:    swiGLUBackwardAVX512,
			dot:               dotAVX512,
			dotWeighted:       dotWeightedAVX512,
			sum:               sumAVX512,
			sumSquares:        sumSquaresAVX512,
			max:               maxAVX512,
			min:               minAVX512,
			sumExp:            sumExpAVX512,
			scaledExp:         scaledExpAVX512,
			softmaxBackward:   softmaxBackwardAVX512,
			rmsNorm:           rmsNormAVX512,
			rmsNormBackward:   rmsNormBackwardAVX512,
			rotate:            rotateAVX512,
			normRotate:        normRotateAVX512,
			abs:               absAVX512,
			relu:              reluAVX512,
			sqrt:              sqrtAVX512,
			rsqrt:             rsqrtAVX512,
			reciprocal:        reciprocalAVX512,
			log:               logAVX512,
			sin:               sinAVX512,
			cos:               cosAVX512,
			tanh:              tanhAVX512,
			gelu:              geluAVX512,
			geluSlope:         geluSlopeAVX512,
			geluTanh:          geluTanhAVX512,
			geluTanhSlope:     geluTanhSlopeAVX512,
			sumSquaredDiff:    sumSquaredDiffAVX512,
			dotCentered:       dotCenteredAVX512,
			layerNorm:         layerNormAVX512,
			layerNormBackward: layerNormBackwardAVX512,
			less:              lessAVX512,
			lessEqual:         lessEqualAVX512,
			equal:             equalAVX512,
			notEqual:          notEqualAVX512,
		},
		bf16: loops[uint16]{
			add:               addBF16AVX512,
			sub:               subBF16AVX512,
			mul:               mulBF16AVX512,
			div:               divBF16AVX512,
			larger:            largerBF16AVX512,
			smaller:           smallerBF16AVX512,
			scale:             scaleBF16AVX512,
			addScalar:         addScalarBF16AVX512,
			divScalar:         divScalarBF16AVX512,
			largerScalar:      largerScalarBF16AVX512,
			smallerScalar:     smallerScalarBF16AVX512,
			sigmoid:           sigmoidBF16AVX512,
			silu:              siluBF16AVX512,
			swiGLU:            swiGLUBF16AVX512,
			swiGLUBackward:    swiGLUBackwardBF16AVX512,
			dot:               dotBF16AVX512,
			dotWeighted:       dotWeightedBF16AVX512,
			sum:               sumBF16AVX512,
			sumSquares:        sumSquaresBF16AVX512,
			max:               maxBF16AVX512,
			min:               minBF16AVX512,
			sumExp:            sumExpBF16AVX512,
			scaledExp:         scaledExpBF16AVX512,
			softmaxBackward:   softmaxBackwardBF16AVX512,
			rmsNorm:           rmsNormBF16AVX512,
			rmsNormBackward:   rmsNormBackwardBF16AVX512,
			rotate:            rotateBF16AVX512,
			normRotate:        normRotateBF16AVX512,
			abs:               absBF16AVX512,
			relu:              reluBF16AVX512,
			sqrt:              sqrtBF16AVX512,
			rsqrt:             rsqrtBF16AVX512,
			reciprocal:        reciprocalBF16AVX512,
			log:               logBF16AVX512,
			sin:               sinBF16AVX512,
			cos:               cosBF16AVX512,
			tanh:              tanhBF16AVX512,
			gelu:              geluBF16AVX512,
			geluSlope:         geluSlopeBF16AVX512,
			geluTanh:          geluTanhBF16AVX512,
			geluTanhSlope:     geluTanhSlopeBF16AVX512,
			sumSquaredDiff:    sumSquaredDiffBF16AVX512,
			dotCentered:       dotCenteredBF16AVX512,
			layerNorm:         layerNormBF16AVX512,
			layerNormBackward: layerNormBackwardBF16AVX512,
			less:              lessBF16AVX512,
			lessEqual:         lessEqualBF16AVX512,
			equal:             equalBF16AVX512,
			notEqual:          notEqualBF16AVX512,
		},
		axpy:         axpyAVX512,
		mulAdd:       mulAddAVX512,
		mulScaleAdd:  mulScaleAddAVX512,
		joinMasters:  joinMastersAVX512,
		splitMasters: splitMastersAVX512,
		exp:          expAVX512,
		scaledExpTo:  scaledExpToBF16AVX512,
		accumulate:   accumulateAVX512,
		adamW:        adamWKernelsAVX512,
		bf16ToF32:    bf16ToF32AVX512,
		f32ToBF16:    f32ToBF16AVX512,
		where16:      where16AVX512,
		where32:      where32AVX512,
		f16ToF32:     f16ToF32AVX512,
		f32ToF16:     f32ToF16AVX512,
	}
)

func kernelsAVX512BF16() kernels {
	ks := kernelsAVX512
	ks.scaledExpTo = scaledExpToBF16AVX512BF16
	f := &ks.bf16
	f.sigmoid, f.silu = sigmoidBF16AVX512BF16, siluBF16AVX512BF16
	f.swiGLU, f.swiGLUBackward = swiGLUBF16AVX512BF16, swiGLUBackwardBF16AVX512BF16
	f.scaledExp, f.softmaxBackward = scaledExpBF16AVX512BF16, softmaxBackwardBF16AVX512BF16
	f.rmsNorm, f.rmsNormBackward = rmsNormBF16AVX512BF16, rmsNormBackwardBF16AVX512BF16
	f.layerNorm, f.layerNormBackward = layerNormBF16AVX512BF16, layerNormBackwardBF16AVX512BF16
	f.rotate, f.normRotate = rotateBF16AVX512BF16, normRotateBF16AVX512BF16
	return ks
}
