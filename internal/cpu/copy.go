package cpu

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/pool"
)

// Copy sets out = x, converting dtypes.
func (*Backend) Copy(out, x *backend.View) {
	if out.DType == x.DType {
		if n := brief(out, x); n >= 0 {
			n *= out.DType.Size()
			copy(slice[byte](out.Ptr, n), slice[byte](x.Ptr, n))
			return
		}
		switch out.DType.Size() {
		case 1:
			move[uint8](out, x)
		case 2:
			move[uint16](out, x)
		case 4:
			move[uint32](out, x)
		default:
			move[uint64](out, x)
		}
		return
	}
	switch out.DType {
	case backend.F64:
		convertTo[float64](out, x)
	case backend.I32:
		convertTo[int32](out, x)
	case backend.I64:
		convertTo[int64](out, x)
	case backend.U8:
		convertTo[uint8](out, x)
	case backend.Bool:
		convertToBool(out, x)
	default:
		convertTo[float32](out, x)
	}
}

// move copies elements without looking at them.
func move[T element](out, x *backend.View) {
	n := newNest(out, x)
	if n.operands[0].dense && n.operands[1].dense {
		pool.Run(n.total, 2*grainCheap, func(lo, hi int) {
			dst, src := slice[T](out.Ptr, hi), slice[T](x.Ptr, hi)
			copy(dst[lo:], src[lo:])
		})
		return
	}
	if axis := n.transposed(); axis >= 0 {
		n.swapAxes(axis, n.rank-2)
		transpose[T](n)
		return
	}
	n.run(grainScalar, func(_ *workspace, at *coords, count int) {
		// The block is one row, or rows so short that the general way does.
		o, s := n.operands[0].strides[n.rank-1], n.operands[1].strides[n.rank-1]
		for pos := *at; count > 0; n.nextRow(&pos) {
			m := min(count, n.inner()-pos[n.rank-1])
			count -= m
			if p, q := n.at(0, &pos), n.at(1, &pos); o == 1 {
				gather(slice[T](p, m), (*T)(q), s)
			} else {
				for i := range m {
					*(*T)(unsafe.Add(p, i*o*sizeOf[T]())) = *(*T)(unsafe.Add(q, i*s*sizeOf[T]()))
				}
			}
		}
	})
}

// transposed is the axis along which the second operand is contiguous, when the first one is along the
// last axis and both are long; -1 otherwise.
func (n *nest) transposed() int {
	last := n.rank - 1
	if n.operands[0].strides[last] != 1 || n.operands[1].strides[last] == 1 || n.shape[last] < 8 {
		return -1
	}
	for axis := range last {
		if n.operands[1].strides[axis] == 1 && n.shape[axis] >= 8 {
			return axis
		}
	}
	return -1
}

// transpose copies a nest in whose last axis the output is contiguous and in whose last but one the
// input is, in tiles that fit the first-level cache from both sides.
func transpose[T element](n *nest) {
	const tile = 32
	rows, cols := n.shape[n.rank-2], n.shape[n.rank-1]
	outRow, xCol := n.operands[0].strides[n.rank-2], n.operands[1].strides[n.rank-1]
	down, across := (rows+tile-1)/tile, (cols+tile-1)/tile
	outer := n.total / max(rows*cols, 1)
	pool.Run(outer*down*across, grainScalar/(tile*tile), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			r, c := i/across%down*tile, i%across*tile
			at := n.coordsOf(i / (down * across) * rows * cols)
			at[n.rank-2], at[n.rank-1] = r, c
			p, q := n.at(0, &at), n.at(1, &at)
			height, width := min(tile, rows-r), min(tile, cols-c)
			for y := range height {
				dst := slice[T](unsafe.Add(p, y*outRow*sizeOf[T]()), width)
				src := unsafe.Add(q, y*sizeOf[T]())
				for x := range dst {
					dst[x] = *(*T)(unsafe.Add(src, x*xCol*sizeOf[T]()))
				}
			}
		}
	})
}

// convertTo copies x, of any other dtype, into out, which computes in D.
func convertTo[D number](out, x *backend.View) {
	switch x.DType {
	case backend.F64:
		convert(out, x, convertSlice[D, float64])
	case backend.I32:
		convert(out, x, convertSlice[D, int32])
	case backend.I64:
		convert(out, x, convertSlice[D, int64])
	case backend.U8, backend.Bool:
		convert(out, x, convertSlice[D, uint8])
	default:
		convert(out, x, convertSlice[D, float32])
	}
}

func convertToBool(out, x *backend.View) {
	switch x.DType {
	case backend.F64:
		convert(out, x, nonzero[float64])
	case backend.I32:
		convert(out, x, nonzero[int32])
	case backend.I64:
		convert(out, x, nonzero[int64])
	case backend.U8, backend.Bool:
		convert(out, x, nonzero[uint8])
	default:
		convert(out, x, nonzero[float32])
	}
}

func convert[D, S number](out, x *backend.View, kernel func(dst []D, src []S)) {
	if n := brief(out, x); n >= 0 {
		briefConvert(n, out, x, kernel)
		return
	}
	n := newNest(out, x)
	last := n.rank - 1
	// Floats of 16 bits become F32 where they belong, without a stop in scratch.
	widens := isFloat[D]() && isFloat[S]() && sizeOf[D]() == sizeOf[S]() && storedAs[D](out.DType)
	n.run(grainScalar, func(ws *workspace, at *coords, count int) {
		if widens && n.operands[0].strides[last] == 1 && n.oneRow(0, at, count) && n.oneRow(1, at, count) {
			loadInto(slice[D](n.at(0, at), count), x.DType, n.at(1, at), n.operands[1].strides[last])
			return
		}
		src := read[S](n, 1, ws, at, count)
		if sizeOf[D]() == sizeOf[S]() && isFloat[D]() == isFloat[S]() && out.DType != backend.Bool {
			// Both compute in one type, so what is read is what is written.
			write(n, 0, at, cast[D](src))
			return
		}
		dst := writable[D](n, 0, ws, at, count)
		kernel(dst, src)
		write(n, 0, at, dst)
	})
}

func convertSlice[D, S number](dst []D, src []S) {
	if isFloat[S]() && !isFloat[D]() {
		for i, v := range src {
			dst[i] = convertOne[D](float64(v))
		}
		return
	}
	for i, v := range src {
		dst[i] = D(v)
	}
}

// convertOne goes from float to an integer by way of int64, so that a small negative number wraps
// around in U8 as it does in an integer conversion, on every architecture.
func convertOne[D number](v float64) D {
	if isFloat[D]() {
		return D(v)
	}
	return D(int64(v))
}

func nonzero[S number](dst []uint8, src []S) {
	for i, v := range src {
		dst[i] = truth(v != 0)
	}
}

func isFloat[T number]() bool {
	half := 0.5
	return T(half) != 0
}

func isFloat32[T number]() bool { return isFloat[T]() && sizeOf[T]() == 4 }

// Fill sets every element to value.
func (*Backend) Fill(out *backend.View, value float64) {
	switch out.DType {
	case backend.F64:
		fillWith(out, value)
	case backend.I32:
		fillWith(out, convertOne[int32](value))
	case backend.I64:
		fillWith(out, convertOne[int64](value))
	case backend.U8:
		fillWith(out, convertOne[uint8](value))
	case backend.Bool:
		fillWith(out, truth(value != 0))
	case backend.F32:
		fillWith(out, float32(value))
	default:
		var bits [1]uint16
		store(out.DType, unsafe.Pointer(&bits), 1, []float32{float32(value)})
		fillWith(out, bits[0])
	}
}

func fillWith[T element](out *backend.View, value T) {
	n := newNest(out)
	n.run(grainCheap, func(ws *workspace, at *coords, count int) {
		dst := writable[T](n, 0, ws, at, count)
		fill(dst, value)
		write(n, 0, at, dst)
	})
}

// Arange sets the i-th element, in row-major order, to start + i·step.
func (*Backend) Arange(out *backend.View, start, step float64) {
	switch out.DType {
	case backend.F64:
		arange(out, start, step, convertOne[float64])
	case backend.I32:
		arange(out, start, step, convertOne[int32])
	case backend.I64:
		arange(out, start, step, convertOne[int64])
	case backend.U8:
		arange(out, start, step, convertOne[uint8])
	case backend.Bool:
		arange(out, start, step, func(v float64) uint8 { return truth(v != 0) })
	default:
		arange(out, start, step, convertOne[float32])
	}
}

func arange[T number](out *backend.View, start, step float64, convert func(float64) T) {
	n := newOrderedNest(out)
	n.run(grainScalar, func(ws *workspace, at *coords, count int) {
		dst := writable[T](n, 0, ws, at, count)
		first := n.index(at)
		for i := range dst {
			dst[i] = convert(start + float64(float64(first+i)*step)) // not fused: the same everywhere
		}
		write(n, 0, at, dst)
	})
}

// index is the number of a position in the order of the nest.
func (n *nest) index(at *coords) int {
	i := 0
	for axis := range n.rank {
		i = i*n.shape[axis] + at[axis]
	}
	return i
}
