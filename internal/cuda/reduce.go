package cuda

import (
	"math"
	"math/bits"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
)

// Reduce folds the axes in which out has size 1 and x has not. Sums of F32 and below are kept in F32, products in F64.
func (b *Backend) Reduce(op backend.ReduceOp, out, x *backend.View) {
	if op == backend.ArgMax || op == backend.ArgMin {
		b.argReduce(op, out, x)
		return
	}
	// The axes of x are either kept, beside those of out, or folded.
	keptOut, keptX := backend.View{Ptr: out.Ptr, DType: out.DType}, backend.View{Ptr: x.Ptr, DType: x.DType}
	folded := backend.View{Ptr: x.Ptr, DType: x.DType}
	for axis, size := range x.Shape[:x.Rank] {
		if out.Shape[axis] != size {
			addAxis(&folded, size, x.Strides[axis])
			continue
		}
		addAxis(&keptOut, size, out.Strides[axis])
		addAxis(&keptX, size, x.Strides[axis])
	}
	f := fold{b: b, op: op, dtype: x.DType, folded: newNest(0, &folded), most: b.most}
	newNest(1, &keptOut, &keptX).parts(b.most, func(kept *nest, _ int) { f.run(kept) })
}

func addAxis(v *backend.View, size, stride int) {
	v.Shape[v.Rank], v.Strides[v.Rank] = size, stride
	v.Rank++
}

// A fold is what Reduce does to each kept element.
type fold struct {
	b      *Backend
	op     backend.ReduceOp
	dtype  backend.DType // of the elements of the whole; results of parts have the accumulator's
	folded nest
	most   int // elements that a kernel folds
}

// foldArgs is struct Fold of reduce.cu.
type foldArgs struct {
	op            int32
	chunks, chunk uint32
	team          int32
	partial       unsafe.Pointer
}

// A foldPlan is a kernel and how it cuts folds, which depends on shapes and alignment only.
type foldPlan struct {
	name          string
	columns       bool
	width         int // elements that a thread takes at once
	chunks, chunk int
	team          int
}

const (
	// rowChunk is how many elements, or vectors, of a fold along rows are a block's: 16 for each of its threads.
	rowChunk = 16 * blockThreads
	// columnChunk is how few rows of columns are a block's, and columnChunkMost how many.
	columnChunk, columnChunkMost = 128, 1024
	// manyBlocks is as many as fill any card.
	manyBlocks = 1024
)

func (f *fold) plan(kept *nest) foldPlan {
	length := f.folded.total()
	p := foldPlan{width: 1, chunks: 1, chunk: length, team: blockThreads}
	suffix := class(f.accumulator())
	p.columns = kept.stride(1) == 1 && kept.inner() > 1 && f.folded.stride(0) != 1 && length > 0
	sums := f.op == backend.Sum && hot(f.dtype)
	vector := lanes(f.dtype)
	if p.columns {
		p.name = "reduce_columns_" + suffix
		if x := kept.only(1); sums && x.vectorizes(vector, false) && aligned(&f.folded, vector) {
			p.name, p.width = "sum_columns_"+f.dtype.String(), vector
		}
		tiles := kept.total() / kept.inner() * ((kept.inner() + 32*p.width - 1) / (32 * p.width))
		p.chunks = max(min(manyBlocks/max(tiles, 1), (length+columnChunk-1)/columnChunk), (length+columnChunkMost-1)/columnChunkMost, 1)
	} else {
		p.name = "reduce_rows_" + suffix
		if x := kept.only(1); sums && f.folded.rank == 1 && f.folded.stride(0) == 1 && length%vector == 0 && length > 0 && x.startsAligned(vector) {
			p.name, p.width = "sum_rows_"+f.dtype.String(), vector
			length /= vector
		}
		if length <= 16*32 {
			p.team = min(1<<bits.Len(uint(max(length, 1)-1)), 32)
		}
		p.chunks = max((length+rowChunk-1)/rowChunk, 1)
	}
	p.chunk = (length + p.chunks - 1) / p.chunks
	p.chunks = max((length+max(p.chunk, 1)-1)/max(p.chunk, 1), 1)
	return p
}

// only is the nest of one operand.
func (n *nest) only(k int) *nest {
	o := *n
	o.operands[0], o.count = n.operands[k], 1
	return &o
}

// startsAligned reports whether every element of the first operand lies at a multiple of 16 bytes.
func (n *nest) startsAligned(lanes int) bool {
	return uintptr(n.operands[0].ptr)%16 == 0 && aligned(n, lanes)
}

// aligned reports whether all strides of the first operand are multiples of lanes.
func aligned(n *nest, lanes int) bool {
	for axis, stride := range n.operands[0].strides[:n.rank] {
		if stride%lanes != 0 && n.shape[axis] > 1 {
			return false
		}
	}
	return true
}

// run folds into each kept element.
func (f *fold) run(kept *nest) {
	if f.folded.total() > f.most {
		f.runParts(kept)
		return
	}
	p := f.plan(kept)
	a := foldArgs{op: int32(f.op), chunks: uint32(p.chunks), chunk: uint32(p.chunk), team: int32(p.team)}
	if p.chunks == 1 {
		f.launch(p, kept, a)
		return
	}
	total := kept.total()
	partial, done := f.b.scratch(total * p.chunks * f.accumulator().Size())
	defer done()
	a.partial = partial
	f.launch(p, kept, a)
	if p.columns {
		f.finish(kept, partial, p.chunks, total, 1)
	} else {
		f.finish(kept, partial, p.chunks, 1, p.chunks)
	}
}

// runParts does folds of more elements than a kernel can index.
func (f *fold) runParts(kept *nest) {
	total, size := kept.total(), f.accumulator().Size()
	var parts []nest
	f.folded.cut(f.most, 0, func(part *nest, _ int) { parts = append(parts, *part) })
	partial, done := f.b.scratch(total * len(parts) * size)
	defer done()
	for i, part := range parts {
		one, to := *f, *kept
		one.folded = part
		x, out := &to.operands[1], &to.operands[0]
		x.ptr = unsafe.Add(x.ptr, uintptr(part.operands[0].ptr)-uintptr(f.folded.operands[0].ptr))
		out.ptr, out.dtype = unsafe.Add(partial, i*total*size), f.accumulator()
		dense(&to, 0, 1)
		one.run(&to)
	}
	f.finish(kept, partial, len(parts), total, 1)
}

// finish folds the results of parts of each fold, which lie `step` apart, and those of kept elements in order, `apart`.
func (f *fold) finish(kept *nest, partial unsafe.Pointer, parts, step, apart int) {
	rest, from := fold{b: f.b, op: f.op, dtype: f.accumulator(), most: f.most}, *kept
	axis := backend.NewView(partial, rest.dtype, parts)
	axis.Strides[0] = step
	rest.folded = newNest(0, &axis)
	from.operands[1].ptr, from.operands[1].dtype = partial, rest.dtype
	dense(&from, 1, apart)
	rest.run(&from)
}

// dense gives operand k the strides of elements in row-major order, each so far from the next.
func dense(n *nest, k, apart int) {
	for axis := n.rank - 1; axis >= 0; axis-- {
		n.operands[k].strides[axis] = apart
		apart *= n.shape[axis]
	}
}

func (f *fold) launch(p foldPlan, kept *nest, a foldArgs) {
	nest := device[[2]deviceOperand](kept, 1)
	folded := device[[1]deviceOperand](&f.folded, 1)
	total := kept.total()
	grid := blocks(total * p.chunks * p.team)
	if p.columns {
		tile := 32 * p.width
		grid = dim3{total / kept.inner() * ((kept.inner() + tile - 1) / tile) * p.chunks, 1, 1}
	}
	fn := f.b.function("reduce", p.name)
	if p.width > 1 {
		if !p.columns {
			folded.count /= uint32(p.width)
		}
		launch(f.b, fn, grid, blockThreads, 0, &struct {
			kept   nest2
			folded nest1
			fold   foldArgs
		}{nest, folded, a})
		return
	}
	switch f.accumulator() {
	case backend.F32:
		launchFold(f.b, fn, grid, nest, folded, a, float32(identity(f.op)))
	case backend.F64:
		launchFold(f.b, fn, grid, nest, folded, a, identity(f.op))
	default:
		launchFold(f.b, fn, grid, nest, folded, a, integerIdentity(f.op, f.dtype))
	}
}

func launchFold[A float32 | float64 | int64](b *Backend, fn *function, grid dim3, kept nest2, folded nest1, fold foldArgs, none A) {
	launch(b, fn, grid, blockThreads, 0, &struct {
		kept   nest2
		folded nest1
		fold   foldArgs
		none   A
	}{kept, folded, fold, none})
}

// accumulator is the dtype in which the fold is kept.
func (f *fold) accumulator() backend.DType {
	switch {
	case !f.dtype.IsFloat():
		return backend.I64
	case f.dtype == backend.F64 || f.op == backend.Prod:
		return backend.F64
	}
	return backend.F32
}

// identity is the result of an empty fold of floats.
func identity(op backend.ReduceOp) float64 {
	switch op {
	case backend.ReduceMax:
		return math.Inf(-1)
	case backend.ReduceMin:
		return math.Inf(1)
	case backend.Prod:
		return 1
	}
	return 0
}

// integerIdentity is the result of an empty fold of integers.
func integerIdentity(op backend.ReduceOp, dt backend.DType) int64 {
	switch op {
	case backend.Prod:
		return 1
	case backend.ReduceMax:
		return map[backend.DType]int64{backend.I32: math.MinInt32, backend.I64: math.MinInt64}[dt]
	case backend.ReduceMin:
		return map[backend.DType]int64{backend.I32: math.MaxInt32, backend.I64: math.MaxInt64, backend.U8: math.MaxUint8, backend.Bool: 1}[dt]
	}
	return 0
}

// argReduce finds where the extreme of each row is.
func (b *Backend) argReduce(op backend.ReduceOp, out, x *backend.View) {
	if x.Rank == 0 || x.Shape[x.Rank-1] == 0 {
		b.Fill(out, 0)
		return
	}
	axis := x.Rank - 1
	rows := x.Slice(axis, 0, 1)
	f := b.function("reduce", "arg_rows_"+class(x.DType))
	newNest(0, out, &rows).parts(b.most, func(n *nest, _ int) {
		launch(b, f, dim3{n.total(), 1, 1}, blockThreads, 0, &struct {
			kept   nest2
			op     int32
			length int32
			stride int64
		}{device[[2]deviceOperand](n, 1), int32(op), int32(x.Shape[axis]), int64(x.Strides[axis])})
	})
}
