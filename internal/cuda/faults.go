package cuda

import (
	"encoding/binary"
	"math"
	"sync"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
)

// A kernel cannot panic. One that meets an index out of range reports it to a record in device memory, struct Fault of
// device.cuh, skips what it was for, and the next Sync or CopyOut raises the panic.

const (
	faultBytes = 16   // of a record: two words of which the upper halves are the position
	maxFaults  = 4096 // records; they are used in turn
	faultsBack = 256  // records that are looked at again: another goroutine may have issued their kernels late
)

// faults are the records. All words are ones until a kernel makes them smaller.
type faults struct {
	mu      sync.Mutex
	records unsafe.Pointer
	issued  int              // records taken so far; record i lies at i mod maxFaults
	seen    int              // of these, how many a look has found
	about   [maxFaults]fault // what each record means
}

// A fault says what a record means.
type fault struct {
	limit  int  // of the index
	divide bool // it is not about an index: an integer was divided by zero
}

// indexFault is a record for one kernel, to be issued at once, that looks up indices in [0, limit).
func (b *Backend) indexFault(limit int) unsafe.Pointer { return b.fault(fault{limit: limit}) }

// divideFault is a record for one kernel, to be issued at once, that divides integers: whatever it reports raises what
// Go raises for a division by zero.
func (b *Backend) divideFault() unsafe.Pointer { return b.fault(fault{divide: true}) }

func (b *Backend) fault(about fault) unsafe.Pointer {
	f := &b.faults
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.issued-f.seen >= maxFaults-faultsBack {
		if found := b.look(); found != nil {
			panic(found)
		}
	}
	i := f.issued % maxFaults
	f.about[i] = about
	f.issued++
	return unsafe.Add(f.records, i*faultBytes)
}

// firstFault waits for the kernels issued so far and returns what the first of them that met a fault panics with, or
// nil. It tells each fault once.
func (b *Backend) firstFault() any {
	b.faults.mu.Lock()
	defer b.faults.mu.Unlock()
	return b.look()
}

// look is firstFault for who holds the lock.
func (b *Backend) look() any {
	f := &b.faults
	if f.seen == f.issued {
		return nil
	}
	first, n := max(f.seen-faultsBack, 0), f.issued
	f.seen = n
	var found any
	for at := first; at < n; {
		run := min(n-at, maxFaults-at%maxFaults)
		place := unsafe.Add(f.records, at%maxFaults*faultBytes)
		raw := make([]byte, run*faultBytes)
		if err := b.reads.copy(b.ctx, b.compute, b.copies, raw, place); err != nil { // whatever failed before
			b.check(err)
			return found
		}
		reported := false
		for i := range run {
			high, low := binary.LittleEndian.Uint64(raw[i*faultBytes:]), binary.LittleEndian.Uint64(raw[i*faultBytes+8:])
			if high == math.MaxUint64 {
				continue
			}
			reported = true
			if found == nil {
				about := f.about[(at+i)%maxFaults]
				found = about.panics(int(high>>32), int64(high<<32|low&math.MaxUint32))
			}
		}
		if reported {
			b.check(b.ctx.Set(place, 0xff, run*faultBytes, b.compute))
		}
		at += run
	}
	return found
}

// panics is the value of the panic that a report means.
func (about fault) panics(position int, index int64) (value any) {
	if !about.divide {
		return &backend.IndexError{Position: position, Index: index, Limit: about.limit}
	}
	defer func() { value = recover() }() // the runtime's own error, as every backend raises it
	zero := 0
	return position / zero
}
