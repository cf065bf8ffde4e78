package nn_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
)

func TestSimpleLayersHaveTheRightGradients(t *testing.T) {
	d, f64 := tensor.CPU(), tensor.F64
	r := tensor.NewRand(5)
	for _, shape := range [][]int{{3, 4}, {1, 2, 4}, {4}, {0, 4}} {
		x := randn(r, shape...)
		for name, l := range map[string]nn.Layer{
			"linear":     nn.NewLinear(d, f64, 4, 3, true),
			"sequential": nn.Sequential{nn.NewLinear(d, f64, 4, 5, true), nn.Tanh{}, nn.NewLinear(d, f64, 5, 2, false), nn.Sigmoid{}},
			"residual":   nn.Residual{Layer: nn.Sequential{nn.NewLinear(d, f64, 4, 4, true), nn.SiLU{}}},
			"mlp":        nn.NewMLP(d, f64, nn.Tanh{}, 4, 5, 3),
			"gated mlp":  nn.NewGatedMLP(d, f64, 4, 6),
			"dropout":    nn.Dropout{P: 0.5},
			"relu":       nn.ReLU{},
			"func":       nn.Func((*tensor.Tensor).Softmax),
			"flatten":    nn.Flatten{},
		} {
			t.Run(fmt.Sprint(name, shape), func(t *testing.T) {
				module := any(l)
				if _, ok := l.(nn.Func); ok {
					module = struct{}{}
				}
				checkGradients(t, module, func(x ...T) T { return l.Forward(x[0]) }, x)
			})
		}
	}
	for _, ids := range [][]int32{{1, 0, 1}, {2}, {}} {
		e := nn.NewEmbedding(d, f64, 3, 2)
		checkGradients(t, e, func(x ...T) T { return e.Forward(x[0]) }, tensor.FromSlice(d, ids, len(ids)))
	}
}

func TestDropoutDropsWhereTheScopeTrains(t *testing.T) {
	d := tensor.CPU()
	l := nn.Dropout{P: 0.25}
	zeros := func(s *tensor.Scope) int {
		defer s.Close()
		y := tensor.ToSlice[float32](l.Forward(tensor.Ones(s, tensor.F32, 10000)))
		n := 0
		for _, v := range y {
			if v == 0 {
				n++
			} else if math.Abs(float64(v)-1/0.75) > 1e-6 && v != 1 {
				t.Fatalf("%g is neither dropped nor scaled", v)
			}
		}
		return n
	}
	told := func(s *tensor.Scope, training bool) *tensor.Scope {
		s.SetTraining(training)
		return s
	}
	if n := zeros(d.NewTape()); n < 2300 || n > 2700 {
		t.Errorf("on a tape %d of 10000 are zero", n)
	}
	if n := zeros(told(d.NewScope(), true)); n < 2300 || n > 2700 {
		t.Errorf("in a scope told to train %d of 10000 are zero", n)
	}
	if n := zeros(d.NewScope()) + zeros(told(d.NewTape(), false)); n != 0 {
		t.Errorf("in evaluation %d are zero", n)
	}
}

func TestDropoutRepeatsItsMaskInACheckpoint(t *testing.T) {
	d := tensor.CPU()
	w := tensor.Ones(d, tensor.F32, 1000)
	w.SetTrainable(true)
	grads := tensor.NewGrads(numbered(w), tensor.F32)
	s := d.NewTape()
	defer s.Close()
	y := tensor.Checkpoint(func(x ...T) []T { return []T{nn.Dropout{P: 0.5}.Forward(x[0].Mul(w))} }, tensor.Ones(s, tensor.F32, 1000))[0]
	want := y.Float64s()
	y.Sum().Backward(grads)
	if !slices.Equal(grads.Of(w).Float64s(), want) {
		t.Error("the gradient has another mask than the result")
	}
}

func TestSequentialWithoutLayersAndFlattenOfNothing(t *testing.T) {
	s := tensor.CPU().NewScope()
	defer s.Close()
	x := tensor.Zeros(s, tensor.F32, 0, 3, 2)
	if (nn.Sequential{}).Forward(x) != x {
		t.Error("an empty Sequential is not the identity")
	}
	if got := (nn.Flatten{}).Forward(tensor.Zeros(s, tensor.F32, 2, 3, 4)).Shape(); !slices.Equal(got, []int{2, 12}) {
		t.Errorf("flattened to %v", got)
	}
	if got := (nn.Flatten{}).Forward(x).Shape(); !slices.Equal(got, []int{0, 6}) {
		t.Errorf("flattened nothing to %v", got)
	}
}

func TestSimpleLayersSayWhatTheyWant(t *testing.T) {
	d, f32 := tensor.CPU(), tensor.F32
	s := d.NewTape()
	defer s.Close()
	mustSay(t, "dropout", func() { nn.Dropout{P: 1}.Forward(tensor.Zeros(s, f32, 2)) }, "Dropout f32[2]", "1 is not in [0, 1)")
	mustSay(t, "dropout, long-lived", func() { nn.Dropout{P: 0.5}.Forward(tensor.Zeros(d, f32, 2)) }, "nn.Dropout f32[2]", "with In")
	mustSay(t, "flatten", func() { nn.Flatten{}.Forward(tensor.Zeros(s, f32)) }, "nn.Flatten f32[]", "needs x [N, ...]")
	mustSay(t, "mlp", func() { nn.NewMLP(d, f32, nn.ReLU{}, 3) }, "nn.NewMLP", "1 widths")
	mustSay(t, "linear", func() { nn.NewLinear(d, f32, 3, 2, true).Forward(tensor.Zeros(s, f32, 2, 4)) }, "Linear f32[2 4], f32[2 3]", "needs x [..., in]")
}
