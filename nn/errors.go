package nn

import (
	"fmt"

	"github.com/hone-ml/hone/tensor"
)

// fail panics with a *tensor.Error about ts; op is the layer's or function's name.
func fail(op string, ts []*tensor.Tensor, format string, args ...any) {
	e := &tensor.Error{Op: op, Reason: fmt.Sprintf(format, args...)}
	for _, t := range ts {
		if t != nil {
			e.Shapes = append(e.Shapes, t.Shape())
			e.DTypes = append(e.DTypes, t.DType())
		}
	}
	panic(e)
}

// scopeOf is the scope of a layer's input, which must have one: a layer asks it what the step is.
func scopeOf(op string, x *tensor.Tensor) *tensor.Scope {
	s := x.Scope()
	if s == nil {
		fail(op, []*tensor.Tensor{x}, "the input is long-lived: bring it into a scope with In")
	}
	return s
}

// positive panics unless each of the sizes, given as name and number in turn, is above 0.
func positive(op string, sizes ...any) {
	for i := 0; i < len(sizes); i += 2 {
		if n := sizes[i+1].(int); n <= 0 {
			fail(op, nil, "%s is %d; it must be positive", sizes[i], n)
		}
	}
}

// accumulator is the dtype in which sums of dt are kept: F32, or F64 for F64.
func accumulator(t *tensor.Tensor) tensor.DType { return t.DType().Accumulator() }
