//go:build !unix && !windows

package filemap

import (
	"io"
	"os"
)

// mapFile reads the first size bytes of file, size > 0: these systems cannot map
// files.
func mapFile(file *os.File, size int) (Mapping, error) {
	data := make([]byte, size)
	if _, err := io.ReadFull(file, data); err != nil {
		return Mapping{}, err
	}
	return Mapping{Data: data, Writable: true}, nil
}

// evict does nothing: the content is memory like any other.
func evict([]byte) {}
