package ptxsim

import "math/bits"

// Atomic operations on integers: PTX ISA 9.7.13.5 (atom) and 9.7.13.6 (red). Sums of floats depend on the order of
// threads, so they are not modelled: a kernel that uses them is refused.

// integerOperation returns what atom and redux do to the old value a and the operand b.
func integerOperation(op string, t typ) func(a, b uint64) uint64 {
	ext := extend(t)
	signed := t.signed()
	switch op {
	case "add":
		return func(a, b uint64) uint64 { return a + b }
	case "and":
		return func(a, b uint64) uint64 { return a & b }
	case "or":
		return func(a, b uint64) uint64 { return a | b }
	case "xor":
		return func(a, b uint64) uint64 { return a ^ b }
	case "exch":
		return func(_, b uint64) uint64 { return b }
	case "inc":
		return func(a, b uint64) uint64 {
			if uint32(a) >= uint32(b) {
				return 0
			}
			return a + 1
		}
	case "dec":
		return func(a, b uint64) uint64 {
			if uint32(a) == 0 || uint32(a) > uint32(b) {
				return b
			}
			return a - 1
		}
	}
	least := op == "min"
	return func(a, b uint64) uint64 {
		less := ext(a) < ext(b)
		if signed {
			less = int64(ext(a)) < int64(ext(b))
		}
		if less == least {
			return a
		}
		return b
	}
}

func buildAtomic(d *decoder) {
	returns := d.statement.opcode == "atom"
	t := d.typ("b16", "b32", "b64", "u32", "u64", "s32", "s64")
	d.takeOne("relaxed", "acquire", "release", "acq_rel")
	d.takeOne("cta", "gpu", "sys")
	space := d.takeOne("global", "shared", "shared::cta")
	op := d.need("add", "min", "max", "and", "or", "xor", "exch", "cas", "inc", "dec")
	bitwise := op == "and" || op == "or" || op == "xor" || op == "exch" || op == "cas"
	if bitwise != (t.kind == 'b') && !(bitwise && t.kind == 'u') || (op == "inc" || op == "dec") && !t.is("u32") ||
		t.bits == 16 && op != "cas" || !returns && (op == "exch" || op == "cas") {
		d.fail("this operation does not fit the type")
	}
	n := 2
	if op == "cas" {
		n = 3
	}
	in := d.in
	if returns {
		ops := d.operands(n+1, n+1)
		in.d = d.write(ops[0], t)
		d.atomicSources(ops[1:], t)
	} else {
		d.operands(n, n)
		in.d = -1
		d.atomicSources(d.statement.operands, t)
	}
	in.size, in.count = uint8(t.bytes()), 1
	d.remember()
	var f func(a, b uint64) uint64
	if op != "cas" {
		f = integerOperation(op, t)
	}
	in.run = func(w *warp, in *instr, m uint32) {
		if space == "" {
			w.generic(in, m, func(in *instr, m uint32, space string) { w.atomic(in, m, f, space) })
			return
		}
		w.atomic(in, m, f, space)
	}
}

func (d *decoder) atomicSources(ops []operand, t typ) {
	in := d.in
	in.a = d.address(ops[0])
	in.b = d.read(ops[1], t)
	if len(ops) == 3 {
		in.c = d.read(ops[2], t)
	}
}

// atomic does the lanes of m in their order; f is nil for compare-and-swap.
func (w *warp) atomic(in *instr, m uint32, f func(a, b uint64) uint64, space string) {
	b := w.block
	size := int(in.size)
	mask := ^uint64(0) >> (64 - 8*size)
	switch space {
	case "local":
		w.fault(in, lowest(m), BadOperand, "local", w.address(in, lowest(m)), "an atomic operation on local memory")
	case "global", "":
		n := w.sectors(in, m, size)
		b.stats.GlobalLoadBytes += n
		b.stats.GlobalStoreBytes += n
		b.stats.GlobalAtomics += int64(bits.OnesCount32(m))
	default:
		w.countBanks(in, m, size)
	}
	x, y := *w.source(in.b), lanes{}
	if f == nil {
		y = *w.source(in.c)
	}
	var old lanes
	one := func(l int, data []byte) {
		old[l] = load(data, in.size)
		v := y[l]
		switch {
		case f != nil:
			v = f(old[l], x[l])
		case old[l] != x[l]&mask:
			return
		}
		store(data, in.size, v)
	}
	for r := m; r != 0; r &= r - 1 {
		l := lowest(r)
		addr := w.address(in, l)
		if space == "global" || space == "" {
			a, off := w.global(in, l, addr, size, accessAtomic)
			b.device.atomics.Lock()
			one(l, a.data[off:off+size])
			b.device.atomics.Unlock()
			continue
		}
		at := w.sharedBytes(in, l, addr, size)
		w.writeShared(in, l, at, size, atomicWrite)
		one(l, b.shared.data[at:at+size])
	}
	if in.d >= 0 {
		blend(&w.regs[in.d], &old, m)
	}
}
