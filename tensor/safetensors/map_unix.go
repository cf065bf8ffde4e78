//go:build unix

package safetensors

import (
	"os"

	"golang.org/x/sys/unix"
)

// mapFile maps the first size bytes of file, size > 0. The mapping outlives the
// closing of file.
func mapFile(file *os.File, size int) (mapping, error) {
	data, err := unix.Mmap(int(file.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return mapping{}, err
	}
	return mapping{data, func() error { return unix.Munmap(data) }}, nil
}
