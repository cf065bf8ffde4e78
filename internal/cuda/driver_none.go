//go:build !((linux || windows) && (amd64 || arm64)) || nocuda

package cuda

import "errors"

// systemDriver says that there is none.
func systemDriver() (Driver, error) {
	return nil, errors.New("this build of hone has no NVIDIA driver to call: it was built with the tag nocuda, or for a system for which NVIDIA has none; use -device cpu")
}
