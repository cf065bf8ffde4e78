package tensor_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/hone-ml/hone/tensor"
)

var adafactorConstants = tensor.AdafactorConstants{Eps1: 1e-4, Eps2: 1e-3, D: 1}

// adafactorState is a parameter of dtype dt with what it needs.
func adafactorState(d *tensor.Device, dt tensor.DType, shape ...int) tensor.AdafactorState {
	m := momentumState(d, dt, dt.Accumulator(), 1)
	s := tensor.AdafactorState{Param: tensor.Randn(d, dt, tensor.NewRand(3), 1, shape...)}
	switch {
	case m.Remainder != nil:
		s.Remainder = tensor.Zeros(d, tensor.U8, append(slices.Clone(shape), 2)...)
	case m.Master == m.Param:
		s.Master = s.Param
	default:
		s.Master = tensor.Zeros(d, tensor.F32, shape...)
		s.Master.CopyFrom(s.Param)
	}
	if n := len(shape); n < 2 {
		s.V = tensor.Zeros(d, dt.Accumulator(), shape...)
	} else {
		s.Row = tensor.Zeros(d, dt.Accumulator(), shape[:n-1]...)
		s.Col = tensor.Zeros(d, dt.Accumulator(), append(slices.Clone(shape[:n-2]), shape[n-1])...)
	}
	return s
}

func TestAdafactorStepIsTheSameOnADeviceWithoutKernel(t *testing.T) {
	// Shapes of one block and many, of rows longer than a block, of more rows than parts, of many matrices.
	shapes := [][]int{{}, {1}, {5000}, {3, 7}, {1, 1}, {7, 2500}, {5000, 9}, {40, 3, 3}, {2, 3, 50, 20}, {0, 4}}
	for _, shape := range shapes {
		for _, c := range [][2]tensor.DType{{tensor.F32, tensor.F32}, {tensor.F32, tensor.BF16}, {tensor.F16, tensor.F32}, {tensor.BF16, tensor.BF16}} {
			state := func(d *tensor.Device, dt tensor.DType) tensor.AdafactorState {
				s := adafactorState(d, dt, shape...)
				for i, q := range []float32{1, 0.5, 0.3} {
					grad := tensor.Randn(d, c[1], tensor.NewRand(uint64(i)), 1, shape...)
					tensor.AdafactorStep(s, grad, tensor.FromSlice(d, []float32{0.1, 0.2, 0.5, 0.05, q}), adafactorConstants)
				}
				return s
			}
			what := fmt.Sprintf("%s%v, gradient %s", c[0], shape, c[1])
			if c[0] != tensor.BF16 {
				fused, composed := state(tensor.NewTestDevice(0), c[0]), state(tensor.NewComposedDevice(), c[0])
				near(t, what, composed.Master.Float64s(), fused.Master.Float64s(), 4e-6)
				for i, x := range []*tensor.Tensor{composed.Row, composed.Col, composed.V} {
					if x != nil {
						near(t, what+": squares", x.Float64s(), []*tensor.Tensor{fused.Row, fused.Col, fused.V}[i].Float64s(), 4e-6)
					}
				}
				continue
			}
			fused, hosted := state(tensor.NewTestDevice(0), c[0]), state(tensor.NewComposedDevice(), c[0])
			if !slices.Equal(fused.Param.Bytes(), hosted.Param.Bytes()) || !slices.Equal(fused.Remainder.Bytes(), hosted.Remainder.Bytes()) {
				t.Errorf("%s: other bits", what)
			}
		}
	}
}

func TestMisuseOfAdafactorStepPanicsAndSaysWhat(t *testing.T) {
	d := tensor.NewTestDevice(0)
	x, y, double := tensor.Ones(d, tensor.F32, 2, 3), tensor.Ones(d, tensor.F32, 3), tensor.Ones(d, tensor.F64, 2, 3)
	row, col, hyper := tensor.Ones(d, tensor.F32, 2), y, tensor.Ones(d, tensor.F32, tensor.AdafactorHyper)
	good := tensor.AdafactorState{Param: x, Master: x, Row: row, Col: col}
	vector := tensor.AdafactorState{Param: y, Master: y, V: y}
	for what, c := range map[string]struct {
		state       tensor.AdafactorState
		change      func(s *tensor.AdafactorState)
		grad, hyper *tensor.Tensor
		want        string
	}{
		"another gradient":         {good, func(*tensor.AdafactorState) {}, y, hyper, "f32[2 3], f32[3]: needs contiguous tensors of one shape"},
		"another hyper":            {good, func(*tensor.AdafactorState) {}, x, y, "needs hyper F32 [5]"},
		"no weights":               {good, func(s *tensor.AdafactorState) { s.Master = nil }, x, hyper, "a master or a remainder"},
		"a gradient of F64":        {good, func(*tensor.AdafactorState) {}, double, hyper, "gradients of the weights' dtype"},
		"rows that are columns":    {good, func(s *tensor.AdafactorState) { s.Row = col }, x, hyper, "needs Row [..., R] and Col [..., C]"},
		"no columns":               {good, func(s *tensor.AdafactorState) { s.Col = nil }, x, hyper, "needs Row [..., R] and Col [..., C]"},
		"a matrix with V":          {good, func(s *tensor.AdafactorState) { s.V = x }, x, hyper, "V beside one of fewer axes"},
		"a vector with rows":       {vector, func(s *tensor.AdafactorState) { s.Row = y }, y, hyper, "V beside one of fewer axes"},
		"a vector without V":       {vector, func(s *tensor.AdafactorState) { s.V = nil }, y, hyper, "V beside one of fewer axes"},
		"squares of another dtype": {vector, func(s *tensor.AdafactorState) { s.V = tensor.Ones(d, tensor.BF16, 3) }, y, hyper, "all of the weights' dtype"},
	} {
		s := c.state
		c.change(&s)
		mustSay(t, what, func() { tensor.AdafactorStep(s, c.grad, c.hyper, adafactorConstants) }, "tensor: AdafactorStep", c.want)
	}
}
