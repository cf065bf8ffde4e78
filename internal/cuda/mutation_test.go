package cuda

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hone-ml/hone/internal/backend/backendtest"
	"github.com/hone-ml/hone/internal/cuda/kernels"
	"github.com/hone-ml/hone/internal/ptxsim"
	"github.com/hone-ml/hone/internal/ptxsim/mutate"
)

// casesOf says which cases of the conformance suite run the kernels of a family.
var casesOf = map[string][]string{
	"fill": {"Fill", "Arange"}, "random": {"Random"}, "copy": {"Copy"}, "unary": {"Unary"}, "unary_vectors": {"Unary"},
	"binary": {"Binary", "Scalar", "Where"}, "reduce": {"Reduce"}, "gather": {"Gather"}, "scatter": {"ScatterAdd"},
	"sort": {"Sort"}, "scan": {"Scan"},
	"softmax": {"Softmax"}, "rmsnorm": {"RMSNorm"}, "layernorm": {"LayerNorm"}, "rope": {"RoPE", "NormRoPE"},
	"swiglu": {"SwiGLU"}, "crossentropy": {"CrossEntropy"}, "sumsquares": {"SumSquares"}, "adamw": {"AdamW"},
	"gemm": {"MatMul"}, "gemm_f16": {"MatMul"}, "gemm_f32": {"MatMul"}, "thin": {"MatMul"},
	"attention": {"Attention"}, "attention_backward": {"Attention"}, "attention_few": {"Attention"},
}

// sampled are families whose cases take little time on the simulator.
var sampled = []string{"scan", "sort", "sumsquares"}

// checkOf runs a family's cases with its PTX replaced.
func checkOf(family string) mutate.Check {
	return func(source string) error {
		b, err := openSim(ptxsim.Config{Memory: simMemory, MaxInstructions: 1 << 22})
		if err != nil {
			return err
		}
		defer b.Close() // what a broken kernel leaves behind is not at issue
		if err := b.replace(family, source); err != nil {
			return err
		}
		for _, name := range casesOf[family] {
			if f := backendtest.Failures(b, name); len(f) > 0 {
				return errors.New(name + ": " + f[0])
			}
		}
		return nil
	}
}

// replace makes the backend use another source for a family.
func (b *Backend) replace(name, ptx string) error {
	fam := new(family)
	fam.once.Do(func() {
		if fam.entries, fam.err = entries(ptx); fam.err == nil {
			fam.module, fam.err = b.ctx.LoadModule(ptx)
		}
	})
	b.families.Store(name, fam)
	return fam.err
}

// The mutation gate: the conformance suite notices that a kernel was broken on purpose. By default it breaks a few
// instructions of quick families. HONE_MUTANTS is how many mutants of each kernel and kind to try, or "all", in the
// families of HONE_MUTANT_FAMILIES (with commas between) or, without it, in all.
func TestTheConformanceSuiteNoticesBrokenKernels(t *testing.T) {
	how := os.Getenv("HONE_MUTANTS")
	families := kernels.Families()
	if f := os.Getenv("HONE_MUTANT_FAMILIES"); f != "" {
		families = strings.Split(f, ",")
	}
	text, err := os.ReadFile("kernels/equivalent.txt")
	if err != nil {
		t.Fatal(err)
	}
	equivalents, err := mutate.ParseEquivalents(string(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range families {
		if casesOf[name] == nil || how == "" && !slices.Contains(sampled, name) {
			continue
		}
		source, err := kernels.PTX(name)
		if err != nil {
			t.Fatal(err)
		}
		mutants := mutate.Enumerate(source)
		switch how {
		case "":
			mutants = oneOfEachKind(mutate.Enumerate(source, mutate.DropBarrier, mutate.DropWait, mutate.LaterWait, mutate.DropShuffle, mutate.DropMMA))
		case "all":
		default:
			n, err := strconv.Atoi(how)
			if err != nil {
				t.Fatalf("HONE_MUTANTS: %v", err)
			}
			mutants = mutate.Sample(mutants, n)
		}
		t.Run(name, func(t *testing.T) {
			report, err := mutate.Run(source, mutants, equivalents, 1, checkOf(name))
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("\n%s", report)
			t.Logf("mutants of %s: %d caught, %d survived, %d equivalent, %d refuted", name,
				report.Count(mutate.Caught), report.Count(mutate.Survived), report.Count(mutate.Equivalent), report.Count(mutate.Refuted))
			if err := report.Err(); err != nil {
				t.Error(err)
			}
		})
	}
}

// oneOfEachKind takes the first of a sample.
func oneOfEachKind(mutants []mutate.Mutant) []mutate.Mutant {
	seen := map[mutate.Kind]bool{}
	return slices.DeleteFunc(mutate.Sample(mutants, 1), func(m mutate.Mutant) bool {
		defer func() { seen[m.Kind] = true }()
		return seen[m.Kind]
	})
}
