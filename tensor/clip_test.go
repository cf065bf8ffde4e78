package tensor_test

import (
	"math"
	"testing"

	"github.com/hone-ml/hone/tensor"
)

func TestClipValueBringsEveryGradientWithinTheLimit(t *testing.T) {
	clip := func(x []float64, limit float64) []float64 {
		y := make([]float64, len(x))
		for i := range x {
			y[i] = max(-limit, min(limit, x[i]))
		}
		return y
	}
	for _, scale := range []float64{1, 0.5, -4, 0} {
		for _, seen := range []bool{false, true} { // whether a view has been given away
			d := tensor.NewTestDevice(0)
			g, p, _ := unseen(d)
			want := g.Unscaled(p).Float64s()
			for i := range want {
				want[i] *= scale
			}
			if seen {
				g.Of(p)
			}
			g.Scale(scale)
			g.ClipValue(0.7)
			if clipped := clip(want, 0.7); euclid(clipped) == euclid(want) && scale != 0 {
				t.Fatal("nothing is to be clipped: the test shows nothing")
			}
			near(t, "clipped", g.Of(p).Float64s(), clip(want, 0.7), 1e-6)
		}
	}
	g, p, once := unseen(tensor.NewTestDevice(0))
	g.Zero()
	g.ClipValue(1)
	near(t, "zeros", g.Unscaled(p).Float64s(), make([]float64, 50), 0)
	once()
	g.ClipValue(math.Inf(1))
	if g.Norm() == 0 {
		t.Error("no limit clips everything")
	}
}

func TestMisuseOfClipValuePanicsAndSaysWhat(t *testing.T) {
	g, _, _ := unseen(tensor.NewTestDevice(0))
	for _, limit := range []float64{0, -1, math.NaN()} {
		mustSay(t, "the limit", func() { g.ClipValue(limit) }, "tensor: Grads.ClipValue f32[", "want it positive")
	}
}
