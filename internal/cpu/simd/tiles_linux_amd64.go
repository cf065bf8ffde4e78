//go:build !purego

package simd

import "golang.org/x/sys/unix"

// permitTiles asks the system for AMX's tile registers, which a process must do once before it uses them
// (Linux, Documentation/arch/x86/xstate.rst). The permission is the whole process's.
func permitTiles() bool {
	const (
		reqXCompPerm  = 0x1023 // ARCH_REQ_XCOMP_PERM
		xFeatureXTile = 18     // XFEATURE_XTILEDATA
	)
	_, _, errno := unix.RawSyscall(unix.SYS_ARCH_PRCTL, reqXCompPerm, xFeatureXTile, 0)
	return errno == 0
}
