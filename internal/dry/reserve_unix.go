//go:build unix

package dry

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// reserve maps pages that cannot be accessed: the system counts them for nothing, and a kernel that ran
// after all would fault.
func reserve(bytes int) (unsafe.Pointer, error) {
	p, err := unix.MmapPtr(-1, 0, nil, uintptr(max(bytes, 1)), unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("dry: the system refuses addresses for %d bytes: %w", bytes, err)
	}
	return p, nil
}
