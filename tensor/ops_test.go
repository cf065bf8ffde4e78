package tensor_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/gradcheck"
)

// A layout stores a tensor of some shape otherwise than row by row: store has the shape of what is stored,
// and view makes the tensor of it.
type layout struct {
	name  string
	store func(shape []int) []int
	view  func(t T) T
}

var layouts = []layout{
	{"contiguous", slices.Clone[[]int], func(t T) T { return t }},
	{"transposed", func(shape []int) []int {
		s := slices.Clone(shape)
		if r := len(s); r >= 2 {
			s[r-2], s[r-1] = s[r-1], s[r-2]
		}
		return s
	}, func(t T) T {
		if t.Rank() < 2 {
			return t
		}
		return t.T()
	}},
	{"sliced", func(shape []int) []int {
		s := slices.Clone(shape)
		if r := len(s); r > 0 {
			s[r-1] += 2
		}
		return s
	}, func(t T) T {
		if t.Rank() == 0 {
			return t
		}
		return t.Slice(-1, 1, -1)
	}},
}

// draw makes the stored form of an operand, trainable if it wants a gradient.
func (o operand) draw(d *tensor.Device, r *tensor.Rand, l layout) T {
	shape := l.store(o.shape)
	switch o.kind {
	case index, boolean:
		limit := 2
		if o.kind == index {
			limit = o.limit
		}
		s := d.NewScope()
		defer s.Close()
		x := tensor.Uniform(s, tensor.F32, r, 0, float64(limit), shape...)
		if o.kind == index {
			return s.Keep(x.To(tensor.I32))
		}
		return s.Keep(x.GeScalar(1))
	case constant:
		return tensor.Randn(d, tensor.F64, r, 1, shape...)
	}
	x := tensor.Randn(d, tensor.F64, r, 1, shape...)
	v := x.Float64s()
	for i := range v {
		switch o.kind {
		case positive:
			v[i] = 0.5 + 1.5*sigmoid(v[i])
		case distant:
			v[i] += math.Copysign(0.3, v[i])
		}
	}
	tensor.CopyFromSlice(x, v)
	x.SetTrainable(true)
	return x
}

// run checks the forward of a case in a scope against its reference, and calls then with the stored inputs
// and the op on them.
func (c opCase) run(t *testing.T, l layout, then func(fn gradcheck.Func, inputs []T)) {
	d, r := tensor.CPU(), tensor.NewRand(uint64(len(c.op)))
	inputs := make([]T, len(c.in))
	for i, o := range c.in {
		inputs[i] = o.draw(d, r, l)
	}
	fn := func(x ...T) T {
		views := make([]T, len(x))
		for i := range x {
			views[i] = l.view(x[i])
		}
		return c.fn(views)
	}

	s := d.NewScope()
	defer s.Close()
	guests, host := make([]T, len(inputs)), make([]nd, len(inputs))
	for i, x := range inputs {
		guests[i] = x.In(s)
		v := l.view(guests[i])
		if !slices.Equal(v.Shape(), c.in[i].shape) && len(v.Shape()) > 0 {
			t.Fatalf("operand %d has shape %v, want %v", i, v.Shape(), c.in[i].shape)
		}
		host[i] = nd{v.Shape(), v.Float64s()}
	}
	got, want := fn(guests...), c.ref(host)
	if !slices.Equal(got.Shape(), want.shape) && len(got.Shape())+len(want.shape) > 0 {
		t.Fatalf("the result has shape %v, want %v", got.Shape(), want.shape)
	}
	near(t, "forward", got.Float64s(), want.data, 1e-12)
	if then != nil {
		then(fn, inputs)
	}
}

func (c opCase) name(l layout) string {
	name := c.op
	for _, o := range c.in {
		name += fmt.Sprintf("%c%v", o.kind, o.shape)
	}
	return name + l.name
}

func TestOpsComputeWhatPlainLoopsDoAndTheirGradientsAreDifferenceQuotients(t *testing.T) {
	for _, c := range differentiable() {
		for _, l := range layouts {
			t.Run(c.name(l), func(t *testing.T) {
				c.run(t, l, func(fn gradcheck.Func, inputs []T) { gradcheck.Check(t, fn, inputs...) })
			})
		}
	}
}

func TestDerivativesWhereFunctionsHaveCorners(t *testing.T) {
	nan := math.NaN()
	for name, c := range map[string]struct {
		x, y, dx, dy []float64
		fn           func(x, y T) T
	}{
		"Maximum": {[]float64{1, 2, 3}, []float64{2, 2, 2}, []float64{0, 0.5, 1}, []float64{1, 0.5, 0}, T.Maximum},
		"Minimum": {[]float64{1, 2, 3}, []float64{2, 2, 2}, []float64{1, 0.5, 0}, []float64{0, 0.5, 1}, T.Minimum},
		"Max":     {[]float64{4, 1, 4}, []float64{0}, []float64{0.5, 0, 0.5}, []float64{1}, func(x, y T) T { return x.Max().Add(y) }},
		"Abs":     {[]float64{-2, 0, 2}, []float64{0}, []float64{-1, 0, 1}, []float64{3}, func(x, y T) T { return x.Abs().Add(y) }},
		"ReLU":    {[]float64{-2, 0, 2}, []float64{0}, []float64{0, 0, 1}, []float64{3}, func(x, y T) T { return x.ReLU().Add(y) }},
		"x⁰":      {[]float64{-2, 0, 2}, []float64{0}, []float64{0, 0, 0}, []float64{3}, func(x, y T) T { return x.PowScalar(0).Add(y) }},
	} {
		d := tensor.CPU()
		x, y := paramOf(d, c.x), paramOf(d, c.y)
		g := tensor.NewGrads(named(x, y), tensor.F64)
		s := d.NewTape()
		c.fn(x.In(s), y.In(s)).Sum().Backward(g)
		near(t, name+" dx", g.Of(x).Float64s(), c.dx, 0)
		near(t, name+" dy", g.Of(y).Float64s(), c.dy, 0)
		s.Close()
	}
	s := tensor.CPU().NewScope()
	defer s.Close()
	x, y := tensor.FromSlice(s, []float64{1, nan}), tensor.FromSlice(s, []float64{nan, 1})
	for name, v := range map[string]T{"Maximum": x.Maximum(y), "Minimum": x.Minimum(y), "Max": x.Max()} {
		for _, f := range v.Float64s() {
			if f == f {
				t.Errorf("%s: NaN is lost: %s", name, v)
			}
		}
	}
}

func TestOpsWithoutAGradientComputeWhatPlainLoopsDo(t *testing.T) {
	for _, c := range constants() {
		for _, l := range layouts {
			t.Run(c.name(l), func(t *testing.T) {
				c.run(t, l, nil)
				s := tensor.CPU().NewTape()
				defer s.Close()
				in := make([]T, len(c.in))
				for i, o := range c.in {
					in[i] = l.view(o.draw(tensor.CPU(), tensor.NewRand(1), l).In(s))
				}
				c.fn(in)
				if c.op == "Detach" {
					g := tensor.NewGrads(named(param(tensor.CPU(), tensor.NewRand(1), tensor.F64, 1)), tensor.F64)
					mustSay(t, "Backward through Detach", func() { c.fn(in).Sum().Backward(g) }, "depends on no trainable")
				}
			})
		}
	}
}
