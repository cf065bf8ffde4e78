//go:build unix

package ptxsim

import (
	"syscall"
	"unsafe"
)

// reserve takes a range of addresses that the host can neither read nor write, so that a device address used by
// mistake on the host faults, and no pointer of Go lies there.
func reserve(size int) (base uint64, release func(), ok bool) {
	m, err := syscall.Mmap(-1, 0, size, syscall.PROT_NONE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return 0, nil, false
	}
	return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(m)))), func() { _ = syscall.Munmap(m) }, true
}
