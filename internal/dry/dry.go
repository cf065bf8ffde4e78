// Package dry is a device that computes nothing and takes no memory: kernels return at once, and what
// Alloc gives is reserved addresses that nobody may touch. A program that runs on it allocates what it
// would allocate on the device that it stands for, so that the books tell beforehand what that needs.
package dry

import (
	"sync"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/backend/observed"
)

// Backend has every kernel of the backend that it stands for; elements read as zero.
type Backend struct {
	*observed.Backend

	mu      sync.Mutex
	regions []region // the last one is the largest
}

// region is a range of reserved addresses. Nothing outside of one is ever handed out: the collector would
// take an address in its own heap for a pointer.
type region struct {
	ptr   unsafe.Pointer
	bytes int
}

// nothing is an observer that lets no kernel run.
type nothing struct{}

func (nothing) Around(*observed.Call, func()) {}

// New stands for b.
func New(b backend.Backend) *Backend { return &Backend{Backend: observed.New(b, nothing{})} }

// Alloc gives addresses, the same ones every time as far as they reach: who touches none does not mind.
func (b *Backend) Alloc(bytes int) (unsafe.Pointer, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.regions); n > 0 && b.regions[n-1].bytes >= bytes {
		return b.regions[n-1].ptr, nil
	}
	p, err := reserve(bytes)
	if err != nil {
		return nil, err
	}
	b.regions = append(b.regions, region{p, bytes})
	return p, nil
}

// Free does nothing: others may have the same addresses.
func (b *Backend) Free(unsafe.Pointer, int) {}

// Release gives up all addresses. Nothing of the backend may be used any more.
func (b *Backend) Release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.regions {
		release(r.ptr, r.bytes)
	}
	b.regions = nil
}

// CopyIn does nothing.
func (b *Backend) CopyIn(unsafe.Pointer, []byte) {}

// CopyOut gives zeros.
func (b *Backend) CopyOut(dst []byte, _ unsafe.Pointer) { clear(dst) }

// Sync returns nil: nothing is ever pending.
func (b *Backend) Sync() error { return nil }
