//go:build !purego

package simd

import "golang.org/x/sys/unix"

// hasBF16 reports whether the processor has the instructions of FEAT_BF16 in vector registers. The kernel
// says so in the auxiliary vector; the names are those of its include/uapi headers.
func hasBF16() bool {
	const (
		AT_HWCAP2   = 26
		HWCAP2_BF16 = 1 << 14
	)
	pairs, err := unix.Auxv()
	if err != nil {
		return false
	}
	for _, p := range pairs {
		if p[0] == AT_HWCAP2 {
			return p[1]&HWCAP2_BF16 != 0
		}
	}
	return false
}
