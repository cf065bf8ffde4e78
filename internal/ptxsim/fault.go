package ptxsim

import (
	"fmt"
	"strings"
)

// A Rule is what a Fault says was broken.
type Rule string

const (
	OutOfBounds         Rule = "out of bounds"
	Misaligned          Rule = "misaligned address"
	UseAfterFree        Rule = "use after free"
	Uninitialised       Rule = "read of uninitialised memory"
	SharedRace          Rule = "race in shared memory"
	BlockRace           Rule = "blocks conflict in global memory"
	ReadOnly            Rule = "write to read-only memory"
	AsyncInFlight       Rule = "access to the target of a cp.async in flight"
	AsyncNotWaited      Rule = "thread ends with a cp.async in flight"
	DivergentCollective Rule = "collective in divergent code"
	WrongMembers        Rule = "collective with the wrong member mask"
	DivergentBarrier    Rule = "barrier in divergent code"
	Deadlock            Rule = "deadlock at a barrier"
	EndlessLoop         Rule = "endless loop"
	BadLaunch           Rule = "bad launch"
	BadOperand          Rule = "bad operand"
	Trap                Rule = "trap"
)

// A Fault is a broken rule: the launch has ended, and what it wrote is undefined.
type Fault struct {
	Rule    Rule
	Kernel  string
	Line    int    // of the PTX source
	Text    string // of the instruction
	Block   [3]int
	Thread  [3]int // the lowest that broke the rule
	Space   string // of Address: "global", "shared", "param", "local"; "" without one
	Address uint64
	Detail  string
	Other   *Party // whom the thread conflicted with, if it was a race
}

// A Party is the other side of a race.
type Party struct {
	Block  [3]int
	Thread [3]int // if the line is known
	Line   int    // 0: not known, as for other blocks
	Text   string // the instruction
	Action string // "wrote", "read", "copies into"
}

func (f *Fault) Error() string {
	var s strings.Builder
	fmt.Fprintf(&s, "ptxsim: kernel %s: %s", f.Kernel, f.Rule)
	if f.Space != "" {
		fmt.Fprintf(&s, " at %s address %#x", f.Space, f.Address)
	}
	if f.Line > 0 {
		fmt.Fprintf(&s, "\n  line %d: %s", f.Line, f.Text)
		fmt.Fprintf(&s, "\n  by thread %v of block %v", f.Thread, f.Block)
	}
	if f.Detail != "" {
		fmt.Fprintf(&s, "\n  %s", f.Detail)
	}
	if o := f.Other; o != nil {
		if o.Line > 0 {
			fmt.Fprintf(&s, "\n  thread %v of block %v %s it on line %d: %s", o.Thread, o.Block, o.Action, o.Line, o.Text)
		} else {
			fmt.Fprintf(&s, "\n  block %v %s it", o.Block, o.Action)
		}
	}
	return s.String()
}

// fault ends the launch; the block's runner recovers it.
func (w *warp) fault(in *instr, lane int, rule Rule, space string, address uint64, format string, args ...any) {
	w.raise(in, lane, rule, space, address, nil, format, args...)
}

func (w *warp) raise(in *instr, lane int, rule Rule, space string, address uint64, other *Party, format string, args ...any) {
	panic(&Fault{
		Rule: rule, Kernel: w.block.kernel.Name, Line: in.line, Text: in.text,
		Block: w.block.id, Thread: w.block.thread(w.first + lane),
		Space: space, Address: address, Detail: fmt.Sprintf(format, args...), Other: other,
	})
}
