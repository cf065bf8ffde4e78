//go:build !purego

package simd

var (
	adamWKernelsAVX2 = adamWKernels{
		masterWeights: {
			moments32: {adamWMasterMoments32Grads32AVX2, adamWMasterMoments32Grads16AVX2},
			moments16: {adamWMasterMoments16Grads32AVX2, adamWMasterMoments16Grads16AVX2},
			moments8:  {adamWMasterMoments8Grads32AVX2, adamWMasterMoments8Grads16AVX2},
		},
		roundedWeights: {
			moments32: {adamWRoundedMoments32Grads32AVX2, adamWRoundedMoments32Grads16AVX2},
			moments16: {adamWRoundedMoments16Grads32AVX2, adamWRoundedMoments16Grads16AVX2},
			moments8:  {adamWRoundedMoments8Grads32AVX2, adamWRoundedMoments8Grads16AVX2},
		},
		splitWeights: {
			moments32: {adamWSplitMoments32Grads32AVX2, adamWSplitMoments32Grads16AVX2},
			moments16: {adamWSplitMoments16Grads32AVX2, adamWSplitMoments16Grads16AVX2},
			moments8:  {adamWSplitMoments8Grads32AVX2, adamWSplitMoments8Grads16AVX2},
		},
	}
	adamWKernelsAVX512 = adamWKernels{
		masterWeights: {
			moments32: {adamWMasterMoments32Grads32AVX512, adamWMasterMoments32Grads16AVX512},
			moments16: {adamWMasterMoments16Grads32AVX512, adamWMasterMoments16Grads16AVX512},
			moments8:  {adamWMasterMoments8Grads32AVX512, adamWMasterMoments8Grads16AVX512},
		},
		roundedWeights: {
			moments32: {adamWRoundedMoments32Grads32AVX512, adamWRoundedMoments32Grads16AVX512},
			moments16: {adamWRoundedMoments16Grads32AVX512, adamWRoundedMoments16Grads16AVX512},
			moments8:  {adamWRoundedMoments8Grads32AVX512, adamWRoundedMoments8Grads16AVX512},
		},
		splitWeights: {
			moments32: {adamWSplitMoments32Grads32AVX512, adamWSplitMoments32Grads16AVX512},
			moments16: {adamWSplitMoments16Grads32AVX512, adamWSplitMoments16Grads16AVX512},
			moments8:  {adamWSplitMoments8Grads32AVX512, adamWSplitMoments8Grads16AVX512},
		},
	}
)
