package optim

import (
	"fmt"

	"github.com/hone-ml/hone/tensor"
)

// Moments says how an optimizer keeps its moments.
type Moments int

const (
	// MomentsF32 takes 4 bytes a moment.
	MomentsF32 Moments = iota
	// MomentsBF16 takes 2. AdamW's are rounded stochastically: the second moment changes by less than BF16
	// resolves, and would else stand still. The random bits depend on the step and the element only.
	MomentsBF16
	// Moments8Bit takes 1, and 4 for each block of 256: block-wise dynamic quantisation (Dettmers et al.,
	// "8-bit Optimizers via Block-wise Quantization", 2022). As there, the moments of parameters of fewer
	// than 4,096 elements are F32.
	Moments8Bit
)

var momentNames = []string{MomentsF32: "f32", MomentsBF16: "bf16", Moments8Bit: "8bit"}

// String is "f32", "bf16" or "8bit".
func (m Moments) String() string {
	if m < 0 || int(m) >= len(momentNames) {
		return fmt.Sprintf("Moments(%d)", int(m))
	}
	return momentNames[m]
}

// ParseMoments is the inverse of String.
func ParseMoments(name string) (Moments, error) {
	for m, n := range momentNames {
		if n == name {
			return Moments(m), nil
		}
	}
	return 0, fmt.Errorf("moments %q are none of f32, bf16, 8bit", name)
}

// leastPacked is the smallest parameter with 8-bit moments, or with weights of BF16 only.
const leastPacked = 4096

// dtype is that of the moments of a parameter. F64 parameters have F64 moments.
func (m Moments) dtype(p *tensor.Tensor) tensor.DType {
	dt := p.DType().Accumulator()
	switch {
	case dt != tensor.F32:
	case m == MomentsBF16:
		dt = tensor.BF16
	case m == Moments8Bit && p.Len() >= leastPacked:
		dt = tensor.U8
	}
	return dt
}
