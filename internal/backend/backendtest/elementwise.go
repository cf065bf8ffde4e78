package backendtest

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/internal/backend"
)

var (
	allDTypes   = []backend.DType{backend.F32, backend.F64, backend.BF16, backend.F16, backend.I32, backend.I64, backend.U8, backend.Bool}
	floatDTypes = []backend.DType{backend.F32, backend.F64, backend.BF16, backend.F16}
	numDTypes   = []backend.DType{backend.F32, backend.F64, backend.BF16, backend.F16, backend.I32, backend.I64, backend.U8}

	// elementShapes hit every rank, empty axes, and the ends of vectors and blocks.
	elementShapes = [][]int{
		{}, {0}, {3, 0, 2}, {1}, {2}, {15}, {16}, {17}, {1023}, {1024}, {1025}, {33, 65}, {65, 3},
		{5, 1, 31}, {1, 1, 7, 1}, {2, 3, 4, 5}, {3, 2, 1, 2, 33}, {2, 3, 2, 3, 2, 5}, {70001}, {301, 257},
	}
)

// special are numbers at the edges of what floats hold.
var special = []float64{
	0, math.Copysign(0, -1), 1, -1, 0.5, -0.5, 2, -2, 3.7, -3.7, 1e-3, -1e-3, 1e-7, -1e-7, 10, -10, 20, -20, 80, -80,
	88.5, -87, 90, -90, 100, -104, 1e3, -1e3, 1e4, -1e4, 6e4, 1e-20, -1e-20, 1e20, -1e20, 1e30, -1e30, 1e-36, 3e38, -3e38,
	math.Inf(1), math.Inf(-1), math.NaN(), math.Pi, -math.Pi / 2,
}

// magnitudes is a vector of n numbers: the special ones and random ones of every size.
func (s *suite) magnitudes(dt backend.DType, n int) array {
	a := newArray(n)
	for i := range a.data {
		switch {
		case i < len(special):
			a.data[i] = special[i]
		case i%2 == 0:
			a.data[i] = s.rng.NormFloat64() * 3
		default:
			a.data[i] = s.rng.NormFloat64() * math.Pow(10, float64(s.rng.IntN(60)-30))
		}
	}
	return a.rounded(dt)
}

type unaryTest struct {
	op     backend.UnaryOp
	name   string
	f      func(x float64) float64
	floats bool // needs a float dtype
	domain func(x float64) bool
}

func anything(float64) bool { return true }

var unaryTests = []unaryTest{
	{backend.Neg, "Neg", func(x float64) float64 { return -x }, false, anything},
	{backend.Abs, "Abs", math.Abs, false, anything},
	{backend.Square, "Square", func(x float64) float64 { return x * x }, false, anything},
	{backend.Exp, "Exp", math.Exp, true, anything},
	{backend.Log, "Log", math.Log, true, anything},
	{backend.Sqrt, "Sqrt", math.Sqrt, true, anything},
	{backend.Rsqrt, "Rsqrt", func(x float64) float64 { return 1 / math.Sqrt(x) }, true, anything},
	{backend.Sin, "Sin", math.Sin, true, moderate},
	{backend.Cos, "Cos", math.Cos, true, moderate},
	{backend.Tanh, "Tanh", math.Tanh, true, anything},
	{backend.Sigmoid, "Sigmoid", sigmoid, true, anything},
	{backend.SiLU, "SiLU", func(x float64) float64 { return x * sigmoid(x) }, true, func(x float64) bool { return !math.IsInf(x, -1) }},
	{backend.ReLU, "ReLU", func(x float64) float64 { return max(x, 0) }, true, anything},
	{backend.Reciprocal, "Reciprocal", func(x float64) float64 { return 1 / x }, true, anything},
	{backend.Sign, "Sign", sign, false, anything},
	{backend.Exp2, "Exp2", math.Exp2, true, anything},
	{backend.Expm1, "Expm1", math.Expm1, true, anything},
	{backend.Log2, "Log2", math.Log2, true, anything},
	{backend.Log10, "Log10", math.Log10, true, anything},
	{backend.Log1p, "Log1p", math.Log1p, true, anything},
	{backend.Tan, "Tan", math.Tan, true, moderate},
	{backend.Asin, "Asin", math.Asin, true, anything},
	{backend.Acos, "Acos", math.Acos, true, anything},
	{backend.Atan, "Atan", math.Atan, true, anything},
	{backend.Sinh, "Sinh", math.Sinh, true, anything},
	{backend.Cosh, "Cosh", math.Cosh, true, anything},
	{backend.Asinh, "Asinh", math.Asinh, true, anything},
	{backend.Acosh, "Acosh", math.Acosh, true, anything},
	{backend.Atanh, "Atanh", math.Atanh, true, anything},
	{backend.Erf, "Erf", math.Erf, true, anything},
	{backend.Erfc, "Erfc", math.Erfc, true, anything},
	{backend.Floor, "Floor", math.Floor, true, anything},
	{backend.Ceil, "Ceil", math.Ceil, true, anything},
	{backend.Trunc, "Trunc", math.Trunc, true, anything},
	{backend.Round, "Round", math.RoundToEven, true, anything},
	{backend.Softplus, "Softplus", func(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }, true, anything},
	{backend.GELU, "GELU", func(x float64) float64 { return x * normalCDF(x) }, true, finite},
	{backend.GELUSlope, "GELUSlope", func(x float64) float64 {
		return normalCDF(x) + x*math.Exp(-0.5*x*x)/math.Sqrt(2*math.Pi)
	}, true, finite},
	{backend.GELUTanh, "GELUTanh", func(x float64) float64 { return x * sigmoid(2*geluAngle(x)) }, true, finite},
	{backend.GELUTanhSlope, "GELUTanhSlope", func(x float64) float64 {
		const h = 1e-3 // the difference quotient of fourth order
		f := func(x float64) float64 { return x * sigmoid(2*geluAngle(x)) }
		return (8*(f(x+h)-f(x-h)) - (f(x+2*h) - f(x-2*h))) / (12 * h)
	}, true, func(x float64) bool { return finite(x) && math.Abs(x) < 30 }},
}

func sign(x float64) float64 { return truth(x > 0) - truth(x < 0) }

func normalCDF(x float64) float64 { return 0.5 * math.Erfc(-x/math.Sqrt2) }

func geluAngle(x float64) float64 { return math.Sqrt(2/math.Pi) * (x + 0.044715*x*x*x) }

func finite(x float64) bool { return !math.IsInf(x, 0) }

// moderate keeps to angles whose reduction needs no more than the usual care.
func moderate(x float64) bool { return !(math.Abs(x) > 100) || math.IsInf(x, 0) }

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func testUnary(s *suite) {
	for _, u := range unaryTests {
		dtypes := numDTypes
		if u.floats {
			dtypes = floatDTypes
		}
		for _, dt := range dtypes {
			x := s.sample(dt, 1100)
			if dt.IsFloat() {
				x = s.magnitudes(dt, 1100)
			}
			for i, v := range x.data {
				if !u.domain(v) {
					x.data[i] = 1
				}
			}
			f := u.f
			if !dt.IsFloat() {
				f = wrapped(dt, f)
			}
			tol := within(dt)
			if !dt.IsFloat() {
				tol = exact
			}
			if u.op == backend.Sin || u.op == backend.Cos {
				tol.absolute = tol.relative // near a zero, as exact as the angle is
			}
			switch u.op {
			case backend.SiLU:
				tol.absolute = 1e-36 // where exp(−x) overflows in F32
			case backend.GELU, backend.GELUTanh, backend.GELUSlope, backend.GELUTanhSlope:
				tol.absolute = 1e-6 // of a function of size 1; its difference quotient in F64 has 1e-11
				if dt == backend.F64 {
					tol.absolute = 1e-11
				}
			}
			s.try(fmt.Sprintf("%s %v", u.name, dt), func() {
				out := s.out(dt, contiguous, x.shape...)
				s.b.Unary(u.op, &out.view, s.in(dt, x, contiguous))
				s.expect("out", out, tol, func() array { return x.mapped(f) })
			})
			s.try(fmt.Sprintf("%s %v in place", u.name, dt), func() {
				out := s.inout(dt, x, spread)
				s.b.Unary(u.op, &out.view, &out.view)
				s.expect("out", out, tol, func() array { return x.mapped(f) })
			})
		}
	}
	for _, shape := range elementShapes {
		for _, dt := range []backend.DType{backend.F32, backend.F64, backend.BF16, backend.I64} {
			for i, l := range layouts {
				other := layouts[(i+len(shape))%len(layouts)]
				x := s.sample(dt, shape...)
				s.try(fmt.Sprintf("Neg %v%v %v to %v", dt, shape, l, other), func() {
					out := s.out(dt, other, shape...)
					s.b.Unary(backend.Neg, &out.view, s.in(dt, x, l))
					s.expect("out", out, exact, func() array { return x.mapped(func(x float64) float64 { return -x }) })
				})
			}
		}
	}
	s.try("Not", func() {
		x := s.sample(backend.Bool, 77)
		out := s.out(backend.Bool, padded, 77)
		s.b.Unary(backend.Not, &out.view, s.in(backend.Bool, x, spread))
		s.expect("out", out, exact, func() array { return x.mapped(func(x float64) float64 { return 1 - x }) })
	})
}

// wrapped is f with its result wrapped around as integers of dt do.
func wrapped(dt backend.DType, f func(x float64) float64) func(float64) float64 {
	return func(x float64) float64 { return round(dt, f(x)) }
}

type binaryTest struct {
	op   backend.BinaryOp
	name string
	f    func(x, y float64) float64
}

var binaryTests = []binaryTest{
	{backend.Add, "Add", func(x, y float64) float64 { return x + y }},
	{backend.Sub, "Sub", func(x, y float64) float64 { return x - y }},
	{backend.Mul, "Mul", func(x, y float64) float64 { return x * y }},
	{backend.Div, "Div", func(x, y float64) float64 { return x / y }},
	{backend.Max, "Max", func(x, y float64) float64 { return max(x, y) }},
	{backend.Min, "Min", func(x, y float64) float64 { return min(x, y) }},
	{backend.Pow, "Pow", math.Pow},
	{backend.Atan2, "Atan2", math.Atan2},
	{backend.Hypot, "Hypot", math.Hypot},
	{backend.Remainder, "Remainder", func(x, y float64) float64 {
		m := math.Mod(x, y)
		if m != 0 && (m < 0) != (y < 0) {
			m += y
		}
		return m
	}},
	{backend.Fmod, "Fmod", math.Mod},
	{backend.And, "And", func(x, y float64) float64 { return truth(x != 0 && y != 0) }},
	{backend.Or, "Or", func(x, y float64) float64 { return truth(x != 0 || y != 0) }},
	{backend.Xor, "Xor", func(x, y float64) float64 { return truth((x != 0) != (y != 0)) }},
	{backend.Eq, "Eq", func(x, y float64) float64 { return truth(x == y) }},
	{backend.Ne, "Ne", func(x, y float64) float64 { return truth(x != y) }},
	{backend.Lt, "Lt", func(x, y float64) float64 { return truth(x < y) }},
	{backend.Le, "Le", func(x, y float64) float64 { return truth(x <= y) }},
	{backend.Gt, "Gt", func(x, y float64) float64 { return truth(x > y) }},
	{backend.Ge, "Ge", func(x, y float64) float64 { return truth(x >= y) }},
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// dtypes are those that an operation is defined for.
func (b binaryTest) dtypes() []backend.DType {
	switch {
	case b.op.Logical():
		return []backend.DType{backend.Bool}
	case b.op.NeedsFloat():
		return floatDTypes
	}
	switch b.op {
	case backend.Eq, backend.Ne:
		return allDTypes
	}
	return numDTypes
}

// operands are x and y of one length that an operation is defined for.
func (b binaryTest) operands(s *suite, dt backend.DType) (x, y array) {
	const n = 1500
	if !dt.IsFloat() {
		x, y = s.sample(dt, n), s.sample(dt, n)
		for i := range n {
			if i%7 == 0 {
				x.data[i] = y.data[i]
			}
			if b.op.Divides() && y.data[i] == 0 {
				y.data[i] = 3
			}
		}
		return x, y
	}
	if b.op == backend.Pow {
		x, y = s.normal(dt, 2, n), s.normal(dt, 3, n)
		for i := range n {
			if i%5 == 0 {
				y.data[i] = math.Round(y.data[i])
			} else if i%11 != 0 { // the rest are negative numbers to broken powers: NaN
				x.data[i] = math.Abs(x.data[i])
			}
		}
		return x, y
	}
	x, y = s.magnitudes(dt, n), s.magnitudes(dt, n)
	m := len(special)
	for i := range m * m { // each with each, as far as there is room
		if i < n {
			x.data[i] = round(dt, special[i%m])
			y.data[i] = round(dt, special[i/m*5%m])
		}
	}
	return x, y
}

func (b binaryTest) result(dt backend.DType) (backend.DType, tolerance) {
	switch {
	case b.op.Compares():
		return backend.Bool, exact
	case !dt.IsFloat():
		return dt, exact
	}
	return dt, within(dt)
}

// reference is the function in the arithmetic of dt.
func (b binaryTest) reference(dt backend.DType) func(x, y float64) float64 {
	if dt.IsFloat() || b.op.Compares() {
		return b.f
	}
	return func(x, y float64) float64 {
		if b.op == backend.Div {
			return math.Trunc(x / y)
		}
		return round(dt, b.f(x, y))
	}
}

func zip(x, y array, f func(x, y float64) float64) array {
	out := newArray(x.shape...)
	for i := range out.data {
		out.data[i] = f(x.data[i], y.data[i])
	}
	return out
}

func testBinary(s *suite) {
	for _, b := range binaryTests {
		for _, dt := range b.dtypes() {
			to, tol := b.result(dt)
			x, y := b.operands(s, dt)
			s.try(fmt.Sprintf("%s %v", b.name, dt), func() {
				out := s.out(to, contiguous, x.shape...)
				s.b.Binary(b.op, &out.view, s.in(dt, x, contiguous), s.in(dt, y, contiguous))
				s.expect("out", out, tol, func() array { return zip(x, y, b.reference(dt)) })
			})
			if to != dt {
				continue
			}
			s.try(fmt.Sprintf("%s %v in x", b.name, dt), func() {
				out := s.inout(dt, x, contiguous)
				s.b.Binary(b.op, &out.view, &out.view, s.in(dt, y, spread))
				s.expect("out", out, tol, func() array { return zip(x, y, b.reference(dt)) })
			})
			s.try(fmt.Sprintf("%s %v in y", b.name, dt), func() {
				out := s.inout(dt, y, contiguous)
				s.b.Binary(b.op, &out.view, s.in(dt, x, contiguous), &out.view)
				s.expect("out", out, tol, func() array { return zip(x, y, b.reference(dt)) })
			})
		}
	}
	for _, shape := range elementShapes {
		for mask := range 1 << min(len(shape), 3) { // which axes of y, and of x by the next bits, are broadcast
			for _, op := range []binaryTest{binaryTests[backend.Sub], binaryTests[backend.Lt], binaryTests[backend.Mul]} {
				dt := []backend.DType{backend.F32, backend.BF16, backend.F64, backend.I32}[s.rng.IntN(4)]
				xShape, yShape := shrink(shape, mask>>1), shrink(shape, mask)
				x, y := s.sample(dt, xShape...), s.sample(dt, yShape...)
				lx, ly, lo := layouts[s.rng.IntN(4)], layouts[s.rng.IntN(4)], layouts[s.rng.IntN(4)]
				to, tol := op.result(dt)
				s.try(fmt.Sprintf("%s %v%v %v, %v%v %v to %v", op.name, dt, xShape, lx, dt, yShape, ly, lo), func() {
					out := s.out(to, lo, shape...)
					s.b.Binary(op.op, &out.view, s.broadcast(dt, x, lx, shape...), s.broadcast(dt, y, ly, shape...))
					s.expect("out", out, tol, func() array {
						want := newArray(shape...)
						each(shape, func(i int, index []int) { want.data[i] = op.f(x.at(index...), y.at(index...)) })
						return want
					})
				})
			}
		}
	}
}

// shrink sets the axes whose bits are set, the last axis first, to 1.
func shrink(shape []int, mask int) []int {
	out := append([]int(nil), shape...)
	for i := range out {
		if axis := len(out) - 1 - i; mask>>i&1 != 0 && out[axis] != 0 {
			out[axis] = 1
		}
	}
	return out
}

func testScalar(s *suite) {
	for _, b := range binaryTests {
		for _, dt := range b.dtypes() {
			to, tol := b.result(dt)
			x, _ := b.operands(s, dt)
			scalars := []float64{2, 3}
			if dt.IsFloat() {
				scalars = []float64{2, -1.5, 0.1, 0, 1e-30, math.Inf(1), math.NaN()}
			}
			if dt == backend.Bool {
				scalars = []float64{0, 1}
			}
			for _, v := range scalars {
				computed := dt.Accumulator()
				constant := round(computed, v)
				want := func() array {
					f := b.reference(dt)
					return x.mapped(func(x float64) float64 { return f(x, constant) })
				}
				s.try(fmt.Sprintf("%s %v with %v", b.name, dt, v), func() {
					out := s.out(to, padded, x.shape...)
					s.b.Scalar(b.op, &out.view, s.in(dt, x, contiguous), v)
					s.expect("out", out, tol, want)
				})
				if to == dt {
					s.try(fmt.Sprintf("%s %v with %v in place", b.name, dt, v), func() {
						out := s.inout(dt, x, contiguous)
						s.b.Scalar(b.op, &out.view, &out.view, v)
						s.expect("out", out, tol, want)
					})
				}
			}
		}
	}
	for _, shape := range elementShapes {
		for _, l := range layouts {
			x := s.sample(backend.F32, shape...)
			s.try(fmt.Sprintf("Add f32%v %v", shape, l), func() {
				out := s.out(backend.F32, l, shape...)
				s.b.Scalar(backend.Add, &out.view, s.in(backend.F32, x, contiguous), 1)
				s.expect("out", out, within(backend.F32), func() array { return x.mapped(func(x float64) float64 { return x + 1 }) })
			})
		}
	}
}

func testWhere(s *suite) {
	for _, dt := range allDTypes {
		for _, shape := range elementShapes {
			mask := s.rng.IntN(8)
			cond, x, y := s.sample(backend.Bool, shrink(shape, mask)...), s.sample(dt, shrink(shape, mask>>1)...), s.sample(dt, shape...)
			l := layouts[s.rng.IntN(4)]
			s.try(fmt.Sprintf("%v%v %v, broadcast %03b", dt, shape, l, mask), func() {
				out := s.out(dt, layouts[s.rng.IntN(4)], shape...)
				s.b.Where(&out.view, s.broadcast(backend.Bool, cond, l, shape...), s.broadcast(dt, x, l, shape...), s.in(dt, y, contiguous))
				s.expect("out", out, exact, func() array {
					want := newArray(shape...)
					each(shape, func(i int, index []int) {
						want.data[i] = y.at(index...)
						if cond.at(index...) != 0 {
							want.data[i] = x.at(index...)
						}
					})
					return want
				})
			})
		}
	}
}
