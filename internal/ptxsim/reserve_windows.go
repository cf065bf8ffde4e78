package ptxsim

import "golang.org/x/sys/windows"

// reserve takes a range of addresses that the host can neither read nor write, so that a device address used by
// mistake on the host faults, and no pointer of Go lies there.
func reserve(size int) (base uint64, release func(), ok bool) {
	p, err := windows.VirtualAlloc(0, uintptr(size), windows.MEM_RESERVE, windows.PAGE_NOACCESS)
	if err != nil {
		return 0, nil, false
	}
	return uint64(p), func() { _ = windows.VirtualFree(p, 0, windows.MEM_RELEASE) }, true
}
