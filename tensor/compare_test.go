package tensor_test

import (
	"math"
	"testing"

	"github.com/hone-ml/hone/tensor"
)

func TestAllCloseAndEqual(t *testing.T) {
	d := tensor.NewTestDevice(0)
	s := d.NewScope()
	defer s.Close()
	inf, nan := math.Inf(1), math.NaN()
	of := func(x ...float64) T { return tensor.FromSlice(s, x) }
	for _, c := range []struct {
		what         string
		x, y         T
		rtol, atol   float64
		close, equal bool
	}{
		{"the same numbers", of(1, -2, 0), of(1, -2, math.Copysign(0, -1)), 0, 0, true, true},
		{"within atol", of(1, 2), of(1.09, 2), 0, 0.1, true, false},
		{"beyond atol", of(1, 2), of(1.2, 2), 0, 0.1, false, false},
		{"within rtol of y", of(100), of(109), 0.09, 0, true, false},
		{"within rtol of x only", of(109), of(100), 0.085, 0, false, false},
		{"infinities", of(inf, -inf), of(inf, -inf), 0, 0, true, true},
		{"opposite infinities", of(inf), of(-inf), 1, 1, false, false},
		{"a number and infinity", of(1), of(inf), 1, 1, false, false},
		{"infinity and a number", of(inf), of(1), 1, 1, false, false},
		{"NaN", of(nan), of(nan), 1, 1, false, false},
		{"other shapes", of(1, 2), of(1, 2).Reshape(2, 1), 1, 1, false, false},
		{"other dtypes", of(1, 2), of(1, 2).To(tensor.F32), 0, 0, true, false},
		{"integers", of(1, 2).To(tensor.I32), of(1, 2).To(tensor.I32), 0, 0, true, true},
		{"large integers", tensor.FromSlice(s, []int64{1 << 60}), tensor.FromSlice(s, []int64{1<<60 + 1}), 0, 0, true, false},
		{"a view", of(1, 3, 2, 4).Reshape(2, 2).T(), of(1, 2, 3, 4).Reshape(2, 2), 0, 0, true, true},
		{"a long-lived tensor", tensor.FromSlice(d, []float64{5}), of(5), 0, 0, true, true},
		{"nothing", of(), of(), 0, 0, true, true},
	} {
		if got := tensor.AllClose(c.x, c.y, c.rtol, c.atol); got != c.close {
			t.Errorf("%s: AllClose is %v", c.what, got)
		}
		if got := tensor.Equal(c.x, c.y); got != c.equal {
			t.Errorf("%s: Equal is %v", c.what, got)
		}
	}
}

// A number of any kind is compared as it is, not as what it would be in the tensor's dtype.
func TestIntegersAreComparedWithAnyNumber(t *testing.T) {
	s := tensor.NewTestDevice(0).NewScope()
	defer s.Close()
	values := []float64{0, 1, 2, 200}
	for _, dt := range []tensor.DType{tensor.I32, tensor.I64, tensor.U8} {
		x := tensor.FromSlice(s, values).To(dt)
		for _, c := range []float64{0, 1, 0.5, -0.5, 1.5, -1, 300, -1e12, 1e12, 1e300, -1e300, math.Inf(1), math.Inf(-1), math.NaN()} {
			for name, op := range map[string]struct {
				fn  func(x T) T
				ref func(x float64) bool
			}{
				"Eq": {func(x T) T { return x.EqScalar(c) }, func(x float64) bool { return x == c }},
				"Ne": {func(x T) T { return x.NeScalar(c) }, func(x float64) bool { return x != c }},
				"Lt": {func(x T) T { return x.LtScalar(c) }, func(x float64) bool { return x < c }},
				"Le": {func(x T) T { return x.LeScalar(c) }, func(x float64) bool { return x <= c }},
				"Gt": {func(x T) T { return x.GtScalar(c) }, func(x float64) bool { return x > c }},
				"Ge": {func(x T) T { return x.GeScalar(c) }, func(x float64) bool { return x >= c }},
			} {
				for i, got := range op.fn(x).Float64s() {
					if got != truth(op.ref(values[i])) {
						t.Errorf("%v %g %sScalar %g is %v", dt, values[i], name, c, got)
					}
				}
			}
		}
	}
}

func TestIntegersAreClampedToAnyBounds(t *testing.T) {
	s := tensor.NewTestDevice(0).NewScope()
	defer s.Close()
	large := tensor.FromSlice(s, []int64{math.MinInt64, -5, 0, 5, math.MaxInt64})
	for _, c := range []struct {
		lo, hi float64
		want   []int64
	}{
		{math.Inf(-1), math.Inf(1), []int64{math.MinInt64, -5, 0, 5, math.MaxInt64}},
		{-2.5, 1e300, []int64{-2, -2, 0, 5, math.MaxInt64}},
		{-1e300, 2.5, []int64{math.MinInt64, -5, 0, 2, 2}},
		{3, -3, []int64{-3, -3, -3, -3, -3}},
	} {
		got := tensor.ToSlice[int64](large.Clamp(c.lo, c.hi))
		for i, w := range c.want {
			if got[i] != w {
				t.Errorf("Clamp(%g, %g) is %v, want %v", c.lo, c.hi, got, c.want)
				break
			}
		}
	}
	u := tensor.FromSlice(s, []uint8{0, 7, 255})
	near(t, "u8", u.Clamp(-3, 300).Float64s(), []float64{0, 7, 255}, 0)
	near(t, "u8", u.ClampMin(6.5).Float64s(), []float64{7, 7, 255}, 0)
	near(t, "u8", u.ClampMax(-1).Float64s(), []float64{0, 0, 0}, 0)
}
