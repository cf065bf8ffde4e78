package tensor

import (
	"bytes"
	"math"

	"github.com/hone-ml/hone/internal/backend"
)

// Comparisons and logic. Their results are Bool, without a gradient; Where, And and To make use of them.

func compare(name string, op backend.BinaryOp, x, y *Tensor) *Tensor {
	return binary(name, op, x, y, false, false, nil)
}

// Eq is t == y, of dtype Bool. NaN is equal to nothing.
func (t *Tensor) Eq(y *Tensor) *Tensor { return compare("Eq", backend.Eq, t, y) }

// Ne is t ≠ y, of dtype Bool.
func (t *Tensor) Ne(y *Tensor) *Tensor { return compare("Ne", backend.Ne, t, y) }

// Lt is t < y, of dtype Bool.
func (t *Tensor) Lt(y *Tensor) *Tensor { return compare("Lt", backend.Lt, t, y) }

// Le is t ≤ y, of dtype Bool.
func (t *Tensor) Le(y *Tensor) *Tensor { return compare("Le", backend.Le, t, y) }

// Gt is t > y, of dtype Bool.
func (t *Tensor) Gt(y *Tensor) *Tensor { return compare("Gt", backend.Gt, t, y) }

// Ge is t ≥ y, of dtype Bool.
func (t *Tensor) Ge(y *Tensor) *Tensor { return compare("Ge", backend.Ge, t, y) }

// And is t ∧ y of Bools.
func (t *Tensor) And(y *Tensor) *Tensor { return compare("And", backend.And, t, y) }

// Or is t ∨ y of Bools.
func (t *Tensor) Or(y *Tensor) *Tensor { return compare("Or", backend.Or, t, y) }

// Xor is t ≠ y of Bools.
func (t *Tensor) Xor(y *Tensor) *Tensor { return compare("Xor", backend.Xor, t, y) }

// Not is ¬t of Bools.
func (t *Tensor) Not() *Tensor { return unary("Not", backend.Not, t, keepNothing, nil) }

// EqScalar is t == c, of dtype Bool.
func (t *Tensor) EqScalar(c float64) *Tensor { return scalar("EqScalar", backend.Eq, t, c, false, nil) }

// NeScalar is t ≠ c, of dtype Bool.
func (t *Tensor) NeScalar(c float64) *Tensor { return scalar("NeScalar", backend.Ne, t, c, false, nil) }

// LtScalar is t < c, of dtype Bool.
func (t *Tensor) LtScalar(c float64) *Tensor { return scalar("LtScalar", backend.Lt, t, c, false, nil) }

// LeScalar is t ≤ c, of dtype Bool.
func (t *Tensor) LeScalar(c float64) *Tensor { return scalar("LeScalar", backend.Le, t, c, false, nil) }

// GtScalar is t > c, of dtype Bool.
func (t *Tensor) GtScalar(c float64) *Tensor { return scalar("GtScalar", backend.Gt, t, c, false, nil) }

// GeScalar is t ≥ c, of dtype Bool.
func (t *Tensor) GeScalar(c float64) *Tensor { return scalar("GeScalar", backend.Ge, t, c, false, nil) }

// compareInteger is op(x, c) of integers x and any number c: kernels compare with integers of x's dtype.
func compareInteger(op backend.BinaryOp, x *Tensor, c float64) *Tensor {
	out := alloc(x.scope, Bool, x.view.Dims()...)
	lowest, highest, _ := integerRange(x.view.DType)
	less, more := op == backend.Lt || op == backend.Le, op == backend.Gt || op == backend.Ge
	always := func(b bool) {
		if b {
			out.Fill(1)
		} else {
			out.Fill(0)
		}
	}
	switch {
	case c != c, (op == backend.Eq || op == backend.Ne) && c != math.Trunc(c):
		always(op == backend.Ne)
	case c > highest:
		always(less || op == backend.Ne)
	case c < lowest:
		always(more || op == backend.Ne)
	default:
		if op == backend.Lt || op == backend.Ge {
			c = math.Ceil(c)
		} else {
			c = math.Floor(c)
		}
		out.dev.backend.Scalar(op, &out.view, &x.view, c)
	}
	return out
}

// integerRange is what an integer dtype holds, as far as F64 can say; whole is false for floats and Bool.
func integerRange(dt DType) (lowest, highest float64, whole bool) {
	switch dt {
	case I32:
		return math.MinInt32, math.MaxInt32, true
	case I64:
		return math.MinInt64, 0x1p63 - 1024, true
	case U8:
		return 0, math.MaxUint8, true
	}
	return 0, 0, false
}

// IsNaN says, as Bool, which elements of a float tensor are NaN.
func (t *Tensor) IsNaN() *Tensor {
	t.floats("IsNaN")
	x := t.detached()
	return x.Ne(x)
}

// IsInf says, as Bool, which elements of a float tensor are +∞ or −∞.
func (t *Tensor) IsInf() *Tensor {
	t.floats("IsInf")
	return t.detached().Abs().EqScalar(math.Inf(1))
}

// IsFinite says, as Bool, which elements of a float tensor are neither infinite nor NaN.
func (t *Tensor) IsFinite() *Tensor {
	t.floats("IsFinite")
	return t.detached().Abs().LtScalar(math.Inf(1))
}

// floats panics unless t is usable in an op and its dtype a float one. It returns t's scope.
func (t *Tensor) floats(op string) *Scope {
	s := scopeOf(op, []*Tensor{t})
	if !t.view.DType.IsFloat() {
		fail(op, []*Tensor{t}, "a float dtype is needed")
	}
	return s
}

// Equal reports whether two tensors have the same dtype, shape and elements. NaN is equal to nothing, and 0
// to −0. It waits for the device, and takes tensors of any place.
func Equal(x, y *Tensor) bool {
	x.alive("Equal")
	y.alive("Equal")
	if x.view.DType != y.view.DType || !sameDims(x, y) {
		return false
	}
	if !x.view.DType.IsFloat() {
		return bytes.Equal(x.Bytes(), y.Bytes())
	}
	return AllClose(x, y, 0, 0)
}

// AllClose reports whether two tensors of one shape are equal but for rounding: |x − y| ≤ atol + rtol·|y|
// everywhere. Equal infinities are close, NaN is close to nothing; the dtypes may differ. It waits for the
// device, and takes tensors of any place.
func AllClose(x, y *Tensor, rtol, atol float64) bool {
	x.alive("AllClose")
	y.alive("AllClose")
	if !sameDims(x, y) {
		return false
	}
	b := y.Float64s()
	for i, v := range x.Float64s() {
		if w := b[i]; v != w && (math.IsInf(w, 0) || !(math.Abs(v-w) <= atol+rtol*math.Abs(w))) {
			return false
		}
	}
	return true
}
