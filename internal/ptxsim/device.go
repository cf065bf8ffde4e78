package ptxsim

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"sort"
	"sync"
)

// Config describes a device. The zero value is a device of 1 GiB.
type Config struct {
	Memory          int   // bytes of global memory; 0: 1 GiB
	Workers         int   // goroutines that run blocks; 0: GOMAXPROCS
	MaxShared       int   // bytes of shared memory that a block may have; 0: 163 KiB, as on sm_80
	MaxInstructions int64 // that a warp may execute before it counts as an endless loop; 0: 1<<28
	Backwards       bool  // the last block first, and of its warps the last one: cards promise no order
}

// A Device is simulated global memory and what runs kernels on it. Its methods may be called from several
// goroutines; launches run one after another.
type Device struct {
	mu              sync.Mutex
	memory, used    int
	workers         int
	maxShared       int
	maxInstructions int64
	backwards       bool
	base, end, next uint64
	allocations     []*allocation // by address
	freed           []*allocation // the latest last
	generation      uint64
	modules         map[*Module]map[string]uint64
	loaded          map[*Kernel][]lanes
	scratch         sync.Pool
	atomics         sync.Mutex // held for one atomic operation
	release         func()
	cleanup         runtime.Cleanup
}

// An allocation is a piece of global memory with its shadow.
type allocation struct {
	base     uint64
	size     int
	data     []byte
	init     []byte // 1 for each byte that has been written
	pages    []shadowPage
	readOnly bool   // .const
	name     string // of a module's variable
}

const (
	reservedBytes = 1 << 36
	guardBytes    = 256 // between allocations
	keptFreed     = 4096
)

// NewDevice makes a device with empty memory.
func NewDevice(c Config) *Device {
	d := &Device{memory: c.Memory, workers: defaultWorkers(c.Workers), maxShared: c.MaxShared, maxInstructions: c.MaxInstructions, backwards: c.Backwards,
		modules: map[*Module]map[string]uint64{}, loaded: map[*Kernel][]lanes{}}
	if d.memory <= 0 {
		d.memory = 1 << 30
	}
	if d.maxShared <= 0 {
		d.maxShared = 163 << 10
	}
	if d.maxInstructions <= 0 {
		d.maxInstructions = 1 << 28
	}
	size, ok := reservedBytes, false
	for ; size >= 4*d.memory && !ok; size /= 2 {
		if d.base, d.release, ok = reserve(size); ok {
			break
		}
	}
	if ok {
		d.cleanup = runtime.AddCleanup(d, func(f func()) { f() }, d.release)
	} else {
		d.base, d.release, size = 0x7a00_0000_0000, func() {}, reservedBytes
	}
	d.end = d.base + uint64(size)
	d.base = (d.base + 255) &^ 255
	d.next = d.base + guardBytes
	return d
}

// Close gives the reserved addresses back. The device must not be used afterwards.
func (d *Device) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cleanup.Stop()
	d.release()
	d.release = func() {}
	d.allocations, d.freed, d.memory = nil, nil, 0
}

// Used returns the bytes of global memory that are allocated.
func (d *Device) Used() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.used
}

// Alloc returns the address of fresh memory, a multiple of 256. Its contents are undefined: a kernel that reads
// a byte before something has been written there is at fault.
func (d *Device) Alloc(bytes int) (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a, err := d.alloc(bytes)
	if err != nil {
		return 0, err
	}
	return a.base, nil
}

func (d *Device) alloc(bytes int) (*allocation, error) {
	if bytes <= 0 {
		return nil, fmt.Errorf("ptxsim: allocation of %d bytes", bytes)
	}
	if bytes > d.memory-d.used {
		return nil, fmt.Errorf("ptxsim: out of memory: %d bytes wanted, %d of %d are in use", bytes, d.used, d.memory)
	}
	span := uint64(align(bytes, 256) + guardBytes)
	if d.next+span > d.end {
		d.next = d.base + guardBytes // the range is used up: begin again, and no longer tell stale addresses from new ones
		d.freed = nil
	}
	i := sort.Search(len(d.allocations), func(i int) bool { return d.allocations[i].end() > d.next })
	for ; i < len(d.allocations) && d.allocations[i].base < d.next+span; i++ {
		d.next = (d.allocations[i].end() + guardBytes + 255) &^ 255
	}
	if d.next+span > d.end {
		return nil, fmt.Errorf("ptxsim: no %d bytes of addresses in one piece", bytes)
	}
	a := &allocation{base: d.next, size: bytes, data: make([]byte, bytes), init: make([]byte, bytes),
		pages: make([]shadowPage, (bytes+pageBytes-1)/pageBytes)}
	for i := range a.data {
		a.data[i] = 0xff // NaN, for those who look at memory without a kernel
	}
	d.next += span
	d.used += bytes
	d.allocations = slices.Insert(d.allocations, i, a)
	return a, nil
}

func (a *allocation) end() uint64 { return a.base + uint64(a.size) }

// Free ends an allocation; addr is what Alloc returned. A kernel that uses the address later is at fault.
func (d *Device) Free(addr uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	i, ok := slices.BinarySearchFunc(d.allocations, addr, func(a *allocation, addr uint64) int {
		switch {
		case a.base < addr:
			return -1
		case a.base > addr:
			return 1
		}
		return 0
	})
	if !ok {
		return fmt.Errorf("ptxsim: free of %#x, which is not the start of an allocation%s", addr, d.describe(addr))
	}
	a := d.allocations[i]
	d.allocations = slices.Delete(d.allocations, i, i+1)
	d.used -= a.size
	a.data, a.init, a.pages = nil, nil, nil
	if len(d.freed) == keptFreed {
		d.freed = slices.Delete(d.freed, 0, keptFreed/2)
	}
	d.freed = append(d.freed, a)
	return nil
}

// find returns the allocation that holds addr, or nil.
func (d *Device) find(addr uint64) *allocation {
	lo, hi := 0, len(d.allocations)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if d.allocations[mid].end() > addr {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	if lo < len(d.allocations) && d.allocations[lo].base <= addr {
		return d.allocations[lo]
	}
	return nil
}

// findFreed returns the latest freed allocation that held addr, or nil.
func (d *Device) findFreed(addr uint64) *allocation {
	for _, a := range slices.Backward(d.freed) {
		if addr >= a.base && addr < a.end() {
			return a
		}
	}
	return nil
}

// describe says where an address that belongs to nothing lies.
func (d *Device) describe(addr uint64) string {
	if a := d.findFreed(addr); a != nil {
		return fmt.Sprintf(": byte %d of %d bytes at %#x that have been freed", addr-a.base, a.size, a.base)
	}
	if a := d.find(addr); a != nil {
		return fmt.Sprintf(": byte %d of %d at %#x", addr-a.base, a.size, a.base)
	}
	i := sort.Search(len(d.allocations), func(i int) bool { return d.allocations[i].base > addr })
	var best *allocation
	if i > 0 {
		best = d.allocations[i-1]
	}
	if i < len(d.allocations) && (best == nil || d.allocations[i].base-addr < addr-best.end()) {
		best = d.allocations[i]
	}
	switch {
	case best == nil || addr < d.base || addr >= d.end:
		return ": not an address of this device"
	case addr < best.base:
		return fmt.Sprintf(": %d bytes before the %d bytes at %#x", best.base-addr, best.size, best.base)
	}
	return fmt.Sprintf(": %d bytes past the end of the %d bytes at %#x", addr-best.end(), best.size, best.base)
}

// span finds n bytes at addr for the host.
func (d *Device) span(op string, addr uint64, n int) (*allocation, int, error) {
	a := d.find(addr)
	if n >= 0 && a != nil && uint64(n) <= a.end()-addr {
		return a, int(addr - a.base), nil
	}
	return nil, 0, fmt.Errorf("ptxsim: %s of %d bytes at %#x%s", op, n, addr, d.describe(addr))
}

// Write copies from the host to the device.
func (d *Device) Write(addr uint64, src []byte) error {
	if len(src) == 0 {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	a, off, err := d.span("write", addr, len(src))
	if err != nil {
		return err
	}
	copy(a.data[off:], src)
	fill(a.init[off:off+len(src)], 1)
	return nil
}

// Read copies from the device to the host; bytes that nothing has written arrive as 0xff.
func (d *Device) Read(dst []byte, addr uint64) error {
	if len(dst) == 0 {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	a, off, err := d.span("read", addr, len(dst))
	if err != nil {
		return err
	}
	copy(dst, a.data[off:])
	return nil
}

// Copy copies n bytes within the device, and with them which of them are initialised. The ranges may overlap.
func (d *Device) Copy(dst, src uint64, n int) error {
	if n == 0 {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	to, i, err := d.span("copy to", dst, n)
	if err != nil {
		return err
	}
	from, j, err := d.span("copy from", src, n)
	if err != nil {
		return err
	}
	copy(to.data[i:i+n], from.data[j:j+n])
	copy(to.init[i:i+n], from.init[j:j+n])
	return nil
}

// Set fills n bytes with a value.
func (d *Device) Set(addr uint64, value byte, n int) error {
	if n == 0 {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	a, off, err := d.span("set", addr, n)
	if err != nil {
		return err
	}
	fill(a.data[off:off+n], value)
	fill(a.init[off:off+n], 1)
	return nil
}

// Poison makes n bytes undefined again, as fresh memory is: for allocators that hand memory out anew.
func (d *Device) Poison(addr uint64, n int) error {
	if n == 0 {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	a, off, err := d.span("poison", addr, n)
	if err != nil {
		return err
	}
	fill(a.data[off:off+n], 0xff)
	clear(a.init[off : off+n])
	return nil
}

func fill(b []byte, v byte) {
	if len(b) == 0 {
		return
	}
	b[0] = v
	for n := 1; n < len(b); n *= 2 {
		copy(b[n:], b[:n])
	}
}

// initialised says whether all of b are 1.
func initialised(b []byte) bool {
	for len(b) >= 8 {
		if binary.LittleEndian.Uint64(b) != 0x0101010101010101 {
			return false
		}
		b = b[8:]
	}
	for _, x := range b {
		if x == 0 {
			return false
		}
	}
	return true
}

// load places a module's global variables, once per device, and returns the kernel's constants with their addresses.
func (d *Device) load(k *Kernel) ([]lanes, error) {
	if len(k.relocs) == 0 {
		return k.consts, nil
	}
	if c := d.loaded[k]; c != nil {
		return c, nil
	}
	m := k.module
	addresses := d.modules[m]
	if addresses == nil {
		addresses = map[string]uint64{}
		var list []*variable
		for _, v := range m.variables {
			if v.space == "global" || v.space == "const" {
				list = append(list, v)
			}
		}
		slices.SortFunc(list, func(a, b *variable) int { return a.line - b.line })
		placed := map[*variable]*allocation{}
		for _, v := range list {
			a, err := d.alloc(max(v.size, 1))
			if err != nil {
				return nil, err
			}
			a.readOnly, a.name = v.space == "const", v.name
			clear(a.data) // ISA 5.4.4: without an initialiser a variable is zero
			fill(a.init, 1)
			copy(a.data, v.init)
			addresses[v.name], placed[v] = a.base, a
		}
		for v, a := range placed {
			for _, s := range v.symbols {
				base, ok := addresses[s.name]
				if !ok {
					return nil, fmt.Errorf("ptxsim: the initialiser of %s needs the address of %s, which is not a global variable", v.name, s.name)
				}
				binary.LittleEndian.PutUint64(a.data[s.offset:], base+uint64(s.add))
			}
		}
		d.modules[m] = addresses
	}
	c := slices.Clone(k.consts)
	for _, r := range k.relocs {
		for l := range c[r.constant] {
			c[r.constant][l] = addresses[r.symbol] + uint64(r.add)
		}
	}
	d.loaded[k] = c
	return c, nil
}
