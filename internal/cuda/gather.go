package cuda

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
)

// A deviceIndex is struct Index of index.cuh.
type deviceIndex struct {
	data  unsafe.Pointer
	limit int64
	dtype int32
	base  uint32
}

// deviceRows is struct Rows of index.cuh.
type deviceRows struct {
	nest         nest2
	out, x       int64
	magic, shift uint32
}

// rowsOf is the axes of out and x after the first one, for kernels that take `lanes` elements at once if rows are whole
// numbers of those, and how many they do take.
func rowsOf(out, x *backend.View, lanes int) (rows deviceRows, width int) {
	o, s := out.At(0), x.At(0)
	n := newNest(0, &o, &s)
	rows.out, rows.x = int64(out.Strides[0]), int64(x.Strides[0])
	width = 1
	outBytes, xBytes := out.Strides[0]*out.DType.Size(), x.Strides[0]*x.DType.Size()
	if n.vectorizes(lanes, false) && n.inner()%lanes == 0 && outBytes%16 == 0 && xBytes%16 == 0 {
		width = lanes
	}
	rows.nest = device[[2]deviceOperand](&n, width)
	rows.magic, rows.shift = divisor(rows.nest.count)
	return rows, width
}

// Gather sets out[i,…] = x[index[i],…].
func (b *Backend) Gather(out, x, index *backend.View) {
	type args struct {
		rows  deviceRows
		index deviceIndex
		count uint32
		fault unsafe.Pointer
	}
	if out.Len() == 0 {
		return
	}
	rows, width := rowsOf(out, x, lanes(x.DType))
	name := "gather_elements_" + word(x.DType)
	if width > 1 {
		name = "gather_vectors_" + word(x.DType)
	}
	f, fault := b.function("gather", name), b.indexFault(x.Shape[0])
	most := max(b.most/int(rows.nest.count), 1) // rows of a launch
	for base := 0; base < out.Shape[0]; base += most {
		count := min(most, out.Shape[0]-base)
		part := rows
		data := &part.nest.operands[0].data
		*data = unsafe.Add(*data, base*out.Strides[0]*out.DType.Size())
		a := args{part, indexAt(index, base, x.Shape[0]), uint32(count) * rows.nest.count, fault}
		launch(b, f, blocks(int(a.count)), blockThreads, 0, &a)
	}
}

// indexAt is an index from one of its positions on.
func indexAt(index *backend.View, base, limit int) deviceIndex {
	return deviceIndex{unsafe.Add(index.Ptr, base*index.DType.Size()), int64(limit), int32(index.DType), uint32(base)}
}

// ScatterAdd adds x[i,…] to out[index[i],…] in the order of i. It sorts the index by destination, so that blocks own
// what they add to, and an element of out is rounded once however often it is hit.
func (b *Backend) ScatterAdd(out, index, x *backend.View) {
	n, limit := x.Shape[0], out.Shape[0]
	if x.Len() == 0 {
		return
	}
	s, done := b.sorter(1, n, 4)
	defer done()
	launch(b, b.function("scatter", "scatter_keys"), blocks(n), blockThreads, 0, &struct {
		keys, places unsafe.Pointer
		index        deviceIndex
		n            uint32
		fault        unsafe.Pointer
	}{s.keys, s.places, indexAt(index, 0, limit), uint32(n), b.indexFault(limit)})
	s.sort(limit)

	type sorted struct {
		keys, places unsafe.Pointer
		n, limit     uint32
	}
	type args struct {
		rows  deviceRows
		s     sorted
		tiles uint32
	}
	name, threads, each := "scatter_add_"+class(x.DType), blockThreads, 1 // elements, or vectors, of a thread
	rows, width := rowsOf(out, x, 4)
	if width == 4 && scattersVectors(out.DType, x.DType) && rows.nest.rank == 1 {
		name, threads, each = "scatter_vectors_"+out.DType.String()+"_"+x.DType.String(), blockThreads/2, 2
	} else {
		rows, _ = rowsOf(out, x, 1)
	}
	tiles := (int(rows.nest.count) + threads*each - 1) / (threads * each)
	a := args{rows, sorted{s.keys, s.places, uint32(n), uint32(limit)}, uint32(tiles)}
	launch(b, b.function("scatter", name), dim3{n * tiles, 1, 1}, threads, 0, &a)
}

// scattersVectors reports whether the family scatter has vectors of x for out.
func scattersVectors(out, x backend.DType) bool { return hot(x) && (out == x || out == backend.F32) }
