//go:build unix

package filemap

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapFile maps the first size bytes of file, size > 0, so that they can be written
// to, which changes this process's view only; or, where the system does not promise
// so much memory, read-only. The mapping outlives the closing of file.
func mapFile(file *os.File, size int) (Mapping, error) {
	writable := true
	data, err := unix.Mmap(int(file.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
	if err != nil {
		writable = false
		data, err = unix.Mmap(int(file.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	}
	if err != nil {
		return Mapping{}, err
	}
	return Mapping{data, writable, func() error { return unix.Munmap(data) }}, nil
}

// evict lets the whole pages of data, a part of a mapping, leave memory.
func evict(data []byte) {
	page := os.Getpagesize()
	lo := (page - int(uintptr(unsafe.Pointer(unsafe.SliceData(data)))%uintptr(page))) % page
	hi := len(data) - (int(uintptr(unsafe.Pointer(unsafe.SliceData(data)))%uintptr(page))+len(data))%page
	if lo < hi {
		_ = unix.Madvise(data[lo:hi], unix.MADV_DONTNEED) // where it does nothing the pages stay
	}
}
