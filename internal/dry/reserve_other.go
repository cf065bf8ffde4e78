//go:build !unix && !windows

package dry

import (
	"errors"
	"unsafe"
)

// reserve fails: this system has no call that reserves addresses.
func reserve(int) (unsafe.Pointer, error) {
	return nil, errors.New("dry: this system cannot reserve addresses without memory")
}
