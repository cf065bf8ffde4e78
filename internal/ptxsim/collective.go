package ptxsim

import "math/bits"

// Collectives of a warp: PTX ISA 9.7.8.4 (shfl), 9.7.13.9–9.7.13.12 (vote, match, activemask, redux).

func lowest(m uint32) int { return bits.TrailingZeros32(m) & 31 }

// checkMembers faults unless the lanes that execute are exactly those that the member mask names.
func (w *warp) checkMembers(in *instr, m uint32, members *lanes) {
	for r := m; r != 0; r &= r - 1 {
		l := bits.TrailingZeros32(r) & 31
		mask := uint32(members[l])
		switch named := mask & w.live(); {
		case mask>>l&1 == 0:
			w.fault(in, l, WrongMembers, "", 0, "the mask %08x does not name the lane that executes it", mask)
		case named&^m != 0:
			w.fault(in, l, DivergentCollective, "", 0, "the mask %08x names lanes %08x, which are on another path", mask, named&^m)
		case named != m && mask != uint32(members[lowest(m)]):
			w.fault(in, l, WrongMembers, "", 0, "lanes of one warp give the masks %08x and %08x", mask, uint32(members[lowest(m)]))
		}
	}
}

func buildShuffle(d *decoder) {
	d.need("sync")
	mode := d.need("up", "down", "bfly", "idx")
	t := d.typ("b32")
	ops := d.operands(5, 5)
	in := d.in
	result := ops[0]
	in.memory = -1
	if result.kind == operandPair {
		in.memory = d.write(result.list[1], types["pred"])
		result = result.list[0]
	}
	u := types["u32"]
	in.d, in.a, in.b, in.c, in.e = d.write(result, t), d.read(ops[1], t), d.read(ops[2], u), d.read(ops[3], u), d.read(ops[4], u)
	in.run = func(w *warp, in *instr, m uint32) { w.shuffle(in, m, mode) }
}

func (w *warp) shuffle(in *instr, m uint32, mode string) {
	w.checkMembers(in, m, w.source(in.e))
	a, b, c := w.source(in.a), w.source(in.b), w.source(in.c)
	var r lanes
	var p uint32
	for rest := m; rest != 0; rest &= rest - 1 {
		l := bits.TrailingZeros32(rest) & 31
		segment, clamp := int(c[l]>>8&31), int(c[l]&31)
		least := l & segment
		most := least | clamp&^segment
		n := int(b[l] & 31)
		from, in1 := l, false
		switch mode {
		case "up":
			from = l - n
			in1 = from >= most
		case "down":
			from = l + n
			in1 = from <= most
		case "bfly":
			from = l ^ n
			in1 = from <= most
		default:
			from = least | n&^segment
			in1 = from <= most
		}
		if !in1 {
			from = l
		} else {
			p |= 1 << l
		}
		if m>>from&1 == 0 {
			w.fault(in, l, WrongMembers, "", 0, "it reads lane %d, which does not take part (mask %08x)", from, m)
		}
		r[l] = a[from]
	}
	blend(&w.regs[in.d], &r, m)
	if in.memory >= 0 {
		w.preds[in.memory] = w.preds[in.memory]&^m | p&m
	}
}

func buildVote(d *decoder) {
	d.need("sync")
	mode := d.need("all", "any", "uni", "ballot")
	result := d.typ("pred", "b32")
	if (mode == "ballot") != (result.bits == 32) {
		d.fail("ballot gives .b32, the others .pred")
	}
	ops := d.operands(3, 3)
	in := d.in
	in.d = d.write(ops[0], result)
	var not uint32
	in.a, not = d.predicate(ops[1])
	in.b = d.read(ops[2], types["u32"])
	in.run = func(w *warp, in *instr, m uint32) {
		w.checkMembers(in, m, w.source(in.b))
		p := (w.preds[in.a] ^ not) & m
		yes := false
		switch mode {
		case "ballot":
			for r := m; r != 0; r &= r - 1 {
				w.regs[in.d][lowest(r)] = uint64(p)
			}
			return
		case "all":
			yes = p == m
		case "any":
			yes = p != 0
		default:
			yes = p == m || p == 0
		}
		w.preds[in.d] &^= m
		if yes {
			w.preds[in.d] |= m
		}
	}
}

func buildMatch(d *decoder) {
	mode := d.need("any", "all")
	d.need("sync")
	t := d.typ("b32", "b64")
	ops := d.operands(3, 3)
	in := d.in
	result := ops[0]
	in.e = -1
	if result.kind == operandPair {
		in.e = d.write(result.list[1], types["pred"])
		result = result.list[0]
	}
	in.d, in.a, in.b = d.write(result, types["b32"]), d.read(ops[1], t), d.read(ops[2], types["u32"])
	mask := ^uint64(0) >> (64 - t.bits)
	in.run = func(w *warp, in *instr, m uint32) {
		w.checkMembers(in, m, w.source(in.b))
		a := *w.source(in.a)
		all := true
		for r := m; r != 0; r &= r - 1 {
			l := lowest(r)
			same := uint32(0)
			for q := m; q != 0; q &= q - 1 {
				if a[lowest(q)]&mask == a[l]&mask {
					same |= q & -q
				}
			}
			all = all && same == m
			w.regs[in.d][l] = uint64(same)
		}
		if mode == "all" {
			for r := m; r != 0; r &= r - 1 {
				if !all {
					w.regs[in.d][lowest(r)] = 0
				}
			}
			if in.e >= 0 {
				w.preds[in.e] &^= m
				if all {
					w.preds[in.e] |= m
				}
			}
		}
	}
}

func buildRedux(d *decoder) {
	d.need("sync")
	op := d.need("add", "min", "max", "and", "or", "xor")
	t := d.typ("u32", "s32", "b32")
	if (t.kind == 'b') != (op == "and" || op == "or" || op == "xor") {
		d.fail("add, min and max work on .u32 and .s32, the others on .b32")
	}
	ops := d.operands(3, 3)
	in := d.in
	in.d, in.a, in.b = d.write(ops[0], t), d.read(ops[1], t), d.read(ops[2], types["u32"])
	f := integerOperation(op, t)
	in.run = func(w *warp, in *instr, m uint32) {
		w.checkMembers(in, m, w.source(in.b))
		a := w.source(in.a)
		r := a[lowest(m)]
		for q := m & (m - 1); q != 0; q &= q - 1 {
			r = f(r, a[lowest(q)])
		}
		for q := m; q != 0; q &= q - 1 {
			w.regs[in.d][lowest(q)] = r
		}
	}
}

func buildActiveMask(d *decoder) {
	t := d.typ("b32")
	d.in.d = d.write(d.operands(1, 1)[0], t)
	d.in.run = func(w *warp, in *instr, m uint32) {
		for r := m; r != 0; r &= r - 1 {
			w.regs[in.d][lowest(r)] = uint64(m)
		}
	}
}
