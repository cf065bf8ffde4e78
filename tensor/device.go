package tensor

import (
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/hone-ml/hone/internal/arena"
	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu"
	"github.com/hone-ml/hone/internal/dry"
)

// A Place is where a tensor lives: a *Device (until nobody refers to it) or a *Scope (until Close).
type Place interface {
	// place is the device and, for a scope, the scope.
	place() (*Device, *Scope)
}

// A Device computes and owns memory. It may be used by several goroutines.
type Device struct {
	backend backend.Backend
	watch   *watch       // nil unless somebody observes the kernels
	release func() error // gives a GPU back, nil for others

	mu     sync.Mutex
	budget int                      // bytes that may be taken from the backend, 0: unlimited
	taken  int                      // bytes taken, those in cache included
	peak   int                      // the largest of taken
	cache  map[int][]unsafe.Pointer // slabs of closed scopes, by size
	long   *arena.Arena             // memory of long-lived tensors
	dead   []*arena.Block           // long-lived blocks whose last tensor is gone
	poison atomic.Bool
	ledger arena.Ledger // what tensors hold
}

var theCPU = sync.OnceValue(func() *Device {
	d := newDevice(cpu.New())
	d.budget = int(float64(cpu.AvailableMemory()) * 0.9)
	return d
})

// CPU is the processor. Its budget is 90 % of the memory that the machine and the cgroup leave at the
// first call; see SetMemoryLimit. HONE_SIMD chooses its kernel path.
func CPU() *Device { return theCPU() }

func newDevice(b backend.Backend) *Device {
	d := &Device{backend: b, cache: map[int][]unsafe.Pointer{}}
	d.long = arena.New((*slabs)(d), &d.ledger)
	return d
}

// Dry is a device that stands for d, computes nothing and takes no memory: kernels return at once, elements
// read as zero. Its Memory counts what d's would, so that a computation on it tells what it needs on d. It
// has no memory limit.
func (d *Device) Dry() *Device {
	return newDevice(dry.New(d.backend))
}

func (d *Device) place() (*Device, *Scope) { return d, nil }

// Name is "cpu", "cuda:0" and so on, or "cuda-sim".
func (d *Device) Name() string { return d.backend.Info().Name }

// Model is the processor's or the card's own name.
func (d *Device) Model() string { return d.backend.Info().Model }

// KernelPath is the family of kernels in use: "avx512", "avx2", "generic"; "sm_80" on a GPU.
func (d *Device) KernelPath() string { return d.backend.Info().Path }

// Driver is what a card computes with: "CUDA 12.4, compute capability 8.9". It is empty for the CPU.
func (d *Device) Driver() string { return d.backend.Info().Driver }

// String is name, model and kernel path.
func (d *Device) String() string {
	i := d.backend.Info()
	return fmt.Sprintf("%s (%s, %s)", i.Name, i.Model, i.Path)
}

// SetMemoryLimit sets the budget, in bytes, of all tensors on the device together; 0 means no limit.
// An allocation beyond it panics with *OOMError before memory is touched.
func (d *Device) SetMemoryLimit(bytes int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.budget = bytes
}

// Memory is the device's use of memory.
type Memory struct {
	Total    int // bytes that the device has, 0 if it does not tell
	Limit    int // the budget, 0 if none
	Reserved int // bytes taken from the device, caches of closed scopes included
	Peak     int // the largest Reserved so far
	Long     int // bytes in long-lived tensors
	InUse    int // bytes in all tensors
	MaxInUse int // the largest InUse since the beginning or ResetPeak
}

// Memory reports how many bytes are in use.
func (d *Device) Memory() Memory {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bury()
	return Memory{Total: int(d.backend.Info().Memory), Limit: d.budget, Reserved: d.taken, Peak: d.peak, Long: d.long.InUse(), InUse: d.ledger.InUse(), MaxInUse: d.ledger.Peak()}
}

// ResetPeak makes the present Memory.InUse its maximum.
func (d *Device) ResetPeak() { d.ledger.ResetPeak() }

// TrimCache gives the memory of closed scopes back to the system.
func (d *Device) TrimCache() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trim()
}

func (d *Device) trim() {
	for size, ps := range d.cache {
		for _, p := range ps {
			d.backend.Free(p, size)
			d.taken -= size
		}
	}
	clear(d.cache)
}

// Poison makes the device fill freed memory with NaN patterns, so that a use after free shows; on the simulated GPU
// reading it is an error. It is for tests and costs a pass over memory at each free.
func (d *Device) Poison(on bool) { d.poison.Store(on) }

// slabs is the device as the source of arenas. Its methods need d.mu.
type slabs Device

func (s *slabs) Alloc(n int) (unsafe.Pointer, error) {
	d := (*Device)(s)
	if ps := d.cache[n]; len(ps) > 0 {
		d.cache[n] = ps[:len(ps)-1]
		return ps[len(ps)-1], nil
	}
	if d.budget > 0 && d.taken+n > d.budget {
		d.trim()
	}
	if d.budget > 0 && d.taken+n > d.budget {
		return nil, &OOMError{Device: d.Name(), Requested: n, InUse: d.taken, Budget: d.budget}
	}
	p, err := d.backend.Alloc(n)
	if err != nil && len(d.cache) > 0 {
		d.trim()
		p, err = d.backend.Alloc(n)
	}
	if err != nil {
		return nil, &OOMError{Device: d.Name(), Requested: n, InUse: d.taken, Budget: d.budget, Cause: err}
	}
	d.taken += n
	d.peak = max(d.peak, d.taken)
	return p, nil
}

func (s *slabs) Free(p unsafe.Pointer, n int) {
	s.cache[n] = append(s.cache[n], p)
}

// lockedSlabs is the same for the arena of a scope, which does not hold d.mu.
type lockedSlabs struct{ d *Device }

func (s lockedSlabs) Alloc(n int) (unsafe.Pointer, error) {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	return (*slabs)(s.d).Alloc(n)
}

func (s lockedSlabs) Free(p unsafe.Pointer, n int) {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	(*slabs)(s.d).Free(p, n)
}

// allocLong takes a long-lived block.
func (d *Device) allocLong(n int) *arena.Block {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bury()
	b, err := d.long.Alloc(n)
	if err != nil {
		panic(err)
	}
	return b
}

// forget enqueues a long-lived block to be freed: cleanups run on a goroutine of their own, and must
// not touch memory that a kernel may still read.
func (d *Device) forget(b *arena.Block) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = append(d.dead, b)
}

func (d *Device) bury() {
	for _, b := range d.dead {
		d.scribble(b)
		d.long.Free(b)
	}
	d.dead = d.dead[:0]
}

func (d *Device) scribble(b *arena.Block) {
	if d.poison.Load() {
		if p, ok := backend.Fused[backend.Poisoner](d.backend); ok {
			p.Poison(b.Ptr(), b.Size())
			return
		}
		v := backend.NewView(b.Ptr(), I32, b.Size()/4)
		d.backend.Fill(&v, -1) // all bits set: NaN in every float dtype
	}
}
