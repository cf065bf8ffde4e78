//go:build unix

package cpu

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Alloc maps anonymous memory, so that running out is an error here and not the end of the process,
// and the garbage collector never looks at it. It is zero.
func (*Backend) Alloc(bytes int) (unsafe.Pointer, error) {
	if bytes < 0 {
		return nil, fmt.Errorf("cpu: allocation of %d bytes", bytes)
	}
	size := uintptr(max(bytes, 1))
	p, err := unix.MmapPtr(-1, 0, nil, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("cpu: the system refuses %d bytes: %w", bytes, err)
	}
	adviseLarge(p, size)
	return p, nil
}

// Free unmaps memory from Alloc.
func (*Backend) Free(p unsafe.Pointer, bytes int) {
	if err := unix.MunmapPtr(p, uintptr(max(bytes, 1))); err != nil {
		panic(fmt.Sprintf("cpu: Free of %d bytes at %p that Alloc did not return: %v", bytes, p, err))
	}
}
