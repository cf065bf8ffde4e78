package ptxsim

import (
	"math/bits"
	"slices"
)

// allocateRegisters gives virtual registers that are never alive together the same slot. Compilers write PTX with a
// register for each value: thousands, of which some dozens are alive at once, and a warp's slots should stay in cache.
//
// Liveness is the usual backward data flow over instructions in blocks. A slot holds a register from the first to the
// last instruction where it is alive or written; each lane has its own value and follows one path, so divergence
// changes nothing.
func (d *decoder) allocateRegisters() {
	body := d.function.body
	n := len(body)
	var registers []*register
	index := map[*register]int{}
	number := func(r *register) int {
		i, ok := index[r]
		if !ok {
			i = len(registers)
			index[r] = i
			registers = append(registers, r)
		}
		return i
	}
	type effect struct {
		uses, defs []int
		kills      bool
	}
	effects := make([]effect, n)
	for i := range body {
		s := &body[i]
		e := &effects[i]
		e.kills = s.guard == nil
		for j, o := range s.operands {
			list := &e.uses
			if j == 0 && !withoutResult[s.opcode] {
				list = &e.defs
			}
			eachRegister(o, func(r *register) {
				if r.typ.kind != 'p' {
					*list = append(*list, number(r))
				}
			})
		}
	}
	// Blocks begin at labels and after branches.
	leader := make([]bool, n+1)
	leader[0], leader[n] = true, true
	for _, i := range d.function.labels {
		leader[i] = true
	}
	for i := range body {
		if transfers[body[i].opcode] {
			leader[i+1] = true
		}
	}
	var starts []int
	blockAt := make([]int, n+1)
	for i := 0; i <= n; i++ {
		if leader[i] {
			starts = append(starts, i)
		}
		blockAt[i] = len(starts) - 1
	}
	words := (len(registers) + 63) / 64
	live := make([][]uint64, len(starts)) // at the begin of each block
	for i := range live {
		live[i] = make([]uint64, words)
	}
	state := make([]uint64, words)
	first, last := make([]int, len(registers)), make([]int, len(registers))
	for i := range first {
		first[i], last[i] = n, -1
	}
	// flow walks a block backwards from what its successors need; the last round notes the ranges.
	flow := func(b int, note bool) {
		clear(state)
		end := starts[b+1] - 1
		for _, s := range d.successors(end) {
			for w, x := range live[blockAt[s]] {
				state[w] |= x
			}
		}
		for i := end; i >= starts[b]; i-- {
			e := &effects[i]
			if note {
				for w, x := range state {
					for ; x != 0; x &= x - 1 {
						r := 64*w + bits.TrailingZeros64(x)
						first[r], last[r] = min(first[r], i), max(last[r], i)
					}
				}
				for _, r := range e.defs {
					first[r], last[r] = min(first[r], i), max(last[r], i)
				}
				for _, r := range e.uses {
					first[r], last[r] = min(first[r], i), max(last[r], i)
				}
			}
			if e.kills {
				for _, r := range e.defs {
					state[r/64] &^= 1 << (r % 64)
				}
			}
			for _, r := range e.uses {
				state[r/64] |= 1 << (r % 64)
			}
		}
	}
	for changed := true; changed; {
		changed = false
		for b := len(starts) - 2; b >= 0; b-- {
			flow(b, false)
			if !slices.Equal(state, live[b]) {
				copy(live[b], state)
				changed = true
			}
		}
	}
	for b := range len(starts) - 1 {
		flow(b, true)
	}
	// Linear scan.
	order := make([]int, len(registers))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		if first[a] != first[b] {
			return first[a] - first[b]
		}
		return a - b
	})
	var busyUntil []int // of each slot
	for _, r := range order {
		slot := slices.IndexFunc(busyUntil, func(until int) bool { return until < first[r] })
		if slot < 0 {
			slot = len(busyUntil)
			busyUntil = append(busyUntil, 0)
		}
		busyUntil[slot] = last[r]
		registers[r].slot = int32(slot)
	}
	d.kernel.regs = len(busyUntil)
}

// withoutResult lists opcodes whose first operand is a source.
var withoutResult = map[string]bool{"st": true, "red": true, "bra": true, "brx": true, "bar": true, "barrier": true,
	"cp": true, "prefetch": true, "prefetchu": true, "nanosleep": true}

// transfers lists opcodes after which the next instruction is not all that may follow.
var transfers = map[string]bool{"bra": true, "brx": true, "ret": true, "exit": true}

func eachRegister(o operand, f func(*register)) {
	if o.reg != nil {
		f(o.reg)
	}
	for _, e := range o.list {
		eachRegister(e, f)
	}
}

// successors lists the statements that may follow i; the one after the last is the end.
func (d *decoder) successors(i int) []int {
	s := &d.function.body[i]
	d.statement = s
	var out []int
	switch s.opcode {
	case "bra":
		out = append(out, int(d.label(d.operands(1, 1)[0])))
	case "brx":
		for _, name := range s.scope.table(d.operands(2, 2)[1].name) {
			out = append(out, int(d.label(operand{kind: operandSymbol, name: name})))
		}
	case "ret", "exit":
	default:
		return []int{i + 1}
	}
	if s.guard != nil {
		out = append(out, i+1)
	}
	return out
}
