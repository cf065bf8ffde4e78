package filemap

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// mapFile maps the first size bytes of file, size > 0, read-only: a mapping should
// not be kept for long, since a file that is mapped cannot be replaced. It outlives
// the closing of file.
func mapFile(file *os.File, size int) (Mapping, error) {
	section, err := windows.CreateFileMapping(windows.Handle(file.Fd()), nil, windows.PAGE_READONLY,
		uint32(uint64(size)>>32), uint32(size), nil)
	if err != nil {
		return Mapping{}, err
	}
	address, err := windows.MapViewOfFile(section, windows.FILE_MAP_READ, 0, 0, uintptr(size))
	// The view keeps the section alive.
	if err = errors.Join(err, windows.CloseHandle(section)); err != nil {
		return Mapping{}, err
	}
	// The address is not the garbage collector's, so reading it as a pointer is
	// sound, though the conversion that vet knows is not for it.
	start := *(**byte)(unsafe.Pointer(&address))
	return Mapping{
		Data:  unsafe.Slice(start, size),
		unmap: func() error { return windows.UnmapViewOfFile(address) },
	}, nil
}

// evict does nothing: the system has no such call for views of files.
func evict([]byte) {}
