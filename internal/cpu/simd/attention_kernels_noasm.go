//go:build !amd64 || purego

package simd

// attentions are the loops of attention by path.
var attentions = [Levels]attentionKernels{
	Generic:  attentionGeneric,
	NEON:     attentionGeneric,
	NEONBF16: attentionGeneric,
}
