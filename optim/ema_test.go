package optim_test

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
)

func averages(o optim.Optimizer, params []*tensor.Tensor) []*tensor.Tensor {
	state := maps.Collect(o.State())
	var ts []*tensor.Tensor
	for name := range named(params...) {
		ts = append(ts, state["average."+name])
	}
	return ts
}

func TestTwentyAveragesEqualPyTorch(t *testing.T) {
	g := openBreadth(t)
	for _, dt := range []tensor.DType{tensor.F32, tensor.F64} {
		params := breadthParams(g, dt)
		o := optim.NewEMA(breadth["sgd"](params), named(params...), 0.8)
		grads := tensor.NewGrads(named(params...), tensor.F32)
		for step := range 20 {
			breadthStep(t, g, step, params, grads, o)
			for i, average := range averages(o, params) {
				wantNear(t, "average of "+goldenNames[i], average.Float64s(), g.step("average."+goldenNames[i], step), 2e-6)
			}
		}
	}
}

// averaged is parameters of every dtype, their optimizer and averages.
func averaged() ([]*tensor.Tensor, *optim.EMA) {
	params := mixed()
	return params, optim.NewEMA(breadth["adam"](params), named(params...), 0.9)
}

func TestAveragesOfNarrowParametersAreF32(t *testing.T) {
	params, o := averaged()
	want := make([][]float64, len(params))
	for step := range 5 {
		steps(t, params, o, step, step+1)
		for i, p := range params {
			x := p.Float64s()
			for j := range x {
				if step > 0 {
					x[j] = 0.9*want[i][j] + 0.1*x[j]
				}
			}
			want[i] = x
		}
	}
	for i, a := range averages(o, params) {
		if a.DType() != params[i].DType().Accumulator() {
			t.Errorf("the average of %s is %s", params[i].DType(), a.DType())
		}
		wantNear(t, params[i].DType().String(), a.Float64s(), want[i], 1e-6)
	}
}

func TestWithAveragesTheParametersAreTheseAndThenWhatTheyWere(t *testing.T) {
	params, o := averaged()
	steps(t, params, o, 0, 3)
	before := stateOf(o, params...)
	failure := errors.New("no evaluation today")
	look := func() error {
		for i, a := range averages(o, params) {
			rounded := tensor.Empty(tensor.CPU(), params[i].DType(), params[i].Shape()...)
			rounded.CopyFrom(a)
			if !slices.Equal(params[i].Bytes(), rounded.Bytes()) {
				t.Errorf("parameter %d is not its average", i)
			}
		}
		grads := tensor.NewGrads(named(params...), tensor.F32)
		if err := o.Step(grads); err == nil || err.Error() != "optim: EMA: a step inside With, where the parameters are their averages" {
			t.Errorf("error %v", err)
		}
		if err := optim.Join(o).Step(grads); err == nil {
			t.Error("a joined step is made")
		}
		if err := o.With(func() error { return nil }); err == nil || err.Error() != "optim: EMA.With inside EMA.With" {
			t.Errorf("error %v", err)
		}
		return failure
	}
	if err := o.With(look); err != failure {
		t.Errorf("error %v", err)
	}
	if !maps.Equal(stateOf(o, params...), before) {
		t.Error("afterwards something is not what it was")
	}
	func() {
		defer func() { _ = recover() }()
		_ = o.With(func() error { panic("out of time") })
	}()
	if !maps.Equal(stateOf(o, params...), before) {
		t.Error("after a panic something is not what it was")
	}
	// Training goes on to the same bits.
	others, other := averaged()
	steps(t, others, other, 0, 6)
	steps(t, params, o, 3, 6)
	if !maps.Equal(stateOf(o, params...), stateOf(other, others...)) {
		t.Error("a look at the averages changed the run")
	}
}

func TestRestoredAveragesGoOnToTheBit(t *testing.T) {
	for _, stop := range []int{0, 1, 4} {
		params, o := averaged()
		steps(t, params, o, 0, stop)
		resumed, r := averaged()
		saved := maps.Collect(o.State())
		for name, s := range r.State() {
			s.CopyFrom(saved[name])
		}
		r.SetSteps(o.Steps())
		for i, p := range resumed {
			p.CopyFrom(params[i])
		}
		r.Sync()
		steps(t, params, o, stop, 6)
		steps(t, resumed, r, stop, 6)
		if !maps.Equal(stateOf(r, resumed...), stateOf(o, params...)) {
			t.Errorf("restored after %d steps, the run is another", stop)
		}
	}
}

func TestWithLeavesNoMemoryBehind(t *testing.T) {
	params, o := averaged()
	steps(t, params, o, 0, 2)
	before := tensor.CPU().Memory()
	for range 10 {
		if err := o.With(func() error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if after := tensor.CPU().Memory(); after.Long > before.Long {
		t.Errorf("memory grew from %+v to %+v", before, after)
	}
}

func TestMisuseOfEMAPanicsAndSaysWhat(t *testing.T) {
	p, constant := drawn(tensor.F32, 1, 2), tensor.Zeros(tensor.CPU(), tensor.F32, 5)
	o := optim.NewSGD([]optim.Group{{Params: []*tensor.Tensor{p}, LR: 1}}, optim.SGDConfig{})
	for _, decay := range []float64{0, 1, -1} {
		wantPanic(t, func() { optim.NewEMA(o, named(p), decay) }, "optim: NewEMA: decay is ", ", want 0 to 1")
	}
	wantPanic(t, func() { optim.NewEMA(o, named(constant), 0.9) }, "optim: NewEMA: no parameter is trainable")
	if got, want := optim.NewEMA(o, named(p, constant, p), 0.99).String(), "SGD, averaged with decay 0.99"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
