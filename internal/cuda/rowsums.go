package cuda

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
)

// rowSums are sums over the rows of a matrix, such as the gradients of a norm's weights: a kernel writes those of groups of
// rows, and addTo adds these up in their order. The groups depend on the shape alone.
type rowSums struct {
	b        *Backend
	partials unsafe.Pointer // [groups, width] of the accumulator, null if there is nothing to add to
	groups   int
	width    int
	dtype    backend.DType
	done     func()
}

// newRowSums takes memory for so many groups of width sums, if any of the views that they are for is not nil.
func (b *Backend) newRowSums(width, groups int, dt backend.DType, out ...*backend.View) rowSums {
	s := rowSums{b: b, groups: groups, width: width, dtype: dt.Accumulator(), done: func() {}}
	for _, v := range out {
		if v != nil {
			s.partials, s.done = b.scratch(groups * width * s.dtype.Size())
			break
		}
	}
	return s
}

// rowsPerSum is how many of n rows a group has, whose block works on so many at a time: as few as give a large card
// work, but of many rows so many, most, that the sums of groups are little beside them.
func rowsPerSum(n, atATime, most int) int {
	return max(min(most, ceilDiv(n, 64)), ceilDiv(n, 512), atATime)
}

// addTo adds the sums from a place in a group's on to out, if that is not nil: a view of rank 1 and any float dtype.
func (s rowSums) addTo(out *backend.View, from int) {
	if out == nil {
		return
	}
	const columns = 32 // that a block adds
	d := out.Shape[0]
	launch(s.b, s.b.function("rowsums", "add_partials_"+s.dtype.String()), dim3{ceilDiv(d, columns), 1, 1}, 256, 0, &struct {
		Out              vectorView
		DType            int32
		Partials         unsafe.Pointer
		Groups, Pitch, D uint32
	}{vectorOf(out), int32(out.DType), unsafe.Add(s.partials, from*s.dtype.Size()), uint32(s.groups), uint32(s.width), uint32(d)})
}
