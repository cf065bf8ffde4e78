//go:build windows && (amd64 || arm64) && !nocuda

package cuda

import "golang.org/x/sys/windows"

const libraryName = "nvcuda.dll"

// loadLibrary looks in the system's folder only, where the driver installs it.
func loadLibrary(name string) (uintptr, error) {
	h, err := windows.LoadLibraryEx(name, 0, windows.LOAD_LIBRARY_SEARCH_SYSTEM32)
	return uintptr(h), err
}

func findSymbol(library uintptr, name string) (uintptr, error) {
	return windows.GetProcAddress(windows.Handle(library), name)
}
