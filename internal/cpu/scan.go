package cpu

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/pool"
)

// Scan sets out[i] = a[i]·out[i−1] + b[i] along an axis, or from its end.
func (*Backend) Scan(out, a, b *backend.View, axis int, start float64, reverse bool) {
	switch out.DType {
	case backend.F64:
		scan[float64, float64](out, a, b, axis, start, reverse)
	case backend.I32:
		scan[int32, int64](out, a, b, axis, int64(start), reverse)
	case backend.I64:
		scan[int64, int64](out, a, b, axis, int64(start), reverse)
	case backend.U8:
		scan[uint8, int64](out, a, b, axis, int64(start), reverse)
	default:
		scan[float32, float64](out, a, b, axis, start, reverse)
	}
}

// scanLanes is how many lanes go along the axis together, so that rows of them are read and written as one.
const scanLanes = 256

// scan runs recurrences of T that are kept in A, one for each position of the other axes: a lane.
func scan[T, A number](out, a, b *backend.View, axis int, start A, reverse bool) {
	length := out.Shape[axis]
	if out.Len() == 0 {
		return
	}
	views := [3]*backend.View{out, a, b}
	var lanes [3]backend.View
	var steps [3]int // from one element of a lane to the next, in bytes
	for k, v := range views {
		lanes[k] = v.Slice(axis, 0, 1)
		steps[k] = v.Strides[axis] * v.DType.Size()
		if reverse {
			lanes[k] = v.Slice(axis, length-1, length)
			steps[k] = -steps[k]
		}
	}
	n := newNest(&lanes[0], &lanes[1], &lanes[2])
	if n.total < 8 || n.operands[0].strides[n.rank-1] != 1 {
		pool.Run(n.total, grainScalar/length+1, func(lo, hi int) {
			ws := getWorkspace()
			defer ws.put()
			for lane := lo; lane < hi; lane++ {
				at := n.coordsOf(lane)
				scanAlong[T](n, ws, &at, steps, length, start)
			}
		})
		return
	}
	width := n.inner()
	tiles := (width + scanLanes - 1) / scanLanes
	pool.Run(n.total/width*tiles, grainScalar/(length*min(width, scanLanes))+1, func(lo, hi int) {
		ws := getWorkspace()
		defer ws.put()
		for i := lo; i < hi; i++ {
			at := n.coordsOf(i / tiles * width)
			first := i % tiles * scanLanes
			at[n.rank-1] = first
			scanAcross[T](n, ws, &at, min(scanLanes, width-first), steps, length, start)
		}
	})
}

// scanAlong runs one lane, in blocks of its own elements.
func scanAlong[T, A number](n *nest, ws *workspace, at *coords, steps [3]int, length int, start A) {
	p, x, y := n.at(0, at), n.at(1, at), n.at(2, at)
	dt := n.operands[0].dtype
	stride := func(k int) int { return steps[k] / dt.Size() }
	for acc := start; length > 0; length -= blockLen {
		ws.reset()
		count := min(length, blockLen)
		a, b := load(dt, x, stride(1), count, take[T](ws, count)), load(dt, y, stride(2), count, take[T](ws, count))
		dst := destination(dt, p, stride(0), count, take[T](ws, count))
		switch {
		case steps[1] == 0 && a[0] == 1: // a sum, which need not wait for products
			for i := range dst {
				acc += A(b[i])
				dst[i] = T(acc)
			}
		case steps[2] == 0 && b[0] == 0:
			for i := range dst {
				acc *= A(a[i])
				dst[i] = T(acc)
			}
		default:
			for i := range dst {
				acc = A(A(a[i])*acc) + A(b[i]) // not fused: the same everywhere
				dst[i] = T(acc)
			}
		}
		store(dt, p, stride(0), dst)
		p, x, y = unsafe.Add(p, count*steps[0]), unsafe.Add(x, count*steps[1]), unsafe.Add(y, count*steps[2])
	}
}

// scanAcross runs neighbouring lanes together.
func scanAcross[T, A number](n *nest, ws *workspace, at *coords, count int, steps [3]int, length int, start A) {
	ws.reset()
	acc := take[A](ws, count)
	fill(acc, start)
	row := *n
	mark := ws.mark()
	for range length {
		ws.rewind(mark)
		a, b := read[T](&row, 1, ws, at, count), read[T](&row, 2, ws, at, count)
		dst := writable[T](&row, 0, ws, at, count)
		for i := range dst {
			acc[i] = A(A(a[i])*acc[i]) + A(b[i])
			dst[i] = T(acc[i])
		}
		write(&row, 0, at, dst)
		for k := range row.count {
			row.operands[k].ptr = unsafe.Add(row.operands[k].ptr, steps[k])
		}
	}
}
