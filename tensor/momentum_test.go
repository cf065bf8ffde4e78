package tensor_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/hone-ml/hone/tensor"
)

// momentumSteps make a step of each kind that MomentumState serves.
var momentumSteps = map[string]func(s tensor.MomentumState, grad *tensor.Tensor){
	"SGD": func(s tensor.MomentumState, grad *tensor.Tensor) {
		s.M = nil
		tensor.SGDStep(s, grad, sgdHyper(grad), tensor.SGDConstants{})
	},
	"SGD with momentum": func(s tensor.MomentumState, grad *tensor.Tensor) {
		tensor.SGDStep(s, grad, sgdHyper(grad), tensor.SGDConstants{Momentum: 0.9})
	},
	"SGD of Nesterov": func(s tensor.MomentumState, grad *tensor.Tensor) {
		tensor.SGDStep(s, grad, sgdHyper(grad), tensor.SGDConstants{Momentum: 0.9, Nesterov: true})
	},
	"Lion": func(s tensor.MomentumState, grad *tensor.Tensor) {
		tensor.LionStep(s, grad, tensor.FromSlice(grad.Device(), []float32{0.01, 0.1, 0.5}), tensor.LionConstants{Beta1: 0.9, Beta2: 0.99})
	},
}

func sgdHyper(grad *tensor.Tensor) *tensor.Tensor {
	return tensor.FromSlice(grad.Device(), []float32{0.1, 0.2, 0.5, 0.75})
}

// momentumState is a parameter of dtype dt with what it needs.
func momentumState(d *tensor.Device, dt, moment tensor.DType, n int) tensor.MomentumState {
	s := tensor.MomentumState{Param: tensor.Randn(d, dt, tensor.NewRand(3), 1, n), M: tensor.Randn(d, moment, tensor.NewRand(4), 1, n)}
	switch dt {
	case tensor.F32, tensor.F64:
		s.Master = s.Param
	case tensor.BF16:
		s.Remainder = tensor.Zeros(d, tensor.U8, n, 2)
	default:
		s.Master = tensor.Zeros(d, tensor.F32, n)
		s.Master.CopyFrom(s.Param)
	}
	return s
}

func TestMomentumStepsAreTheSameOnADeviceWithoutKernels(t *testing.T) {
	const n = 1003
	for name, step := range momentumSteps {
		for _, c := range []struct{ param, moment, grad tensor.DType }{
			{tensor.F32, tensor.F32, tensor.F32}, {tensor.F32, tensor.BF16, tensor.BF16}, {tensor.F64, tensor.F64, tensor.F64},
			{tensor.F16, tensor.F32, tensor.F32}, {tensor.BF16, tensor.F32, tensor.BF16}, {tensor.BF16, tensor.BF16, tensor.F32},
		} {
			state := func(d *tensor.Device) tensor.MomentumState {
				s := momentumState(d, c.param, c.moment, n)
				for i := range 3 {
					step(s, tensor.Randn(d, c.grad, tensor.NewRand(uint64(i)), 1, n))
				}
				return s
			}
			fused, composed := state(tensor.NewTestDevice(0)), state(tensor.NewComposedDevice())
			what := fmt.Sprintf("%s of %s, momentum %s, gradient %s", name, c.param, c.moment, c.grad)
			tolerance := map[tensor.DType]float64{tensor.F64: 1e-12, tensor.F32: 1e-6, tensor.F16: 2e-3, tensor.BF16: 0}[c.param]
			near(t, what, composed.Param.Float64s(), fused.Param.Float64s(), tolerance)
			if c.param != tensor.BF16 && c.moment != tensor.BF16 {
				near(t, what+": momentum", composed.M.Float64s(), fused.M.Float64s(), tolerance)
			}
			if c.param == tensor.BF16 && !slices.Equal(composed.Remainder.Bytes(), fused.Remainder.Bytes()) {
				t.Errorf("%s: the remainders differ", what)
			}
			before := momentumState(tensor.NewTestDevice(0), c.param, c.moment, n)
			if slices.Equal(before.Param.Bytes(), fused.Param.Bytes()) {
				t.Errorf("%s: nothing moved", what)
			}
		}
	}
}

func TestMisuseOfMomentumStepsPanicsAndSaysWhat(t *testing.T) {
	d := tensor.NewTestDevice(0)
	x, y, double := tensor.Ones(d, tensor.F32, 2), tensor.Ones(d, tensor.F32, 3), tensor.Ones(d, tensor.F64, 2)
	bf16, rest := tensor.Ones(d, tensor.BF16, 2), tensor.Zeros(d, tensor.U8, 2, 2)
	sgd, lion := tensor.Ones(d, tensor.F32, tensor.SGDHyper), tensor.Ones(d, tensor.F32, tensor.LionHyper)
	for what, c := range map[string]struct {
		state       tensor.MomentumState
		grad, hyper *tensor.Tensor
		want        string
	}{
		"another shape":          {tensor.MomentumState{Param: x, Master: x, M: y}, x, nil, "f32[2], f32[3]: needs contiguous tensors of one shape"},
		"another gradient":       {tensor.MomentumState{Param: x, Master: x, M: x}, y, nil, "one shape"},
		"another hyper":          {tensor.MomentumState{Param: x, Master: x, M: x}, x, x, "needs hyper F32 ["},
		"no weights":             {tensor.MomentumState{Param: x, M: x}, x, nil, "a master or a remainder"},
		"both":                   {tensor.MomentumState{Param: bf16, Master: x, Remainder: rest, M: x}, x, nil, "without a master"},
		"a remainder of F32":     {tensor.MomentumState{Param: x, Remainder: rest, M: x}, x, nil, "beside a BF16 parameter"},
		"momentum of F64":        {tensor.MomentumState{Param: x, Master: x, M: double}, x, nil, "a momentum of the weights' dtype"},
		"a gradient of F64":      {tensor.MomentumState{Param: x, Master: x, M: x}, double, nil, "gradients of the weights' dtype"},
		"F64 with BF16 momentum": {tensor.MomentumState{Param: double, Master: double, M: bf16}, double, nil, "a momentum of the weights' dtype"},
	} {
		for op, run := range map[string]func(){
			"SGDStep":  func() { tensor.SGDStep(c.state, c.grad, either(c.hyper, sgd), tensor.SGDConstants{}) },
			"LionStep": func() { tensor.LionStep(c.state, c.grad, either(c.hyper, lion), tensor.LionConstants{}) },
		} {
			mustSay(t, what, run, "tensor: "+op, c.want)
		}
	}
	mustSay(t, "no momentum", func() { tensor.LionStep(tensor.MomentumState{Param: x, Master: x}, x, lion, tensor.LionConstants{}) }, "tensor: LionStep f32[2]", "needs a momentum")
	freed := tensor.Zeros(d, tensor.U8, 2, 2)
	freed.Free()
	mustSay(t, "a freed remainder", func() {
		tensor.SGDStep(tensor.MomentumState{Param: bf16, Remainder: freed}, x, sgd, tensor.SGDConstants{})
	}, "SGDStep", "after Free")
}

func either(t, otherwise *tensor.Tensor) *tensor.Tensor {
	if t != nil {
		return t
	}
	return otherwise
}
