//go:build !linux && !darwin && !windows

package cpu

// AvailableMemory is 0: this system is not asked.
func AvailableMemory() uint64 { return 0 }

func totalMemory() uint64 { return 0 }

func processorModel() string { return architecture }
