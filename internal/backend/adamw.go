package backend

import "math"

// AdamWer fuses one step of AdamW (Loshchilov and Hutter 2019) with PyTorch's semantics in one sweep:
//
//	w ← w·(1 − lr·wd);  m ← β1·m + (1−β1)·g;  v ← β2·v + (1−β2)·g²
//	w ← w − lr·(m·c1) / (√(v·c2) + ε)
//
// where g is grad times the gradient scale. hyper is F32[AdamWHyper] = lr, wd, c1 = 1/(1−β1ᵗ), c2 = 1/(1−β2ᵗ),
// gradient scale, t modulo 2²⁴: in device memory, because it changes from step to step. grad is contiguous,
// of w's length, F32 or BF16; F64 where Master is. The update is made of the moments before they are
// packed.
type AdamWer interface {
	AdamW(s AdamWState, grad, hyper *View, a AdamWArgs)
}

// AdamWHyper is the length of the vector of numbers that change from step to step.
const AdamWHyper = 6

// AdamWArgs are the constants of AdamW.
type AdamWArgs struct {
	Beta1, Beta2, Eps float64
	Stream            uint64 // of AdamWNoise: each parameter has one of its own
	Coupled           bool   // Adam: wd·w is added to the gradient instead, and the weights do not decay
}

// AdamWState is a parameter and what AdamW keeps of it, all contiguous. The weights w are one of
//
//   - Master, F32 or F64. Param, when not nil, receives it converted to its dtype;
//   - Param, BF16, with Remainder, U8[…, 2]: the two bytes of a 16-bit number, the lower one first, which
//     make of each element an F32 number, see JoinMaster. Master is nil;
//   - Param, BF16, alone: rounded by StochasticBF16 with WeightNoise. Moments are not F64.
//
// The moments M and V are one of
//
//   - F32, or F64 where Master is;
//   - BF16, rounded by StochasticBF16 with the words of AdamWNoise;
//   - U8, codes of DynamicMap, with MScale and VScale, F32[⌈N/QuantBlock⌉].
type AdamWState struct {
	Param, Master, Remainder *View
	M, V, MScale, VScale     *View
}

// SplitMaster splits an F32 weight into a bfloat16, which is the nearest one, and 16 bits with which
// JoinMaster gives back the weight to the bit. These are the lower half of the weight, read as the signed
// distance from the bfloat16 in units of the weight's last place.
//
// A weight half-way between two bfloat16 goes to the one that is farther from zero, unlike everywhere
// else: to an even bfloat16 the rule "ties to even" would bring 2¹⁶+1 weights, more than 16 bits can tell
// apart. A weight that is not a number becomes the quiet NaN.
func SplitMaster(w float32) (param, remainder uint16) {
	b := math.Float32bits(w)
	if w != w {
		b = 0x7fc00000
	}
	return uint16((b + 0x8000) >> 16), uint16(b)
}

// JoinMaster is the weight that SplitMaster split. A param that was changed meanwhile gives a weight that
// is within half a unit of its last place, on zero's side of it at most zero.
func JoinMaster(param, remainder uint16) float32 {
	magnitude := int32(param&0x7fff)<<16 + int32(int16(remainder))
	return math.Float32frombits(uint32(max(magnitude, 0)) | uint32(param&0x8000)<<16)
}
