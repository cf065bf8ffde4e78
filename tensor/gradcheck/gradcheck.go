// Package gradcheck proves the derivatives of ops: it compares the gradients that a function's backward
// gives with central finite differences.
//
//	func TestCubeHasTheRightGradient(t *testing.T) {
//		x := tensor.FromSlice(tensor.CPU(), []float64{-1, 0.5, 2}, 3)
//		x.SetTrainable(true)
//		gradcheck.Check(t, func(x ...*tensor.Tensor) *tensor.Tensor { return Cube(x[0]) }, x)
//	}
//
// The method and the tolerances are those of torch.autograd.gradcheck. Everything is in F64: in F32 a
// difference quotient has some three digits, and proves little.
package gradcheck

import (
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/hone-ml/hone/tensor"
)

// The step of the differences, and how far a gradient a may be from a difference quotient n:
// |a − n| ≤ AbsTolerance + RelTolerance·|n|.
const (
	Step         = 1e-6
	AbsTolerance = 1e-5
	RelTolerance = 1e-3
)

// A TB is the part of testing.TB that Check needs.
type TB interface {
	Helper()
	Fatal(args ...any)
}

// A Func computes one F64 tensor of any shape from tensors that live in one scope. It must be smooth near
// the inputs, and compute the same each time; random numbers from the scope's Rand are the same.
type Func = func(x ...*tensor.Tensor) *tensor.Tensor

// Check fails t if Verify gives an error.
func Check(t TB, fn Func, inputs ...*tensor.Tensor) {
	t.Helper()
	if err := Verify(fn, inputs...); err != nil {
		t.Fatal(err)
	}
}

// A Mismatch is a gradient that is not the difference quotient: the worst one found.
type Mismatch struct {
	Input    int   // which input
	Index    []int // where in it
	Analytic float64
	Numeric  float64
	Wrong    int // how many elements of all inputs are wrong
	Of       int // how many there are
}

func (m *Mismatch) Error() string {
	return fmt.Sprintf("gradcheck: d/d input %d at %v is %g by backward but %g by finite differences; %d of %d elements are wrong",
		m.Input, m.Index, m.Analytic, m.Numeric, m.Wrong, m.Of)
}

// Verify compares the gradients of fn with respect to every trainable input with central differences, and
// returns a *Mismatch about the worst element, or an error if fn panics with one of tensor's.
//
// Inputs are long-lived; the trainable ones are contiguous F64, and others are constants of any dtype. fn
// gets them as guests of its scope. An output of many elements is made a number by a fixed random
// projection. It takes two evaluations of fn for each element, so inputs should be small; they are changed
// on the way and have their values back at the end.
func Verify(fn Func, inputs ...*tensor.Tensor) error {
	var params []int
	for i, x := range inputs {
		switch {
		case x.Scope() != nil:
			return fmt.Errorf("gradcheck: input %d lives in a scope; make it on the device", i)
		case x.Trainable() && (x.DType() != tensor.F64 || !x.IsContiguous()):
			return fmt.Errorf("gradcheck: trainable input %d is %s%v; it must be contiguous f64", i, x.DType(), x.Shape())
		case x.Trainable():
			params = append(params, i)
		}
	}
	if len(params) == 0 {
		return fmt.Errorf("gradcheck: none of %d inputs is trainable; see SetTrainable", len(inputs))
	}
	c := &check{fn: fn, inputs: inputs, params: params}
	var mismatch error
	if err := tensor.Try(func() { mismatch = c.run() }); err != nil {
		return fmt.Errorf("gradcheck: %w", err)
	}
	return mismatch
}

type check struct {
	fn     Func
	inputs []*tensor.Tensor
	params []int // the trainable inputs
}

func (c *check) run() error {
	grads := c.analytic()
	worst, excess := new(Mismatch), 0.0
	for _, i := range c.params {
		x := c.inputs[i]
		analytic, values := grads.Of(x).Float64s(), x.Float64s()
		worst.Of += len(values)
		for j := range values {
			numeric := c.numeric(x, values, j)
			over := math.Abs(analytic[j]-numeric) - (AbsTolerance + RelTolerance*math.Abs(numeric))
			if over <= 0 {
				continue
			}
			worst.Wrong++
			if worst.Wrong == 1 || over > excess || over != over {
				worst.Input, worst.Index = i, position(j, x.Shape())
				worst.Analytic, worst.Numeric, excess = analytic[j], numeric, over
			}
		}
	}
	if worst.Wrong > 0 {
		return worst
	}
	return nil
}

// analytic is what backward says.
func (c *check) analytic() *tensor.Grads {
	g := tensor.NewGrads(c.trainable(), tensor.F64)
	tape := c.inputs[0].Device().NewTape()
	defer tape.Close()
	y := c.call(tape)
	p := tensor.FromSlice(tape, projection(y.Len()))
	y.Mul(p.Reshape(y.Shape()...)).Sum().Backward(g)
	return g
}

// trainable iterates over the trainable inputs.
func (c *check) trainable() iter.Seq2[string, *tensor.Tensor] {
	return func(yield func(string, *tensor.Tensor) bool) {
		for _, i := range c.params {
			if !yield(fmt.Sprint("input ", i), c.inputs[i]) {
				return
			}
		}
	}
}

// numeric is the difference quotient with respect to element j of x, which has the given values.
func (c *check) numeric(x *tensor.Tensor, values []float64, j int) float64 {
	moved := slices.Clone(values)
	defer tensor.CopyFromSlice(x, values)
	moved[j] = values[j] + Step
	tensor.CopyFromSlice(x, moved)
	above := c.value()
	moved[j] = values[j] - Step
	tensor.CopyFromSlice(x, moved)
	return (above - c.value()) / (2 * Step)
}

// value is the projection of fn's output.
func (c *check) value() float64 {
	s := c.inputs[0].Device().NewScope()
	defer s.Close()
	s.SetTraining(true) // as the tape does
	y := c.call(s).Float64s()
	sum := 0.0
	for i, p := range projection(len(y)) {
		sum += p * y[i]
	}
	return sum
}

func (c *check) call(s *tensor.Scope) *tensor.Tensor {
	in := make([]*tensor.Tensor, len(c.inputs))
	for i, x := range c.inputs {
		in[i] = x.In(s)
	}
	y := c.fn(in...)
	if y.DType() != tensor.F64 {
		panic(&tensor.Error{Op: "gradcheck", Reason: fmt.Sprintf("the function gives %s, not f64", y.DType())})
	}
	return y
}

// projection is n fixed numbers whose size is between a half and one and a half, so that no element of the
// output goes unseen; the first is 1.
func projection(n int) []float64 {
	p := make([]float64, n)
	for i := range p {
		p[i] = 1 + 0.5*math.Sin(float64(3*i))
		if i%3 == 1 {
			p[i] = -p[i]
		}
	}
	return p
}

// position is the index of element j in row-major order.
func position(j int, shape []int) []int {
	at := make([]int, len(shape))
	for axis, n := range slices.Backward(shape) {
		at[axis] = j % n
		j /= n
	}
	return at
}
