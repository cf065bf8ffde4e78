//go:build !unix && !windows

package ptxsim

// reserve cannot keep the host off the addresses here; the device uses a range that Go does not.
func reserve(int) (base uint64, release func(), ok bool) { return 0, nil, false }
