package optim

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/tensor"
)

// AdafactorConfig holds the constants of Adafactor. Zero fields stand for PyTorch's defaults.
type AdafactorConfig struct {
	// Beta2Decay is −0.8: of step t, counted from 1, tᵈ goes into the mean squares.
	Beta2Decay float64
	// Eps1 keeps the update finite where gradients vanish: the distance from 1 to the next number of the
	// weights' precision, 2⁻²³, or 2⁻⁵² of F64 parameters.
	Eps1 float64
	Eps2 float64 // 1e-3: the least size of a parameter to which its step is in proportion
	D    float64 // 1: the largest root of the mean square of an update
}

// Adafactor keeps, of a matrix, the mean squares of the gradients' rows and columns in place of a moment of the
// matrix's size, and none of the gradients themselves (Shazeer and Stern, "Adafactor: Adaptive Learning Rates
// with Sublinear Memory Cost", 2018). It equals torch.optim.Adafactor, which differs from transformers': the
// step of a parameter is relative to its size, and at step t no larger than 1/√t; a group's learning rate,
// 1e-2 in PyTorch, is an upper bound. Weight decay is decoupled.
//
// What is kept of a parameter [..., R, C] are R + C numbers for each matrix, of one with fewer axes its
// squares. A step reads the gradients three times. BF16 and F16 parameters are trained with the precision of
// F32, as AdamW trains them. Its methods are those of Optimizer; State is "0.3.row_var", "0.3.col_var" or
// "0.3.variance" and, where there are any, remainders or masters.
type Adafactor struct {
	rule
}

// NewAdafactor makes the state for the groups' parameters. It panics if a parameter is not trainable or occurs
// twice, or if a constant is out of range.
func NewAdafactor(groups []Group, c AdafactorConfig) *Adafactor {
	if c.Beta2Decay == 0 {
		c.Beta2Decay = -0.8
	}
	if c.Eps2 == 0 {
		c.Eps2 = 1e-3
	}
	if c.D == 0 {
		c.D = 1
	}
	if !(c.Beta2Decay < 0) || !(c.Eps1 >= 0) || !(c.Eps2 > 0) || !(c.D >= 1) {
		panic(fmt.Sprintf("optim: NewAdafactor: beta2 decay is %g, eps %g and %g, d %g; want it negative, 0 or more, positive, 1 or more", c.Beta2Decay, c.Eps1, c.Eps2, c.D))
	}
	hyper := func(lr, wd, gradScale float64, t int) []float32 {
		rho, q := min(lr, 1/math.Sqrt(float64(t))), math.Pow(float64(t), c.Beta2Decay)
		return []float32{float32(lr), float32(wd), float32(gradScale), float32(rho), float32(q)}
	}
	return &Adafactor{newRule("Adafactor", groups, WeightsF32, tensor.AdafactorHyper, hyper, func(s *slot) {
		p, dt := s.param, s.param.DType().Accumulator()
		constants := tensor.AdafactorConstants{Eps1: c.Eps1, Eps2: c.Eps2, D: c.D}
		if constants.Eps1 == 0 {
			if constants.Eps1 = 0x1p-23; dt == tensor.F64 {
				constants.Eps1 = 0x1p-52
			}
		}
		state := tensor.AdafactorState{Param: p, Master: s.master, Remainder: s.remainder}
		shape, n := p.Shape(), p.Rank()
		if n < 2 {
			state.V = tensor.Zeros(p.Device(), dt, shape...)
		} else {
			state.Row = tensor.Zeros(p.Device(), dt, shape[:n-1]...)
			state.Col = tensor.Zeros(p.Device(), dt, append(shape[:n-2:n-2], shape[n-1])...)
		}
		s.state = []named{{"row_var", state.Row}, {"col_var", state.Col}, {"variance", state.V}}
		s.step = func(grad, hyper *tensor.Tensor) { tensor.AdafactorStep(state, grad, hyper, constants) }
	})}
}

// String names the optimizer: "Adafactor".
func (o *Adafactor) String() string { return "Adafactor" }
