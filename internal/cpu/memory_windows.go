package cpu

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Alloc takes pages from the system, so that running out is an error here and not the end of the
// process, and the garbage collector never looks at them. They are zero.
func (*Backend) Alloc(bytes int) (unsafe.Pointer, error) {
	if bytes < 0 {
		return nil, fmt.Errorf("cpu: allocation of %d bytes", bytes)
	}
	addr, err := windows.VirtualAlloc(0, uintptr(max(bytes, 1)), windows.MEM_RESERVE|windows.MEM_COMMIT, windows.PAGE_READWRITE)
	if err != nil {
		return nil, fmt.Errorf("cpu: the system refuses %d bytes: %w", bytes, err)
	}
	// The address is none of the collector's, so reading it as a pointer breaks none of its rules.
	return *(*unsafe.Pointer)(unsafe.Pointer(&addr)), nil
}

// Free gives back memory from Alloc.
func (*Backend) Free(p unsafe.Pointer, bytes int) {
	if err := windows.VirtualFree(uintptr(p), 0, windows.MEM_RELEASE); err != nil {
		panic(fmt.Sprintf("cpu: Free of %d bytes at %p that Alloc did not return: %v", bytes, p, err))
	}
}
