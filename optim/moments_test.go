package optim_test

import (
	"maps"
	"runtime"
	"testing"

	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
)

// stepped is an optimizer that has made n steps.
func stepped(t *testing.T, p *tensor.Tensor, moments optim.Moments, n int) *optim.AdamW {
	t.Helper()
	o := optim.NewAdamW([]optim.Group{{Params: []*tensor.Tensor{p}, LR: 1e-2}}, optim.AdamWConfig{Moments: moments})
	steps(t, []*tensor.Tensor{p}, o, 0, n)
	return o
}

func TestMomentsTakeTheBytesThatTheirNamesSay(t *testing.T) {
	for _, c := range []struct {
		moments optim.Moments
		dtype   tensor.DType
		size    int
		want    tensor.DType
	}{
		{optim.MomentsF32, tensor.BF16, 8192, tensor.F32},
		{optim.MomentsBF16, tensor.F32, 5, tensor.BF16},
		{optim.MomentsBF16, tensor.F16, 5, tensor.BF16},
		{optim.MomentsBF16, tensor.F64, 5, tensor.F64},
		{optim.Moments8Bit, tensor.F32, 4096, tensor.U8},
		{optim.Moments8Bit, tensor.BF16, 4097, tensor.U8},
		{optim.Moments8Bit, tensor.F32, 4095, tensor.F32},
		{optim.Moments8Bit, tensor.F64, 4096, tensor.F64},
	} {
		state := maps.Collect(stepped(t, drawn(c.dtype, 1, c.size), c.moments, 1).State())
		for _, name := range []string{"exp_avg", "exp_avg_sq"} {
			if got := state["0.0."+name].DType(); got != c.want {
				t.Errorf("%s of %d %s with %s moments is %s, want %s", name, c.size, c.dtype, c.moments, got, c.want)
			}
			scale, ok := state["0.0."+name+"_scale"]
			if ok != (c.want == tensor.U8) || ok && scale.Len() != (c.size+255)/256 {
				t.Errorf("%s of %d %s with %s moments: scales %v", name, c.size, c.dtype, c.moments, scale)
			}
		}
	}
}

func TestPackedMomentsAreTheSameBitsForAnyNumberOfProcessors(t *testing.T) {
	for _, moments := range []optim.Moments{optim.MomentsBF16, optim.Moments8Bit} {
		var first map[string]string
		for _, procs := range []int{1, 2, 8} {
			before := runtime.GOMAXPROCS(procs)
			p := drawn(tensor.BF16, 1, 3, 50_000)
			state := stateOf(stepped(t, p, moments, 3), p)
			runtime.GOMAXPROCS(before)
			if first == nil {
				first = state
			} else if !maps.Equal(state, first) {
				t.Errorf("%s moments with %d processors differ", moments, procs)
			}
		}
	}
}

// Two parameters that hold the same numbers are not rounded alike: their errors would add up.
func TestBF16MomentsOfTwoParametersAndTwoStepsAreRoundedByDifferentBits(t *testing.T) {
	p, q := drawn(tensor.F32, 1, 1000), drawn(tensor.F32, 1, 1000)
	o := optim.NewAdamW([]optim.Group{{Params: []*tensor.Tensor{p, q}}}, optim.AdamWConfig{Beta1: 1e-6, Moments: optim.MomentsBF16})
	grads := tensor.NewGrads(named(p, q), tensor.F32)
	var seen [][]byte
	for range 2 {
		grads.Of(p).FillRandn(tensor.NewRand(1), 0, 1)
		grads.Of(q).CopyFrom(grads.Of(p))
		if err := o.Step(grads); err != nil {
			t.Fatal(err)
		}
		state := maps.Collect(o.State())
		seen = append(seen, state["0.0.exp_avg"].Bytes(), state["0.1.exp_avg"].Bytes())
	}
	for i := range seen {
		for j := range i {
			if equal := agreement(seen[i], seen[j]); equal > 0.75 { // half, if each is rounded on its own
				t.Errorf("%.0f %% of the moments %d and %d are equal", 100*equal, i, j)
			}
		}
	}
}

func agreement(a, b []byte) float64 {
	equal := 0
	for i := 0; i < len(a); i += 2 {
		if a[i] == b[i] && a[i+1] == b[i+1] {
			equal++
		}
	}
	return float64(equal) / float64(len(a)/2)
}

func TestNamesOfMomentsAreParsedAndOthersExplained(t *testing.T) {
	for _, m := range []optim.Moments{optim.MomentsF32, optim.MomentsBF16, optim.Moments8Bit} {
		if got, err := optim.ParseMoments(m.String()); err != nil || got != m {
			t.Errorf("%s is parsed as %s, %v", m, got, err)
		}
	}
	if _, err := optim.ParseMoments("fp8"); err == nil || err.Error() != `moments "fp8" are none of f32, bf16, 8bit` {
		t.Errorf("error %v", err)
	}
	wantPanic(t, func() { optim.NewAdamW(nil, optim.AdamWConfig{Moments: 7}) }, "NewAdamW", "Moments(7)")
}
