// Package simd holds the CPU's inner loops over contiguous vectors, each in every kernel path that the
// machine can run, and says which path that is. The paths are "generic" (plain Go, the reference); on
// amd64 "avx2" (with FMA), "avx512", "avx512bf16" (with VDPBF16PS in matrix products) and "amx" (with
// tiles of bfloat16); on arm64 "neon" and "neonbf16" (with BFMMLA). Package gemm follows the choice.
//
// The path is chosen once, at start, as the one that is fastest on the processor. The environment variable
// HONE_SIMD forces one; the build tag purego leaves the assembly out.
//
// A call works on as many elements as its first vector has; a vector that is shorter panics. An output
// may be one of the inputs, element for element, but must not overlap it otherwise. Sums are kept in a fixed number of accumulators, so that a result depends on
// the path and the length only. Functions may be called from several goroutines, except Select.
package simd

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// Level is a kernel path, as an index for tables of kernels.
type Level uint8

// The kernel paths. Each includes those before it of the same architecture.
const (
	Generic    Level = iota
	AVX2             // AVX2, FMA, BMI2 and F16C
	AVX512           // AVX-512 F, BW, DQ and VL
	AVX512BF16       // AVX-512 BF16
	AMX              // AMX tiles of BF16, which the system lets the process use
	NEON
	NEONBF16 // Armv8.6 BF16

	// Levels is the length of a table of kernels by path.
	Levels = iota
)

var levelNames = [Levels]string{
	Generic: "generic", AVX2: "avx2", AVX512: "avx512", AVX512BF16: "avx512bf16", AMX: "amx",
	NEON: "neon", NEONBF16: "neonbf16",
}

// String is the name that HONE_SIMD and Select take.
func (l Level) String() string { return levelNames[l] }

// available are the paths that this machine can run, the poorest first, and preferred the one of them that
// is taken unless another is forced.
var available, preferred = detect()

var active = Generic

// Active is the path in use.
func Active() Level { return active }

// Path is the name of the path in use.
func Path() string { return active.String() }

// Paths are the names of the paths that this machine can run, the poorest first.
func Paths() []string {
	names := make([]string, len(available))
	for i, l := range available {
		names[i] = l.String()
	}
	return names
}

// Select switches to the path of the given name. It must not run at the same time as anything that
// computes: it is for tests and for programs that have not yet begun.
func Select(name string) error {
	i := slices.Index(Paths(), name)
	if i < 0 {
		return fmt.Errorf("simd: no kernel path %q on this machine; choose one of %s", name, strings.Join(Paths(), ", "))
	}
	active = available[i]
	k = &tables[active]
	return nil
}

// ForEachPath calls f under each path that this machine can run, and restores the path then. It is for
// tests; see Select.
func ForEachPath(f func(name string)) {
	before := Path()
	defer func() {
		if err := Select(before); err != nil {
			panic(err)
		}
	}()
	for _, name := range Paths() {
		if err := Select(name); err != nil {
			panic(err)
		}
		f(name)
	}
}

func init() {
	for i := range tables {
		tables[i].complete()
	}
	name, forced := os.LookupEnv("HONE_SIMD")
	if !forced || name == "" {
		name = preferred.String()
	}
	if err := Select(name); err != nil {
		// There is nobody to return an error to, and a path other than the one asked for would mislead.
		fmt.Fprintf(os.Stderr, "HONE_SIMD: %v\n", err)
		os.Exit(2)
	}
}
