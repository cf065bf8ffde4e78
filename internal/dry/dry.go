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
type Backend struct{ *observed.Backend }

// nothing is an observer that lets no kernel run.
type nothing struct{}

func (nothing) Around(*observed.Call, func()) {}

// New stands for b.
func New(b backend.Backend) *Backend { return &Backend{observed.New(b, nothing{})} }

// space is the addresses that all dry devices hand out, again and again: who touches none does not mind.
// Nothing outside is handed out, since the collector would take an address in its own heap for a pointer.
var space struct {
	sync.Mutex
	ptr   unsafe.Pointer
	bytes int
}

// Alloc gives addresses. The error is that the system has none so many.
func (b *Backend) Alloc(bytes int) (unsafe.Pointer, error) {
	space.Lock()
	defer space.Unlock()
	if space.ptr == nil || space.bytes < bytes {
		p, err := reserve(bytes)
		if err != nil {
			return nil, err
		}
		space.ptr, space.bytes = p, bytes // those handed out before stay reserved
	}
	return space.ptr, nil
}

// Free does nothing: others have the same addresses.
func (b *Backend) Free(unsafe.Pointer, int) {}

// CopyIn does nothing.
func (b *Backend) CopyIn(unsafe.Pointer, []byte) {}

// CopyOut gives zeros.
func (b *Backend) CopyOut(dst []byte, _ unsafe.Pointer) { clear(dst) }

// Sync returns nil: nothing is ever pending.
func (b *Backend) Sync() error { return nil }
