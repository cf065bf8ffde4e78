package cuda

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hone-ml/hone/internal/cuda/kernels"
	"github.com/hone-ml/hone/internal/ptxsim"
	"github.com/hone-ml/hone/internal/ptxsim/mutate"
)

// decisive are the kinds of mutants of which hardly any are equivalent.
var decisive = []mutate.Kind{mutate.DropBarrier, mutate.DropWait, mutate.LaterWait, mutate.DropShuffle, mutate.DropStore, mutate.DropMMA, mutate.SwapMinMax}

// The mutation gate: exercises notice that a kernel was broken on purpose. They are held against the CPU's results by
// TestExercisesAgreeWithTheCPU; here a broken kernel's results are held against the whole one's.
//
// By default a mutant of each kernel is tried. HONE_MUTANTS is how many mutants of each kernel and kind to try, or "all",
// HONE_MUTANT_KINDS which kinds ("all", or names with commas between; without it, decisive ones), HONE_MUTANT_FAMILIES in
// which families.
func TestBrokenKernelsAreNoticed(t *testing.T) {
	if testing.Short() {
		t.Skip("the gate is for whole runs")
	}
	t.Parallel()
	how, kinds, families := os.Getenv("HONE_MUTANTS"), decisive, kernels.Families()
	if f := os.Getenv("HONE_MUTANT_FAMILIES"); f != "" {
		families = strings.Split(f, ",")
	}
	if k := os.Getenv("HONE_MUTANT_KINDS"); k == "all" {
		kinds = mutate.Kinds
	} else if k != "" {
		kinds = nil
		for name := range strings.SplitSeq(k, ",") {
			kinds = append(kinds, mutate.Kind(name))
		}
	}
	text, err := os.ReadFile("kernels/equivalent.txt")
	if err != nil {
		t.Fatal(err)
	}
	equivalents, err := mutate.ParseEquivalents(string(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		t.Run(family, func(t *testing.T) {
			t.Parallel()
			ptx, err := kernels.PTX(family)
			if err != nil {
				t.Fatal(err)
			}
			mutants := mutate.Enumerate(ptx, kinds...)
			switch n, err := strconv.Atoi(how); {
			case how == "":
				mutants = oneOfEachKernel(mutate.Sample(mutants, 1))
			case how == "all":
			case err != nil:
				t.Fatalf("HONE_MUTANTS: %v", err)
			default:
				mutants = mutate.Sample(mutants, n)
			}
			report := breakKernels(t, family, ptx, mutants, equivalents)
			t.Logf("\n%s", report)
			t.Logf("mutants of %s: %d caught, %d survived, %d equivalent, %d refuted", family,
				report.Count(mutate.Caught), report.Count(mutate.Survived), report.Count(mutate.Equivalent), report.Count(mutate.Refuted))
			if err := report.Err(); err != nil {
				t.Error(err)
			}
		})
	}
}

// oneOfEachKernel takes a mutant of every kernel, of one kind here and of another there.
func oneOfEachKernel(mutants []mutate.Mutant) (list []mutate.Mutant) {
	for i := 0; i < len(mutants); {
		end := i
		for end < len(mutants) && mutants[end].Kernel == mutants[i].Kernel {
			end++
		}
		list = append(list, mutants[i+len(list)%(end-i)])
		i = end
	}
	return list
}

// breakKernels tries mutants of a family, kernel by kernel.
func breakKernels(t *testing.T, family, ptx string, mutants []mutate.Mutant, equivalents []mutate.Argument) (report mutate.Report) {
	b, err := openSim(ptxsim.Config{Memory: 1 << 30, MaxInstructions: 1 << 20, Backwards: true})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close() // what a broken kernel leaves behind is not at issue
	for len(mutants) > 0 {
		kernel, n := mutants[0].Kernel, 1
		for n < len(mutants) && mutants[n].Kernel == kernel {
			n++
		}
		r := &rig{t: t, b: b}
		e := exercises[family](kernel)
		b.Statistics()
		want, err := r.run(e)
		if err != nil {
			t.Fatalf("%s: %v", kernel, err)
		}
		need := b.Statistics()[kernel]
		r.check = func(i int, got result) error {
			if i >= len(want) || len(got.values) != len(want[i].values) {
				return errors.New("other results")
			}
			return differs(family, got, want[i], 0)
		}
		whole := b.function(family, kernel)
		part, err := mutate.Run(ptx, mutants[:n], slices.Concat(arguments(mutants[:n], ptx), equivalents), 1, func(source string) error {
			if err := b.replaceKernel(whole, onlyKernel(source, kernel)); err != nil {
				return err
			}
			got, err := r.run(e)
			if err == nil && len(got) < len(want) {
				err = errors.New("other results")
			}
			switch did := b.Statistics()[kernel]; {
			case err != nil:
			case did.Mma > need.Mma:
				err = fmt.Errorf("%d instructions of tensor cores, where %d do", did.Mma, need.Mma)
			case did.GlobalLoadBytes > need.GlobalLoadBytes:
				err = fmt.Errorf("%d bytes loaded, where %d do", did.GlobalLoadBytes, need.GlobalLoadBytes)
			case did.GlobalStoreBytes > need.GlobalStoreBytes:
				err = fmt.Errorf("%d bytes stored, where %d do", did.GlobalStoreBytes, need.GlobalStoreBytes)
			}
			return err
		})
		if err != nil {
			t.Fatalf("%s: %v", kernel, err)
		}
		b.families.Delete(family)
		report, mutants = append(report, part...), mutants[n:]
	}
	return report
}

// arguments are why some mutants cannot be told from the original. If one is noticed, its argument is wrong, and that is told.
func arguments(mutants []mutate.Mutant, ptx string) (list []mutate.Argument) {
	for _, m := range mutants {
		if why := argumentFor(m, ptx); why != "" {
			list = append(list, mutate.Argument{ID: m.ID(), Text: why})
		}
	}
	return list
}

func argumentFor(m mutate.Mutant, ptx string) string {
	if why := cmp.Or(argumentOfProduct(m, ptx), argumentOfAttention(m, ptx)); why != "" {
		return why
	}
	has := func(list ...string) bool {
		return slices.ContainsFunc(list, func(s string) bool { return strings.Contains(m.Before, s) })
	}
	is := func(names ...string) bool {
		return slices.ContainsFunc(names, func(s string) bool { return strings.HasPrefix(m.Kernel, s) })
	}
	switch m.Kind {
	case mutate.SwapMinMax:
		if strings.HasPrefix(m.Before, "min.u32") && strings.HasSuffix(m.Before, ", 5;") {
			return "the axes beyond those of a nest have one element, so that visiting them moves nothing"
		}
	case mutate.DropStore:
		if m.Kernel == "convert_f64" && strings.HasPrefix(m.Before, "st.global.f64") {
			return "F64 is never converted to F64, but moved"
		}
	case mutate.DropBarrier:
		if strings.HasPrefix(m.Kernel, "sort_move") && m.Ordinal == 17 {
			return "the last barrier of the warp in the last round, behind which comes one of the block"
		}
		code := strings.Join(strings.Fields(onlyKernel(ptx, m.Kernel)), " ")
		oneRow := is("softmax", "crossentropy_forward", "sumsquares") || is("rmsnorm", "layernorm") && strings.Contains(m.Kernel, "_any_")
		if oneRow && m.Before == "bar.sync 0;" && strings.Count(code, m.Before) == m.Ordinal {
			return "the barrier behind a fold keeps its shared memory for the next fold, and this is the last one of a kernel that works on one row"
		}
	case mutate.Boundary:
		switch {
		case has("0f42B20000", "0f42D00000", "0fC2D00000"):
			return "at a bound of exp's argument, that and the bound are the same number"
		case is("swiglu") && has(".lt.f64") && has("0d0000000000000000"):
			return "exp(−0) is 1: either numerator of the sigmoid of 0"
		case strings.Contains(m.Kernel, "_columns_") && has("%p2,"):
			return "where a group ends with the last row, either bound is it"
		case is("adamw_moments_u8") && has(".f32"):
			return "the smaller of equal numbers"
		case is("quantize_q") && has("9187343239835811839"):
			return "the lower half of the key is below 32, so that it is never that number"
		case is("crossentropy_forward") && has("0d0000000000000000"):
			return "the logarithm of 0 meets a row of nothing but −Inf, of which the loss is NaN and the log-sum −Inf whatever it be"
		}
	case mutate.SwapAddSub:
		if has(", 0d0000000000000000;", ", 0f00000000;") {
			return "x + 0 is x − 0"
		}
	}
	return ""
}

// onlyKernel is a module with nothing but one of its kernels.
func onlyKernel(ptx, kernel string) string {
	const head = ".visible .entry "
	first, at := strings.Index(ptx, head), strings.Index(ptx, head+kernel+"(")
	end := strings.Index(ptx[at:], "\n}\n")
	return ptx[:first] + ptx[at:at+end+3]
}

// replaceKernel gives a kernel another text.
func (b *Backend) replaceKernel(f *function, ptx string) error {
	module, err := b.ctx.LoadModule(ptx)
	if err != nil {
		return err
	}
	handle, err := b.ctx.Function(module, f.name)
	if err != nil {
		return err
	}
	f.handle, f.shared = handle, 0
	return nil
}
