package cuda

import (
	"slices"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
)

// A rowView is rows of contiguous elements as kernels take them: struct Rows of rows.cuh. A kernel is also told how many
// rows there are and how many of them, inner, lie a stride apart before the next one lies an outer stride on.
type rowView struct {
	Data          unsafe.Pointer
	Outer, Stride int64 // in elements
}

// A vectorView is a view of rank 1 as kernels take it: struct Vector of rows.cuh.
type vectorView struct {
	Data   unsafe.Pointer
	Stride int64 // in elements
}

// vectorOf is v for a kernel, which takes a nil one for null.
func vectorOf(v *backend.View) vectorView {
	if v == nil {
		return vectorView{}
	}
	return vectorView{v.Ptr, int64(v.Strides[0])}
}

// pointerOf is the address of v, null if v is nil.
func pointerOf(v *backend.View) unsafe.Pointer {
	if v == nil {
		return nil
	}
	return v.Ptr
}

// A rowSet is rows of views of one shape.
type rowSet struct {
	first    int // the number of rows before them
	n, inner int
	views    []rowView // one for each view, zero for nil
}

// eachRowSet calls do with the rows along the last axis of views of one shape, of which some may be nil: with all at
// once where their other axes lie in memory like two at most.
func eachRowSet(views []*backend.View, do func(s rowSet)) {
	var shape *backend.View
	for _, v := range views {
		if v != nil {
			shape = v
		}
	}
	// The axes before the last, from the outermost on, without those of one element, neighbours made one where they lie so.
	type axis struct {
		size    int
		strides []int
	}
	var axes []axis
	for a := range shape.Rank - 1 {
		size := shape.Shape[a]
		if size == 0 {
			return
		}
		if size == 1 {
			continue
		}
		next := axis{size, make([]int, len(views))}
		for i, v := range views {
			if v != nil {
				next.strides[i] = v.Strides[a]
			}
		}
		merges := len(axes) > 0
		for i := range views {
			merges = merges && axes[len(axes)-1].strides[i] == next.strides[i]*size
		}
		if merges {
			next.size *= axes[len(axes)-1].size
			axes = axes[:len(axes)-1]
		}
		axes = append(axes, next)
	}
	for len(axes) < 2 {
		axes = slices.Insert(axes, 0, axis{1, make([]int, len(views))})
	}
	outer, inner := axes[len(axes)-2], axes[len(axes)-1]
	times := 1
	for _, a := range axes[:len(axes)-2] {
		times *= a.size
	}
	for t := range times {
		s := rowSet{first: t * outer.size * inner.size, n: outer.size * inner.size, inner: inner.size, views: make([]rowView, len(views))}
		for i, v := range views {
			if v == nil {
				continue
			}
			at, rest := 0, t
			for a := len(axes) - 3; a >= 0; a-- {
				at += rest % axes[a].size * axes[a].strides[i]
				rest /= axes[a].size
			}
			s.views[i] = rowView{unsafe.Add(v.Ptr, at*v.DType.Size()), int64(outer.strides[i]), int64(inner.strides[i])}
		}
		do(s)
	}
}

// matrixOf is the rows of a matrix for a kernel, zero for nil.
func matrixOf(v *backend.View) rowView {
	if v == nil {
		return rowView{}
	}
	return rowView{Data: v.Ptr, Stride: int64(v.Strides[0])}
}

// headsOf is the heads of v [N, H, D] for a kernel, to which H is inner; zero for nil.
func headsOf(v *backend.View) rowView {
	if v == nil {
		return rowView{}
	}
	return rowView{v.Ptr, int64(v.Strides[0]), int64(v.Strides[1])}
}

// aligned16 reports whether the views that are not nil begin on 16 bytes.
func aligned16(views ...*backend.View) bool {
	for _, v := range views {
		if v != nil && uintptr(v.Ptr)%16 != 0 {
			return false
		}
	}
	return true
}

// alignedRows reports whether each row of the views that are not nil begins on 16 bytes and is contiguous.
func alignedRows(views ...*backend.View) bool {
	for _, v := range views {
		if v == nil {
			continue
		}
		if !aligned16(v) || !v.RowsContiguous() {
			return false
		}
		for a := range v.Rank - 1 {
			if v.Shape[a] > 1 && v.Strides[a]*v.DType.Size()%16 != 0 {
				return false
			}
		}
	}
	return true
}

// fast reports whether kernels load 16 bytes of a dtype at once; of the others they load elements.
func fast(dt backend.DType) bool { return dt == backend.F32 || dt == backend.BF16 }

// vectorsOf is how many vectors of 16 bytes a row of views of one dtype and width begins with: none if rows are not
// aligned.
func vectorsOf(views ...*backend.View) uint32 {
	v := views[0]
	if !fast(v.DType) || !alignedRows(views...) {
		return 0
	}
	return uint32(v.Shape[v.Rank-1] * v.DType.Size() / 16)
}

// Rows are held in registers, heldElements by each thread of a team, where a team of a block is large enough.
const (
	heldElements = 32
	teamBlock    = 256 // threads of a block, of one team or of several warps
)

// heldTeam is the size of the teams that hold rows of width elements, 0 if rows are not held: they are not made of whole
// vectors, or too long.
func heldTeam(width int, views ...*backend.View) int {
	dt := views[0].DType
	if !fast(dt) || !alignedRows(views...) || width*dt.Size()%16 != 0 || width > heldElements*teamBlock {
		return 0
	}
	return roundUp((width+heldElements-1)/heldElements, 32)
}

// looseTeam is the size of teams for rows that are not held, with blocks of so many threads.
func looseTeam(width, block int) int {
	if width <= 8*32 {
		return 32
	}
	return block
}

// teamsOf is how many teams of a size a block has.
func teamsOf(team int) int {
	if team == 32 {
		return teamBlock / 32
	}
	return 1
}

// teamLaunch is the blocks and threads for n rows, so many by each team of a block, with teams of a size.
func teamLaunch(n, team int) (grid dim3, block int) {
	teams := min(n, teamsOf(team))
	return dim3{ceilDiv(n, teams), 1, 1}, team * teams
}

func ceilDiv(n, by int) int { return (n + by - 1) / by }
