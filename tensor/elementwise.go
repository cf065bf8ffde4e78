package tensor

import (
	"math"
	"runtime"

	"github.com/hone-ml/hone/internal/backend"
)

// binary runs op with broadcasting: axes are aligned at the last, and one of length 1 is repeated.
func binary(name string, op backend.BinaryOp, x, y *Tensor, keepX, keepY bool, backward func(g *gradient, dy *Tensor)) *Tensor {
	s := scopeOf(name, []*Tensor{x, y})
	x, y = x.In(s), y.In(s)
	dt := x.view.DType
	switch {
	case dt != y.view.DType:
		fail(name, []*Tensor{x, y}, "the dtypes differ; convert one with To")
	case op.Logical() != (dt == Bool) && !op.Compares():
		fail(name, []*Tensor{x, y}, "not defined for %s", dt)
	case op.NeedsFloat() && !dt.IsFloat():
		fail(name, []*Tensor{x, y}, "a float dtype is needed")
	}
	if op.Compares() {
		dt = Bool
	}
	shape := x.view.Dims()
	var dims [MaxRank]int
	if !sameDims(x, y) {
		shape = broadcast(dims[:0], name, x, y, 0)
	}
	out := alloc(s, dt, shape...)
	if op.Divides() && !dt.IsFloat() {
		divided(name, x, y, func() { out.combine(op, x, y) })
	} else {
		out.combine(op, x, y)
	}
	if s.selective {
		out.repeatable([]*Tensor{x, y}, func(out *Tensor, in []*Tensor) { out.combine(op, in[0], in[1]) })
	}
	if backward == nil || s.tape == nil {
		return out
	}
	var kept [2]*Tensor
	if keepX {
		kept[0] = x
	}
	if keepY {
		kept[1] = y
	}
	return record1(name, out, []*Tensor{x, y}, kept[:], func(g *gradient) { backward(g, g.Output(0)) })
}

// combine sets t, new memory, to op(x, y).
func (t *Tensor) combine(op backend.BinaryOp, x, y *Tensor) {
	t.dev.backend.Binary(op, &t.view, x.spread(t, 0), y.spread(t, 1))
}

// spread is t's view broadcast to the shape of out, in one of the spare views of out's scope: a view of its own
// would be garbage at once.
func (t *Tensor) spread(out *Tensor, spare int) *backend.View {
	if sameDims(t, out) {
		return &t.view
	}
	v := &out.scope.spare[spare]
	*v = expand(&t.view, out.view.Dims())
	return v
}

// divided runs a kernel that divides integers by y, and makes the processor's complaint about a zero an *Error.
func divided(name string, x, y *Tensor, kernel func()) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case runtime.Error:
			fail(name, []*Tensor{x, y}, "integers cannot be divided by 0 (%v)", p)
		default:
			panic(p)
		}
	}()
	kernel()
}

// addReduced adds d, which has the output's shape, to the gradient of input i, summed over the axes along
// which that was broadcast.
func (g *gradient) addReduced(i int, d *Tensor) {
	if !g.Needs(i) {
		return
	}
	t := g.node.inputs[i]
	if !sameDims(t, d) && g.isParameter(i) {
		d = d.To(d.view.DType.Accumulator()) // rounding the sum would make it depend on the batch's cut
	}
	g.Add(i, sumTo(d, t.view.Dims()))
}

// broadcast appends to dims what the shapes of x and y broadcast to, but for their last axes, so many as matrix says.
func broadcast(dims []int, op string, x, y *Tensor, matrix int) []int {
	a, b := x.view.Shape[:x.view.Rank-matrix], y.view.Shape[:y.view.Rank-matrix]
	if len(a) < len(b) {
		a, b = b, a
	}
	shape := append(dims, a...)
	for i, d := range b {
		switch n := &shape[len(shape)-len(b)+i]; {
		case *n == d || d == 1:
		case *n == 1:
			*n = d
		case matrix > 0:
			fail(op, []*Tensor{x, y}, "the leading axes do not broadcast: %d and %d differ and neither is 1", *n, d)
		default:
			fail(op, []*Tensor{x, y}, "the shapes do not broadcast: %d and %d differ and neither is 1", *n, d)
		}
	}
	return shape
}

// Add is t + y. In it, as in the other functions of two tensors, the shapes broadcast: axes are aligned
// at the last, and one of length 1 is repeated. The dtypes must be equal.
func (t *Tensor) Add(y *Tensor) *Tensor {
	return binary("Add", backend.Add, t, y, false, false, func(g *gradient, dy *Tensor) {
		g.addReduced(0, dy)
		g.addReduced(1, dy)
	})
}

// Sub is t − y.
func (t *Tensor) Sub(y *Tensor) *Tensor {
	return binary("Sub", backend.Sub, t, y, false, false, func(g *gradient, dy *Tensor) {
		g.addReduced(0, dy)
		if g.Needs(1) {
			g.addReduced(1, dy.Neg())
		}
	})
}

// Mul is t · y, element by element.
func (t *Tensor) Mul(y *Tensor) *Tensor {
	return binary("Mul", backend.Mul, t, y, y.needsGradFor(), t.needsGradFor(), func(g *gradient, dy *Tensor) {
		if g.Needs(0) {
			g.addReduced(0, dy.Mul(g.Saved(1)))
		}
		if g.Needs(1) {
			g.addReduced(1, dy.Mul(g.Saved(0)))
		}
	})
}

// Div is t / y.
func (t *Tensor) Div(y *Tensor) *Tensor {
	return binary("Div", backend.Div, t, y, y.needsGradFor(), true, func(g *gradient, dy *Tensor) {
		y := g.Saved(1)
		dx := dy.Div(y)
		g.addReduced(0, dx)
		if g.Needs(1) {
			g.addReduced(1, dx.Mul(g.Saved(0)).Div(y).Neg())
		}
	})
}

// Maximum is the larger of t and y; where they are equal each gets half of the gradient. NaN wins.
func (t *Tensor) Maximum(y *Tensor) *Tensor {
	return extremum("Maximum", backend.Max, backend.Gt, t, y)
}

// Minimum is the smaller of t and y; where they are equal each gets half of the gradient. NaN wins.
func (t *Tensor) Minimum(y *Tensor) *Tensor {
	return extremum("Minimum", backend.Min, backend.Lt, t, y)
}

func extremum(name string, op, wins backend.BinaryOp, x, y *Tensor) *Tensor {
	return binary(name, op, x, y, true, true, func(g *gradient, dy *Tensor) {
		x, y, dt := g.Saved(0), g.Saved(1), dy.view.DType
		ahead := compare("", wins, x, y).To(dt)
		tied := x.Eq(y).To(dt).MulScalar(0.5)
		share := ahead.Add(tied)
		g.addReduced(0, dy.Mul(share))
		g.addReduced(1, dy.Mul(share.Neg().AddScalar(1)))
	})
}

// needsGradFor reports whether the other factor of a product must be kept for t's gradient: t is part of
// a recorded computation, or may become one when it is brought in.
func (t *Tensor) needsGradFor() bool { return t.needsGrad || t.trainable }

// scalar runs op with a number as its second argument. Integers are compared with the number as it is, and
// combined with whole ones only.
func scalar(name string, op backend.BinaryOp, x *Tensor, c float64, keep bool, backward func(g *gradient, dy *Tensor)) *Tensor {
	s := scopeOf(name, []*Tensor{x})
	dt := x.view.DType
	switch {
	case dt == Bool:
		fail(name, []*Tensor{x}, "not defined for bool")
	case op.NeedsFloat() && !dt.IsFloat():
		fail(name, []*Tensor{x}, "a float dtype is needed")
	case op.Divides() && !dt.IsFloat() && int64(c) == 0:
		fail(name, []*Tensor{x}, "integers cannot be divided by %g", c)
	}
	if !dt.IsFloat() {
		if op.Compares() {
			return compareInteger(op, x, c)
		}
		if c != math.Trunc(c) || math.Abs(c) >= 1<<63 {
			fail(name, []*Tensor{x}, "%g is not an integer; convert the tensor with To", c)
		}
	}
	if op.Compares() {
		dt = Bool
	}
	out := alloc(s, dt, x.view.Dims()...)
	out.dev.backend.Scalar(op, &out.view, &x.view, c)
	if s.selective {
		out.repeatable([]*Tensor{x}, func(out *Tensor, in []*Tensor) { out.dev.backend.Scalar(op, &out.view, &in[0].view, c) })
	}
	if backward == nil || s.tape == nil {
		return out
	}
	var kept []*Tensor
	if keep {
		kept = []*Tensor{x}
	}
	return record1(name, out, []*Tensor{x}, kept, func(g *gradient) { backward(g, g.Output(0)) })
}

// AddScalar is t + c.
func (t *Tensor) AddScalar(c float64) *Tensor {
	return scalar("AddScalar", backend.Add, t, c, false, func(g *gradient, dy *Tensor) { g.Add(0, dy) })
}

// MulScalar is c · t.
func (t *Tensor) MulScalar(c float64) *Tensor {
	return scalar("MulScalar", backend.Mul, t, c, false, func(g *gradient, dy *Tensor) { g.Add(0, dy.MulScalar(c)) })
}

// DivScalar is t / c.
func (t *Tensor) DivScalar(c float64) *Tensor {
	return scalar("DivScalar", backend.Div, t, c, false, func(g *gradient, dy *Tensor) { g.Add(0, dy.DivScalar(c)) })
}

// PowScalar is t to the power c.
func (t *Tensor) PowScalar(c float64) *Tensor {
	return scalar("PowScalar", backend.Pow, t, c, true, func(g *gradient, dy *Tensor) {
		if c == 0 {
			return // a constant, also at 0, where the formula would give 0·∞
		}
		g.Add(0, g.Saved(0).PowScalar(c-1).MulScalar(c).Mul(dy))
	})
}

type keep uint8

const (
	keepNothing keep = iota
	keepInput
	keepOutput
)

// unary runs op; derivative gets the gradient of the result and the input or result, as kept.
func unary(name string, op backend.UnaryOp, x *Tensor, k keep, derivative func(dy, kept *Tensor) *Tensor) *Tensor {
	s := scopeOf(name, []*Tensor{x})
	if op >= backend.Exp && !x.view.DType.IsFloat() {
		fail(name, []*Tensor{x}, "a float dtype is needed")
	}
	if (op == backend.Not) != (x.view.DType == Bool) {
		fail(name, []*Tensor{x}, "not defined for %s", x.view.DType)
	}
	out := like(x)
	out.dev.backend.Unary(op, &out.view, &x.view)
	if s.selective {
		out.repeatable([]*Tensor{x}, func(out *Tensor, in []*Tensor) { out.dev.backend.Unary(op, &out.view, &in[0].view) })
	}
	if s.tape == nil || derivative == nil {
		return out
	}
	var kept []*Tensor
	switch k {
	case keepInput:
		kept = []*Tensor{x}
	case keepOutput:
		kept = []*Tensor{out}
	}
	return record1(name, out, []*Tensor{x}, kept, func(g *gradient) {
		var saved *Tensor
		if len(g.node.saved) > 0 {
			saved = g.Saved(0)
		}
		g.Add(0, derivative(g.Output(0), saved))
	})
}

// Neg is −t.
func (t *Tensor) Neg() *Tensor {
	return unary("Neg", backend.Neg, t, keepNothing, func(dy, _ *Tensor) *Tensor { return dy.Neg() })
}

// Abs is |t|; the derivative at 0 is 0.
func (t *Tensor) Abs() *Tensor {
	return unary("Abs", backend.Abs, t, keepInput, func(dy, x *Tensor) *Tensor {
		dt := x.view.DType
		sign := x.GtScalar(0).To(dt).Sub(x.Neg().GtScalar(0).To(dt))
		return dy.Mul(sign)
	})
}

// Square is t².
func (t *Tensor) Square() *Tensor {
	return unary("Square", backend.Square, t, keepInput, func(dy, x *Tensor) *Tensor { return dy.Mul(x).MulScalar(2) })
}

// Sqrt is the square root.
func (t *Tensor) Sqrt() *Tensor {
	return unary("Sqrt", backend.Sqrt, t, keepOutput, func(dy, y *Tensor) *Tensor { return dy.Div(y).MulScalar(0.5) })
}

// Rsqrt is 1/√t.
func (t *Tensor) Rsqrt() *Tensor {
	return unary("Rsqrt", backend.Rsqrt, t, keepOutput, func(dy, y *Tensor) *Tensor {
		return dy.Mul(y).Mul(y.Square()).MulScalar(-0.5)
	})
}

// To converts to another dtype: float to integer truncates toward zero, anything nonzero is true, and
// narrower floats are rounded to nearest, ties to even. To Q8_0 and Q4_0 quantises floats and from them
// gives their values back; see there. Gradients flow between float dtypes.
func (t *Tensor) To(dt DType) *Tensor {
	if t.view.DType == dt {
		return t
	}
	s := scopeOfAny("To", []*Tensor{t})
	out := alloc(s, dt, t.view.Dims()...)
	convert("To", out, t)
	if s.selective {
		out.repeatable([]*Tensor{t}, func(out *Tensor, in []*Tensor) { convert("To", out, in[0]) })
	}
	if s.tape == nil || !dt.IsFloat() || !t.view.DType.IsFloat() {
		return out
	}
	return record1("To", out, []*Tensor{t}, nil, func(g *gradient) { g.Add(0, g.Output(0)) })
}

// Where is x where cond, a Bool, is true and y elsewhere. The three shapes broadcast.
func Where(cond, x, y *Tensor) *Tensor {
	s := scopeOf("Where", []*Tensor{cond, x, y})
	cond, x, y = cond.In(s), x.In(s), y.In(s)
	if cond.view.DType != Bool || x.view.DType != y.view.DType {
		fail("Where", []*Tensor{cond, x, y}, "needs a bool condition and two operands of one dtype")
	}
	shape := x.view.Dims()
	if !sameDims(x, y) {
		shape = broadcast(nil, "Where", x, y, 0)
	}
	if len(cond.view.Dims()) > len(shape) || !expands(cond.view.Dims(), shape) {
		shape = broadcast(nil, "Where", cond, x.Expand(shape...), 0)
	}
	out := alloc(s, x.view.DType, shape...)
	out.choose(cond, x, y)
	if s.selective {
		out.repeatable([]*Tensor{cond, x, y}, func(out *Tensor, in []*Tensor) { out.choose(in[0], in[1], in[2]) })
	}
	if s.tape == nil {
		return out
	}
	return record1("Where", out, []*Tensor{cond, x, y}, []*Tensor{cond}, func(g *gradient) {
		cond, dy := g.Saved(0), g.Output(0)
		zero := Zeros(g.scope, dy.view.DType)
		if g.Needs(1) {
			g.addReduced(1, Where(cond, dy, zero))
		}
		if g.Needs(2) {
			g.addReduced(2, Where(cond, zero, dy))
		}
	})
}

// choose sets t, new memory, to x where cond is true and to y elsewhere.
func (t *Tensor) choose(cond, x, y *Tensor) {
	t.dev.backend.Where(&t.view, cond.spread(t, 0), x.spread(t, 1), y.spread(t, 2))
}
