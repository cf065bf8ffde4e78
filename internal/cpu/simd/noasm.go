//go:build !amd64 || purego

package simd

const best = Generic

var tables = [...]kernels{Generic: genericKernels}
