package tensor_test

import (
	"slices"
	"testing"

	"github.com/hone-ml/hone/tensor"
)

var muonConstants = tensor.MuonConstants{Momentum: 0.9, Steps: 5}

func TestMuonStepSaysWhereThereIsNoKernelAndChangesNothing(t *testing.T) {
	for name, device := range adamWDevices {
		d := device()
		w, m, g := tensor.Ones(d, tensor.F32, 3, 5), tensor.Zeros(d, tensor.F32, 3, 5), tensor.Ones(d, tensor.F32, 3, 5)
		before := slices.Concat(w.Bytes(), m.Bytes())
		hyper := tensor.FromSlice(d, []float32{0.1, 0.1, 1})
		done := tensor.MuonStep([]tensor.MuonState{{Param: w, Master: w, Momentum: m, Grad: g}}, hyper, muonConstants)
		if moved := !slices.Equal(slices.Concat(w.Bytes(), m.Bytes()), before); done != (name == "fused") || moved != done {
			t.Errorf("%s: done %v, moved %v", name, done, moved)
		}
	}
}

func TestMisuseOfMuonStepPanicsAndSaysWhat(t *testing.T) {
	d := tensor.NewTestDevice(0)
	x, y := tensor.Ones(d, tensor.F32, 2, 3), tensor.Ones(d, tensor.F32, 3, 2)
	double, vector := tensor.Ones(d, tensor.F64, 2, 3), tensor.Ones(d, tensor.F32, 6)
	hyper := tensor.Ones(d, tensor.F32, tensor.MuonHyper)
	for what, c := range map[string]struct {
		state tensor.MuonState
		hyper *tensor.Tensor
		want  string
	}{
		"another shape":   {tensor.MuonState{Param: x, Master: x, Momentum: y, Grad: x}, hyper, "matrices of one shape"},
		"a vector":        {tensor.MuonState{Param: vector, Master: vector, Momentum: vector, Grad: vector}, hyper, "matrices of one shape"},
		"F64 gradients":   {tensor.MuonState{Param: x, Master: x, Momentum: x, Grad: double}, hyper, "gradients of F32 or BF16"},
		"an F64 momentum": {tensor.MuonState{Param: x, Master: x, Momentum: double, Grad: x}, hyper, "momentum and gradients of F32 or BF16"},
		"an F64 master":   {tensor.MuonState{Param: x, Master: double, Momentum: x, Grad: x}, hyper, "F32 masters"},
		"another hyper":   {tensor.MuonState{Param: x, Master: x, Momentum: x, Grad: x}, x, "hyper F32 [3]"},
	} {
		mustSay(t, what, func() { tensor.MuonStep([]tensor.MuonState{c.state}, c.hyper, muonConstants) }, "MuonStep", c.want)
	}
}
