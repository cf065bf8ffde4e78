// Package filemap maps files of weights into memory, so that opening one takes neither time nor memory
// until its bytes are used.
package filemap

import (
	"errors"
	"fmt"
	"math"
	"os"
)

// Mapping is the content of a file in memory. The zero Mapping is that of an empty file.
type Mapping struct {
	Data     []byte
	Writable bool // Data may be written to, which leaves the file as it is

	unmap func() error
}

// Open maps the file at path, which must be neither a directory nor a device. It must not be truncated
// while it is mapped. Errors name path.
func Open(path string) (Mapping, error) {
	file, size, err := OpenRegular(path)
	if err != nil {
		return Mapping{}, err
	}
	defer file.Close()
	switch {
	case size == 0:
		return Mapping{}, nil // nothing to map, which is an error of some systems
	case size > math.MaxInt:
		return Mapping{}, fmt.Errorf("%s has %d bytes, more than can be addressed", path, size)
	}
	m, err := mapFile(file, int(size))
	if err != nil {
		return Mapping{}, fmt.Errorf("map %s: %w", path, err)
	}
	return m, nil
}

// OpenRegular opens a file that is neither a directory nor a device, and says how many bytes it has.
func OpenRegular(path string) (file *os.File, size int64, err error) {
	// Opening a pipe would wait for its writer, so look first.
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s is not a regular file", path)
	}
	if file, err = os.Open(path); err != nil {
		return nil, 0, err
	}
	if info, err = file.Stat(); err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, info.Size(), nil
}

// Evict lets data, a part of m.Data, leave the memory of the process where the system can do that; reading it again
// reads the file again. What was written to it may be lost.
func (m Mapping) Evict(data []byte) {
	if len(data) > 0 {
		evict(data)
	}
}

// Close unmaps the file: whoever uses Data afterwards ends the program. It is called once.
func (m Mapping) Close() error {
	if m.unmap == nil {
		return nil
	}
	return m.unmap()
}
