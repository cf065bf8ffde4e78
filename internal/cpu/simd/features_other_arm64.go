//go:build !purego && !linux && !darwin

package simd

// hasBF16 is false where the system has no way of asking for FEAT_BF16 that is relied on here.
func hasBF16() bool { return false }
