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

// tables are the kernels by path.
var tables = [Levels]kernels{
	Generic:  genericKernels,
	NEON:     kernelsNEON,
	NEONBF16: kernelsNEONBF16(),
}

var kernelsNEON = kernels{
	f32: loops[float32]{
		add:             addNEON,
		sub:             subNEON,
		mul:             mulNEON,
		div:             divNEON,
		larger:          largerNEON,
		smaller:         smallerNEON,
		scale:           scaleNEON,
		addScalar:       addScalarNEON,
		divScalar:       divScalarNEON,
		largerScalar:    largerScalarNEON,
		smallerScalar:   smallerScalarNEON,
		sigmoid:         sigmoidNEON,
		silu:            siluNEON,
		swiGLU:          swiGLUNEON,
		swiGLUBackward:  swiGLUBackwardNEON,
		dot:             dotNEON,
		dotWeighted:     dotWeightedNEON,
		sum:             sumNEON,
		sumSquares:      sumSquaresNEON,
		max:             maxNEON,
		min:             minNEON,
		sumExp:          sumExpNEON,
		scaledExp:       scaledExpNEON,
		softmaxBackward: softmaxBackwardNEON,
		rmsNorm:         rmsNormNEON,
		rmsNormBackward: rmsNormBackwardNEON,
		rotate:          rotateNEON,
		normRotate:      normRotateNEON,
	},
	axpy:         axpyNEON,
	mulAdd:       mulAddNEON,
	mulScaleAdd:  mulScaleAddNEON,
	joinMasters:  joinMastersNEON,
	splitMasters: splitMastersNEON,
	exp:          expNEON,
	accumulate:   accumulateNEON,
	adamW: adamWKernels{
		masterWeights:  {moments32: {adamWMasterGrads32NEON, adamWMasterGrads16NEON}},
		roundedWeights: {moments32: {adamWRoundedGrads32NEON, adamWRoundedGrads16NEON}},
		splitWeights:   {moments32: {adamWSplitGrads32NEON, adamWSplitGrads16NEON}},
	},
	bf16ToF32: bf16ToF32NEON,
	f32ToBF16: f32ToBF16NEON,
}

// kernelsNEONBF16 are those of NEON, and loops over bfloat16 that round in one instruction.
func kernelsNEONBF16() kernels {
	ks := kernelsNEON
	ks.bf16 = loops[uint16]{
		add:             addBF16NEON,
		sub:             subBF16NEON,
		mul:             mulBF16NEON,
		div:             divBF16NEON,
		larger:          largerBF16NEON,
		smaller:         smallerBF16NEON,
		scale:           scaleBF16NEON,
		addScalar:       addScalarBF16NEON,
		divScalar:       divScalarBF16NEON,
		largerScalar:    largerScalarBF16NEON,
		smallerScalar:   smallerScalarBF16NEON,
		sigmoid:         sigmoidBF16NEON,
		silu:            siluBF16NEON,
		swiGLU:          swiGLUBF16NEON,
		swiGLUBackward:  swiGLUBackwardBF16NEON,
		dot:             dotBF16NEON,
		dotWeighted:     dotWeightedBF16NEON,
		sum:             sumBF16NEON,
		sumSquares:      sumSquaresBF16NEON,
		max:             maxBF16NEON,
		min:             minBF16NEON,
		sumExp:          sumExpBF16NEON,
		scaledExp:       scaledExpBF16NEON,
		softmaxBackward: softmaxBackwardBF16NEON,
		rmsNorm:         rmsNormBF16NEON,
		rmsNormBackward: rmsNormBackwardBF16NEON,
		rotate:          rotateBF16NEON,
		normRotate:      normRotateBF16NEON,
	}
	ks.scaledExpTo = scaledExpToBF16NEON
	ks.f32ToBF16 = roundF32ToBF16NEON
	return ks
}
