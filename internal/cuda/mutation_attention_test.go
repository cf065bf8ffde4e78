package cuda

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hone-ml/hone/internal/ptxsim/mutate"
)

// argumentOfAttention is argumentFor the kernels of attention.
func argumentOfAttention(m mutate.Mutant, ptx string) string {
	is := func(names ...string) bool {
		for _, name := range names {
			if strings.HasPrefix(m.Kernel, "attention_"+name) {
				return true
			}
		}
		return false
	}
	if !is("") {
		return ""
	}
	if m.Kind == mutate.NegateGuard {
		condition := definition(m, ptx, strings.TrimLeft(strings.Fields(m.Before)[0], "@!"))
		switch {
		case is("stats") && strings.HasPrefix(condition, "setp.eq.s32") && strings.HasSuffix(definition(m, ptx, strings.Split(condition, ", ")[1]), ", 31;"):
			return "every lane has the sum, and would store the same"
		case is("few") && strings.HasPrefix(condition, "setp.ne.s32") && stores(m, ptx, ".global"):
			return "the threads of a row have the same largest score and total, and would store the same"
		}
		return ""
	}
	if m.Kind != mutate.Boundary {
		return ""
	}
	operands := operandsOf(m)
	last := operands[len(operands)-1]
	left, right := definition(m, ptx, operands[len(operands)-2]), definition(m, ptx, last)
	// adds tells whether a definition adds one of some numbers.
	adds := func(definition string, numbers ...int) bool {
		for _, n := range numbers {
			if strings.HasPrefix(definition, "add.s32") && strings.HasSuffix(definition, fmt.Sprintf(", %d;", n)) {
				return true
			}
		}
		return false
	}
	parent := func(d string) string { // of the first operand of a definition
		if _, rest, ok := strings.Cut(d, ", "); ok {
			first, _, _ := strings.Cut(strings.TrimSuffix(rest, ";"), ",")
			return definition(m, ptx, first)
		}
		return ""
	}
	loaded := func(definition string) bool { return strings.HasPrefix(definition, "ld.") }
	isEnd := func(definition string) bool { return strings.HasPrefix(definition, "min.s32") }
	tile := 64 // of what a block goes through
	if strings.Contains(m.Kernel, "128") {
		tile = 32
	}
	counts := slices.ContainsFunc(strings.Split(onlyKernel(ptx, m.Kernel), "\n"), func(line string) bool { // of a loop, what comes next
		return strings.HasPrefix(line, "\tmov.u32") && strings.HasSuffix(line, ", "+operands[len(operands)-2]+";")
	})
	const steps = "steps of one do what a step of four does, in the same order"
	if !strings.HasSuffix(m.Kernel, "_bf16") {
		switch {
		case last == "4" || adds(left, 8):
			return steps
		case (strings.HasPrefix(right, "shl.b32") || strings.HasPrefix(right, "cvt.") && strings.HasPrefix(parent(parent(right)), "shl.b32")) && (adds(left, 32) || strings.HasPrefix(left, "and.b32")):
			return "the number behind rows of zeros is a weight, which is set before it is read"
		case isEnd(right) && adds(left, 32), is("forward") && isEnd(left) && loaded(right), is("keys_values") && loaded(right) && adds(left, 32):
			return "a piece without a row, behind the last one or where there is none, adds nothing"
		case is("keys_values") && strings.HasPrefix(m.Before, "setp.le") && loaded(left) && strings.HasPrefix(right, "max.s32"):
			return "a visit has a query that sees a key of the task"
		case is("keys_values") && strings.HasPrefix(right, "add.s32 "+last+", "+operands[len(operands)-2]+","):
			return "a head of keys has a head of queries"
		case is("forward_f64") && (last == "0d0000000000000000" || last == "0d0010000000000000"):
			return "the sum whose logarithm is taken is of powers relative to the largest, and no less than 1; that of 0 is not used"
		}
		return ""
	}
	switch {
	case is("few") && (last == "255" || last == "128") && strings.HasSuffix(left, "%tid.x;"):
		return "a block has 128 threads, none of which has this number"
	case is("few") && isEnd(right) && (loaded(left) || adds(left, 64) && counts):
		return "a tile without a row copies nothing and has no key for any warp"
	case is("merge128") && strings.HasPrefix(right, "ld.param") && !strings.HasSuffix(left, ", 64;") && !strings.HasSuffix(left, ", 96;"):
		return "heads of this kernel have more than 64 elements"
	case is("forward") && strings.HasPrefix(m.Before, "setp.ge") && isEnd(right) && (loaded(left) || adds(left, tile)):
		return "a tile without a row copies nothing"
	case is("keys_values64") && strings.HasPrefix(m.Before, "setp.le") && !adds(left, 8) && (adds(parent(right), 56) || adds(parent(right), 1) && adds(parent(parent(right)), 56)):
		return "no query comes before the one that sees the first key, so that those of the last eight columns see the first eight keys of each warp"
	case (strings.HasPrefix(m.Before, "setp.gt") || strings.HasPrefix(m.Before, "setp.le")) && (adds(left, tile, tile-1) || adds(left, 15)) && joined(m, ptx):
		return "a tile that is just whole has nothing to mask"
	}
	return ""
}

// joined tells whether what a mutant decides is combined with another condition within the next lines.
func joined(m mutate.Mutant, ptx string) bool {
	predicate := strings.TrimSuffix(strings.Fields(m.Before)[1], ",")
	for _, line := range strings.Split(ptx, "\n")[m.Line:][:4] {
		if strings.Contains(line, ".pred ") && (strings.Contains(line, ", "+predicate+",") || strings.HasSuffix(line, ", "+predicate+";")) {
			return true
		}
	}
	return false
}

// stores tells whether the first store behind a mutant is to a space.
func stores(m mutate.Mutant, ptx, space string) bool {
	for _, line := range strings.Split(ptx, "\n")[m.Line:] {
		if _, to, ok := strings.Cut(line, "\tst"); ok {
			return strings.HasPrefix(to, space)
		}
	}
	return false
}
