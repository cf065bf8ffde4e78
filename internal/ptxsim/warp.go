package ptxsim

import "math/bits"

// A warp is 32 threads with one program counter each, kept as a stack of groups that wait to meet again.
type warp struct {
	block  *block
	consts []lanes
	regs   []lanes
	preds  []uint32
	stack  []group
	first  int    // linear index of lane 0's thread in the block
	index  int    // within the block
	all    uint32 // lanes that have a thread
	exited uint32
	local  []byte // 32 threads' .local memory, thread by thread
	async  asyncState
	loaded [4]lanes // what a load has read, before it goes to registers

	state       warpState
	barrier     uint32 // that it waits at
	expect      int    // threads that the barrier waits for, 0: the whole block
	arrivedAt   *instr
	instruction int64 // how many it has executed

	// order[u] is the stamp up to which warp u's accesses happened before what this warp does now.
	order [32]uint32
}

type warpState uint8

const (
	running warpState = iota
	waiting
	finished
)

// A group is lanes that run together until they come to the instruction where others wait for them.
type group struct {
	pc         int32
	reconverge int32 // -1: at the end
	mask       uint32
}

func (w *warp) source(i int32) *lanes {
	if i >= 0 {
		return &w.regs[i]
	}
	return &w.consts[^i]
}

func (w *warp) live() uint32 { return w.all &^ w.exited }

// timeSlice lets the other warps of a block go on, so that one that polls memory does not starve them.
const timeSlice = 1 << 16

// run executes the warp until it waits at a barrier, ends, or has used its slice.
func (w *warp) run() {
	code := w.block.kernel.code
	limit := min(w.instruction+timeSlice, w.block.device.maxInstructions) // barriers cut slices short
	for {
		top := &w.stack[len(w.stack)-1]
		top.mask &^= w.exited
		if top.mask == 0 || top.pc == top.reconverge {
			w.stack = w.stack[:len(w.stack)-1]
			if len(w.stack) == 0 {
				w.state = finished
				return
			}
			continue
		}
		if w.instruction >= limit {
			if w.instruction >= w.block.device.maxInstructions {
				w.fault(&code[top.pc], bits.TrailingZeros32(top.mask), EndlessLoop, "", 0,
					"the warp has executed %d instructions", w.instruction)
			}
			return
		}
		mask, pc, reconverge := top.mask, top.pc, top.reconverge
		start := w.instruction
		var in *instr
		var m uint32
		for {
			in = &code[pc]
			m = mask
			if in.guard >= 0 {
				m &= w.preds[in.guard] ^ in.guardNot
			}
			w.instruction++
			if in.kind != kindPlain {
				break
			}
			if m != 0 {
				in.run(w, in, m)
			}
			pc++
			if pc == reconverge {
				break
			}
		}
		w.block.stats.WarpInstructions += w.instruction - start
		top.pc = pc
		if pc == reconverge {
			continue
		}
		switch in.kind {
		case kindBranch:
			w.branch(in, mask, m)
		case kindBranchIndexed:
			w.branchIndexed(in, mask, m)
		case kindExit:
			if m != 0 {
				w.exit(in, m)
			}
			top.pc++
		case kindBarrier:
			top.pc++
			if m != 0 && w.arrive(in, m) {
				return
			}
		}
	}
}

// branch moves the lanes of taken to the target and the others to the next instruction (ISA 9.7.12.1).
func (w *warp) branch(in *instr, mask, taken uint32) {
	top := &w.stack[len(w.stack)-1]
	if in.guard >= 0 {
		w.block.stats.Branches++
	}
	switch taken {
	case mask:
		top.pc = in.target
		return
	case 0:
		top.pc++
		return
	}
	w.block.stats.DivergentBranches++
	next := top.pc + 1
	w.split(in)
	w.push(group{next, in.reconverge, mask &^ taken})
	w.push(group{in.target, in.reconverge, taken})
}

// split makes the top group wait where a divergent branch's lanes meet again.
func (w *warp) split(in *instr) {
	top := &w.stack[len(w.stack)-1]
	if in.reconverge < 0 || in.reconverge == top.reconverge {
		// Nothing is left to do for it between there and its own meeting point.
		w.stack = w.stack[:len(w.stack)-1]
		return
	}
	top.pc = in.reconverge
}

func (w *warp) push(g group) {
	if g.mask != 0 && g.pc != g.reconverge {
		w.stack = append(w.stack, g)
	}
}

func (w *warp) branchIndexed(in *instr, mask, taken uint32) {
	top := &w.stack[len(w.stack)-1]
	w.block.stats.Branches++
	index := w.source(in.a)
	next := top.pc + 1
	var masks [32]uint32
	var targets [32]int32
	n := 0
	add := func(pc int32, lane uint32) {
		for i := range n {
			if targets[i] == pc {
				masks[i] |= lane
				return
			}
		}
		targets[n], masks[n] = pc, lane
		n++
	}
	for m := mask; m != 0; m &= m - 1 {
		l := bits.TrailingZeros32(m)
		if taken>>l&1 == 0 {
			add(next, 1<<l)
			continue
		}
		i := uint32(index[l])
		if int(i) >= len(in.list) {
			w.fault(in, l, BadOperand, "", 0, "index %d of %d targets", i, len(in.list))
		}
		add(in.list[i], 1<<l)
	}
	if n == 1 {
		top.pc = targets[0]
		return
	}
	w.block.stats.DivergentBranches++
	w.split(in)
	for i := n - 1; i >= 0; i-- {
		w.push(group{targets[i], in.reconverge, masks[i]})
	}
}

func (w *warp) exit(in *instr, m uint32) {
	w.async.checkExit(w, in, m)
	w.exited |= m
}

func buildBranch(d *decoder) {
	d.take("uni")
	ops := d.operands(1, 1)
	d.in.kind = kindBranch
	d.in.target = d.label(ops[0])
}

// label finds the code index of a label, from the innermost scope outwards.
func (d *decoder) label(o operand) int32 {
	if o.kind != operandSymbol {
		d.fail("expected a label")
	}
	for s := d.statement.scope; s != nil; s = s.parent {
		if i, ok := d.function.labels[labelKey{s, o.name}]; ok {
			return int32(i)
		}
	}
	d.fail("the label " + o.name + " is not defined")
	return 0
}

func buildBranchIndexed(d *decoder) {
	d.need("idx")
	d.take("uni")
	ops := d.operands(2, 2)
	d.in.kind = kindBranchIndexed
	d.in.a = d.read(ops[0], types["u32"])
	targets := d.statement.scope.table(ops[1].name)
	if targets == nil {
		d.fail("the list of branch targets is not declared")
	}
	for _, name := range targets {
		d.in.list = append(d.in.list, d.label(operand{kind: operandSymbol, name: name}))
	}
}

func buildExit(d *decoder) {
	d.take("uni")
	d.operands(0, 0)
	d.in.kind = kindExit
}

func buildTrap(d *decoder) {
	d.operands(0, 0)
	d.in.run = func(w *warp, in *instr, m uint32) {
		w.fault(in, bits.TrailingZeros32(m), Trap, "", 0, "the kernel gave up by itself")
	}
}
