package cuda

import (
	"math/bits"
	"sync"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
)

// scratches are pieces of device memory for intermediate results of one call, by the logarithm of their size.
type scratches struct {
	mu   sync.Mutex
	free [64][]unsafe.Pointer
}

// scratch is device memory for the kernels issued until done is called, after the last of them was issued. Then it
// may go to other kernels at once: these run later, because the stream is in order. Contents are undefined. It panics
// with a *backend.DeviceError if there is no memory.
//
//	partial, done := b.scratch(blocks * 4)
//	defer done()
func (b *Backend) scratch(bytes int) (p unsafe.Pointer, done func()) {
	class := bits.Len(uint(max(bytes, 256) - 1))
	s := &b.spare
	s.mu.Lock()
	if n := len(s.free[class]); n > 0 {
		p = s.free[class][n-1]
		s.free[class] = s.free[class][:n-1]
	}
	s.mu.Unlock()
	if p == nil {
		var err error
		if p, err = b.own(1 << class); err != nil {
			panic(&backend.DeviceError{Device: b.name, Cause: err})
		}
	}
	if b.slow {
		b.Poison(p, 1<<class) // on the simulator what another call left there is an error to read
	}
	return p, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.free[class] = append(s.free[class], p)
	}
}
