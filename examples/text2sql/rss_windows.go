package main

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

// processMemoryCounters is PROCESS_MEMORY_COUNTERS of psapi.h.
type processMemoryCounters struct {
	size                  uint32
	pageFaults            uint32
	peakWorkingSet        uintptr
	workingSet            uintptr
	quotaPeakPagedPool    uintptr
	quotaPagedPool        uintptr
	quotaPeakNonPagedPool uintptr
	quotaNonPagedPool     uintptr
	pagefileUsage         uintptr
	peakPagefileUsage     uintptr
}

var getProcessMemoryInfo = windows.NewLazySystemDLL("kernel32.dll").NewProc("K32GetProcessMemoryInfo")

// peakRSS is the largest working set of the process in bytes, 0 if the system does not tell.
func peakRSS() int64 {
	if getProcessMemoryInfo.Find() != nil {
		return 0
	}
	c := processMemoryCounters{size: uint32(unsafe.Sizeof(processMemoryCounters{}))}
	ok, _, _ := getProcessMemoryInfo.Call(uintptr(windows.CurrentProcess()), uintptr(unsafe.Pointer(&c)), uintptr(c.size))
	if ok == 0 {
		return 0
	}
	return int64(c.peakWorkingSet)
}
