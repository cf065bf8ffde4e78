package tensor

import (
	"cmp"
	"math"
	"slices"

	"github.com/hone-ml/hone/internal/backend"
)

// Sort is t in order along an axis, ascending or descending, and the places, I32, from which the elements come;
// both have t's shape. Equal elements stay in order in either direction, and NaN counts as larger than any
// number. t has any dtype. Gradients flow to where the values came from.
func (t *Tensor) Sort(axis int, descending bool) (values, indices *Tensor) {
	scopeOf("Sort", []*Tensor{t})
	return t.pick("Sort", t.view.Shape[t.axis("Sort", axis)], axis, descending)
}

// ArgSort is the indices of Sort alone.
func (t *Tensor) ArgSort(axis int, descending bool) *Tensor {
	scopeOf("ArgSort", []*Tensor{t})
	a := t.axis("ArgSort", axis)
	last := func(axis int) bool { return axis == a }
	return t.detached().moved("ArgSort", last).order(t.view.Shape[a], descending).movedBack("ArgSort", last)
}

// TopK is the k largest elements along an axis, the largest first, and their places, I32: t's shape with k for
// the axis. Otherwise it is as Sort; for the smallest elements take those of t.Neg. It panics if k is negative
// or more than the axis has.
func (t *Tensor) TopK(k, axis int) (values, indices *Tensor) {
	scopeOf("TopK", []*Tensor{t})
	if n := t.view.Shape[t.axis("TopK", axis)]; k < 0 || k > n {
		fail("TopK", []*Tensor{t}, "axis %d has %d elements, not %d", axis, n, k)
	}
	return t.pick("TopK", k, axis, true)
}

// pick is the first k elements in order along an axis, and where they were.
func (t *Tensor) pick(op string, k, axis int, descending bool) (values, indices *Tensor) {
	a := t.axis(op, axis)
	last := func(axis int) bool { return axis == a }
	x := t.moved(op, last)
	index := x.detached().order(k, descending)

	// The values are gathered from the rows as one: element i of row r is at r·n + i.
	rows := shapeLen(x.view.Dims()[:x.view.Rank-1])
	starts := Arange(t.scope, I64, 0, float64(rows), 1).MulScalar(float64(t.view.Shape[a])).Unsqueeze(1)
	flat := index.Reshape(rows, k).To(I64).Add(starts).Reshape(-1)
	picked := x.Contiguous().Reshape(-1).Gather(flat).Reshape(index.view.Dims()...)
	return picked.movedBack(op, last), index.movedBack(op, last)
}

// order is the places, I32, of the first k elements of each row of t in order.
func (t *Tensor) order(k int, descending bool) *Tensor {
	shape := t.Shape()
	n := shape[len(shape)-1]
	shape[len(shape)-1] = k
	index := alloc(t.scope, I32, shape...)
	if n > math.MaxInt32 {
		fail("Sort", []*Tensor{t}, "rows of more than %d elements cannot be counted in I32", math.MaxInt32)
	}
	if fused, ok := backend.Fused[backend.Sorter](t.dev.backend); ok {
		fused.Sort(&index.view, &t.view, descending)
		return index
	}
	if t.view.DType == I64 { // F64 cannot tell large ones apart
		CopyFromSlice(index, hostOrder(ToSlice[int64](t), n, k, descending))
	} else {
		CopyFromSlice(index, hostOrder(t.Float64s(), n, k, descending))
	}
	return index
}

// hostOrder is order on the host.
func hostOrder[T float64 | int64](x []T, n, k int, descending bool) []int32 {
	var index []int32
	places := make([]int32, n)
	for ; len(x) > 0; x = x[n:] {
		for i := range places {
			places[i] = int32(i)
		}
		slices.SortStableFunc(places, func(i, j int32) int {
			order := cmp.Compare(x[i], x[j])
			if x[i] != x[i] || x[j] != x[j] { // NaN, which Compare puts first, belongs last
				order = -order
			}
			if descending {
				return -order
			}
			return order
		})
		index = append(index, places[:k]...)
	}
	return index
}
