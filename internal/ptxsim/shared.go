package ptxsim

import (
	"math/bits"
	"slices"
)

// Shared memory and the detection of races in it. Two accesses to the same byte, one of them a write, by different
// threads race unless a barrier lies between: bar.sync for threads of different warps, that or bar.warp.sync for
// lanes of one warp (PTX ISA 8, the memory model; lanes of a warp have no order of their own since Volta).
//
// Every region of 256 bytes has cells, one for each granule: 16 bytes at first, split as soon as an access is finer.

const (
	regionBytes = 256
	manyThreads = 0xffff
)

type sharedMemory struct {
	data            []byte
	static, dynamic int
	regions         []region
}

type region struct {
	shift uint8
	dirty bool
	cells []cell
}

// A cell remembers the last write and the reads since. Threads are linear indices plus one; a stamp says how many
// barriers of the block had completed.
type cell struct {
	writer, reader        uint16
	pending               uint16 // thread whose cp.async is on its way here
	atomic                bool   // the last write was atomic
	writeStamp, readStamp uint32
	readWarps             uint32
	writeIndex, readIndex int32 // instructions
}

func (s *sharedMemory) resize(n, static, dynamic int) {
	s.static, s.dynamic = static, dynamic
	if cap(s.data) < n {
		s.data = make([]byte, n)
	}
	s.data = s.data[:n]
	for r := (n + regionBytes - 1) / regionBytes; len(s.regions) < r; {
		s.regions = append(s.regions, region{shift: coarsest, cells: make([]cell, regionBytes>>coarsest)})
	}
}

func (s *sharedMemory) reset() {
	for i := range s.regions {
		if r := &s.regions[i]; r.dirty {
			clear(r.cells)
			r.dirty = false
		}
	}
}

// cells returns those of n aligned bytes, which lie in one region.
func (s *sharedMemory) cells(addr, n int) []cell {
	r := &s.regions[addr/regionBytes]
	r.dirty = true
	off := addr % regionBytes
	for (off|n)&(1<<r.shift-1) != 0 {
		r.shift--
		finer := make([]cell, 2*len(r.cells))
		for i, c := range r.cells {
			finer[2*i], finer[2*i+1] = c, c
		}
		r.cells = finer
	}
	return r.cells[off>>r.shift : (off+n)>>r.shift]
}

// sharedBytes checks bounds and alignment of n bytes, a power of two.
func (w *warp) sharedBytes(in *instr, lane int, addr uint64, n int) int {
	s := &w.block.shared
	if addr > uint64(len(s.data)) || n > len(s.data)-int(addr) {
		w.fault(in, lane, OutOfBounds, "shared", addr, "%d bytes; the block has %d (%d static, %d dynamic)", n, len(s.data), s.static, s.dynamic)
	}
	if addr&uint64(n-1) != 0 {
		w.fault(in, lane, Misaligned, "shared", addr, "an access of %d bytes", n)
	}
	return int(addr)
}

// ordered says whether what the thread did at the stamp happened before what w does now.
func (w *warp) ordered(thread uint16, stamp uint32) bool {
	return stamp < w.order[(thread-1)>>5]
}

func (w *warp) readShared(in *instr, lane, addr, n int) {
	b := w.block
	me := uint16(w.first + lane + 1)
	cells := b.shared.cells(addr, n)
	for i := range cells {
		c := &cells[i]
		if c.pending != 0 {
			w.inFlight(in, lane, addr, c, "reads")
		}
		if c.writer == 0 {
			w.fault(in, lane, Uninitialised, "shared", uint64(addr+i*n/len(cells)), "no thread of the block has written it")
		}
		if c.writer != me && !w.ordered(c.writer, c.writeStamp) {
			w.sharedRace(in, lane, addr, c.writer, c.writeIndex, "wrote", "reads")
		}
		c.noteRead(w, me, in.index)
	}
}

// noteRead adds a reader. Reads that happened before are forgotten, since every write that conflicts with them and
// not with this one is ordered after them.
func (c *cell) noteRead(w *warp, me uint16, index int32) {
	own := uint32(1) << w.index
	switch {
	case c.readWarps&^own == 0:
		if c.readWarps == 0 || c.readStamp < w.order[w.index] || c.reader == me {
			c.reader = me
		} else {
			c.reader = manyThreads
		}
		c.readWarps = own
	case w.allOrdered(c.readWarps, c.readStamp):
		c.reader, c.readWarps = me, own
	default:
		if c.reader != me {
			c.reader = manyThreads
		}
		c.readWarps |= own
	}
	c.readStamp, c.readIndex = w.block.stamp, index
}

func (w *warp) allOrdered(warps, stamp uint32) bool {
	for ; warps != 0; warps &= warps - 1 {
		if stamp >= w.order[bits.TrailingZeros32(warps)] {
			return false
		}
	}
	return true
}

type sharedWrite uint8

const (
	plainWrite sharedWrite = iota
	atomicWrite
	asyncWrite // issued: the bytes arrive later
)

func (w *warp) writeShared(in *instr, lane, addr, n int, kind sharedWrite) {
	b := w.block
	me := uint16(w.first + lane + 1)
	cells := b.shared.cells(addr, n)
	for i := range cells {
		c := &cells[i]
		if c.pending != 0 {
			w.inFlight(in, lane, addr, c, "writes")
		}
		if c.writer != 0 && c.writer != me && !(c.atomic && kind == atomicWrite) && !w.ordered(c.writer, c.writeStamp) {
			w.sharedRace(in, lane, addr, c.writer, c.writeIndex, "wrote", "writes")
		}
		w.checkReaders(in, lane, addr, c, me)
		if kind == atomicWrite && c.writer == 0 {
			w.fault(in, lane, Uninitialised, "shared", uint64(addr), "no thread of the block has written it")
		}
		c.writer, c.writeStamp, c.writeIndex = me, b.stamp, in.index
		c.atomic = kind == atomicWrite
		c.readWarps = 0
		if kind == asyncWrite {
			c.pending = me
		}
	}
}

// checkReaders faults if a read since the last write is not ordered before a write by me.
func (w *warp) checkReaders(in *instr, lane, addr int, c *cell, me uint16) {
	if c.readWarps == 0 || c.reader == me {
		return
	}
	if c.reader != manyThreads {
		if !w.ordered(c.reader, c.readStamp) {
			w.sharedRace(in, lane, addr, c.reader, c.readIndex, "read", "writes")
		}
		return
	}
	for m := c.readWarps; m != 0; m &= m - 1 {
		u := bits.TrailingZeros32(m)
		if c.readStamp >= w.order[u] {
			first := uint16(32*u + 1)
			if u == w.index && first == me {
				first++
			}
			w.sharedRace(in, lane, addr, first, c.readIndex, "(for one) read", "writes")
		}
	}
}

func (w *warp) sharedRace(in *instr, lane, addr int, other uint16, index int32, action, verb string) {
	b := w.block
	o := &b.kernel.code[index]
	need := "bar.sync"
	if int(other-1)>>5 == w.index {
		need = "bar.warp.sync or bar.sync"
	}
	w.raise(in, lane, SharedRace, "shared", uint64(addr),
		&Party{Block: b.id, Thread: b.thread(int(other) - 1), Line: o.line, Text: o.text, Action: action},
		"this thread %s it, and there is no %s between the two", verb, need)
}

func (w *warp) inFlight(in *instr, lane, addr int, c *cell, verb string) {
	b := w.block
	o := &b.kernel.code[c.writeIndex]
	w.raise(in, lane, AsyncInFlight, "shared", uint64(addr),
		&Party{Block: b.id, Thread: b.thread(int(c.pending) - 1), Line: o.line, Text: o.text, Action: "copies into"},
		"this thread %s it, and the copy has not been waited for by the thread that issued it", verb)
}

func (w *warp) loadShared(in *instr, m uint32, out *[4]lanes) {
	s := &w.block.shared
	n := int(in.size) * int(in.count)
	w.countBanks(in, m, n)
	for ; m != 0; m &= m - 1 {
		l := bits.TrailingZeros32(m) & 31
		addr := w.sharedBytes(in, l, w.address(in, l), n)
		w.readShared(in, l, addr, n)
		for i := range int(in.count) {
			out[i][l] = load(s.data[addr+i*int(in.size):], in.size)
		}
	}
}

func (w *warp) storeShared(in *instr, m uint32) {
	s := &w.block.shared
	n := int(in.size) * int(in.count)
	w.countBanks(in, m, n)
	for ; m != 0; m &= m - 1 {
		l := bits.TrailingZeros32(m) & 31
		addr := w.sharedBytes(in, l, w.address(in, l), n)
		w.writeShared(in, l, addr, n, plainWrite)
		for i, r := range in.list {
			store(s.data[addr+i*int(in.size):], in.size, w.source(r)[l])
		}
	}
}

// countBanks counts the phases of a warp-wide access to shared memory: 32 banks of 4 bytes; lanes that read the same
// word share it. Accesses of 8 bytes take half a warp at a time, of 16 bytes a quarter.
func (w *warp) countBanks(in *instr, m uint32, n int) {
	var addrs [32]uint32
	for r := m; r != 0; r &= r - 1 {
		l := bits.TrailingZeros32(r) & 31
		addrs[l] = uint32(w.address(in, l))
	}
	w.countPhases(&addrs, m, n)
}

func (w *warp) countPhases(addrs *[32]uint32, m uint32, n int) {
	step := 32
	words := 1
	switch {
	case n > 8:
		step, words = 8, 4
	case n > 4:
		step, words = 16, 2
	}
	for first := 0; first < 32; first += step {
		part := m >> first << first
		if first+step < 32 {
			part &= 1<<(first+step) - 1
		}
		if part == 0 {
			continue
		}
		w.block.stats.SharedAccesses++
		w.block.stats.SharedBankConflicts += int64(bankDegree(addrs, part, words) - 1)
	}
}

// bankDegree is the largest number of different words that one bank has to deliver.
func bankDegree(addrs *[32]uint32, m uint32, words int) int {
	var first [32]uint32 // word + 1
	for r := m; r != 0; r &= r - 1 {
		for k := range uint32(words) {
			word := addrs[lowest(r)]>>2 + k
			switch first[word&31] {
			case 0:
				first[word&31] = word + 1
			case word + 1:
			default:
				return bankConflict(addrs, m, words)
			}
		}
	}
	return 1
}

func bankConflict(addrs *[32]uint32, m uint32, words int) int {
	var seen [32][]uint32
	degree := 1
	for ; m != 0; m &= m - 1 {
		for k := range uint32(words) {
			word := addrs[lowest(m)]>>2 + k
			if bank := &seen[word&31]; !slices.Contains(*bank, word) {
				*bank = append(*bank, word)
				degree = max(degree, len(*bank))
			}
		}
	}
	return degree
}
