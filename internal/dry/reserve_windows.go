package dry

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"
)

// reserve takes addresses without memory behind them: a kernel that ran after all would fault.
func reserve(bytes int) (unsafe.Pointer, error) {
	addr, err := windows.VirtualAlloc(0, uintptr(max(bytes, 1)), windows.MEM_RESERVE, windows.PAGE_NOACCESS)
	if err != nil {
		return nil, fmt.Errorf("dry: the system refuses addresses for %d bytes: %w", bytes, err)
	}
	// The address is none of the collector's, so reading it as a pointer breaks none of its rules.
	return *(*unsafe.Pointer)(unsafe.Pointer(&addr)), nil
}
