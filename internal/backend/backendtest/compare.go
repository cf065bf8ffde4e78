package backendtest

import (
	"fmt"
	"math"
	"slices"

	"github.com/hone-ml/hone/internal/backend"
)

// A tolerance bounds |got − want| by relative·|want| + scale·max|want| + absolute, on top of what storing
// a result in the output's dtype costs.
type tolerance struct{ relative, scale, absolute float64 }

var exact = tolerance{}

// within is the tolerance of results that are each a function of few numbers, computed in the
// accumulator of dt: a few ulp of every one.
func within(dt backend.DType) tolerance {
	if dt == backend.F64 {
		return tolerance{relative: 1e-13}
	}
	return tolerance{relative: 4e-6}
}

// summed is the tolerance of results that sum over many products: they cancel, so that only the
// largest result says how exact the others can be.
func summed(dt backend.DType) tolerance {
	if dt == backend.F64 {
		return tolerance{scale: 1e-12}
	}
	return tolerance{scale: 1e-5}
}

// storage is what rounding to dt may cost: one unit in the last place, which is half a unit for the
// rounding and half for a result that was near the middle; and the smallest normal number, below which
// a device may flush to zero.
func storage(dt backend.DType) (relative, absolute float64) {
	switch dt {
	case backend.F32:
		return 0x1p-23, 0x1p-126
	case backend.F64:
		return 0x1p-52, 0x1p-1022
	case backend.BF16:
		return 0x1p-8, 0x1p-126
	case backend.F16:
		return 0x1p-10, 0x1p-24
	}
	return 0, 0
}

// compare reports where an output differs from its reference most.
func (s *suite) compare(what string, got, want array, dt backend.DType, tol tolerance) {
	if !slices.Equal(got.shape, want.shape) {
		panic(fmt.Sprintf("%s: the reference has shape %v, the output %v", what, want.shape, got.shape))
	}
	largest := 0.0
	for _, w := range want.data {
		if !math.IsInf(w, 0) && !math.IsNaN(w) {
			largest = max(largest, math.Abs(w))
		}
	}
	relative, absolute := storage(dt)
	if tol == exact {
		relative, absolute = 0, 0
	}
	worst, where := 0.0, -1
	for i, g := range got.data {
		w := want.data[i]
		stored := round(dt, w)
		excess := 0.0
		switch {
		case math.IsNaN(w) || math.IsNaN(g):
			if math.IsNaN(w) != math.IsNaN(g) {
				excess = math.Inf(1)
			}
		case g == w || g == stored:
		case math.IsInf(w, 0) || math.IsInf(g, 0):
			// A result next to the largest number may round to infinity or stay.
			if near := round(dt, w*(1+2*relative)); g != near {
				excess = math.Inf(1)
			}
		default:
			allowed := (relative+tol.relative)*math.Abs(w) + tol.scale*largest + tol.absolute + absolute
			if d := math.Abs(g - w); d > allowed {
				excess = d / max(allowed, math.SmallestNonzeroFloat64)
			}
		}
		if excess > worst {
			worst, where = excess, i
		}
	}
	if where >= 0 {
		s.errorf("%s: element %d of %v is %v, want %v (%.3g times what is allowed; the largest element is %.3g)",
			what, where, got.shape, got.data[where], want.data[where], worst, largest)
	}
}
