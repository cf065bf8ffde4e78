//go:build !unix && !windows

package safetensors

import (
	"io"
	"os"
)

// mapFile reads the first size bytes of file, size > 0: these systems cannot map
// files.
func mapFile(file *os.File, size int) (mapping, error) {
	data := make([]byte, size)
	if _, err := io.ReadFull(file, data); err != nil {
		return mapping{}, err
	}
	return mapping{data: data, writable: true}, nil
}
