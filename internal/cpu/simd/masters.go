package simd

import "github.com/hone-ml/hone/internal/backend"

// JoinMasters sets out to the weights that bfloat16 parameters and their remainders stand for: see
// backend.JoinMaster.
func JoinMasters(out []float32, param, remainder []uint16) {
	param, remainder = cut(param, len(out)), cut(remainder, len(out))
	inBlocks(len(out), func(lo, hi int) { k.joinMasters(out[lo:hi], param[lo:hi], remainder[lo:hi]) })
}

// SplitMasters is the inverse of JoinMasters: see backend.SplitMaster.
func SplitMasters(param, remainder []uint16, w []float32) {
	remainder, w = cut(remainder, len(param)), cut(w, len(param))
	inBlocks(len(param), func(lo, hi int) { k.splitMasters(param[lo:hi], remainder[lo:hi], w[lo:hi]) })
}

func joinMastersGeneric(out []float32, param, remainder []uint16) {
	for i := range out {
		out[i] = backend.JoinMaster(param[i], remainder[i])
	}
}

func splitMastersGeneric(param, remainder []uint16, w []float32) {
	for i := range param {
		param[i], remainder[i] = backend.SplitMaster(w[i])
	}
}
