//go:build unix && !linux && !darwin

package cpu

import "unsafe"

func adviseLarge(unsafe.Pointer, uintptr) {}
