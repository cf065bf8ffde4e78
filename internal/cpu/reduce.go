package cpu

import (
	"fmt"
	"math"
	"slices"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/pool"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

const (
	// reduceChunk elements of a fold are a task. Its result is one of the partial results that are
	// folded in order.
	reduceChunk = 1 << 15
	// reduceTile columns are folded together when the kept axis is the contiguous one.
	reduceTile = 1024
	// reduceStage rows of F32 are added up before they go to the F64 sums.
	reduceStage = 64
)

// Reduce folds the axes in which out has size 1 and x has not. Sums of F32 and below are kept in F32
// over at most a thousand elements, and in F64 beyond.
func (*Backend) Reduce(op backend.ReduceOp, out, x *backend.View) {
	if op == backend.ArgMax || op == backend.ArgMin {
		argReduce(op, out, x)
		return
	}
	if op == backend.Prod {
		product(out, x)
		return
	}
	if op == backend.Sum && briefSum(out, x) {
		return
	}
	switch x.DType {
	case backend.F64:
		if op == backend.Sum {
			reduce(out, x, sumFold[float64]())
		} else {
			reduce(out, x, extremeFold(op, math.Inf(-1), math.Inf(1)))
		}
	case backend.I32:
		if op == backend.Sum {
			reduce(out, x, integerSum[int32]())
		} else {
			reduce(out, x, extremeFold[int32](op, math.MinInt32, math.MaxInt32))
		}
	case backend.I64:
		if op == backend.Sum {
			reduce(out, x, integerSum[int64]())
		} else {
			reduce(out, x, extremeFold[int64](op, math.MinInt64, math.MaxInt64))
		}
	case backend.U8, backend.Bool:
		if op == backend.Sum {
			reduce(out, x, integerSum[uint8]())
		} else {
			reduce(out, x, extremeFold[uint8](op, 0, math.MaxUint8))
		}
	case backend.BF16:
		if op == backend.Sum {
			reduce(out, x, sumFold[uint16]())
		} else {
			reduce(out, x, extremeOfBF16(op))
		}
	default:
		if op == backend.Sum {
			reduce(out, x, sumFold[float32]())
		} else {
			reduce(out, x, extremeFold(op, float32(math.Inf(-1)), float32(math.Inf(1))))
		}
	}
}

// A fold reduces elements T into accumulators A.
type fold[T element, A number] struct {
	identity A
	row      func(acc A, x []T) A // folds at most blockLen elements into acc
	columns  func(acc []A, x []T) // folds one element into each accumulator
	merge    func(acc, later A) A // folds two results

	// stage, if not nil, adds up rows in F32, which unstage then folds instead of columns.
	stage   func(staged []float32, x []T)
	unstage func(acc []A, staged []float32)
}

func sumFold[T lane]() fold[T, float64] {
	f := fold[T, float64]{
		row:   func(acc float64, x []T) float64 { return acc + rowSum(x) },
		merge: func(acc, later float64) float64 { return acc + later },
		unstage: func(acc []float64, staged []float32) {
			for i, v := range staged {
				acc[i] += float64(v)
			}
		},
	}
	switch sizeOf[T]() {
	case 2:
		f.stage = func(staged []float32, x []T) { simd.Accumulate(staged, cast[uint16](x)) }
	case 4:
		f.stage = func(staged []float32, x []T) { simd.Add(staged, staged, cast[float32](x)) }
	default:
		f.columns = func(acc []float64, x []T) {
			for i, v := range plain(x) {
				acc[i] += v
			}
		}
	}
	return f
}

// product folds floats in F64 and integers in I64, which wraps around.
func product(out, x *backend.View) {
	switch x.DType {
	case backend.F64:
		reduce(out, x, productFold[float64, float64]())
	case backend.I32:
		reduce(out, x, productFold[int32, int64]())
	case backend.I64:
		reduce(out, x, productFold[int64, int64]())
	case backend.U8, backend.Bool:
		reduce(out, x, productFold[uint8, int64]())
	default:
		reduce(out, x, productFold[float32, float64]())
	}
}

func productFold[T, A number]() fold[T, A] {
	return fold[T, A]{
		identity: 1,
		row: func(acc A, x []T) A {
			for _, v := range x {
				acc *= A(v)
			}
			return acc
		},
		columns: func(acc []A, x []T) {
			for i, v := range x {
				acc[i] *= A(v)
			}
		},
		merge: func(acc, later A) A { return acc * later },
	}
}

// extremeOfBF16 folds in float32, which loses nothing.
func extremeOfBF16(op backend.ReduceOp) fold[uint16, float32] {
	f := fold[uint16, float32]{identity: float32(math.Inf(-1)), merge: func(acc, later float32) float32 { return max(acc, later) }}
	row, columns := simd.Max[uint16], simd.Larger[float32]
	if op == backend.ReduceMin {
		f.identity, f.merge = float32(math.Inf(1)), func(acc, later float32) float32 { return min(acc, later) }
		row, columns = simd.Min[uint16], simd.Smaller[float32]
	}
	f.row = func(acc float32, x []uint16) float32 { return f.merge(acc, row(x)) }
	f.columns = func(acc []float32, x []uint16) {
		var wide [256]float32
		for len(x) > 0 {
			n := min(len(x), len(wide))
			simd.BF16ToF32(wide[:n], x[:n])
			columns(acc[:n], acc[:n], wide[:n])
			acc, x = acc[n:], x[n:]
		}
	}
	return f
}

func integerSum[T int32 | int64 | uint8]() fold[T, int64] {
	return fold[T, int64]{
		row: func(acc int64, x []T) int64 {
			for _, v := range x {
				acc += int64(v)
			}
			return acc
		},
		columns: func(acc []int64, x []T) {
			for i, v := range x {
				acc[i] += int64(v)
			}
		},
		merge: func(acc, later int64) int64 { return acc + later },
	}
}

func extremeFold[T number](op backend.ReduceOp, lowest, highest T) fold[T, T] {
	if op == backend.ReduceMin {
		f := fold[T, T]{
			identity: highest,
			row: func(acc T, x []T) T {
				for _, v := range x {
					acc = min(acc, v)
				}
				return acc
			},
			columns: func(acc, x []T) {
				for i, v := range x {
					acc[i] = min(acc[i], v)
				}
			},
			merge: func(acc, later T) T { return min(acc, later) },
		}
		if isFloat32[T]() {
			f.row = func(acc T, x []T) T { return min(acc, T(simd.Min(cast[float32](x)))) }
			f.columns = func(acc, x []T) {
				a := cast[float32](acc)
				simd.Smaller(a, a, cast[float32](x))
			}
		}
		return f
	}
	f := fold[T, T]{
		identity: lowest,
		row: func(acc T, x []T) T {
			for _, v := range x {
				acc = max(acc, v)
			}
			return acc
		},
		columns: func(acc, x []T) {
			for i, v := range x {
				acc[i] = max(acc[i], v)
			}
		},
		merge: func(acc, later T) T { return max(acc, later) },
	}
	if isFloat32[T]() {
		f.row = func(acc T, x []T) T { return max(acc, T(simd.Max(cast[float32](x)))) }
		f.columns = func(acc, x []T) {
			a := cast[float32](acc)
			simd.Larger(a, a, cast[float32](x))
		}
	}
	return f
}

// reduce splits the axes of x into kept ones and folded ones, and takes the inner loop along whichever
// is contiguous.
func reduce[T element, A number](out, x *backend.View, f fold[T, A]) {
	keptX, keptOut := backend.View{Ptr: x.Ptr, DType: x.DType}, backend.View{Ptr: out.Ptr, DType: out.DType}
	foldedX := keptX
	for axis, size := range x.Shape[:x.Rank] {
		to := &keptX
		if out.Shape[axis] != size {
			to = &foldedX
		} else {
			keptOut.Shape[keptOut.Rank], keptOut.Strides[keptOut.Rank] = size, out.Strides[axis]
			keptOut.Rank++
		}
		to.Shape[to.Rank], to.Strides[to.Rank] = size, x.Strides[axis]
		to.Rank++
	}
	kept, folded := newNest(&keptX, &keptOut), newNest(&foldedX)
	if kept.total == 0 {
		return
	}
	last := kept.rank - 1
	if kept.operands[0].strides[last] == 1 && kept.shape[last] > 1 && folded.operands[0].strides[folded.rank-1] != 1 {
		reduceColumns(kept, folded, f)
	} else {
		reduceRows(kept, folded, f)
	}
}

// reduceRows folds along the inner loop: one accumulator at a time.
func reduceRows[T element, A number](kept, folded *nest, f fold[T, A]) {
	chunks := max((folded.total+reduceChunk-1)/reduceChunk, 1)
	var partial []A // [kept][chunk]
	if chunks > 1 {
		partial = make([]A, kept.total*chunks)
	}
	grain := max(1, reduceChunk/max(min(folded.total, reduceChunk), 1))
	pool.Run(kept.total*chunks, grain, func(lo, hi int) {
		ws := getWorkspace()
		defer ws.put()
		scratch := take[T](ws, blockLen)
		for i := lo; i < hi; i++ {
			pos := kept.coordsOf(i / chunks)
			base := kept.at(0, &pos)
			first := i % chunks * reduceChunk
			acc := foldElements(base, folded, first, min(first+reduceChunk, folded.total), f, scratch)
			if chunks > 1 {
				partial[i] = acc
			} else {
				put(kept.operands[1].dtype, kept.at(1, &pos), acc)
			}
		}
	})
	if chunks == 1 {
		return
	}
	for i := range kept.total {
		acc := f.identity
		for _, p := range partial[i*chunks : (i+1)*chunks] {
			acc = f.merge(acc, p)
		}
		pos := kept.coordsOf(i)
		put(kept.operands[1].dtype, kept.at(1, &pos), acc)
	}
}

// foldElements folds the elements [lo, hi) of a nest whose origin is at base.
func foldElements[T element, A number](base unsafe.Pointer, n *nest, lo, hi int, f fold[T, A], scratch []T) A {
	acc := f.identity
	if lo >= hi { // several axes may be empty, and have no elements to count by
		return acc
	}
	o := &n.operands[0]
	inner, stride := n.inner(), o.strides[n.rank-1]
	at := n.coordsOf(lo)
	for lo < hi {
		offset := 0
		for axis := range n.rank {
			offset += at[axis] * o.strides[axis]
		}
		count := min(hi-lo, blockLen, inner-at[n.rank-1])
		acc = f.row(acc, load(o.dtype, unsafe.Add(base, offset*o.dtype.Size()), stride, count, scratch))
		lo += count
		if at[n.rank-1] += count; at[n.rank-1] == inner {
			n.nextRow(&at)
		}
	}
	return acc
}

// reduceColumns folds along the outer loops: a row of accumulators at a time.
func reduceColumns[T element, A number](kept, folded *nest, f fold[T, A]) {
	width := kept.inner()
	tiles := (width + reduceTile - 1) / reduceTile
	outer := kept.total / width
	// Enough rows to be worth a task, at most 64 partial results for a column.
	rows := max(reduceChunk/min(width, reduceTile), (folded.total+63)/64, reduceStage)
	chunks := max((folded.total+rows-1)/rows, 1)
	var partial []A // [outer][chunk][width]
	if chunks > 1 {
		partial = make([]A, kept.total*chunks)
	}
	work := min(rows, folded.total) * min(width, reduceTile)
	pool.Run(outer*chunks*tiles, reduceChunk/max(work, 1), func(lo, hi int) {
		ws := getWorkspace()
		defer ws.put()
		for i := lo; i < hi; i++ {
			ws.reset()
			column := i % tiles * reduceTile
			chunk := i / tiles % chunks
			o := i / (tiles * chunks)
			pos := kept.coordsOf(o * width)
			pos[kept.rank-1] = column
			tile := min(reduceTile, width-column)
			var acc []A
			if chunks > 1 {
				acc = partial[(o*chunks+chunk)*width+column:][:tile]
			} else {
				acc = take[A](ws, tile)
			}
			foldRows(acc, kept.at(0, &pos), folded, chunk*rows, min((chunk+1)*rows, folded.total), f, ws)
			if chunks == 1 {
				putRow(kept, &pos, acc)
			}
		}
	})
	if chunks == 1 {
		return
	}
	for o := range outer {
		result := partial[o*chunks*width:][:width]
		for chunk := 1; chunk < chunks; chunk++ {
			for column, later := range partial[(o*chunks+chunk)*width:][:width] {
				result[column] = f.merge(result[column], later)
			}
		}
		pos := kept.coordsOf(o * width)
		putRow(kept, &pos, result)
	}
}

// putRow stores results along the last axis of the second operand.
func putRow[A number](kept *nest, at *coords, results []A) {
	o := &kept.operands[1]
	p, step := kept.at(1, at), o.strides[kept.rank-1]*o.dtype.Size()
	for i, v := range results {
		put(o.dtype, unsafe.Add(p, i*step), v)
	}
}

// foldRows folds rows of len(acc) elements, one at each element [lo, hi) of a nest with origin base.
func foldRows[T element, A number](acc []A, base unsafe.Pointer, n *nest, lo, hi int, f fold[T, A], ws *workspace) {
	fill(acc, f.identity)
	if lo >= hi {
		return
	}
	scratch := take[T](ws, len(acc))
	staged, inStage := take[float32](ws, len(acc)), 0
	o := &n.operands[0]
	at := n.coordsOf(lo)
	for ; lo < hi; lo++ {
		offset := 0
		for axis := range n.rank {
			offset += at[axis] * o.strides[axis]
		}
		row := load(o.dtype, unsafe.Add(base, offset*o.dtype.Size()), 1, len(acc), scratch)
		if f.stage == nil {
			f.columns(acc, row)
		} else {
			if inStage == 0 {
				clear(staged)
			}
			f.stage(staged, row)
			if inStage++; inStage == reduceStage || lo == hi-1 {
				f.unstage(acc, staged)
				inStage = 0
			}
		}
		if at[n.rank-1]++; at[n.rank-1] == n.inner() {
			n.nextRow(&at)
		}
	}
}

// put stores one number as dt.
func put[A number](dt backend.DType, p unsafe.Pointer, v A) {
	switch dt {
	case backend.F32:
		*(*float32)(p) = float32(v)
	case backend.F64:
		*(*float64)(p) = float64(v)
	case backend.I32:
		*(*int32)(p) = int32(v)
	case backend.I64:
		*(*int64)(p) = int64(v)
	case backend.U8:
		*(*uint8)(p) = uint8(v)
	case backend.Bool:
		*(*uint8)(p) = truth(v != 0)
	default:
		f := [1]float32{float32(v)}
		store(dt, p, 1, f[:])
	}
}

func argReduce(op backend.ReduceOp, out, x *backend.View) {
	switch x.DType {
	case backend.F64:
		argOf[float64](op, out, x)
	case backend.I32:
		argOf[int32](op, out, x)
	case backend.I64:
		argOf[int64](op, out, x)
	case backend.U8, backend.Bool:
		argOf[uint8](op, out, x)
	case backend.BF16:
		argOfVectors[uint16](op, out, x)
	default:
		argOfVectors[float32](op, out, x)
	}
}

// argOf finds the first extreme element of each row; the first NaN is more extreme than anything.
func argOf[T number](op backend.ReduceOp, out, x *backend.View) {
	argRows(out, x, func(block []T, best int, extreme T) (at int, value T) {
		at, value = -1, extreme
		for i, v := range block {
			more := v > value
			if op == backend.ArgMin {
				more = v < value
			}
			if best < 0 && at < 0 || more || v != v && value == value {
				at, value = i, v
			}
		}
		return at, value
	})
}

// argOfVectors is argOf by way of the extremes of blocks.
func argOfVectors[E simd.Element](op backend.ReduceOp, out, x *backend.View) {
	fold, more := simd.Max[E], func(x, y float64) bool { return x > y }
	if op == backend.ArgMin {
		fold, more = simd.Min[E], func(x, y float64) bool { return x < y }
	}
	argRows(out, x, func(block []E, best int, extreme E) (at int, value E) {
		top, so := float64(fold(block)), wideOf(extreme)
		if best >= 0 && (so != so || !more(top, so) && top == top) {
			return -1, extreme
		}
		at = slices.IndexFunc(block, func(v E) bool { w := wideOf(v); return w == top || w != w })
		return at, block[at]
	})
}

// argRows stores for each row of x where its extreme is. find looks for one in a block that is beyond the
// extreme that was found at best, if that is not negative, and gives -1 if there is none.
func argRows[T element](out, x *backend.View, find func(block []T, best int, extreme T) (at int, value T)) {
	if x.Rank == 0 {
		put(out.DType, out.Ptr, int64(0))
		return
	}
	axis := x.Rank - 1
	if out.Shape[axis] != 1 {
		panic(fmt.Sprintf("cpu: ArgMax of %v into %v: the last axis must have size 1", x, out))
	}
	rows := x.Slice(axis, 0, 1)
	length, stride := x.Shape[axis], x.Strides[axis]
	if length == 0 {
		fillWithZero(out)
		return
	}
	n := newNest(out, &rows)
	pool.Run(n.total, grainCheap/length+1, func(lo, hi int) {
		ws := getWorkspace()
		defer ws.put()
		scratch := take[T](ws, blockLen)
		for i := lo; i < hi; i++ {
			pos := n.coordsOf(i)
			p := n.at(1, &pos)
			best := -1
			var extreme T
			for first := 0; first < length; first += blockLen {
				block := load(x.DType, unsafe.Add(p, first*stride*x.DType.Size()), stride, min(blockLen, length-first), scratch)
				if at, value := find(block, best, extreme); at >= 0 {
					best, extreme = first+at, value
				}
			}
			put(out.DType, n.at(0, &pos), int64(best))
		}
	})
}

func fillWithZero(out *backend.View) { new(Backend).Fill(out, 0) }
