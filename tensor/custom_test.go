package tensor_test

import (
	"testing"

	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/gradcheck"
)

// sinCos has two outputs, each of which the derivative of the other needs.
var sinCos = tensor.CustomOp{
	Name: "SinCos",
	Forward: func(_ *tensor.Scope, x []T) (outputs, saved []T) {
		outputs = []T{x[0].Sin(), x[0].Cos()}
		return outputs, outputs
	},
	Backward: func(dy, saved []T, _ []bool) []T {
		dx := tensor.Zeros(saved[0].Scope(), saved[0].DType(), saved[0].Shape()...)
		if dy[0] != nil {
			dx = dx.Add(dy[0].Mul(saved[1]))
		}
		if dy[1] != nil {
			dx = dx.Sub(dy[1].Mul(saved[0]))
		}
		return []T{dx}
	},
}

func TestACustomOpMayHaveSeveralOutputs(t *testing.T) {
	x := param(tensor.CPU(), tensor.NewRand(1), tensor.F64, 3, 2)
	for name, fn := range map[string]gradcheck.Func{
		"both": func(x ...T) T {
			y := tensor.Custom(sinCos, x[0].T())
			return y[0].Exp().Mul(y[1])
		},
		"the first":  func(x ...T) T { return tensor.Custom(sinCos, x...)[0] },
		"the second": func(x ...T) T { return tensor.Custom(sinCos, x...)[1] },
	} {
		if err := gradcheck.Verify(fn, x); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestACustomOpMayGiveSavedTensorsAndConstantsAsGradients(t *testing.T) {
	d := tensor.NewTestDevice(0)
	x := paramOf(d, []float64{1, 2})
	weights := tensor.FromSlice(d, []float64{5, 7})
	dot := tensor.CustomOp{ // with a loss of it alone dy is 1, and the gradient is the saved tensor itself
		Name: "Dot",
		Forward: func(_ *tensor.Scope, x []T) (outputs, saved []T) {
			return []T{x[0].Mul(x[1]).Sum()}, []T{x[1]}
		},
		Backward: func(_, saved []T, _ []bool) []T { return []T{saved[0], nil} },
	}
	long := dot
	long.Backward = func(_, _ []T, _ []bool) []T { return []T{weights, nil} }
	for name, op := range map[string]tensor.CustomOp{"saved": dot, "long-lived": long} {
		g := tensor.NewGrads(named(x), tensor.F64)
		s := d.NewTape()
		c := weights.In(s).MulScalar(1)
		h := tensor.Block(func(x ...T) []T { return []T{x[0].MulScalar(1)} }, x.In(s))[0]
		tensor.Custom(op, h, c)[0].Add(h.Square().Sum()).Add(h.Sum()).Backward(g)
		near(t, name, g.Of(x).Float64s(), []float64{5 + 2 + 1, 7 + 4 + 1}, 1e-15)
		near(t, name+" afterwards", weights.Float64s(), []float64{5, 7}, 0)
		near(t, name+" copied, afterwards", c.Float64s(), []float64{5, 7}, 0)
		s.Close()
	}
}

func TestOneTensorMayBeTheGradientOfSeveralInputs(t *testing.T) {
	d := tensor.NewTestDevice(0)
	x, z := paramOf(d, []float64{1}), paramOf(d, []float64{2})
	op := tensor.CustomOp{ // 2a + 3b + 2c
		Name: "Mix",
		Forward: func(_ *tensor.Scope, x []T) (outputs, saved []T) {
			return []T{x[0].MulScalar(2).Add(x[1].MulScalar(3)).Add(x[2].MulScalar(2))}, nil
		},
		Backward: func(dy, _ []T, _ []bool) []T {
			two := dy[0].MulScalar(2)
			return []T{two, dy[0].MulScalar(3), two}
		},
	}
	g := tensor.NewGrads(named(x, z), tensor.F64)
	s := d.NewTape()
	defer s.Close()
	a, b := x.In(s).MulScalar(1), z.In(s).MulScalar(1)
	tensor.Custom(op, a, a, b)[0].Backward(g)
	near(t, "gradients", []float64{g.Of(x).Item(), g.Of(z).Item()}, []float64{5, 2}, 0)
}

func TestACustomOpIsToldWhatItsInputsNeed(t *testing.T) {
	d := tensor.NewTestDevice(0)
	x, frozen := paramOf(d, []float64{1}), paramOf(d, []float64{2})
	g := tensor.NewGrads(named(x), tensor.F64)
	var told []bool
	op := tensor.CustomOp{
		Name:    "Sum",
		Forward: func(_ *tensor.Scope, x []T) (outputs, saved []T) { return []T{x[0].Add(x[1]).Add(x[2])}, nil },
		Backward: func(dy, _ []T, needs []bool) []T {
			told = needs
			return []T{nil, nil, dy[0]}
		},
	}
	s := d.NewTape()
	defer s.Close()
	tensor.Custom(op, frozen, tensor.Ones(s, tensor.F64, 1), x)[0].Backward(g)
	if len(told) != 3 || told[0] || told[1] || !told[2] {
		t.Errorf("told %v", told)
	}
	near(t, "gradient", g.Of(x).Float64s(), []float64{1}, 0)
}

func TestACustomOpWithoutBackwardGivesConstants(t *testing.T) {
	d := tensor.NewTestDevice(0)
	x := paramOf(d, []float64{1})
	s := d.NewTape()
	defer s.Close()
	y := tensor.Custom(tensor.CustomOp{Name: "Floor", Forward: func(_ *tensor.Scope, x []T) (outputs, saved []T) {
		return []T{x[0].To(tensor.I32).To(tensor.F64)}, nil
	}}, x.In(s))[0]
	mustSay(t, "Backward", func() { y.Backward(tensor.NewGrads(named(x), tensor.F64)) }, "no trainable")
}

func TestABadCustomOpIsNamed(t *testing.T) {
	d := tensor.NewTestDevice(0)
	x := param(d, tensor.NewRand(1), tensor.F32, 2)
	elsewhere := d.NewScope()
	defer elsewhere.Close()
	g := tensor.NewGrads(named(x), tensor.F32)
	forward := func(_ *tensor.Scope, x []T) (outputs, saved []T) { return []T{x[0].Exp()}, nil }
	for name, c := range map[string]struct {
		op   tensor.CustomOp
		says string
	}{
		"output elsewhere": {tensor.CustomOp{Forward: func(_ *tensor.Scope, _ []T) (outputs, saved []T) {
			return []T{tensor.Ones(elsewhere, tensor.F32, 2)}, nil
		}}, "does not live in the scope"},
		"no output":          {tensor.CustomOp{Forward: func(_ *tensor.Scope, _ []T) (outputs, saved []T) { return []T{nil}, nil }}, "output 0"},
		"too few gradients":  {tensor.CustomOp{Forward: forward, Backward: func(_, _ []T, _ []bool) []T { return nil }}, "0 gradients for 1 inputs"},
		"misshapen gradient": {tensor.CustomOp{Forward: forward, Backward: func(dy, _ []T, _ []bool) []T { return []T{dy[0].Sum()} }}, "another shape"},
		"gradient elsewhere": {tensor.CustomOp{Forward: forward, Backward: func(_, _ []T, _ []bool) []T { return []T{tensor.Ones(elsewhere, tensor.F32, 2)} }}, "another scope"},
	} {
		c.op.Name = "Mine"
		s := d.NewTape()
		mustSay(t, name, func() { tensor.Custom(c.op, x.In(s).MulScalar(1))[0].Sum().Backward(g) }, "Mine", c.says)
		s.Close()
	}
}
