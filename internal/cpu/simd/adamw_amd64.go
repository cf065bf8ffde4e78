//go:build !purego

package simd

var (
	adamWKernelsAVX2 = adamWKernels{
		masterWeights:  {adamWMasterGrads32AVX2, adamWMasterGrads16AVX2},
		roundedWeights: {adamWRoundedGrads32AVX2, adamWRoundedGrads16AVX2},
		splitWeights:   {adamWSplitGrads32AVX2, adamWSplitGrads16AVX2},
	}
	adamWKernelsAVX512 = adamWKernels{
		masterWeights:  {adamWMasterGrads32AVX512, adamWMasterGrads16AVX512},
		roundedWeights: {adamWRoundedGrads32AVX512, adamWRoundedGrads16AVX512},
		splitWeights:   {adamWSplitGrads32AVX512, adamWSplitGrads16AVX512},
	}
)
