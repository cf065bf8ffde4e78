package cuda

import (
	"strings"

	"github.com/hone-ml/hone/internal/ptxsim/mutate"
)

// argumentOfProduct is argumentFor the kernels of products, and others that divide as these do.
func argumentOfProduct(m mutate.Mutant, ptx string) string {
	is := func(prefix string) bool { return strings.HasPrefix(m.Kernel, prefix) }
	if !is("gemm_") && !is("thin") && !is("naive_") && !is("sum_slices_") && !is("align_lines") && !is("attention_stats_") {
		return ""
	}
	operands := operandsOf(m)
	last := operands[len(operands)-1]
	limit, first := definition(m, ptx, last), ""
	if len(operands) > 1 {
		first = definition(m, ptx, operands[len(operands)-2])
	}
	switch m.Kind {
	case mutate.Boundary:
		switch {
		case is("gemm_") && strings.HasPrefix(last, "-"):
			return "no number of panels is below 0, and this compares it with the pipeline's first step, which is"
		case is("gemm_small_") && last == "511" && strings.HasSuffix(first, "%tid.x;"):
			return "a block has 128 threads or fewer, none of which has this number"
		case is("thin") && strings.HasPrefix(limit, "min.s32") && (strings.HasPrefix(first, "mul.lo.s32") || strings.HasSuffix(first, ", 128;")):
			return "a piece of no elements, behind the last one or of k = 0, adds nothing"
		case is("thin") && strings.HasPrefix(limit, "shl.b32") && strings.HasSuffix(first, "%tid.x;"):
			return "the sums of a row are no fewer than the threads of a block, so that no thread's number is that of all sums"
		}
	case mutate.NegateGuard:
		if chosen := definition(m, ptx, strings.TrimLeft(strings.Fields(m.Before)[0], "@!")); strings.HasSuffix(chosen, ", 0;") &&
			strings.Contains(definition(m, ptx, strings.Fields(strings.ReplaceAll(chosen, ",", ""))[2]), "-4294967296") {
			return "chooses between divisions of 32 and of 64 bits, which differ for products of more than 2³² elements only"
		}
	}
	return ""
}

// operandsOf is the operands of the instruction that a mutant changes.
func operandsOf(m mutate.Mutant) []string {
	_, list, _ := strings.Cut(strings.TrimSuffix(m.Before, ";"), " ")
	return strings.Split(list, ", ")
}

// definition is the instruction that sets a register: the last one above the mutant or, in loops, below it.
func definition(m mutate.Mutant, ptx, register string) string {
	lines := strings.Split(ptx, "\n")
	sets := func(i int) (string, bool) {
		line := strings.Join(strings.Fields(lines[i]), " ")
		_, rest, _ := strings.Cut(line, " ")
		return line, strings.HasPrefix(rest, register+",")
	}
	for i := m.Line - 2; i >= 0 && !strings.HasPrefix(lines[i], ".visible"); i-- {
		if line, ok := sets(i); ok {
			return line
		}
	}
	for i := m.Line; i < len(lines) && lines[i] != "}"; i++ {
		if line, ok := sets(i); ok {
			return line
		}
	}
	return ""
}
