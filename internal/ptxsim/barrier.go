package ptxsim

import "math/bits"

// Barriers: PTX ISA 9.7.13.1 (bar, barrier) and 9.7.13.2 (bar.warp.sync).

func buildBarrier(d *decoder) {
	aligned := d.statement.opcode == "bar"
	in := d.in
	if d.take("warp") {
		d.need("sync")
		ops := d.operands(1, 1)
		in.a = d.read(ops[0], types["b32"])
		in.run = warpBarrier
		return
	}
	d.take("cta")
	arrive := d.need("sync", "arrive") == "arrive"
	if d.take("aligned") {
		aligned = true
	}
	in.kind = kindBarrier
	in.unconverged = !aligned
	ops := d.operands(1, 2)
	in.a = d.read(ops[0], types["u32"])
	if len(ops) == 2 {
		in.b = d.read(ops[1], types["u32"])
	} else {
		if arrive {
			d.fail("arrive needs a count of threads")
		}
		in.b = d.constant(0)
	}
	if arrive {
		in.e = 1
	}
}

func buildFence(d *decoder) {
	d.operands(0, 0)
	d.takeOne("sc", "acq_rel", "proxy")
	d.need("gl", "cta", "sys", "gpu", "cluster")
	d.in.run = func(*warp, *instr, uint32) {} // memory is sequentially consistent here
}

func buildNanosleep(d *decoder) {
	d.typ("u32")
	d.operands(1, 1)
	d.in.run = func(*warp, *instr, uint32) {}
}

// warpBarrier orders the memory accesses of the lanes it names.
func warpBarrier(w *warp, in *instr, m uint32) {
	w.checkMembers(in, m, w.source(in.a))
	w.block.stamp++
	w.order[w.index] = w.block.stamp
}

// arrive brings the lanes of m to a barrier and says whether the warp has to wait.
func (w *warp) arrive(in *instr, m uint32) bool {
	lane := bits.TrailingZeros32(m)
	id, count := w.source(in.a), w.source(in.b)
	for r := m; r != 0; r &= r - 1 {
		l := bits.TrailingZeros32(r)
		if id[l]&0xffffffff != id[lane]&0xffffffff || uint32(count[l]) != uint32(count[lane]) {
			w.fault(in, l, BadOperand, "", 0, "the lanes of a warp name different barriers")
		}
	}
	n, expect := uint32(id[lane]), int(uint32(count[lane]))
	switch {
	case n > 15:
		w.fault(in, lane, BadOperand, "", 0, "barrier %d; there are 16", n)
	case expect%32 != 0:
		w.fault(in, lane, BadOperand, "", 0, "a barrier for %d threads: not a multiple of 32", expect)
	case m != w.all && in.unconverged:
		w.fault(in, lane, DivergentBarrier, "", 0, "lanes %08x of %08x arrive; a barrier that part of a warp reaches is not modelled", m, w.all)
	case m != w.all && w.exited != 0:
		gone := bits.TrailingZeros32(w.exited)
		w.fault(in, lane, DivergentBarrier, "", 0, "lanes %08x of %08x arrive; thread %v, for one, has ended", m, w.all, w.block.thread(w.first+gone))
	case m != w.all:
		away := bits.TrailingZeros32(w.all &^ m)
		w.fault(in, lane, DivergentBarrier, "", 0, "lanes %08x of %08x arrive; thread %v, for one, is on another path", m, w.all, w.block.thread(w.first+away))
	}
	b := w.block
	bar := &b.barriers[n]
	if bar.arrived == 0 {
		bar.expect = expect
	} else if bar.expect != expect {
		w.fault(in, lane, BadOperand, "", 0, "barrier %d is used for %d and for %d threads at once", n, bar.expect, expect)
	}
	bar.arrived += 32 // a partial warp counts as a whole one
	bar.warps |= 1 << w.index
	if in.e == 0 {
		w.state, w.barrier, w.expect, w.arrivedAt = waiting, n, expect, in
		bar.waiting |= 1 << w.index
	}
	need := expect
	if need == 0 {
		need = 32 * len(b.warps)
	}
	if bar.arrived >= need {
		b.complete(bar)
		return false
	}
	return in.e == 0
}

// A barrierState is one of a block's 16 barriers.
type barrierState struct {
	arrived, expect int
	warps, waiting  uint32
}

// complete lets the waiting warps go; everything that the warps who came did before happened before what the
// waiting ones do now.
func (b *block) complete(bar *barrierState) {
	b.stats.Barriers++
	b.stamp++
	var order [32]uint32
	for m := bar.warps; m != 0; m &= m - 1 {
		i := bits.TrailingZeros32(m)
		for j, s := range b.warps[i].order {
			order[j] = max(order[j], s)
		}
	}
	for m := bar.warps; m != 0; m &= m - 1 {
		order[bits.TrailingZeros32(m)] = b.stamp
	}
	for m := bar.waiting; m != 0; m &= m - 1 {
		w := b.warps[bits.TrailingZeros32(m)]
		w.order = order
		w.state = running
	}
	*bar = barrierState{}
}
