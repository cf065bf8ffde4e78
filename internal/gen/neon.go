package main

import "github.com/hone-ml/hone/internal/gen/arm64"

// The kernels of arm64. NEON has vectors of four float32 and no masks: a loop ends with a step of two
// elements and one of one. Each step works on several vectors at once, so that loads come in pairs and
// independent instructions stand side by side.

// neonUnits are the files of arm64: NEON, which every such processor has, and the extension BF16.
func neonUnits() []neonUnit {
	return []neonUnit{
		{"simd", "arith_neon", neonArithmetic},
		{"simd", "reduce_neon", neonReductions},
		{"simd", "exp_neon", neonExponentials},
		{"simd", "bf16_neon", neonBFloat16},
		{"gemm", "micro_neon", neonMicroKernels},
		{"gemm", "pack_neon", neonPackKernels},
		{"gemm", "thin_neon", neonThinKernels},
		{"gemm", "bf16_neon", neonBFloat16Products},
	}
}

// A neonUnit is one assembly file and its declarations.
type neonUnit struct {
	pkg, name string
	emit      func(*arm64.File)
}

// neonLines gives the addresses of the first n rows or columns of a matrix, from the parameters that hold
// its address and their distance in bytes.
func neonLines(a *arm64.Func, base, distance string, n int) []arm64.R {
	lines := append([]arm64.R{a.Load(base)}, a.Rs(n-1)...)
	a.Scope(func() {
		d := a.Load(distance)
		for i := 1; i < n; i++ {
			a.I("ADD %v, %v, %v", d, lines[i-1], lines[i])
		}
	})
	return lines
}

// neonFunc writes a function whose loop runs over slices. prepare takes what outlives the steps and
// returns the step and what follows the loop, which may be nil.
func neonFunc(f *arm64.File, name, signature, doc string, unroll int, slices []string,
	prepare func(a *arm64.Func) (step func(s *arm64.Step), finish func())) {
	a := f.Func(name, signature, doc)
	l := a.Over(slices...)
	l.Unroll = unroll
	step, finish := prepare(a)
	l.Step = step
	a.Emit(l)
	if finish != nil {
		finish()
	}
	a.End()
}
