package optim_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
)

func TestSchedulesEqualTransformers(t *testing.T) {
	g := openGolden(t)
	for name, s := range map[string]optim.Schedule{
		"cosine": optim.Cosine(5, 50), "linear": optim.Linear(5, 50), "constant": optim.Constant(5),
	} {
		want := g.floats("schedule." + name)
		for step, w := range want {
			if got := s(step); math.Abs(got-w) > 1e-15 {
				t.Errorf("%s(%d) is %g, want %g", name, step, got, w)
			}
		}
	}
}

func TestSchedulesStayInBoundsOutsideTheRun(t *testing.T) {
	for name, c := range map[string]struct {
		s    optim.Schedule
		last float64
	}{
		"cosine": {optim.Cosine(2, 10), 0}, "linear": {optim.Linear(2, 10), 0}, "constant": {optim.Constant(2), 1},
		"cosine without warm-up": {optim.Cosine(0, 10), 0}, "linear that is all warm-up": {optim.Linear(10, 10), 0},
		"cosine that is all warm-up": {optim.Cosine(10, 10), 0},
	} {
		for _, step := range []int{10, 11, 15, 1000} {
			// all warm-up: the first step after it is at the peak, the end and the beginning of the decay
			if got := c.s(step); math.Abs(got-c.last) > 1e-15 && !(step == 10 && got == 1) {
				t.Errorf("%s: factor %g at step %d, want %g", name, got, step, c.last)
			}
		}
	}
	if first := optim.Cosine(0, 10)(0); first != 1 {
		t.Errorf("without warm-up the first factor is %g", first)
	}
}

func TestClippingEqualsPyTorchAboveAndBelowTheLimit(t *testing.T) {
	g := openGolden(t)
	for _, name := range []string{"above", "below"} {
		var params []*tensor.Tensor
		for i := range 2 {
			params = append(params, g.parameter(fmt.Sprintf("clip.%s.%d.grad", name, i), tensor.F32))
		}
		grads := tensor.NewGrads(named(params...), tensor.F32)
		for _, p := range params {
			grads.Of(p).CopyFrom(p)
		}
		wantNear(t, name+" norm", []float64{grads.Clip(1)}, g.floats("clip."+name+".norm"), 1e-6)
		for i, p := range params {
			got, want := grads.Of(p).Float64s(), g.floats(fmt.Sprintf("clip.%s.%d.clipped", name, i))
			wantNear(t, fmt.Sprintf("%s %d", name, i), got, want, 1e-6)
			if name == "below" && !slices.Equal(got, want) {
				t.Errorf("gradients below the limit changed")
			}
		}
	}
}

// derived are the parameters of whole that have masters.
var derived = []int{2, 4, 5}

// whole is an optimizer of everything: AdamW over three dtypes, and Muon.
func whole() (params []*tensor.Tensor, o optim.Optimizer) {
	params = []*tensor.Tensor{
		drawn(tensor.F32, 1, 5, 3), drawn(tensor.BF16, 2, 7), drawn(tensor.F16, 3, 2, 2),
		drawn(tensor.F32, 4, 6, 4), drawn(tensor.BF16, 5, 6, 4), drawn(tensor.BF16, 6, 4, 6),
	}
	return params, optim.Join(
		optim.NewAdamW([]optim.Group{{Params: params[:2], LR: 0.1, WeightDecay: 0.1}, {Params: params[2:3], LR: 0.2}}, optim.AdamWConfig{Beta2: 0.95}),
		optim.NewMuon([]optim.Group{{Params: params[3:], LR: 0.1, WeightDecay: 0.01}}, optim.MuonConfig{}))
}

func steps(t *testing.T, params []*tensor.Tensor, o optim.Optimizer, from, to int) {
	t.Helper()
	grads := tensor.NewGrads(named(params...), tensor.F32)
	for step := from; step < to; step++ {
		grads.Flat().FillRandn(tensor.NewRand(uint64(100+step)), 0, 1)
		o.SetFactor(1 / float64(step+1))
		if err := o.Step(grads); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRestoredOptimizersGoOnToTheBit(t *testing.T) {
	params, o := whole()
	steps(t, params, o, 0, 4)

	resumed, r := whole()
	saved := maps.Collect(o.State())
	for name, s := range r.State() {
		s.CopyFrom(saved[name])
	}
	r.SetSteps(o.Steps())
	for i, p := range resumed { // what masters do not give back, a checkpoint of the model does
		if slices.Contains(derived, i) {
			p.Fill(math.NaN())
		} else {
			p.CopyFrom(params[i])
		}
	}
	r.Sync()
	if !maps.Equal(stateOf(r, resumed...), stateOf(o, params...)) {
		t.Fatal("the restored state is not the saved one")
	}

	steps(t, params, o, 4, 8)
	steps(t, resumed, r, 4, 8)
	if !maps.Equal(stateOf(r, resumed...), stateOf(o, params...)) {
		t.Error("the restored run is not the uninterrupted one")
	}
	if o.Steps() != 8 || r.Steps() != 8 {
		t.Errorf("%d and %d steps", o.Steps(), r.Steps())
	}
}

func TestJoinedOptimizersEqualEachAlone(t *testing.T) {
	params, o := whole()
	steps(t, params, o, 0, 3)
	alone, _ := whole()
	a := optim.NewAdamW([]optim.Group{{Params: alone[:2], LR: 0.1, WeightDecay: 0.1}, {Params: alone[2:3], LR: 0.2}}, optim.AdamWConfig{Beta2: 0.95})
	m := optim.NewMuon([]optim.Group{{Params: alone[3:], LR: 0.1, WeightDecay: 0.01}}, optim.MuonConfig{})
	grads := tensor.NewGrads(named(alone...), tensor.F32)
	for step := range 3 {
		grads.Flat().FillRandn(tensor.NewRand(uint64(100+step)), 0, 1)
		for _, o := range []optim.Optimizer{m, a} {
			o.SetFactor(1 / float64(step+1))
			if err := o.Step(grads); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, p := range params {
		if !slices.Equal(p.Bytes(), alone[i].Bytes()) {
			t.Errorf("parameter %d differs", i)
		}
	}
	var names []string
	for name := range o.State() {
		names = append(names, name)
	}
	want := []string{
		"0.0.0.exp_avg", "0.0.0.exp_avg_sq", "0.0.1.exp_avg", "0.0.1.exp_avg_sq", "0.0.1.remainder",
		"0.1.0.exp_avg", "0.1.0.exp_avg_sq", "0.1.0.master",
		"1.0.0.momentum", "1.0.1.momentum", "1.0.1.master", "1.0.2.momentum", "1.0.2.master",
	}
	if !slices.Equal(names, want) {
		t.Errorf("state %q, want %q", names, want)
	}
}

func TestStepsLeaveNoMemoryBehind(t *testing.T) {
	params, o := whole()
	steps(t, params, o, 0, 2)
	grads := tensor.NewGrads(named(params...), tensor.F32)
	before := tensor.CPU().Memory()
	for range 10 {
		if err := o.Step(grads); err != nil {
			t.Fatal(err)
		}
	}
	if after := tensor.CPU().Memory(); after.Long > before.Long || after.Reserved > before.Reserved {
		t.Errorf("memory grew from %+v to %+v", before, after)
	}
}
