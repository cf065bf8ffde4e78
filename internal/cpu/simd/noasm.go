//go:build !(amd64 || arm64) || purego

package simd

func detect() (paths []Level, preferred Level) { return []Level{Generic}, Generic }

var tables = [Levels]kernels{Generic: genericKernels}
