//go:build !purego

package simd

// attentions are the loops of attention by path.
var attentions = [Levels]attentionKernels{
	Generic:    attentionGeneric,
	AVX2:       attentionGeneric,
	AVX512:     attentionAVX512,
	AVX512BF16: attentionAVX512,
	AMX:        attentionAVX512,
}

var attentionAVX512 = attentionKernels{softmaxStepAVX512, softmaxGradAVX512}
