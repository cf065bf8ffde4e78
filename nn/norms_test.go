package nn_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
)

func TestNormsHaveTheRightGradients(t *testing.T) {
	d, f64 := tensor.CPU(), tensor.F64
	r := tensor.NewRand(3)
	for _, shape := range [][]int{{3, 4}, {1, 4, 3}, {2, 4, 1}, {2, 4, 2, 3}, {0, 4, 3}, {2, 4, 0}} {
		x := randn(r, shape...)
		for name, l := range map[string]nn.Layer{
			"group norm of 2": nn.NewGroupNorm(d, f64, 2, 4, 1e-2),
			"group norm of 1": nn.NewGroupNorm(d, f64, 1, 4, 1e-2),
			"batch norm":      nn.NewBatchNorm(d, f64, 4, 1e-2),
		} {
			t.Run(fmt.Sprint(name, shape), func(t *testing.T) {
				checkGradients(t, l, func(x ...T) T { return l.Forward(x[0]) }, x)
			})
		}
		frozen := nn.NewBatchNorm(d, f64, 4, 1e-2)
		frozen.Mean.FillRandn(r, 0, 1)
		frozen.Frozen = true
		checkGradients(t, frozen, func(x ...T) T { return frozen.Forward(x[0]) }, x)
	}
	for _, shape := range [][]int{{3, 4}, {1, 2, 4}, {0, 4}} {
		x := randn(r, shape...)
		for name, l := range map[string]nn.Layer{
			"layer norm": nn.NewLayerNorm(d, f64, 4, 1e-2),
			"rms norm":   nn.NewRMSNorm(d, f64, 4, 1e-2),
		} {
			t.Run(fmt.Sprint(name, shape), func(t *testing.T) {
				checkGradients(t, l, func(x ...T) T { return l.Forward(x[0]) }, x)
			})
		}
	}
}

func TestNormsOfBF16RoundOnce(t *testing.T) {
	d := tensor.CPU()
	r := tensor.NewRand(4)
	x := tensor.Randn(d, tensor.BF16, r, 3, 4, 6, 5)
	layers := func(dt tensor.DType) []nn.Layer {
		return []nn.Layer{nn.NewGroupNorm(d, dt, 3, 6, 1e-5), nn.NewBatchNorm(d, dt, 6, 1e-5)}
	}
	narrow, wide := layers(tensor.BF16), layers(tensor.F32)
	for i := range narrow {
		nn.Initialize(narrow[i], r)
		nn.Initialize(wide[i], r)
		for _, training := range []bool{true, false} {
			s := d.NewScope()
			s.SetTraining(training)
			got := narrow[i].Forward(x.In(s))
			want := wide[i].Forward(x.In(s).To(tensor.F32)).To(tensor.BF16)
			if got.DType() != tensor.BF16 || !slices.Equal(got.Float64s(), want.Float64s()) {
				t.Errorf("%T, training %v: bits differ from those of F32 rounded once", narrow[i], training)
			}
			s.Close()
		}
	}
}

func TestBatchNormMovesItsStatisticsInTrainingOnlyAndOnceACheckpoint(t *testing.T) {
	d := tensor.CPU()
	n := nn.NewBatchNorm(d, tensor.F32, 2, 1e-5)
	nn.Initialize(n, tensor.NewRand(1))
	data := []float32{1, 10, 3, 30, 5, 50} // means 3 and 30, unbiased variances 4 and 400
	grads := tensor.NewGrads(nn.Parameters(n), tensor.F32)

	scope := d.NewScope()
	defer scope.Close()
	n.Forward(tensor.FromSlice(scope, data, 3, 2))
	n.Frozen = true
	tape := d.NewTape()
	defer tape.Close()
	n.Forward(tensor.FromSlice(tape, data, 3, 2))
	n.Frozen = false
	if !slices.Equal(n.Mean.Float64s(), []float64{0, 0}) || n.Batches.Item() != 0 {
		t.Fatalf("evaluation, or training a frozen one, moved the mean to %v", n.Mean)
	}
	tensor.Checkpoint(func(x ...T) []T { return []T{n.Forward(x[0])} }, tensor.FromSlice(tape, data, 3, 2))[0].Sum().Backward(grads)
	near(t, "running mean", n.Mean.Float64s(), []float64{0.3, 3}, 1e-6)
	near(t, "running variance", n.Var.Float64s(), []float64{0.9 + 0.4, 0.9 + 40}, 1e-6)
	if n.Batches.Item() != 1 {
		t.Errorf("%v batches", n.Batches)
	}
}

func TestBatchNormWithoutAMomentumAveragesAllBatches(t *testing.T) {
	d := tensor.CPU()
	n := nn.NewBatchNorm(d, tensor.F64, 1, 1e-5)
	nn.Initialize(n, tensor.NewRand(1))
	n.Momentum = 0
	for _, v := range []float64{1, 2, 6} {
		s := d.NewTape()
		n.Forward(tensor.FromSlice(s, []float64{v - 1, v + 1}, 2, 1))
		s.Close()
	}
	if math.Abs(n.Mean.Item()-3) > 1e-12 || math.Abs(n.Var.Item()-2) > 1e-12 {
		t.Errorf("mean %v, variance %v", n.Mean, n.Var)
	}
}

func TestNormsSayWhatTheyWant(t *testing.T) {
	d, f32 := tensor.CPU(), tensor.F32
	s := d.NewTape()
	defer s.Close()
	x := tensor.Zeros(s, f32, 1, 4)
	mustSay(t, "group norm, channels", func() { nn.NewGroupNorm(d, f32, 2, 6, 1e-5).Forward(x) }, "nn.GroupNorm f32[1 4], f32[6]", "needs x [N, 6, ...]")
	mustSay(t, "group norm, groups", func() { nn.NewGroupNorm(d, f32, 4, 6, 1e-5) }, "6 channels do not divide into 4 groups")
	mustSay(t, "group norm, none", func() { nn.NewGroupNorm(d, f32, 0, 6, 1e-5) }, "groups is 0; it must be positive")
	mustSay(t, "batch norm, channels", func() { nn.NewBatchNorm(d, f32, 3, 1e-5).Forward(x) }, "nn.BatchNorm f32[1 4], f32[3]", "needs x [N, 3, ...]")
	mustSay(t, "batch norm, dtype", func() { nn.NewBatchNorm(d, tensor.BF16, 4, 1e-5).Forward(x) }, "of the weight's dtype")
	mustSay(t, "batch norm, one value", func() { nn.NewBatchNorm(d, f32, 4, 1e-5).Forward(x) }, "nn.BatchNorm f32[1 4]", "no variance to train with", "larger batch")
	mustSay(t, "long-lived input", func() { nn.NewBatchNorm(d, f32, 4, 1e-5).Forward(tensor.Zeros(d, f32, 2, 4)) }, "nn.BatchNorm f32[2 4]", "bring it into a scope with In")
}
