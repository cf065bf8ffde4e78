package main

import (
	"strings"

	"github.com/hone-ml/hone/internal/gen/arm64"
)

// The kernels of arm64. NEON has vectors of four float32 and no masks: a loop ends with a step of two
// elements and one of one. Each step works on several vectors at once, so that loads come in pairs and
// independent instructions stand side by side.

// neonUnits are the files of arm64: NEON, which every such processor has, and the extension BF16.
func neonUnits() []neonUnit {
	return []neonUnit{
		{"simd", "arith_neon", neonArithmetic},
		{"simd", "reduce_neon", neonReductions},
		{"simd", "exp_neon", neonExponentials},
		{"simd", "adamw_neon", neonAdamW},
		{"simd", "norm_neon", neonNorms},
		{"simd", "bf16_neon", neonBFloat16},
		{"simd", "masters_neon", neonMasters},
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

// A neonKind is a type of elements of the vectors that loops work on.
type neonKind struct {
	suffix  string // of names, before that of the instruction set
	element string
	size    int
}

// The loops over bfloat16 round with the extension BF16. The path that lacks it goes by way of float32.
var (
	neonF32   = neonKind{"", "float32", 4}
	neonBF16  = neonKind{"BF16", "uint16", 2}
	neonKinds = []neonKind{neonF32, neonBF16}
)

// A neonLoop is a function over vectors of one length. In the signature E stands for the kind's element.
type neonLoop struct {
	name, signature, doc string
	slices               []string // the first gives the length
	unroll               int      // vectors a turn
}

// emit writes the function. prepare takes what outlives the steps and returns the step and what follows
// the loop, which may be nil.
func (l neonLoop) emit(f *arm64.File, k neonKind, prepare func(a *arm64.Func) (step func(s *arm64.Step), finish func())) {
	a := f.Func(l.name+k.suffix+"NEON", strings.ReplaceAll(l.signature, "[]E", "[]"+k.element), l.doc)
	loop := &arm64.Loop{Unroll: l.unroll, Length: a.LoadLen(l.slices[0])}
	for _, name := range l.slices {
		loop.Stream(name, a.LoadBase(name), a.ElementSize(name))
	}
	step, finish := prepare(a)
	loop.Step = step
	a.Emit(loop)
	if finish != nil {
		finish()
	}
	a.End()
}
