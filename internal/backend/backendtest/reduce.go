package backendtest

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/internal/backend"
)

type reduceTest struct {
	op   backend.ReduceOp
	name string
}

var reduceTests = []reduceTest{
	{backend.Sum, "Sum"}, {backend.ReduceMax, "Max"}, {backend.ReduceMin, "Min"},
	{backend.Prod, "Prod"}, {backend.ArgMax, "ArgMax"}, {backend.ArgMin, "ArgMin"},
}

// reduced folds the axes in which to has size 1, in float64.
func reduced(op backend.ReduceOp, x array, to []int, dt backend.DType) array {
	out := newArray(to...)
	for i := range out.data {
		switch op {
		case backend.ReduceMax:
			out.data[i] = lowest(dt)
		case backend.ReduceMin:
			out.data[i] = highest(dt)
		case backend.Prod:
			out.data[i] = 1
		}
	}
	each(x.shape, func(i int, index []int) {
		at := 0
		for axis, d := range to {
			at *= d
			if d > 1 {
				at += index[axis]
			}
		}
		v := x.data[i]
		switch op {
		case backend.Sum:
			out.data[at] += v
		case backend.ReduceMax:
			out.data[at] = max(out.data[at], v)
		case backend.ReduceMin:
			out.data[at] = min(out.data[at], v)
		case backend.Prod:
			out.data[at] *= v
			if dt == backend.I32 {
				out.data[at] = float64(int32(int64(out.data[at])))
			} else if dt == backend.U8 {
				out.data[at] = float64(uint8(int64(out.data[at])))
			}
		case backend.ArgMax, backend.ArgMin:
			row := x.data[i-index[len(index)-1]:]
			best := row[int(out.data[at])]
			if v != v && best == best || op == backend.ArgMax && v > best || op == backend.ArgMin && v < best {
				out.data[at] = float64(index[len(index)-1])
			}
		}
	})
	return out
}

func lowest(dt backend.DType) float64 {
	switch dt {
	case backend.I32:
		return math.MinInt32
	case backend.I64:
		return math.MinInt64
	case backend.U8, backend.Bool:
		return 0
	}
	return math.Inf(-1)
}

func highest(dt backend.DType) float64 {
	switch dt {
	case backend.I32:
		return math.MaxInt32
	case backend.I64:
		return math.MaxInt64
	case backend.U8:
		return 255
	case backend.Bool:
		return 1
	}
	return math.Inf(1)
}

func testReduce(s *suite) {
	shapes := [][]int{{}, {1}, {5}, {1000}, {17, 33}, {33, 17}, {1, 64}, {64, 1}, {3, 4, 5}, {9, 2, 40, 3}, {2, 3, 2, 3, 2, 5}, {5000, 7}, {7, 5000}, {300, 300}}
	for _, shape := range shapes {
		for mask := range 1 << len(shape) {
			if mask >= 8 && mask%5 != 0 { // of the many folds of high ranks, some
				continue
			}
			to := shrink(shape, mask)
			dt := []backend.DType{backend.F32, backend.F32, backend.BF16, backend.F64, backend.I32, backend.I64, backend.F16, backend.U8}[s.rng.IntN(8)]
			for _, l := range layouts {
				for _, r := range reduceTests[:3] {
					x := s.sample(dt, shape...)
					s.reduce(r, dt, dt, x, to, l)
				}
			}
		}
	}
	for _, shape := range [][]int{{1}, {7}, {17, 33}, {33, 17}, {3, 4, 5}, {5000, 7}} {
		for mask := range 1 << len(shape) {
			to := shrink(shape, mask)
			for i, l := range layouts {
				truths := s.sample(backend.Bool, shape...)
				s.reduce(reduceTests[1], backend.Bool, backend.Bool, truths, to, l)
				s.reduce(reduceTests[2], backend.Bool, backend.Bool, truths, to, l)
				dt := numDTypes[(mask+i)%len(numDTypes)]
				s.reduce(reduceTests[3], dt, dt, s.factors(dt, shape...), to, l)
			}
		}
	}
	for _, shape := range [][]int{{5}, {1}, {1025}, {7, 33}, {3, 4, 5}, {2, 2, 3000}} {
		to := shrink(shape, 1)
		for _, dt := range allDTypes {
			for _, r := range reduceTests[4:] {
				x := s.sample(dt, shape...)
				if dt.IsFloat() {
					x = x.mapped(math.Round) // so that there are equals
				}
				s.reduce(r, dt, backend.I32, x, to, contiguous)
				s.reduce(r, dt, backend.I64, x, to, spread)
			}
		}
	}
	for _, r := range reduceTests {
		for _, special := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			x := s.normal(backend.F32, 1, 3, 77)
			x.data[77+5], x.data[77+40], x.data[70] = special, special, special
			to := backend.F32
			if r.op >= backend.ArgMax {
				to = backend.I32
			} else {
				s.reduce(r, backend.F32, to, x, []int{1, 77}, contiguous)
			}
			s.reduce(r, backend.F32, to, x, []int{3, 1}, contiguous)
		}
	}
	for _, dt := range []backend.DType{backend.F32, backend.F64, backend.I64, backend.BF16} {
		for _, r := range reduceTests[:4] { // empty folds, and folds of nothing
			for _, l := range layouts {
				s.reduce(r, dt, dt, newArray(2, 3, 0), []int{1, 1, 1}, l)
				s.reduce(r, dt, dt, newArray(3, 0, 2), []int{1, 1, 2}, l)
			}
			s.reduce(r, dt, dt, newArray(3, 0), []int{3, 1}, contiguous)
			s.reduce(r, dt, dt, newArray(0, 3), []int{1, 3}, contiguous)
			s.reduce(r, dt, dt, newArray(0, 3), []int{0, 1}, contiguous)
			s.reduce(r, dt, dt, newArray(2, 0, 0), []int{1, 1, 1}, contiguous)
			s.reduce(r, dt, dt, newArray(2, 0, 0), []int{2, 1, 1}, contiguous)
		}
	}
	s.reduce(reduceTests[0], backend.BF16, backend.F32, s.normal(backend.BF16, 1, 40, 50), []int{40, 1}, contiguous)
	s.reduce(reduceTests[0], backend.BF16, backend.F32, s.normal(backend.BF16, 1, 40, 50), []int{1, 50}, padded)

	// Numbers of one sign, where a running sum in F32 loses three digits.
	million := newArray(1 << 20)
	for i := range million.data {
		million.data[i] = s.rng.Float64()
	}
	million = million.rounded(backend.F32)
	for _, shape := range [][]int{{1 << 20}, {1 << 17, 8}, {8, 1 << 17}, {1 << 10, 1 << 10}} {
		for mask := 1; mask < 1<<len(shape); mask++ {
			x, to := array{shape, million.data}, shrink(shape, mask)
			s.try(fmt.Sprintf("Sum f32%v to %v", shape, to), func() {
				out := s.out(backend.F32, contiguous, to...)
				s.b.Reduce(backend.Sum, &out.view, s.in(backend.F32, x, contiguous))
				s.expect("out", out, tolerance{relative: 1e-6}, func() array { return reduced(backend.Sum, x, to, backend.F32) })
			})
		}
	}
}

// factors are numbers near 1, or small integers, whose product stays within what the dtype holds.
func (s *suite) factors(dt backend.DType, shape ...int) array {
	x := s.integers(1, 4, shape...)
	if dt == backend.I64 { // beyond 2⁵³ the reference has no digits
		return s.integers(1, 2, shape...)
	}
	if dt.IsFloat() {
		for i := range x.data {
			x.data[i] = 1 + s.rng.NormFloat64()/64
		}
		x.data[0] = -x.data[0]
	}
	return x.rounded(dt)
}

func (s *suite) reduce(r reduceTest, dt, to backend.DType, x array, shape []int, l layout) {
	s.try(fmt.Sprintf("%s %v%v %v to %v%v", r.name, dt, x.shape, l, to, shape), func() {
		tol := exact
		if r.op == backend.Sum && dt.IsFloat() {
			// A sum that cancels is as exact as what it adds is large.
			sum := 0.0
			for _, v := range x.data {
				if !math.IsNaN(v) && !math.IsInf(v, 0) {
					sum += math.Abs(v)
				}
			}
			tol = within(dt)
			tol.absolute = tol.relative * sum / float64(max(size(shape), 1))
		}
		if r.op == backend.Prod && dt.IsFloat() {
			if tol = within(dt); dt == backend.F64 {
				tol.relative = 1e-11
			}
		}
		out := s.out(to, l, shape...)
		s.b.Reduce(r.op, &out.view, s.in(dt, x, l))
		s.expect("out", out, tol, func() array {
			want := reduced(r.op, x, shape, dt)
			if !to.IsFloat() && to != backend.I64 { // float64 does not hold the limits of I64
				want = want.mapped(wrapped(to, func(x float64) float64 { return x }))
			}
			return want
		})
	})
}
