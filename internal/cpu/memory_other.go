//go:build !unix && !windows

package cpu

import (
	"fmt"
	"sync"
	"unsafe"
)

// live keeps what Alloc returned reachable until Free.
var live sync.Map // unsafe.Pointer → []byte

// Alloc returns memory of the Go heap, since this system has no call to map pages.
func (*Backend) Alloc(bytes int) (unsafe.Pointer, error) {
	if bytes < 0 {
		return nil, fmt.Errorf("cpu: allocation of %d bytes", bytes)
	}
	const align = 64
	block := make([]byte, bytes+align)
	p := unsafe.Pointer(&block[0])
	p = unsafe.Add(p, (align-uintptr(p)%align)%align)
	live.Store(p, block)
	return p, nil
}

// Free lets the collector have memory from Alloc.
func (*Backend) Free(p unsafe.Pointer, bytes int) {
	if _, ok := live.LoadAndDelete(p); !ok {
		panic(fmt.Sprintf("cpu: Free of %d bytes at %p that Alloc did not return", bytes, p))
	}
}
