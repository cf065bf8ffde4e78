package cuda

import (
	"math/bits"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
)

// A nest is the loop nest that visits views of one shape together, with as few axes as possible: axes of one element
// are dropped, neighbours merged where all strides allow it.
type nest struct {
	rank     int // at least 1
	shape    [backend.MaxRank]int
	operands [4]operand
	count    int // operands in use
}

type operand struct {
	ptr     unsafe.Pointer
	dtype   backend.DType
	strides [backend.MaxRank]int // in elements
}

// newNest makes the nest of views in an order of axes that suits the view with number by: its fastest axis is the last.
func newNest(by int, views ...*backend.View) nest {
	var n nest
	n.addAxes(views)
	s := &n.operands[by].strides
	for i := 1; i < n.rank; i++ {
		for j := i; j > 0 && abs(s[j]) > abs(s[j-1]); j-- {
			n.swapAxes(j, j-1)
		}
	}
	n.merge()
	return n
}

// newOrderedNest makes the nest of views in row-major order.
func newOrderedNest(views ...*backend.View) nest {
	var n nest
	n.addAxes(views)
	n.merge()
	return n
}

func (n *nest) addAxes(views []*backend.View) {
	n.count = len(views)
	for k, v := range views {
		n.operands[k].ptr, n.operands[k].dtype = v.Ptr, v.DType
	}
	out := views[0]
	for axis, size := range out.Shape[:out.Rank] {
		if size == 1 {
			continue
		}
		n.shape[n.rank] = size
		for k, v := range views {
			n.operands[k].strides[n.rank] = v.Strides[axis]
		}
		n.rank++
	}
	if n.rank == 0 {
		n.rank, n.shape[0] = 1, 1
		for k := range views {
			n.operands[k].strides[0] = 1
		}
	}
}

func (n *nest) swapAxes(i, j int) {
	n.shape[i], n.shape[j] = n.shape[j], n.shape[i]
	for k := range n.count {
		s := &n.operands[k].strides
		s[i], s[j] = s[j], s[i]
	}
}

func (n *nest) merge() {
	last := 0
	for axis := 1; axis < n.rank; axis++ {
		mergeable := true
		for k := range n.count {
			s := &n.operands[k].strides
			mergeable = mergeable && s[last] == s[axis]*n.shape[axis]
		}
		if mergeable {
			n.shape[last] *= n.shape[axis]
		} else {
			last++
			n.shape[last] = n.shape[axis]
		}
		for k := range n.count {
			s := &n.operands[k].strides
			s[last] = s[axis]
		}
	}
	n.rank = last + 1
}

// removeAxis takes an axis out of the nest.
func (n *nest) removeAxis(axis int) {
	for ; axis+1 < n.rank; axis++ {
		n.swapAxes(axis, axis+1)
	}
	n.rank--
	n.shape[n.rank] = 0
	if n.rank == 0 {
		n.rank, n.shape[0] = 1, 1
	}
}

// total is the number of elements.
func (n *nest) total() int {
	total := 1
	for _, size := range n.shape[:n.rank] {
		total *= size
	}
	return total
}

// inner is the length of the innermost axis, along which stride gives the stride of operand k.
func (n *nest) inner() int           { return n.shape[n.rank-1] }
func (n *nest) stride(k int) int     { return n.operands[k].strides[n.rank-1] }
func (n *nest) sameDType(k int) bool { return n.operands[k].dtype == n.operands[0].dtype }

// parts calls do with pieces of at most `most` elements, in row-major order, and the number of elements before each.
func (n nest) parts(most int, do func(part *nest, base int)) { n.cut(most, 0, do) }

// cut is parts of a nest that has `base` elements before it.
func (n nest) cut(most, base int, do func(part *nest, base int)) {
	total := n.total()
	switch {
	case total == 0:
		return
	case total <= most:
		do(&n, base)
		return
	}
	axis := 0
	for n.shape[axis] == 1 {
		axis++
	}
	first, rest := n, n
	half := n.shape[axis] / 2
	first.shape[axis], rest.shape[axis] = half, n.shape[axis]-half
	for k := range n.count {
		o := &rest.operands[k]
		o.ptr = unsafe.Add(o.ptr, half*o.strides[axis]*o.dtype.Size())
	}
	first.cut(most, base, do)
	rest.cut(most, base+first.total(), do)
}

// vectorizes reports whether kernels may take `lanes` elements along the innermost axis at once, 16 bytes or a multiple:
// rows are contiguous and begin at multiples of 16 bytes. Those of inputs may repeat one element, if repeats allows it.
func (n *nest) vectorizes(lanes int, repeats bool) bool {
	if n.inner() < lanes {
		return false
	}
	for k := range n.count {
		o := &n.operands[k]
		if k > 0 && repeats && n.stride(k) == 0 {
			continue
		}
		size := o.dtype.Size()
		if n.stride(k) != 1 || uintptr(o.ptr)%16 != 0 {
			return false
		}
		for _, stride := range o.strides[:n.rank-1] {
			if stride*size%16 != 0 {
				return false
			}
		}
	}
	return true
}

// A deviceNest is a nest as kernels take it by value: struct Nest of nest.cuh, where O is an array of deviceOperands.
type deviceNest[O any] struct {
	rank         int32
	count        uint32
	inner        uint32
	size         [backend.MaxRank]uint32
	magic, shift [backend.MaxRank]uint32
	operands     O
}

type deviceOperand struct {
	data    unsafe.Pointer
	strides [backend.MaxRank]int64
	dtype   int32
}

type (
	nest1 = deviceNest[[1]deviceOperand]
	nest2 = deviceNest[[2]deviceOperand]
	nest3 = deviceNest[[3]deviceOperand]
	nest4 = deviceNest[[4]deviceOperand]
)

// device is the nest for a kernel that takes `lanes` elements along the innermost axis at once, and how many of those
// there are.
func device[O [1]deviceOperand | [2]deviceOperand | [3]deviceOperand | [4]deviceOperand](n *nest, lanes int) deviceNest[O] {
	d := deviceNest[O]{rank: int32(n.rank), inner: uint32(n.inner())}
	count := 1
	for i := range d.size {
		d.size[i] = 1
		if axis := n.rank - 1 - i; axis >= 0 {
			size := n.shape[axis]
			if i == 0 {
				size = (size + lanes - 1) / lanes
			}
			d.size[i] = uint32(size)
			count *= size
		}
		d.magic[i], d.shift[i] = divisor(d.size[i])
	}
	d.count = uint32(count)
	operands := unsafe.Slice((*deviceOperand)(unsafe.Pointer(&d.operands)), n.count)
	for k := range operands {
		o := &n.operands[k]
		operands[k].data, operands[k].dtype = o.ptr, int32(o.dtype)
		for i := range n.rank {
			operands[k].strides[i] = int64(o.strides[n.rank-1-i])
		}
		operands[k].strides[0] *= int64(lanes)
	}
	return d
}

// divisor is what divides a number under 2³¹ by d with one multiplication: (hi(i·magic) + i) >> shift (Granlund and
// Montgomery 1994, figure 4.1).
func divisor(d uint32) (magic, shift uint32) {
	if d == 0 {
		return 0, 0
	}
	shift = uint32(bits.Len32(d - 1))
	return uint32((uint64(1)<<32)*(uint64(1)<<shift-uint64(d))/uint64(d) + 1), shift
}

func abs(x int) int { return max(x, -x) }

// blockThreads is the number of threads of a block of the kernels that go over elements.
const blockThreads = 256

// blocks is the grid of blocks in which each of n has a thread.
func blocks(n int) dim3 { return dim3{(n + blockThreads - 1) / blockThreads, 1, 1} }
