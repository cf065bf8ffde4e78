//go:build !(amd64 || arm64) || purego

package gemm

import "github.com/hone-ml/hone/internal/cpu/simd"

var paths = [simd.Levels]kernels{simd.Generic: generic32}
