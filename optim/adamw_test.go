package optim_test

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
)

var goldenNames = []string{"a", "b", "c"}

// goldenAdamW is the parameters of the golden run in its two groups, and their optimizer.
func goldenAdamW(g golden, dt tensor.DType, c optim.AdamWConfig) ([]*tensor.Tensor, *optim.AdamW) {
	var params []*tensor.Tensor
	for _, name := range goldenNames {
		params = append(params, g.parameter("adamw."+name+".init", dt))
	}
	return params, optim.NewAdamW([]optim.Group{
		{Params: params[:2], LR: 1e-2, WeightDecay: 0.1},
		{Params: params[2:], LR: 3e-3},
	}, c)
}

func goldenStep(t *testing.T, g golden, step int, params []*tensor.Tensor, grads *tensor.Grads, o optim.Optimizer) {
	t.Helper()
	for i, name := range goldenNames {
		set(grads.Of(params[i]), g.step("adamw."+name+".grads", step))
	}
	if err := o.Step(grads); err != nil {
		t.Fatal(err)
	}
}

func TestTwentyAdamWStepsOfTwoGroupsEqualPyTorch(t *testing.T) {
	g := openGolden(t)
	for _, c := range []struct {
		name           string
		params, grads  tensor.DType
		tolerance      float64
		stateTolerance float64
	}{
		{"float32", tensor.F32, tensor.F32, 1e-6, 1e-5},
		{"float64", tensor.F64, tensor.F64, 1e-6, 1e-5},
		{"float64 with float32 gradients", tensor.F64, tensor.F32, 1e-6, 1e-5},
		{"float32 with float64 gradients", tensor.F32, tensor.F64, 1e-6, 1e-5},
	} {
		t.Run(c.name, func(t *testing.T) {
			params, o := goldenAdamW(g, c.params, optim.AdamWConfig{})
			grads := tensor.NewGrads(named(params...), c.grads)
			for step := range 20 {
				goldenStep(t, g, step, params, grads, o)
				for i, name := range goldenNames {
					wantNear(t, name, params[i].Float64s(), g.step("adamw."+name+".params", step), c.tolerance)
				}
			}
			state := maps.Collect(o.State())
			for name, at := range map[string]string{"a": "0.0", "b": "0.1", "c": "1.0"} {
				wantNear(t, name+" exp_avg", state[at+".exp_avg"].Float64s(), g.floats("adamw."+name+".m"), c.stateTolerance)
				wantNear(t, name+" exp_avg_sq", state[at+".exp_avg_sq"].Float64s(), g.floats("adamw."+name+".v"), c.stateTolerance)
			}
			if len(state) != 6 || o.Steps() != 20 {
				t.Errorf("%d tensors of state, %d steps", len(state), o.Steps())
			}
		})
	}
}

func TestBF16ParametersAreTheirF32MastersRounded(t *testing.T) {
	g := openGolden(t)
	params, o := goldenAdamW(g, tensor.BF16, optim.AdamWConfig{Weights: optim.WeightsMaster})
	exact, reference := goldenAdamW(g, tensor.F32, optim.AdamWConfig{})
	for i := range exact { // the masters begin with what the parameters hold
		exact[i].CopyFrom(params[i])
	}
	grads, exactGrads := tensor.NewGrads(named(params...), tensor.F32), tensor.NewGrads(named(exact...), tensor.F32)
	moved := 0
	for step := range 20 {
		goldenStep(t, g, step, params, grads, o)
		goldenStep(t, g, step, exact, exactGrads, reference)
		masters := maps.Collect(o.State())
		for i, at := range []string{"0.0", "0.1", "1.0"} {
			master := tensor.ToSlice[float32](masters[at+".master"])
			if !slices.Equal(master, tensor.ToSlice[float32](exact[i])) {
				t.Fatalf("step %d: the master of %s is not the float32 parameter", step+1, goldenNames[i])
			}
			for j, p := range tensor.ToSlice[tensor.BFloat16](params[i]) {
				if p != tensor.ToBFloat16(master[j]) {
					t.Fatalf("step %d: %s[%d] is %v, its master %g", step+1, goldenNames[i], j, p, master[j])
				}
				if master[j] != float32(tensor.ToBFloat16(master[j]).Float32()) {
					moved++
				}
			}
		}
	}
	if moved == 0 {
		t.Error("every master is a bfloat16: the test shows nothing")
	}
}

// weights is what a BF16 parameter and its remainder stand for.
func weights(p, remainder *tensor.Tensor) []float32 {
	w := make([]float32, p.Len())
	rest := tensor.ToSlice[uint8](remainder)
	for i, x := range tensor.ToSlice[tensor.BFloat16](p) {
		low := int16(uint16(rest[2*i]) | uint16(rest[2*i+1])<<8)
		w[i] = math.Float32frombits(uint32(int32(uint32(x)<<16) + int32(low)))
	}
	return w
}

func TestRemaindersEqualF32MastersToTheBitOverAThousandSteps(t *testing.T) {
	const n = 777
	config := func(w optim.Weights) optim.AdamWConfig { return optim.AdamWConfig{Beta2: 0.98, Weights: w} }
	p, q := drawn(tensor.BF16, 1, n), drawn(tensor.BF16, 1, n)
	group := func(p *tensor.Tensor) []optim.Group {
		return []optim.Group{{Params: []*tensor.Tensor{p}, LR: 1e-3, WeightDecay: 0.1}}
	}
	split, whole := optim.NewAdamW(group(p), config(optim.WeightsF32)), optim.NewAdamW(group(q), config(optim.WeightsMaster))
	gp, gq := tensor.NewGrads(named(p), tensor.F32), tensor.NewGrads(named(q), tensor.F32)
	master, remainder := maps.Collect(whole.State())["0.0.master"], maps.Collect(split.State())["0.0.remainder"]
	ties := 0
	for step := range 1000 {
		gp.Flat().FillRandn(tensor.NewRand(uint64(step)), 0, 1)
		gq.Flat().CopyFrom(gp.Flat())
		for _, err := range []error{split.Step(gp), whole.Step(gq)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		want := tensor.ToSlice[float32](master)
		if !slices.Equal(weights(p, remainder), want) {
			t.Fatalf("step %d: the weights are not the masters", step+1)
		}
		rounded := tensor.ToSlice[tensor.BFloat16](q)
		for i, x := range tensor.ToSlice[tensor.BFloat16](p) {
			if tie := math.Float32bits(want[i])&0xffff == 0x8000; tie {
				ties++
			} else if x != rounded[i] {
				t.Fatalf("step %d: parameter %d is %v, its master rounds to %v", step+1, i, x, rounded[i])
			}
		}
	}
	if ties > 100 { // 777,000 weights, of which one in 65,536 is a tie
		t.Errorf("%d weights lie half-way between two BF16", ties)
	}
}

// A step of 1e-5 is far below what BF16 resolves at 1, which is 2⁻⁸: rounded to nearest, no weight would ever move.
func TestWeightsOfBF16MoveInTheMeanByStepsThatTheyCannotHold(t *testing.T) {
	const n, steps, lr = 1 << 16, 200, 1e-5
	p := tensor.Full(tensor.CPU(), tensor.BF16, 1, n)
	p.SetTrainable(true)
	o := optim.NewAdamW([]optim.Group{{Params: []*tensor.Tensor{p}, LR: lr}}, optim.AdamWConfig{Weights: optim.WeightsBF16, Moments: optim.Moments8Bit})
	for name := range o.State() {
		if !strings.Contains(name, "exp_avg") {
			t.Errorf("%s is kept beside BF16 weights", name)
		}
	}
	grads := tensor.NewGrads(named(p), tensor.BF16)
	grads.Flat().Fill(0.25)
	for range steps {
		if err := o.Step(grads); err != nil {
			t.Fatal(err)
		}
	}
	mean, moved := 0.0, 0
	for _, x := range p.Float64s() {
		mean += x / n
		if x != 1 {
			moved++
		}
	}
	// A weight goes down by 2⁻⁸ with a probability of lr·steps·2⁸ in all: the mean has a standard deviation of 7.6e-6.
	if want := 1 - lr*steps; math.Abs(mean-want) > 4e-5 {
		t.Errorf("the mean is %.6f after %d steps, want %.6f", mean, steps, want)
	}
	if moved < n/3 || moved > 2*n/3 {
		t.Errorf("%d of %d weights moved, want about half", moved, n)
	}
}

func TestSmallParametersHaveTheirRemaindersBesideWeightsOfBF16(t *testing.T) {
	norm, matrix := drawn(tensor.BF16, 1, 64), drawn(tensor.BF16, 2, 64, 64)
	o := optim.NewAdamW([]optim.Group{{Params: []*tensor.Tensor{norm, matrix}, LR: 1e-3}}, optim.AdamWConfig{Weights: optim.WeightsBF16})
	state := maps.Collect(o.State())
	if state["0.0.remainder"] == nil || state["0.1.remainder"] != nil || len(state) != 5 {
		t.Errorf("the state is %v", slices.Sorted(maps.Keys(state)))
	}
}

func TestAWeightGoesOnFromAParameterThatWasChanged(t *testing.T) {
	p := drawn(tensor.BF16, 1, 100)
	o := optim.NewAdamW([]optim.Group{{Params: []*tensor.Tensor{p}, LR: 1e-2}}, optim.AdamWConfig{})
	grads := tensor.NewGrads(named(p), tensor.F32)
	for _, value := range []float64{0, 3, -3} {
		grads.Flat().FillRandn(tensor.NewRand(2), 0, 1)
		for range 2 {
			if err := o.Step(grads); err != nil {
				t.Fatal(err)
			}
			p.Fill(value)
		}
		grads.Zero()
		o.SetFactor(0)
		if err := o.Step(grads); err != nil {
			t.Fatal(err)
		}
		o.SetFactor(1)
		for i, x := range p.Float64s() {
			if x != value {
				t.Fatalf("parameter %d, set to %g, became %g", i, value, x)
			}
		}
	}
}

func TestClippedStepsEqualStepsWithScaledGradients(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16, tensor.F64} {
		p, q := drawn(dt, 1, 300), drawn(dt, 1, 300)
		adamW := func(p *tensor.Tensor) *optim.AdamW {
			return optim.NewAdamW([]optim.Group{{Params: []*tensor.Tensor{p}, LR: 1e-2}}, optim.AdamWConfig{})
		}
		lazy, eager := tensor.NewGrads(named(p), tensor.F32), tensor.NewGrads(named(q), tensor.F32)
		a, b := adamW(p), adamW(q)
		for step := range 3 {
			s := tensor.CPU().NewTape()
			p.In(s).Square().Sum().MulScalar(float64(step + 1)).Backward(lazy)
			q.In(s).Square().Sum().MulScalar(float64(step + 1)).Backward(eager)
			s.Close()
			eager.Flat() // asks for a view: Clip scales the memory itself
			if lazy.Clip(1); lazy.Factor() >= 1 {
				t.Fatal("nothing was clipped: the test shows nothing")
			}
			eager.Clip(1)
			for _, err := range []error{a.Step(lazy), b.Step(eager)} {
				if err != nil {
					t.Fatal(err)
				}
			}
			lazy.Zero()
			eager.Zero()
		}
		wantNear(t, dt.String(), p.Float64s(), q.Float64s(), 1e-6)
		if slices.Equal(p.Float64s(), drawn(dt, 1, 300).Float64s()) {
			t.Errorf("%s: nothing moved", dt)
		}
	}
}

func TestParametersWithoutGradientAreNeitherMovedNorDecayed(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
		trained, frozen := drawn(dt, 1, 3, 5), drawn(dt, 2, 3, 5)
		o := optim.NewAdamW([]optim.Group{{Params: []*tensor.Tensor{trained, frozen}, LR: 0.1, WeightDecay: 0.5}}, optim.AdamWConfig{})
		frozen.SetTrainable(false)
		grads := tensor.NewGrads(named(trained, frozen), tensor.F32)
		grads.Flat().Fill(1)
		before := [2][]byte{trained.Bytes(), frozen.Bytes()}
		if err := o.Step(grads); err != nil {
			t.Fatal(err)
		}
		if slices.Equal(trained.Bytes(), before[0]) {
			t.Errorf("%s: the trained parameter did not move", dt)
		}
		if !slices.Equal(frozen.Bytes(), before[1]) {
			t.Errorf("%s: the frozen parameter moved", dt)
		}
		for name, s := range o.State() {
			if strings.HasPrefix(name, "0.1.exp_avg") && slices.Max(s.Float64s()) != 0 {
				t.Errorf("%s: %s of the frozen parameter moved", dt, name)
			}
		}
	}
}

func TestAFactorScalesTheLearningRatesAndTheirDecay(t *testing.T) {
	step := func(lr, factor float64) []byte {
		p := drawn(tensor.F32, 1, 7)
		o := optim.NewAdamW([]optim.Group{{Params: []*tensor.Tensor{p}, LR: lr, WeightDecay: 0.1}}, optim.AdamWConfig{})
		o.SetFactor(factor)
		grads := tensor.NewGrads(named(p), tensor.F32)
		grads.Flat().Fill(0.5)
		if err := o.Step(grads); err != nil {
			t.Fatal(err)
		}
		return p.Bytes()
	}
	if !slices.Equal(step(0.25, 0.5), step(0.125, 1)) {
		t.Error("lr 0.25 times 0.5 is not lr 0.125")
	}
	if !slices.Equal(step(0.25, 0), drawn(tensor.F32, 1, 7).Bytes()) {
		t.Error("a factor of 0 moves parameters")
	}
}

func TestALearningRateThatIsNotFiniteIsAnErrorAndNothingMoves(t *testing.T) {
	p, q := drawn(tensor.BF16, 1, 4, 4), drawn(tensor.F32, 2, 4)
	adamW := func(lr float64, params ...*tensor.Tensor) optim.Optimizer {
		return optim.NewAdamW([]optim.Group{{Params: params, LR: lr}}, optim.AdamWConfig{})
	}
	muon := func(lr float64) optim.Optimizer {
		return optim.NewMuon([]optim.Group{{Params: []*tensor.Tensor{p}, LR: lr}}, optim.MuonConfig{})
	}
	for _, c := range []struct {
		o      optim.Optimizer
		factor float64
		want   string
	}{
		{adamW(1, p, q), math.NaN(), "optim: AdamW: the learning rate of group 0 is NaN"},
		{adamW(1, p, q), math.Inf(1), "optim: AdamW: the learning rate of group 0 is +Inf"},
		{adamW(math.NaN(), p, q), 1, "optim: AdamW: the learning rate of group 0 is NaN"},
		{muon(1), math.NaN(), "optim: Muon: the learning rate of matrices of shape [4 4] is NaN"},
		{optim.Join(adamW(1, q), muon(math.NaN())), 1, "optim: Muon: the learning rate of matrices of shape [4 4] is NaN"},
	} {
		grads := tensor.NewGrads(named(p, q), tensor.F32)
		grads.Flat().Fill(1)
		c.o.SetFactor(c.factor)
		before := stateOf(c.o, p, q)
		if err := c.o.Step(grads); err == nil || err.Error() != c.want {
			t.Errorf("error %v, want %s", err, c.want)
		}
		if !maps.Equal(stateOf(c.o, p, q), before) || c.o.Steps() != 0 {
			t.Errorf("%s: and yet something changed", c.want)
		}
	}
}

func TestMisuseOfAdamWPanicsAndSaysWhat(t *testing.T) {
	p := drawn(tensor.F32, 1, 2, 3)
	constant := tensor.Zeros(tensor.CPU(), tensor.F32, 5)
	group := func(lr, decay float64, params ...*tensor.Tensor) func() {
		return func() {
			optim.NewAdamW([]optim.Group{{}, {Params: params, LR: lr, WeightDecay: decay}}, optim.AdamWConfig{})
		}
	}
	wantPanic(t, group(1, 0, p, constant), "optim: NewAdamW", "parameter 1 of group 1", "f32[5]", "not trainable")
	wantPanic(t, group(1, 0, p, p), "optim: NewAdamW", "parameter 1 of group 1", "[2 3]", "occurs twice")
	wantPanic(t, group(-1, 0, p), "group 1", "learning rate -1")
	wantPanic(t, group(1, math.NaN(), p), "group 1", "weight decay NaN")
	wantPanic(t, func() { optim.NewAdamW(nil, optim.AdamWConfig{Beta1: 1}) }, "beta is 1")
	wantPanic(t, func() { optim.NewAdamW(nil, optim.AdamWConfig{Beta2: -0.1}) }, "beta is -0.1")
	wantPanic(t, func() { optim.NewAdamW(nil, optim.AdamWConfig{Eps: -1}) }, "eps is -1")
	wantPanic(t, func() { optim.Join() }, "optim: Join of no optimizers")
}

func TestSplitDecaysMatricesOnlyAndLeavesOutTheFrozen(t *testing.T) {
	matrix, vector, table := drawn(tensor.F32, 1, 2, 3), drawn(tensor.F32, 2, 3), drawn(tensor.F32, 3, 4, 2, 2)
	frozen := tensor.Zeros(tensor.CPU(), tensor.F32, 2, 2)
	g := optim.Split(named(matrix, vector, frozen, table), 0.5, 0.25)
	if len(g) != 2 || !slices.Equal(g[0].Params, []*tensor.Tensor{matrix, table}) || !slices.Equal(g[1].Params, []*tensor.Tensor{vector}) {
		t.Fatalf("groups %v", g)
	}
	if g[0].LR != 0.5 || g[0].WeightDecay != 0.25 || g[1].LR != 0.5 || g[1].WeightDecay != 0 {
		t.Errorf("groups %+v", g)
	}
}
