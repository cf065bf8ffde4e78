package optim_test

import (
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
)

var muonNames = []string{"wide", "tall", "square"}

func muonParameters(g golden, dt tensor.DType) (params []*tensor.Tensor) {
	for _, name := range muonNames {
		params = append(params, g.parameter("muon."+name+".init", dt))
	}
	return params
}

func newMuon(params ...*tensor.Tensor) *optim.Muon {
	return optim.NewMuon([]optim.Group{{Params: params, LR: 0.02, WeightDecay: 0.05}}, optim.MuonConfig{})
}

func TestTwentyMuonStepsEqualTheReference(t *testing.T) {
	g := openGolden(t)
	params := muonParameters(g, tensor.F32)
	o := newMuon(params...)
	grads := tensor.NewGrads(named(params...), tensor.F32)
	for step := range 20 {
		for i, name := range muonNames {
			set(grads.Of(params[i]), g.step("muon."+name+".grads", step))
		}
		if err := o.Step(grads); err != nil {
			t.Fatal(err)
		}
		if s := step + 1; s == 1 || s == 2 || s == 20 {
			for i, name := range muonNames {
				wantNear(t, fmt.Sprintf("%s after step %d", name, s), params[i].Float64s(), g.floats(fmt.Sprintf("muon.%s.params.%d", name, s)), 1e-5)
			}
		}
	}
	state := maps.Collect(o.State())
	for i, name := range muonNames {
		wantNear(t, name+" momentum", state[fmt.Sprintf("0.%d.momentum", i)].Float64s(), g.floats("muon."+name+".m"), 1e-6)
	}
}

func TestMatricesOfOneShapeInABatchEqualEachAlone(t *testing.T) {
	for _, shape := range [][]int{{6, 14}, {14, 6}, {9, 9}} {
		for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
			together := []*tensor.Tensor{drawn(dt, 1, shape...), drawn(dt, 2, shape...), drawn(dt, 3, shape...)}
			o := newMuon(together...)
			grads := tensor.NewGrads(named(together...), tensor.F32)
			grads.Flat().FillRandn(tensor.NewRand(9), 0, 1)
			for range 3 {
				if err := o.Step(grads); err != nil {
					t.Fatal(err)
				}
			}
			for i := range together {
				alone := drawn(dt, uint64(i+1), shape...)
				ao := newMuon(alone)
				ag := tensor.NewGrads(named(alone), tensor.F32)
				ag.Of(alone).CopyFrom(grads.Of(together[i]))
				for range 3 {
					if err := ao.Step(ag); err != nil {
						t.Fatal(err)
					}
				}
				wantNear(t, fmt.Sprintf("%s%v %d", dt, shape, i), together[i].Float64s(), alone.Float64s(), 1e-6)
			}
		}
	}
}

func TestMuonsKernelEqualsItsDefinition(t *testing.T) {
	for _, shape := range [][]int{{1, 1}, {1, 9}, {6, 14}, {14, 6}, {33, 33}, {64, 200}, {400, 350}, {350, 400}} {
		for _, c := range []struct {
			params, grads tensor.DType
			moments       optim.Moments
			tolerance     float64
		}{
			{tensor.F32, tensor.F32, optim.MomentsF32, 1e-5},
			{tensor.F32, tensor.F64, optim.MomentsF32, 1e-5},
			{tensor.BF16, tensor.F32, optim.MomentsF32, 1e-2},
			{tensor.F16, tensor.BF16, optim.MomentsF32, 2e-3},
			{tensor.F32, tensor.F32, optim.MomentsBF16, 2e-3}, // a momentum may be rounded the other way
		} {
			muon := func() (*tensor.Tensor, *optim.Muon, *tensor.Grads) {
				p := drawn(c.params, 1, shape...)
				o := optim.NewMuon([]optim.Group{{Params: []*tensor.Tensor{p}, LR: 0.05, WeightDecay: 0.1}}, optim.MuonConfig{Moments: c.moments})
				return p, o, tensor.NewGrads(named(p), c.grads)
			}
			p, kernel, pg := muon()
			q, composed, qg := muon()
			for step := range 3 {
				for _, g := range []*tensor.Grads{pg, qg} {
					g.Unscaled(g2p(g, p, q)).FillRandn(tensor.NewRand(uint64(step)), 0, 1)
					g.Scale(0.5)
				}
				if err := kernel.Step(pg); err != nil {
					t.Fatal(err)
				}
				optim.ComposedStep(composed, qg)
				pg.Zero()
				qg.Zero()
			}
			what := fmt.Sprintf("%s%v, gradients %s, momentum %s", c.params, shape, c.grads, c.moments)
			wantNear(t, what, p.Float64s(), q.Float64s(), c.tolerance)
			wantNear(t, what+": momentum", maps.Collect(kernel.State())["0.0.momentum"].Float64s(), maps.Collect(composed.State())["0.0.momentum"].Float64s(),
				map[optim.Moments]float64{optim.MomentsF32: 1e-6, optim.MomentsBF16: 1e-2}[c.moments])
		}
	}
}

// g2p is which of two parameters g is for.
func g2p(g *tensor.Grads, p, q *tensor.Tensor) *tensor.Tensor {
	if g.Has(p) {
		return p
	}
	return q
}

func TestMuonIsTheSameBitsForAnyNumberOfProcessors(t *testing.T) {
	var first map[string]string
	for _, procs := range []int{1, 2, 8} {
		before := runtime.GOMAXPROCS(procs)
		params := []*tensor.Tensor{drawn(tensor.F32, 1, 40, 60), drawn(tensor.F32, 2, 40, 60), drawn(tensor.BF16, 3, 500, 300)}
		o := newMuon(params...)
		steps(t, params, o, 0, 2)
		state := stateOf(o, params...)
		runtime.GOMAXPROCS(before)
		if first == nil {
			first = state
		} else if !maps.Equal(state, first) {
			t.Errorf("%d processors give other bits", procs)
		}
	}
}

func TestMuonRoundsItsMasters(t *testing.T) {
	p := drawn(tensor.BF16, 1, 8, 12)
	exact := newParameter(tensor.F32, 8, 12)
	exact.CopyFrom(p)
	o, reference := newMuon(p), newMuon(exact)
	grads, exactGrads := tensor.NewGrads(named(p), tensor.F32), tensor.NewGrads(named(exact), tensor.F32)
	for step := range 5 {
		grads.Flat().FillRandn(tensor.NewRand(uint64(step)), 0, 1)
		exactGrads.Flat().CopyFrom(grads.Flat())
		if err := o.Step(grads); err != nil {
			t.Fatal(err)
		}
		if err := reference.Step(exactGrads); err != nil {
			t.Fatal(err)
		}
	}
	want := tensor.ToSlice[float32](exact)
	if got := tensor.ToSlice[float32](maps.Collect(o.State())["0.0.master"]); !slices.Equal(got, want) {
		t.Error("the master is not the float32 parameter")
	}
	for i, x := range tensor.ToSlice[tensor.BFloat16](p) {
		if x != tensor.ToBFloat16(want[i]) {
			t.Fatalf("element %d is %v, its master %g", i, x, want[i])
		}
	}
}

// Newton–Schulz with these coefficients brings singular values near 1, not to it.
func TestNewtonSchulzOrthogonalises(t *testing.T) {
	s := tensor.CPU().NewScope()
	defer s.Close()
	for _, shape := range [][]int{{8, 20}, {20, 8}, {12, 12}, {3, 5, 9}} {
		x := tensor.Randn(s, tensor.F64, tensor.NewRand(3), 1, shape...)
		u := optim.NewtonSchulz(x, 5)
		if !slices.Equal(u.Shape(), shape) {
			t.Fatalf("%v became %v", shape, u.Shape())
		}
		gram := u.MatMul(u.T())
		n := min(shape[len(shape)-1], shape[len(shape)-2])
		matrices := u.Len() / (u.Dim(-1) * u.Dim(-2))
		// the sum of squared singular values: each lies in [0.68, 1.13]
		trace := u.Square().Sum().Item() / float64(matrices*n)
		if trace < 0.46 || trace > 1.3 {
			t.Errorf("%v: mean square singular value %g", shape, trace)
		}
		if top := math.Sqrt(gram.Square().Sum().Item() / float64(matrices*n)); top > 1.3 {
			t.Errorf("%v: singular values of about %g", shape, top)
		}
	}
}

func TestMuonSkipsAGroupThatIsFrozen(t *testing.T) {
	trained, frozen := drawn(tensor.F32, 1, 4, 6), drawn(tensor.F32, 2, 4, 6)
	o := optim.NewMuon([]optim.Group{
		{Params: []*tensor.Tensor{trained}, LR: 0.1, WeightDecay: 0.5},
		{Params: []*tensor.Tensor{frozen}, LR: 0.1, WeightDecay: 0.5},
	}, optim.MuonConfig{})
	frozen.SetTrainable(false)
	grads := tensor.NewGrads(named(trained, frozen), tensor.F32)
	grads.Flat().FillRandn(tensor.NewRand(1), 0, 1)
	before := stateOf(o, trained, frozen)
	if err := o.Step(grads); err != nil {
		t.Fatal(err)
	}
	after := stateOf(o, trained, frozen)
	for name, moves := range map[string]bool{"parameter 0": true, "0.0.momentum": true, "parameter 1": false, "1.0.momentum": false} {
		if (before[name] != after[name]) != moves {
			t.Errorf("%s moves: %v, want %v", name, !moves, moves)
		}
	}
}

func TestMuonRefusesASetThatIsFrozenInPart(t *testing.T) {
	trained, frozen := drawn(tensor.F32, 1, 4, 6), drawn(tensor.F32, 2, 4, 6)
	o := newMuon(trained, frozen)
	frozen.SetTrainable(false)
	grads := tensor.NewGrads(named(trained, frozen), tensor.F32)
	grads.Flat().Fill(1)
	before := stateOf(o, trained, frozen)
	err := o.Step(grads)
	if err == nil || !strings.Contains(err.Error(), "1 of 2 matrices of shape [4 6] have gradients") {
		t.Errorf("error %v", err)
	}
	if !maps.Equal(stateOf(o, trained, frozen), before) || o.Steps() != 0 {
		t.Error("a step that fails changed something")
	}
}

func TestMisuseOfMuonPanicsAndSaysWhat(t *testing.T) {
	matrix, vector := drawn(tensor.F32, 1, 4, 6), drawn(tensor.F32, 2, 6)
	wantPanic(t, func() { newMuon(matrix, vector) }, "optim: NewMuon", "parameter 1 of group 0", "f32[6]", "not a matrix")
	wantPanic(t, func() { newMuon(matrix, matrix) }, "optim: NewMuon", "occurs twice")
	wantPanic(t, func() { newMuon(tensor.Zeros(tensor.CPU(), tensor.F32, 2, 2)) }, "not trainable")
	wantPanic(t, func() { optim.NewMuon(nil, optim.MuonConfig{Momentum: 1}) }, "momentum is 1")
	wantPanic(t, func() { optim.NewMuon(nil, optim.MuonConfig{Moments: optim.Moments8Bit}) }, "the momentum is f32 or bf16, not 8bit")
}
