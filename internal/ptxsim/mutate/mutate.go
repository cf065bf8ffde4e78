// Package mutate breaks PTX on purpose, one instruction at a time, and asks whether anybody notices.
//
// A test suite of kernels that still passes when a barrier is gone, or a maximum has become a minimum, proves little.
// Enumerate lists the mutants of a source; Run hands each to the caller's check, which runs its tests on the mutated
// source and returns the error with which they fail. A mutant that survives shows a hole in the tests, or is
// equivalent: no test could tell it from the original. Those are listed, each with an argument (see ParseEquivalents).
package mutate

import (
	"fmt"
	"hash/fnv"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A Kind says how a mutant differs from the original.
type Kind string

const (
	DropBarrier Kind = "drop-barrier" // bar.sync, bar.warp.sync
	DropWait    Kind = "drop-wait"    // cp.async.wait_group, wait_all
	LaterWait   Kind = "later-wait"   // wait_group n becomes n+1
	DropShuffle Kind = "drop-shuffle" // each lane keeps its own value
	DropStore   Kind = "drop-store"   // st.shared, st.global
	DropMMA     Kind = "drop-mma"     // D = C
	SwapMinMax  Kind = "swap-minmax"
	SwapAddSub  Kind = "swap-addsub" // of floats
	NegateGuard Kind = "negate-guard"
	Boundary    Kind = "boundary" // lt becomes le, gt becomes ge, and back
)

// Kinds lists every kind.
var Kinds = []Kind{DropBarrier, DropWait, LaterWait, DropShuffle, DropStore, DropMMA, SwapMinMax, SwapAddSub, NegateGuard, Boundary}

// A Mutant is one change of one line.
type Mutant struct {
	Kernel        string
	Kind          Kind
	Line          int // of the source; 1 is the first
	Before, After string
	Ordinal       int // which of the lines of its kernel with this text it is; 1 is the first
}

// ID names a mutant by what it changes, not by line, so that it outlives changes elsewhere in the file.
func (m Mutant) ID() string {
	return fmt.Sprintf("%s | %s | %s | %d", m.Kernel, m.Kind, m.Before, m.Ordinal)
}

// Apply returns the mutated source. Line numbers stay the same.
func (m Mutant) Apply(source string) string {
	lines := strings.Split(source, "\n")
	lines[m.Line-1] = "\t" + m.After
	return strings.Join(lines, "\n")
}

var (
	entry       = regexp.MustCompile(`\.(?:entry|func)\s+(?:\([^)]*\)\s*)?([\w$]+)`)
	instruction = regexp.MustCompile(`^(@!?%\w+\s+)?([a-z][\w.:]*)\s*(.*?)\s*;$`)
	waitGroup   = regexp.MustCompile(`^cp\.async\.wait_group\s+(\d+)`)
	vector      = regexp.MustCompile(`\{([^}]*)\}`)
)

// Enumerate lists the mutants of a source in its order, of the given kinds or, without any, of all of them. It looks
// at lines that hold one instruction, as compilers write them.
func Enumerate(source string, kinds ...Kind) []Mutant {
	if len(kinds) == 0 {
		kinds = Kinds
	}
	var list []Mutant
	kernel := ""
	seen := map[string]int{}
	for i, line := range strings.Split(source, "\n") {
		if j := strings.Index(line, "//"); j >= 0 {
			line = line[:j]
		}
		if m := entry.FindStringSubmatch(line); m != nil {
			kernel = m[1]
			continue
		}
		line = strings.Join(strings.Fields(line), " ")
		m := instruction.FindStringSubmatch(line)
		if m == nil || strings.Count(line, ";") != 1 {
			continue
		}
		seen[kernel+"|"+line]++
		for kind, after := range mutations(m[1], m[2], m[3]) {
			if slices.Contains(kinds, kind) {
				list = append(list, Mutant{kernel, kind, i + 1, line, after, seen[kernel+"|"+line]})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b Mutant) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return strings.Compare(string(a.Kind), string(b.Kind))
	})
	return list
}

// mutations returns what may be done to one instruction.
func mutations(guard, opcode, operands string) map[Kind]string {
	out := map[Kind]string{}
	parts := strings.Split(opcode, ".")
	has := func(mod string) bool { return slices.Contains(parts[1:], mod) }
	rest := func(op string) string { return guard + op + " " + operands + ";" }
	switch parts[0] {
	case "bar", "barrier":
		out[DropBarrier] = "// dropped"
	case "cp":
		if has("wait_group") || has("wait_all") {
			out[DropWait] = "// dropped"
		}
		if m := waitGroup.FindStringSubmatch(opcode + " " + operands); m != nil {
			n, _ := strconv.Atoi(m[1])
			out[LaterWait] = fmt.Sprintf("%s%s %d;", guard, opcode, n+1)
		}
	case "shfl":
		if f := strings.Split(operands, ","); len(f) == 5 {
			result, predicate, pair := strings.Cut(strings.TrimSpace(f[0]), "|")
			out[DropShuffle] = fmt.Sprintf("%smov.b32 %s, %s;", guard, result, strings.TrimSpace(f[1]))
			if pair {
				out[DropShuffle] += fmt.Sprintf(" %smov.pred %s, -1;", guard, predicate)
			}
		}
	case "st":
		if has("shared") || has("global") {
			out[DropStore] = "// dropped"
		}
	case "mma":
		if v := vector.FindAllStringSubmatch(operands, -1); len(v) == 4 {
			d, c := strings.Split(v[0][1], ","), strings.Split(v[3][1], ",")
			if len(d) == len(c) {
				moves := ""
				for i := range d {
					moves += fmt.Sprintf("mov.f32 %s, %s; ", strings.TrimSpace(d[i]), strings.TrimSpace(c[i]))
				}
				out[DropMMA] = strings.TrimSpace(moves)
			}
		}
	case "max", "min":
		out[SwapMinMax] = rest(strings.Join(append([]string{map[string]string{"max": "min", "min": "max"}[parts[0]]}, parts[1:]...), "."))
	case "add", "sub":
		if last := parts[len(parts)-1]; last[0] == 'f' {
			out[SwapAddSub] = rest(strings.Join(append([]string{map[string]string{"add": "sub", "sub": "add"}[parts[0]]}, parts[1:]...), "."))
		}
	case "setp":
		next := map[string]string{"lt": "le", "le": "lt", "gt": "ge", "ge": "gt", "lo": "ls", "ls": "lo", "hi": "hs", "hs": "hi",
			"ltu": "leu", "leu": "ltu", "gtu": "geu", "geu": "gtu"}[parts[1]]
		if next != "" {
			out[Boundary] = rest(strings.Join(append([]string{parts[0], next}, parts[2:]...), "."))
		}
	}
	if guard != "" {
		g := strings.Replace(guard, "@!", "@", 1)
		if g == guard {
			g = strings.Replace(guard, "@", "@!", 1)
		}
		out[NegateGuard] = strings.TrimSpace(g + opcode + " " + operands)
		out[NegateGuard] += ";"
	}
	return out
}

// Sample picks at most n mutants of each kernel and kind, always the same ones, spread over the source.
func Sample(mutants []Mutant, n int) []Mutant {
	hash := func(m Mutant) uint64 {
		h := fnv.New64a()
		h.Write([]byte(m.ID()))
		return h.Sum64()
	}
	order := slices.Clone(mutants)
	slices.SortStableFunc(order, func(a, b Mutant) int {
		switch x, y := hash(a), hash(b); {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	count := map[string]int{}
	keep := map[string]bool{}
	for _, m := range order {
		if group := m.Kernel + "|" + string(m.Kind); count[group] < n {
			count[group]++
			keep[m.ID()] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(mutants), func(m Mutant) bool { return !keep[m.ID()] })
}
