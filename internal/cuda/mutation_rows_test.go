package cuda

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cuda/kernels"
	"github.com/hone-ml/hone/internal/ptxsim"
	"github.com/hone-ml/hone/internal/ptxsim/mutate"
)

// The test tries a mutant of each kernel and of each of these kinds, of which hardly any are equivalent. HONE_MUTANTS=all
// tries all mutants of all kinds, HONE_MUTANTS=3 three of each; HONE_MUTANT_FAMILIES names the families, with commas between.
var sampledKinds = []mutate.Kind{mutate.DropBarrier, mutate.DropShuffle, mutate.DropStore, mutate.SwapMinMax}

func TestMutantsOfKernelsOverRowsAreNoticed(t *testing.T) {
	wanted := os.Getenv("HONE_MUTANTS")
	if testing.Short() {
		t.Skip("the gate is for whole runs")
	}
	b, err := openSim(ptxsim.Config{Memory: 1 << 30, MaxInstructions: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	b.slow = true
	defer b.Close()
	families := strings.Fields("rmsnorm layernorm rowsums rope swiglu softmax crossentropy sumsquares adamw momentum quantized")
	if only := os.Getenv("HONE_MUTANT_FAMILIES"); only != "" {
		named := strings.Split(only, ",")
		families = slices.DeleteFunc(families, func(name string) bool { return !slices.Contains(named, name) })
	}
	for _, family := range families {
		ptx, err := kernels.PTX(family)
		if err != nil {
			t.Fatal(err)
		}
		var mutants []mutate.Mutant
		switch n := 1; wanted {
		case "all":
			mutants = mutate.Enumerate(ptx)
		case "":
			mutants = mutate.Sample(mutate.Enumerate(ptx, sampledKinds...), n)
		default:
			if _, err := fmt.Sscan(wanted, &n); err != nil {
				t.Fatalf("HONE_MUTANTS=%s: %v", wanted, err)
			}
			mutants = mutate.Sample(mutate.Enumerate(ptx), n)
		}
		byKernel := map[string][]mutate.Mutant{}
		var names []string
		for _, m := range mutants {
			if byKernel[m.Kernel] == nil {
				names = append(names, m.Kernel)
			}
			byKernel[m.Kernel] = append(byKernel[m.Kernel], m)
		}
		for _, kernel := range names {
			r := &rig{t: t, b: b}
			exercise := exerciseOf(kernel)
			want, dtypes, err := r.run(exercise)
			if err != nil {
				t.Fatalf("%s: %v", kernel, err)
			}
			original := b.function(family, kernel)
			report, err := mutate.Run(ptx, byKernel[kernel], arguments(byKernel[kernel], ptx), 1, func(source string) error {
				if err := b.replaceKernel(original, onlyKernel(source, kernel)); err != nil {
					return err
				}
				got, _, err := r.run(exercise)
				if err != nil {
					return err
				}
				return differs(got, want, dtypes, slices.Contains([]string{"adamw", "momentum", "quantized"}, family) && !strings.HasPrefix(kernel, "multiply"))
			})
			b.families.Delete(family)
			if err != nil {
				t.Fatal(err)
			}
			if err := report.Err(); err != nil {
				t.Errorf("%s: %v", kernel, err)
			} else {
				t.Logf("%s: %d mutants are noticed", kernel, len(report))
			}
		}
	}
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
	has := func(list ...string) bool {
		return slices.ContainsFunc(list, func(s string) bool { return strings.Contains(m.Before, s) })
	}
	is := func(names ...string) bool {
		return slices.ContainsFunc(names, func(s string) bool { return strings.HasPrefix(m.Kernel, s) })
	}
	switch m.Kind {
	case mutate.DropBarrier:
		code := strings.Join(strings.Fields(onlyKernel(ptx, m.Kernel)), " ")
		oneRow := is("softmax", "crossentropy_forward", "sumsquares") || is("rmsnorm", "layernorm") && strings.Contains(m.Kernel, "_any_")
		if oneRow && m.Before == "bar.sync 0;" && strings.Count(code, m.Before) == m.Ordinal {
			return "the barrier behind a fold keeps its shared memory for the next fold, and this is the last one of a kernel that works on one row"
		}
		if is("crossentropy_backward_f32_to_bf16") && m.Ordinal == 2 {
			return "the simulator runs the warps of a block in their order, in which a warp's BF16 lie over what lower warps have read; cards have no order"
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

// differs says where results differ by more than precision explains, or at all.
func differs(got, want [][]float64, dtypes []backend.DType, exact bool) error {
	if len(got) != len(want) {
		return errors.New("other results")
	}
	for i := range want {
		largest := 0.0
		for _, w := range want[i] {
			if !math.IsInf(w, 0) && !math.IsNaN(w) {
				largest = math.Max(largest, math.Abs(w))
			}
		}
		relative, absolute := 1e-5, 1e-6*largest
		switch dtypes[i] {
		case backend.F64:
			relative, absolute = 1e-12, 1e-13*largest
		case backend.BF16:
			relative, absolute = 1.0/128, 1e-4*largest
		case backend.F16:
			relative, absolute = 1.0/512, 1e-4*largest
		case backend.U8:
			relative, absolute = 0, 0
		}
		if exact {
			relative, absolute = 0, 0
		}
		for j, w := range want[i] {
			g := got[i][j]
			if math.IsNaN(g) != math.IsNaN(w) || math.Abs(g-w) > relative*math.Abs(w)+absolute || math.IsInf(g, 0) && g != w {
				return fmt.Errorf("element %d of result %d is %v, want %v", j, i, g, w)
			}
		}
	}
	return nil
}
