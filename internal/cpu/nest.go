package cpu

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/pool"
)

const (
	maxOperands = 5

	// blockLen elements go through a kernel at a time where an operand needs scratch.
	blockLen = 1024
	// shortRow is the length under which a kernel gets several rows at once, copied together.
	shortRow = 32
)

// A nest is the loop nest that visits views of one shape together, with as few axes as possible: axes
// of one element are dropped, neighbours merged where all strides allow it.
type nest struct {
	rank     int // at least 1
	shape    [backend.MaxRank]int
	total    int // elements
	operands [maxOperands]operand
	count    int // operands in use
}

type operand struct {
	ptr     unsafe.Pointer
	dtype   backend.DType
	strides [backend.MaxRank]int
	dense   bool // the elements follow one another in the order of the nest
	direct  bool // dense, and computed with as stored
}

// coords is a position in a nest.
type coords [backend.MaxRank]int

// newNest makes the nest of views in an order of axes that suits the first view, the output.
func newNest(views ...*backend.View) *nest {
	n := new(nest)
	n.addAxes(views)
	n.sortAxes()
	n.merge()
	return n
}

// newOrderedNest makes the nest of views in row-major order.
func newOrderedNest(views ...*backend.View) *nest {
	n := new(nest)
	n.addAxes(views)
	n.merge()
	return n
}

func (n *nest) addAxes(views []*backend.View) {
	n.count, n.total = len(views), 1
	for k, v := range views {
		n.operands[k].ptr, n.operands[k].dtype = v.Ptr, v.DType
	}
	out := views[0]
	for axis, size := range out.Shape[:out.Rank] {
		n.total *= size
		if size == 1 {
			continue
		}
		n.shape[n.rank] = size
		for k, v := range views {
			n.operands[k].strides[n.rank] = v.Strides[axis]
		}
		n.rank++
	}
	if n.rank == 0 || n.total == 0 { // of several empty axes one does, and no position divides by it
		n.rank, n.shape[0] = 1, n.total
		for k := range views {
			n.operands[k].strides[0] = 1
		}
	}
}

// sortAxes puts the axis with the smallest stride of the first operand last.
func (n *nest) sortAxes() {
	s := &n.operands[0].strides
	for i := 1; i < n.rank; i++ {
		for j := i; j > 0 && abs(s[j]) > abs(s[j-1]); j-- {
			n.swapAxes(j, j-1)
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
	for k := range n.count {
		o := &n.operands[k]
		want := 1
		o.dense = true
		for axis := n.rank - 1; axis >= 0; axis-- {
			o.dense = o.dense && o.strides[axis] == want
			want *= n.shape[axis]
		}
		o.direct = o.dense && o.dtype != backend.BF16 && o.dtype != backend.F16
	}
}

// computeIn says that kernels compute with elements of this many bytes: BF16 of 2 need no conversion then.
func (n *nest) computeIn(size int) {
	for k := range n.count {
		o := &n.operands[k]
		o.direct = o.dense && (o.direct || o.dtype.Size() == size)
	}
}

func abs(x int) int { return max(x, -x) }

// inner is the length of the innermost axis.
func (n *nest) inner() int { return n.shape[n.rank-1] }

// coordsOf is the position of the i-th element.
func (n *nest) coordsOf(i int) (at coords) {
	for axis := n.rank - 1; axis > 0; axis-- {
		at[axis] = i % n.shape[axis]
		i /= n.shape[axis]
	}
	at[0] = i
	return at
}

// nextRow moves to the start of the next row.
func (n *nest) nextRow(at *coords) {
	axis := n.rank - 1
	at[axis] = 0
	for axis--; axis >= 0; axis-- {
		if at[axis]++; at[axis] < n.shape[axis] || axis == 0 {
			return
		}
		at[axis] = 0
	}
}

// at is the address of operand k's element at a position.
func (n *nest) at(k int, at *coords) unsafe.Pointer {
	o := &n.operands[k]
	offset := 0
	for axis := range n.rank {
		offset += at[axis] * o.strides[axis]
	}
	return unsafe.Add(o.ptr, offset*o.dtype.Size())
}

// run calls fn for blocks that cover the nest, in chunks of about grain elements that may run at the
// same time. A block lies within a row unless rows are short or all operands are direct.
func (n *nest) run(grain int, fn func(ws *workspace, at *coords, count int)) {
	if n.total == 0 {
		return
	}
	direct := true
	for k := range n.count {
		direct = direct && n.operands[k].direct
	}
	inner := n.inner()
	withinRow := !direct && inner >= shortRow
	if grain = max(grain, 1); withinRow && inner < grain {
		grain -= grain % inner
	}
	pool.Run(n.total, grain, func(lo, hi int) {
		ws := getWorkspace()
		defer ws.put()
		at := &ws.at
		for *at = n.coordsOf(lo); lo < hi; {
			count := hi - lo
			if !direct {
				count = min(count, blockLen)
			}
			if withinRow {
				count = min(count, inner-at[n.rank-1])
			}
			ws.reset()
			fn(ws, at, count)
			lo += count
			if withinRow {
				if at[n.rank-1] += count; at[n.rank-1] == inner {
					n.nextRow(at)
				}
			} else {
				*at = n.coordsOf(lo)
			}
		}
	})
}

// oneRow reports whether count elements from a position on lie in one row, or might as well.
func (n *nest) oneRow(k int, at *coords, count int) bool {
	return n.operands[k].dense || at[n.rank-1]+count <= n.inner()
}

// read returns a block of operand k as compute type T: the memory itself if it is just that.
func read[T element](n *nest, k int, ws *workspace, at *coords, count int) []T {
	o := &n.operands[k]
	p := n.at(k, at)
	stride := o.strides[n.rank-1]
	if n.oneRow(k, at, count) {
		if stride == 1 && storedAs[T](o.dtype) {
			return slice[T](p, count)
		}
		dst := take[T](ws, count)
		loadInto(dst, o.dtype, p, stride)
		return dst
	}
	dst := take[T](ws, count)
	for pos, rest := *at, dst; len(rest) > 0; n.nextRow(&pos) {
		m := min(len(rest), n.inner()-pos[n.rank-1])
		loadInto(rest[:m], o.dtype, n.at(k, &pos), stride)
		rest = rest[m:]
	}
	return dst
}

// constant reports whether a block of operand k repeats one element.
func (n *nest) constant(k int, at *coords, count int) bool {
	return n.operands[k].strides[n.rank-1] == 0 && n.oneRow(k, at, count)
}

// readOne returns operand k's element at a position.
func readOne[T element](n *nest, k int, at *coords) T {
	if storedAs[T](n.operands[k].dtype) {
		return *(*T)(n.at(k, at))
	}
	var x [1]T
	loadInto(x[:], n.operands[k].dtype, n.at(k, at), 1)
	return x[0]
}

// writable returns where a kernel writes a block of operand k: the memory itself if that does.
func writable[T element](n *nest, k int, ws *workspace, at *coords, count int) []T {
	o := &n.operands[k]
	if n.oneRow(k, at, count) && o.strides[n.rank-1] == 1 && storedAs[T](o.dtype) {
		return slice[T](n.at(k, at), count)
	}
	return take[T](ws, count)
}

// write stores a block from writable.
func write[T element](n *nest, k int, at *coords, src []T) {
	o := &n.operands[k]
	stride := o.strides[n.rank-1]
	if n.oneRow(k, at, len(src)) {
		store(o.dtype, n.at(k, at), stride, src)
		return
	}
	for pos := *at; len(src) > 0; n.nextRow(&pos) {
		m := min(len(src), n.inner()-pos[n.rank-1])
		store(o.dtype, n.at(k, &pos), stride, src[:m])
		src = src[m:]
	}
}
