package ptxsim

import "math/bits"

// Asynchronous copies from global to shared memory: PTX ISA 9.7.9.25.3 (cp.async). A copy reads its source when it is
// issued and arrives when its thread waits for its group, not before: the latest that the ISA allows.

// asyncState is a warp's copies that have not arrived.
type asyncState struct {
	copies    []asyncCopy
	committed [32]int // groups that each lane has closed
}

type asyncCopy struct {
	mask  uint32 // lanes whose part has not arrived
	size  int
	index int32
	group [32]int // of each lane; equal to committed[lane] while the group is open
	dst   [32]int
	data  [32][16]byte
}

func (s *asyncState) reset() {
	s.copies = s.copies[:0]
	s.committed = [32]int{}
}

func buildCopyAsync(d *decoder) {
	d.need("async")
	in := d.in
	switch d.takeOne("commit_group", "wait_group", "wait_all", "mbarrier", "bulk") {
	case "mbarrier", "bulk":
		d.fail("cp.async with mbarrier or bulk is not modelled")
	case "commit_group":
		d.operands(0, 0)
		in.run = func(w *warp, in *instr, m uint32) {
			for ; m != 0; m &= m - 1 {
				w.async.committed[bits.TrailingZeros32(m)&31]++
			}
		}
		return
	case "wait_group":
		n := int(d.immediate(d.operands(1, 1)[0]))
		in.run = func(w *warp, in *instr, m uint32) { w.async.wait(w, m, n) }
		return
	case "wait_all":
		d.operands(0, 0)
		in.run = func(w *warp, in *instr, m uint32) { w.async.wait(w, m, -1) }
		return
	}
	cg := d.need("ca", "cg") == "cg"
	d.takeOne("shared", "shared::cta")
	d.need("global")
	d.takeOne("L2::64B", "L2::128B", "L2::256B")
	ops := d.operands(3, 4)
	size := int(d.immediate(ops[2]))
	if size != 16 && (cg || size != 4 && size != 8) {
		d.fail("cp.async copies 4, 8 or 16 bytes with .ca and 16 with .cg")
	}
	in.size = uint8(size)
	in.a = d.address(ops[0])
	dst := d.in.offset
	var src int64
	in.b, src = d.addressOf(ops[1])
	in.c = d.constant(uint64(size))
	if len(ops) == 4 {
		if ops[3].kind == operandRegister && ops[3].reg.typ.kind == 'p' {
			d.fail("cp.async with a predicate is not modelled: give a source size")
		}
		in.c = d.read(ops[3], types["u32"])
	}
	in.offset = dst
	d.remember()
	in.run = func(w *warp, in *instr, m uint32) { w.issue(in, m, uint64(src)) }
}

func (w *warp) issue(in *instr, m uint32, srcOffset uint64) {
	b := w.block
	b.stats.AsyncCopies++
	size := int(in.size)
	w.countBanks(in, m, size)
	s := &w.async
	s.copies = append(s.copies, asyncCopy{mask: m, size: size, index: in.index})
	c := &s.copies[len(s.copies)-1]
	src, n := w.source(in.b), w.source(in.c)
	var seen [32]uint64
	sectors := 0
	for ; m != 0; m &= m - 1 {
		l := bits.TrailingZeros32(m) & 31
		dst := w.sharedBytes(in, l, w.address(in, l), size)
		addr, bytes := src[l]+srcOffset, int(uint32(n[l]))
		if bytes > size {
			w.fault(in, l, BadOperand, "", 0, "a source of %d bytes for a copy of %d", bytes, size)
		}
		if addr&uint64(size-1) != 0 {
			w.fault(in, l, Misaligned, "global", addr, "the source of a copy of %d bytes", size)
		}
		if bytes > 0 {
			var a *allocation
			var off int
			if bytes == size {
				a, off = w.global(in, l, addr, size, accessRead)
			} else {
				a, off = w.partial(in, l, addr, bytes)
			}
			copy(c.data[l][:bytes], a.data[off:])
			known := false
			for i := sectors - 1; i >= 0 && !known; i-- {
				known = seen[i] == addr>>5
			}
			if !known {
				seen[sectors] = addr >> 5
				sectors++
			}
		}
		w.writeShared(in, l, dst, size, asyncWrite)
		fill(b.shared.data[dst:dst+size], 0xff)
		c.dst[l], c.group[l] = dst, s.committed[l]
	}
	b.stats.GlobalLoadBytes += int64(sectors) * 32
}

// partial checks a source that is shorter than the copy, byte by byte.
func (w *warp) partial(in *instr, lane int, addr uint64, bytes int) (a *allocation, off int) {
	a, off = w.global(in, lane, addr, 1, accessRead)
	for i := 1; i < bytes; i++ {
		w.global(in, lane, addr+uint64(i), 1, accessRead)
	}
	return a, off
}

// wait lets arrive all but the latest n groups of the lanes of m; with n < 0, also what no group holds yet.
func (s *asyncState) wait(w *warp, m uint32, n int) {
	kept := s.copies[:0]
	sh := &w.block.shared
	for i := range s.copies {
		c := &s.copies[i]
		for r := c.mask & m; r != 0; r &= r - 1 {
			l := bits.TrailingZeros32(r) & 31
			if n >= 0 && c.group[l] >= s.committed[l]-n {
				continue
			}
			c.mask &^= 1 << l
			copy(sh.data[c.dst[l]:], c.data[l][:c.size])
			cells := sh.cells(c.dst[l], c.size)
			for j := range cells {
				cells[j].pending = 0
				cells[j].writeStamp = w.block.stamp
			}
		}
		if c.mask != 0 {
			kept = append(kept, *c)
		}
	}
	s.copies = kept
}

// checkExit faults if a lane that ends has copies that it never waited for.
func (s *asyncState) checkExit(w *warp, in *instr, m uint32) {
	for i := range s.copies {
		if c := &s.copies[i]; c.mask&m != 0 {
			l := bits.TrailingZeros32(c.mask & m)
			o := &w.block.kernel.code[c.index]
			w.raise(in, l, AsyncNotWaited, "shared", uint64(c.dst[l]), nil,
				"issued on line %d: %s", o.line, o.text)
		}
	}
}
