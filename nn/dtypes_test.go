package nn_test

import (
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
)

// A layerMaker makes a layer of a dtype, whose input has a shape.
type layerMaker struct {
	shape []int
	make  func(dt tensor.DType) nn.Layer
}

// layerMakers make a layer of each kind, large enough for several workers.
func layerMakers() map[string]layerMaker {
	d := tensor.CPU()
	c := nn.RecurrentConfig{Input: 24, Hidden: 40, Layers: 2, Bidirectional: true}
	return map[string]layerMaker{
		"linear":     {[]int{70, 24}, func(dt tensor.DType) nn.Layer { return nn.NewLinear(d, dt, 24, 300, true) }},
		"layer norm": {[]int{300, 24}, func(dt tensor.DType) nn.Layer { return nn.NewLayerNorm(d, dt, 24, 1e-5) }},
		"rms norm":   {[]int{300, 24}, func(dt tensor.DType) nn.Layer { return nn.NewRMSNorm(d, dt, 24, 1e-5) }},
		"group norm": {[]int{8, 12, 500}, func(dt tensor.DType) nn.Layer { return nn.NewGroupNorm(d, dt, 3, 12, 1e-5) }},
		"batch norm": {[]int{8, 70, 20, 25}, func(dt tensor.DType) nn.Layer { return nn.NewBatchNorm(d, dt, 70, 1e-5) }},
		"mlp":        {[]int{70, 24}, func(dt tensor.DType) nn.Layer { return nn.NewMLP(d, dt, nn.GELU{}, 24, 200, 10) }},
		"gated mlp":  {[]int{70, 24}, func(dt tensor.DType) nn.Layer { return nn.NewGatedMLP(d, dt, 24, 200) }},
		"conv1d": {[]int{8, 12, 100}, func(dt tensor.DType) nn.Layer {
			return nn.NewConv1d(d, dt, 12, 12, 4, true, tensor.Conv1dOptions{Causal: true, Groups: 12})
		}},
		"conv2d": {[]int{8, 3, 20, 20}, func(dt tensor.DType) nn.Layer {
			return nn.NewConv2d(d, dt, 3, 8, [2]int{3, 3}, true, tensor.Conv2dOptions{})
		}},
		"attention": {[]int{4, 60, 24}, func(dt tensor.DType) nn.Layer {
			return nn.NewMultiHeadAttention(d, dt, nn.AttentionConfig{Width: 24, Heads: 6, KVHeads: 2, Causal: true, Bias: true, RoPE: &nn.RoPE{}})
		}},
		"rnn":  {[]int{16, 20, 24}, func(dt tensor.DType) nn.Layer { return nn.NewRNN(d, dt, c) }},
		"gru":  {[]int{16, 20, 24}, func(dt tensor.DType) nn.Layer { return nn.NewGRU(d, dt, c) }},
		"lstm": {[]int{16, 20, 24}, func(dt tensor.DType) nn.Layer { return nn.NewLSTM(d, dt, c) }},
	}
}

// trainingStep is what a layer makes of normal numbers, and the gradients of its parameters.
func (m layerMaker) trainingStep(l nn.Layer, dt tensor.DType) (y, gradients []float64) {
	d := tensor.CPU()
	grads := tensor.NewGrads(nn.Parameters(l), dt.Accumulator())
	s := d.NewTape()
	defer s.Close()
	x := tensor.Randn(s, tensor.BF16, tensor.NewRand(2), 1, m.shape...).To(dt)
	out := l.Forward(x)
	y = out.Float64s()
	out.To(dt.Accumulator()).Square().Mean().Backward(grads)
	return y, grads.Flat().Float64s()
}

func TestLayersComputeInEveryFloatDType(t *testing.T) {
	for name, m := range layerMakers() {
		t.Run(name, func(t *testing.T) {
			source := m.make(tensor.BF16) // numbers that all dtypes have
			nn.Initialize(source, tensor.NewRand(1))
			var want, gradients []float64
			for _, dt := range []tensor.DType{tensor.F64, tensor.F32, tensor.BF16, tensor.F16} {
				l := m.make(dt)
				next := map[string]T{}
				for name, p := range nn.State(source) {
					next[name] = p
				}
				for name, p := range nn.State(l) {
					p.CopyFrom(next[name])
				}
				y, g := m.trainingStep(l, dt)
				if dt == tensor.F64 {
					want, gradients = y, g
					continue
				}
				tolerance := map[tensor.DType]float64{tensor.F32: 1e-5, tensor.BF16: 0.03, tensor.F16: 0.004}[dt]
				near(t, fmt.Sprint(dt, " result"), y, want, tolerance)
				near(t, fmt.Sprint(dt, " gradients"), g, padded(l, gradients, dt), 2*tolerance)
			}
		})
	}
}

// padded is the flat gradients of F64 laid out as those of another dtype are.
func padded(l nn.Layer, flat []float64, dt tensor.DType) []float64 {
	wide, narrow := tensor.NewGrads(nn.Parameters(l), tensor.F64), tensor.NewGrads(nn.Parameters(l), dt.Accumulator())
	tensor.CopyFromSlice(wide.Flat(), flat)
	for name, g := range wide.All() {
		for other, to := range narrow.All() {
			if name == other {
				to.CopyFrom(g)
			}
		}
	}
	return narrow.Flat().Float64s()
}

func TestTheBitsOfLayersDoNotDependOnGOMAXPROCS(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for name, m := range layerMakers() {
		for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
			var first []float64
			for _, procs := range []int{1, 2, 8} {
				runtime.GOMAXPROCS(procs)
				l := m.make(dt)
				nn.Initialize(l, tensor.NewRand(1))
				y, gradients := m.trainingStep(l, dt)
				if all := append(y, gradients...); first == nil {
					first = all
				} else if !slices.Equal(all, first) {
					t.Errorf("%s of %v: other bits with GOMAXPROCS %d", name, dt, procs)
				}
			}
		}
	}
}
