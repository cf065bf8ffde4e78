package ptxsim

import (
	"encoding/binary"
	"math/bits"
)

// Loads and stores: PTX ISA 9.7.9.8 (ld), 9.7.9.9 (ld.global.nc), 9.7.9.12 (st).

// memoryMods takes what an access may carry besides its space, vector and type: it does not change what is modelled,
// where memory is sequentially consistent.
func (d *decoder) memoryMods() {
	d.takeOne("weak", "relaxed", "acquire", "release", "volatile")
	d.takeOne("cta", "gpu", "sys")
	d.takeOne("ca", "cg", "cs", "lu", "cv", "nc", "wb", "wt")
	d.takeOne("L1::evict_normal", "L1::evict_unchanged", "L1::evict_first", "L1::evict_last", "L1::no_allocate")
	d.takeOne("L2::64B", "L2::128B", "L2::256B")
}

// accessType takes the vector and type of an access and notes them.
func (d *decoder) accessType() typ {
	t := d.typ("b8", "b16", "b32", "b64", "u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "f16", "f32", "f64")
	d.in.count = 1
	switch d.takeOne("v2", "v4") {
	case "v2":
		d.in.count = 2
	case "v4":
		d.in.count = 4
	}
	d.in.size = uint8(t.bytes())
	if int(d.in.count)*t.bytes() > 16 {
		d.fail("a vector of more than 16 bytes")
	}
	return t
}

func (d *decoder) elements(o operand, one func(operand) int32) {
	list := []operand{o}
	if o.kind == operandVector {
		list = o.list
	}
	if len(list) != int(d.in.count) {
		d.fail("the vector operand does not fit the modifier")
	}
	for _, e := range list {
		d.in.list = append(d.in.list, one(e))
	}
}

func buildLoad(d *decoder) {
	t := d.accessType()
	space := d.takeOne("global", "shared", "shared::cta", "param", "const", "local")
	d.memoryMods()
	ops := d.operands(2, 2)
	in := d.in
	wider := false
	d.elements(ops[0], func(o operand) int32 {
		if o.kind == operandRegister && o.reg.typ.bits > t.bits {
			wider = true
		}
		return d.writeAtLeast(o, t)
	})
	in.a = d.address(ops[1])
	var sign unaryLanes
	if wider && t.signed() {
		sign = loop(extend(t))
	}
	var read func(w *warp, in *instr, m uint32, out *[4]lanes)
	switch space {
	case "global", "const":
		d.remember()
		read = (*warp).loadGlobal
	case "shared", "shared::cta":
		read = (*warp).loadShared
	case "param":
		read = (*warp).loadParam
	case "local":
		read = (*warp).loadLocal
	default:
		d.remember()
		read = (*warp).loadGeneric
	}
	in.run = func(w *warp, in *instr, m uint32) {
		out := &w.loaded
		read(w, in, m, out)
		for i, s := range in.list {
			if sign != nil {
				sign(&out[i], &out[i])
			}
			if m == fullWarp {
				w.regs[s] = out[i]
			} else {
				blend(&w.regs[s], &out[i], m)
			}
		}
	}
}

func buildStore(d *decoder) {
	t := d.accessType()
	space := d.takeOne("global", "shared", "shared::cta", "local")
	d.memoryMods()
	ops := d.operands(2, 2)
	in := d.in
	in.a = d.address(ops[0])
	d.elements(ops[1], func(o operand) int32 { return d.readAtLeast(o, t) })
	switch space {
	case "global":
		d.remember()
		in.run = (*warp).storeGlobal
	case "shared", "shared::cta":
		in.run = (*warp).storeShared
	case "local":
		in.run = (*warp).storeLocal
	default:
		d.remember()
		in.run = (*warp).storeGeneric
	}
}

// remember gives the instruction a place for the allocation that it met last.
func (d *decoder) remember() {
	d.in.memory = int32(d.kernel.memories)
	d.kernel.memories++
}

func buildPrefetch(d *decoder) {
	d.takeOne("global", "local")
	d.need("L1", "L2")
	ops := d.operands(1, 1)
	d.in.a = d.address(ops[0])
	d.in.run = func(*warp, *instr, uint32) {}
}

func load(b []byte, size uint8) uint64 {
	switch size {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(b))
	case 4:
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return binary.LittleEndian.Uint64(b)
}

func store(b []byte, size uint8, v uint64) {
	switch size {
	case 1:
		b[0] = byte(v)
	case 2:
		binary.LittleEndian.PutUint16(b, uint16(v))
	case 4:
		binary.LittleEndian.PutUint32(b, uint32(v))
	default:
		binary.LittleEndian.PutUint64(b, v)
	}
}

// address returns the address of a lane; a 32-bit register is not sign-extended.
func (w *warp) address(in *instr, lane int) uint64 {
	a := w.source(in.a)[lane&31]
	if in.narrow {
		a = uint64(uint32(a))
	}
	return a + in.offset
}

// global checks n bytes at addr and returns where they are.
func (w *warp) global(in *instr, lane int, addr uint64, n int, kind access) (*allocation, int) {
	b := w.block
	a := b.met[in.memory]
	if a == nil || addr-a.base >= uint64(a.size) {
		a = b.device.find(addr)
		if a == nil {
			rule := OutOfBounds
			if b.device.findFreed(addr) != nil {
				rule = UseAfterFree
			}
			w.fault(in, lane, rule, "global", addr, "%d bytes%s", n, b.device.describe(addr))
		}
		b.met[in.memory] = a
	}
	off := int(addr - a.base)
	if addr&uint64(n-1) != 0 {
		w.fault(in, lane, Misaligned, "global", addr, "an access of %d bytes", n)
	}
	if n > a.size-off {
		w.fault(in, lane, OutOfBounds, "global", addr, "%d bytes: the last %d are past the end of the %d bytes at %#x", n, n-(a.size-off), a.size, a.base)
	}
	w.claim(in, a, off, n, n, lane, kind)
	return a, off
}

// claim checks and notes an access to a range whose elements of each bytes belong to consecutive lanes.
func (w *warp) claim(in *instr, a *allocation, off, n, each, lane int, kind access) {
	b := w.block
	if kind != accessWrite {
		if r := a.init[off : off+n]; !initialised(r) {
			i := 0
			for r[i] != 0 {
				i++
			}
			w.fault(in, lane+i/each, Uninitialised, "global", a.base+uint64(off+i), "byte %d of %d at %#x has not been written", off+i, a.size, a.base)
		}
	}
	if kind != accessRead && a.readOnly {
		w.fault(in, lane, ReadOnly, "global", a.base+uint64(off), ".const variable %s", a.name)
	}
	if b.launch.blocks > 1 {
		if c, at := a.touch(b.launch, b.linear, off, n, kind); c != 0 {
			w.blockRace(in, a, c, at, lane+max(0, at-off)/each, kind)
		}
	}
}

func (w *warp) blockRace(in *instr, a *allocation, cell uint64, at, lane int, kind access) {
	b := w.block
	me := b.linear + 1
	other, action := uint32(cell)&^atomicAccess, "wrote"
	switch {
	case uint32(cell) == manyBlocks:
		action = "(and others) changed atomically"
		other = 0
	case uint32(cell)&atomicAccess != 0:
		action = "changed atomically"
	}
	if other == me || uint32(cell) == 0 {
		other, action = uint32(cell>>32), "read"
		if other == manyBlocks {
			other, action = 0, "(and others) read"
		}
	}
	p := &Party{Action: action}
	if other != 0 {
		l := b.launch
		i := int(other - 1)
		p.Block = [3]int{i % l.grid[0], i / l.grid[0] % l.grid[1], i / (l.grid[0] * l.grid[1])}
	}
	verb := [...]string{"reads", "writes", "changes atomically"}[kind]
	w.raise(in, lane, BlockRace, "global", a.base+uint64(at), p,
		"byte %d of %d at %#x: this block %s it, and blocks of a grid have no order", at, a.size, a.base, verb)
}

// sectors counts the distinct 32-byte sectors of a warp-wide access, as bytes.
func (w *warp) sectors(in *instr, m uint32, n int) int64 {
	var seen [64]uint64
	count := 0
	for ; m != 0; m &= m - 1 {
		addr := w.address(in, bits.TrailingZeros32(m))
	next:
		for s := addr >> 5; s <= (addr+uint64(n)-1)>>5; s++ {
			for i := count - 1; i >= 0; i-- {
				if seen[i] == s {
					continue next
				}
			}
			seen[count] = s
			count++
		}
	}
	return int64(count) * 32
}

// contiguous returns the range of a whole warp's access if lane l is at first + l*each and all of it is aligned and
// in one allocation; the caller may then treat it as one access.
func (w *warp) contiguous(in *instr, m uint32, each int) (a *allocation, off int) {
	if m != fullWarp {
		return nil, 0
	}
	base := w.source(in.a)
	first := base[0]
	for l := range base {
		if base[l] != first+uint64(l*each) {
			return nil, 0
		}
	}
	if in.narrow {
		return nil, 0
	}
	first += in.offset
	if first&uint64(each-1) != 0 {
		return nil, 0
	}
	a = w.block.met[in.memory]
	if a == nil || first-a.base >= uint64(a.size) {
		if a = w.block.device.find(first); a == nil {
			return nil, 0
		}
		w.block.met[in.memory] = a
	}
	off = int(first - a.base)
	if 32*each > a.size-off {
		return nil, 0
	}
	return a, off
}

func (w *warp) loadGlobal(in *instr, m uint32, out *[4]lanes) {
	size, n := in.size, int(in.size)*int(in.count)
	if a, off := w.contiguous(in, m, n); a != nil {
		w.claim(in, a, off, 32*n, n, 0, accessRead)
		addr := a.base + uint64(off)
		w.block.stats.GlobalLoadBytes += int64((addr+uint64(32*n)-1)>>5-addr>>5+1) * 32
		src := a.data[off : off+32*n]
		for i := range int(in.count) {
			gather(&out[i], src[i*int(size):], n, size)
		}
		return
	}
	if base := w.source(in.a); m == fullWarp && uniform(base) {
		a, off := w.global(in, 0, w.address(in, 0), n, accessRead)
		w.block.stats.GlobalLoadBytes += 32
		for i := range int(in.count) {
			v := load(a.data[off+i*int(size):], size)
			for l := range out[i] {
				out[i][l] = v
			}
		}
		return
	}
	w.block.stats.GlobalLoadBytes += w.sectors(in, m, n)
	for ; m != 0; m &= m - 1 {
		l := bits.TrailingZeros32(m) & 31
		a, off := w.global(in, l, w.address(in, l), n, accessRead)
		for i := range int(in.count) {
			out[i][l] = load(a.data[off+i*int(size):], size)
		}
	}
}

// gather reads one element of every lane, stride bytes apart.
func gather(d *lanes, src []byte, stride int, size uint8) {
	switch size {
	case 4:
		for l := range d {
			d[l] = uint64(binary.LittleEndian.Uint32(src[l*stride:]))
		}
	case 2:
		for l := range d {
			d[l] = uint64(binary.LittleEndian.Uint16(src[l*stride:]))
		}
	case 8:
		for l := range d {
			d[l] = binary.LittleEndian.Uint64(src[l*stride:])
		}
	default:
		for l := range d {
			d[l] = uint64(src[l*stride])
		}
	}
}

func uniform(a *lanes) bool {
	for _, v := range a[1:] {
		if v != a[0] {
			return false
		}
	}
	return true
}

func (w *warp) storeGlobal(in *instr, m uint32) {
	size, n := in.size, int(in.size)*int(in.count)
	if a, off := w.contiguous(in, m, n); a != nil {
		w.claim(in, a, off, 32*n, n, 0, accessWrite)
		addr := a.base + uint64(off)
		w.block.stats.GlobalStoreBytes += int64((addr+uint64(32*n)-1)>>5-addr>>5+1) * 32
		dst := a.data[off : off+32*n]
		for i, s := range in.list {
			v := w.source(s)
			for l := range v {
				store(dst[l*n+i*int(size):], size, v[l])
			}
		}
		fill(a.init[off:off+32*n], 1)
		return
	}
	w.block.stats.GlobalStoreBytes += w.sectors(in, m, n)
	for ; m != 0; m &= m - 1 {
		l := bits.TrailingZeros32(m) & 31
		a, off := w.global(in, l, w.address(in, l), n, accessWrite)
		for i, s := range in.list {
			store(a.data[off+i*int(size):], size, w.source(s)[l])
		}
		for i := off; i < off+n; i++ {
			a.init[i] = 1
		}
	}
}

// loadParam reads the parameter buffer, where every lane usually reads the same.
func (w *warp) loadParam(in *instr, m uint32, out *[4]lanes) {
	n := int(in.size) * int(in.count)
	params := w.block.params
	if in.a < 0 { // a constant address, as nearly always
		addr := w.address(in, 0)
		if addr&uint64(n-1) == 0 && addr+uint64(n) <= uint64(len(params)) {
			for i := range int(in.count) {
				v := load(params[int(addr)+i*int(in.size):], in.size)
				for l := range out[i] {
					out[i][l] = v
				}
			}
			return
		}
	}
	for ; m != 0; m &= m - 1 {
		l := bits.TrailingZeros32(m) & 31
		addr := w.address(in, l)
		if addr > uint64(len(params)) || n > len(params)-int(addr) {
			w.fault(in, l, OutOfBounds, "param", addr, "%d bytes of a parameter buffer of %d", n, len(params))
		}
		if addr&uint64(n-1) != 0 {
			w.fault(in, l, Misaligned, "param", addr, "an access of %d bytes", n)
		}
		for i := range int(in.count) {
			out[i][l] = load(params[int(addr)+i*int(in.size):], in.size)
		}
	}
}

// localBytes checks n bytes of a thread's own memory.
func (w *warp) localBytes(in *instr, lane, n int) []byte {
	size := w.block.kernel.Local
	addr := w.address(in, lane)
	if addr > uint64(size) || n > size-int(addr) {
		w.fault(in, lane, OutOfBounds, "local", addr, "%d bytes of %d of local memory", n, size)
	}
	if addr&uint64(n-1) != 0 {
		w.fault(in, lane, Misaligned, "local", addr, "an access of %d bytes", n)
	}
	return w.local[lane*size+int(addr):][:n]
}

func (w *warp) loadLocal(in *instr, m uint32, out *[4]lanes) {
	for ; m != 0; m &= m - 1 {
		l := bits.TrailingZeros32(m) & 31
		b := w.localBytes(in, l, int(in.size)*int(in.count))
		for i := range int(in.count) {
			out[i][l] = load(b[i*int(in.size):], in.size)
		}
	}
}

func (w *warp) storeLocal(in *instr, m uint32) {
	for ; m != 0; m &= m - 1 {
		l := bits.TrailingZeros32(m) & 31
		b := w.localBytes(in, l, int(in.size)*int(in.count))
		for i, s := range in.list {
			store(b[i*int(in.size):], in.size, w.source(s)[l])
		}
	}
}

// generic splits the lanes of a generic access by the window their address lies in, and gives the copy of the
// instruction whose offset leads into that window.
func (w *warp) generic(in *instr, m uint32, do func(in *instr, m uint32, space string)) {
	var shared, local uint32
	for r := m; r != 0; r &= r - 1 {
		l := bits.TrailingZeros32(r)
		switch addr := w.address(in, l); {
		case inWindow(addr, sharedWindow):
			shared |= 1 << l
		case inWindow(addr, localWindow):
			local |= 1 << l
		}
	}
	if g := m &^ (shared | local); g != 0 {
		do(in, g, "global")
	}
	if shared != 0 {
		c := *in
		c.offset -= sharedWindow
		do(&c, shared, "shared")
	}
	if local != 0 {
		c := *in
		c.offset -= localWindow
		do(&c, local, "local")
	}
}

func (w *warp) loadGeneric(in *instr, m uint32, out *[4]lanes) {
	w.generic(in, m, func(in *instr, m uint32, space string) {
		var part [4]lanes
		switch space {
		case "shared":
			w.loadShared(in, m, &part)
		case "local":
			w.loadLocal(in, m, &part)
		default:
			w.loadGlobal(in, m, &part)
		}
		for i := range int(in.count) {
			blend(&out[i], &part[i], m)
		}
	})
}

func (w *warp) storeGeneric(in *instr, m uint32) {
	w.generic(in, m, func(in *instr, m uint32, space string) {
		switch space {
		case "shared":
			w.storeShared(in, m)
		case "local":
			w.storeLocal(in, m)
		default:
			w.storeGlobal(in, m)
		}
	})
}
