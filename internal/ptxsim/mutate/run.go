package mutate

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// An Outcome is what became of a mutant.
type Outcome string

const (
	Caught     Outcome = "caught"
	Survived   Outcome = "survived"
	Equivalent Outcome = "equivalent" // it survived, as its argument says it must
	Refuted    Outcome = "refuted"    // it was caught, although an argument calls it equivalent
)

// A Result is a mutant and its outcome.
type Result struct {
	Mutant
	Outcome Outcome
	Reason  string // the check's error, or the argument
}

// A Report holds results in the order of the mutants.
type Report []Result

// Check runs tests on a mutated source. It returns nil if they pass, or the error by which the mutant was caught; it
// may be called from several goroutines. A check should bound the instructions of a warp
// (ptxsim.Config.MaxInstructions): mutants loop.
type Check func(source string) error

// Run hands every mutant to the check, on as many goroutines as workers says.
func Run(source string, mutants []Mutant, equivalents []Argument, workers int, check Check) (Report, error) {
	if err := check(source); err != nil {
		return nil, fmt.Errorf("the check fails on the source itself: %w", err)
	}
	arguments := map[string]string{}
	for _, e := range equivalents {
		arguments[e.ID] = e.Text
	}
	report := make(Report, len(mutants))
	next := make(chan int)
	var wait sync.WaitGroup
	for range max(1, workers) {
		wait.Go(func() {
			for i := range next {
				report[i] = judge(mutants[i], arguments, source, check)
			}
		})
	}
	for i := range mutants {
		next <- i
	}
	close(next)
	wait.Wait()
	return report, nil
}

func judge(m Mutant, arguments map[string]string, source string, check Check) Result {
	err := safely(check, m.Apply(source))
	argument, argued := arguments[m.ID()]
	switch {
	case err == nil && argued:
		return Result{m, Equivalent, argument}
	case err == nil:
		return Result{m, Survived, ""}
	case argued:
		return Result{m, Refuted, err.Error()}
	}
	return Result{m, Caught, err.Error()}
}

// safely takes a panic of the check, as test helpers raise them, as an error.
func safely(check Check, source string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return check(source)
}

// Count returns how many mutants had the outcome.
func (r Report) Count(o Outcome) int {
	n := 0
	for _, x := range r {
		if x.Outcome == o {
			n++
		}
	}
	return n
}

// Err is nil if nothing survived and no argument was refuted; else it lists what did.
func (r Report) Err() error {
	var s strings.Builder
	for _, x := range r {
		if x.Outcome == Survived || x.Outcome == Refuted {
			fmt.Fprintf(&s, "\n%s: line %d: %s", x.Outcome, x.Line, x.ID())
			if x.Reason != "" {
				fmt.Fprintf(&s, "\n\t%s", firstLine(x.Reason))
			}
		}
	}
	if s.Len() == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d mutants survived, %d arguments are refuted:%s", r.Count(Survived), len(r), r.Count(Refuted), s.String())
}

// String is a table of kinds and outcomes, then one line for each mutant.
func (r Report) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%-14s %8s %8s %10s %8s\n", "kind", "caught", "survived", "equivalent", "refuted")
	row := func(name string, part Report) {
		fmt.Fprintf(&s, "%-14s %8d %8d %10d %8d\n", name, part.Count(Caught), part.Count(Survived), part.Count(Equivalent), part.Count(Refuted))
	}
	for _, k := range Kinds {
		part := slices.DeleteFunc(slices.Clone(r), func(x Result) bool { return x.Kind != k })
		if len(part) > 0 {
			row(string(k), part)
		}
	}
	row("all", r)
	for _, x := range r {
		fmt.Fprintf(&s, "%s: line %d: %s", x.Outcome, x.Line, x.ID())
		if x.Reason != "" {
			fmt.Fprintf(&s, ": %s", firstLine(x.Reason))
		}
		s.WriteByte('\n')
	}
	return s.String()
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

// An Argument says why a mutant cannot be told from the original.
type Argument struct {
	ID   string // as Mutant.ID
	Text string
}

// ParseEquivalents reads a list of arguments:
//
//	# a comment
//	kernel | kind | instruction | ordinal
//	    why no test can tell it from the original
func ParseEquivalents(text string) ([]Argument, error) {
	var list []Argument
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "" || strings.HasPrefix(trimmed, "#"):
		case line[0] == ' ' || line[0] == '\t':
			if len(list) == 0 {
				return nil, fmt.Errorf("line %d: an argument without a mutant", i+1)
			}
			a := &list[len(list)-1]
			a.Text = strings.TrimSpace(a.Text + " " + trimmed)
		default:
			if strings.Count(trimmed, " | ") < 3 {
				return nil, fmt.Errorf("line %d: %q is not kernel | kind | instruction | ordinal", i+1, trimmed)
			}
			list = append(list, Argument{ID: trimmed})
		}
	}
	for _, a := range list {
		if a.Text == "" {
			return nil, fmt.Errorf("%q has no argument", a.ID)
		}
	}
	return list, nil
}
