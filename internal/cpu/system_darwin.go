package cpu

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// AvailableMemory is how many bytes the process can take without swapping; 0 if unknown. The system
// keeps most of its memory in caches that it gives up when asked, so this is the physical memory.
func AvailableMemory() uint64 { return totalMemory() }

func totalMemory() uint64 {
	n, err := unix.SysctlUint64("hw.memsize")
	if err != nil {
		return 0
	}
	return n
}

func processorModel() string {
	name, err := unix.Sysctl("machdep.cpu.brand_string")
	if err != nil {
		return architecture
	}
	return name
}

func adviseLarge(unsafe.Pointer, uintptr) {}
