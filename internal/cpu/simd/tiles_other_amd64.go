//go:build !linux && !purego

package simd

// permitTiles is false: only Linux lets a process ask for AMX's tile registers in the way that is known here.
func permitTiles() bool { return false }
