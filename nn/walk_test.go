package nn_test

import (
	"slices"
	"testing"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
)

func namesOf(seq func(yield func(string, T) bool)) []string {
	var names []string
	for name := range seq {
		names = append(names, name)
	}
	return names
}

func TestNamesMayHoldTheIndexAndBuffersAreNoParameters(t *testing.T) {
	d := tensor.CPU()
	vector := func() T { return tensor.Zeros(d, tensor.F32, 2) }
	m := struct {
		W    []T `param:"weight_l#"`
		R    []T `param:"weight_l#_reverse"`
		Deep []struct {
			N *nn.BatchNorm `param:"norm"`
		} `param:"block#"`
		Count T        `buffer:"count"`
		Kept  []T      `buffer:"kept"`
		Act   nn.Layer `param:"act"`
	}{W: []T{vector(), vector()}, R: []T{vector(), nil}, Count: vector(), Kept: []T{vector()}, Act: nn.Func((*tensor.Tensor).ReLU)}
	m.Deep = append(m.Deep, struct {
		N *nn.BatchNorm `param:"norm"`
	}{nn.NewBatchNorm(d, tensor.F32, 2, 1e-5)})
	params := []string{"weight_l0", "weight_l1", "weight_l0_reverse", "block0.norm.weight", "block0.norm.bias"}
	buffers := []string{"block0.norm.running_mean", "block0.norm.running_var", "block0.norm.num_batches_tracked", "count", "kept.0"}
	if got := namesOf(nn.Parameters(m)); !slices.Equal(got, params) {
		t.Errorf("parameters %q", got)
	}
	if got := namesOf(nn.Buffers(&m)); !slices.Equal(got, buffers) {
		t.Errorf("buffers %q", got)
	}
	if got := namesOf(nn.State(m)); !slices.Equal(got, append(params, buffers...)) {
		t.Errorf("state %q", got)
	}
	if nn.Count(nn.Parameters(m)) != 10 {
		t.Error("buffers were counted")
	}
}

func TestAModuleMayBeASliceOfLayers(t *testing.T) {
	d := tensor.CPU()
	s := nn.Sequential{nn.NewLinear(d, tensor.F32, 2, 2, false), nn.ReLU{}, nil, nn.Residual{Layer: nn.NewLinear(d, tensor.F32, 2, 2, true)}}
	if got := namesOf(nn.Parameters(s)); !slices.Equal(got, []string{"0.weight", "3.weight", "3.bias"}) {
		t.Errorf("got %q", got)
	}
	defer func() {
		if p := recover(); p != "nn: Parameters of int: a module is a struct or a slice of layers, or a pointer to one" {
			t.Errorf("panic %v", p)
		}
	}()
	nn.Parameters(3)
}

func TestTheLoopMayStopEarly(t *testing.T) {
	m := newStateful(tensor.F32, 1)
	n := 0
	for range nn.State(m) {
		if n++; n == 5 {
			break
		}
	}
	if n != 5 {
		t.Errorf("%d iterations", n)
	}
}
