package cuda

import (
	"encoding/binary"
	"math"
	"unsafe"

	"github.com/x448/float16"

	"github.com/hone-ml/hone/internal/backend"
)

// Fill sets every element to value.
func (b *Backend) Fill(out *backend.View, value float64) {
	bits := bitsOf(out.DType, value)
	if out.Contiguous() {
		n := out.Len()
		f := b.function("fill", "fill_words_"+word(out.DType))
		// Enough threads for all of the vectors, up to what fills any card.
		grid := blocks(min((n+lanes(out.DType)-1)/lanes(out.DType), 1<<20))
		launch(b, f, grid, blockThreads, 0, &struct {
			out  unsafe.Pointer
			bits uint64
			n    int64
		}{out.Ptr, bits, int64(n)})
		return
	}
	f := b.function("fill", "fill_view_"+word(out.DType))
	newNest(0, out).parts(b.most, func(n *nest, _ int) {
		launch(b, f, blocks(n.total()), blockThreads, 0, &struct {
			nest nest1
			bits uint64
		}{device[[1]deviceOperand](n, 1), bits})
	})
}

// bitsOf is a number as a dtype stores it.
func bitsOf(dt backend.DType, v float64) uint64 {
	switch dt {
	case backend.F64:
		return math.Float64bits(v)
	case backend.F32:
		return uint64(math.Float32bits(float32(v)))
	case backend.BF16:
		if v != v {
			return 0x7fc0
		}
		b := math.Float32bits(float32(v))
		return uint64((b + 0x7fff + b>>16&1) >> 16)
	case backend.F16:
		return uint64(float16.Fromfloat32(float32(v)).Bits())
	}
	var raw [8]byte
	binary.LittleEndian.PutUint64(raw[:], uint64(integer(dt, v)))
	clear(raw[dt.Size():])
	return binary.LittleEndian.Uint64(raw[:])
}

// Arange sets the i-th element, in row-major order, to start + i·step.
func (b *Backend) Arange(out *backend.View, start, step float64) {
	type args struct {
		nest        nest1
		start, step float64
		base        int64
	}
	newOrderedNest(out).parts(b.most, func(n *nest, base int) {
		a := args{device[[1]deviceOperand](n, 1), start, step, int64(base)}
		launch(b, b.function("fill", "arange"), blocks(int(a.nest.count)), blockThreads, 0, &a)
	})
}

// Random draws out's elements, in row-major order, from the stream (key, counter).
func (b *Backend) Random(out *backend.View, d backend.Dist, key, counter uint64, lo, hi float64) {
	type args struct {
		nest                   nest1
		dist                   int32
		low, scale, high, next float32
		base                   int64
		key, counter           uint64
	}
	a := args{dist: int32(d), low: float32(lo), scale: float32(hi), key: key, counter: counter}
	if d == backend.Uniform {
		a.scale, a.high = float32(hi-lo), float32(hi)
		a.next = math.Nextafter32(a.high, a.low)
	}
	newOrderedNest(out).parts(b.most, func(n *nest, base int) {
		a := a
		a.nest, a.base = device[[1]deviceOperand](n, 1), int64(base)
		// A thread has a block of four numbers; the first and the last may lie partly outside.
		threads := (base+int(a.nest.count)+3)/4 - base/4
		launch(b, b.function("random", "random"), blocks(threads), blockThreads, 0, &a)
	})
}

// Copy sets out = x, converting dtypes.
func (b *Backend) Copy(out, x *backend.View) {
	type args struct{ nest nest2 }
	newNest(0, out, x).parts(b.most, func(n *nest, _ int) {
		if axis := transposedAxis(n); axis >= 0 {
			b.transpose(n, axis)
			return
		}
		name, width := copyKernel(n)
		a := args{device[[2]deviceOperand](n, width)}
		launch(b, b.function("copy", name), blocks(int(a.nest.count)), blockThreads, 0, &a)
	})
}

// copyKernel is the kernel that copies the second operand to the first one, and how many elements a thread takes.
func copyKernel(n *nest) (name string, width int) {
	out, x := n.operands[0].dtype, n.operands[1].dtype
	switch {
	case out == x && n.vectorizes(lanes(x), false):
		return "move_vectors_" + word(x), lanes(x)
	case out == x:
		return "move_elements_" + word(x), 1
	case hot(out) && hot(x) && n.vectorizes(4, false):
		return "convert_vectors_" + x.String() + "_" + out.String(), 4
	}
	return "convert_" + class(x), 1
}

// transposedAxis is the axis along which the second operand is contiguous, where the first one is along the last axis
// and both are long; −1 otherwise.
func transposedAxis(n *nest) int {
	const long = 16
	last := n.rank - 1
	if !n.sameDType(1) || n.stride(0) != 1 || n.stride(1) == 1 || n.stride(1) == 0 || n.inner() < long {
		return -1
	}
	for axis := range last {
		if n.operands[1].strides[axis] == 1 && n.shape[axis] >= long {
			return axis
		}
	}
	return -1
}

// transpose copies a nest whose last axis is contiguous in the first operand, and another one in the second.
func (b *Backend) transpose(n *nest, axis int) {
	const tile = 32
	type matrix struct {
		height, width uint32
		down, across  uint32
		outRow        int64
		xColumn       int64
	}
	type args struct {
		outer  nest2
		matrix matrix
	}
	last := n.rank - 1
	height, width := n.shape[axis], n.shape[last]
	m := matrix{uint32(height), uint32(width), uint32((height + tile - 1) / tile), uint32((width + tile - 1) / tile),
		int64(n.operands[0].strides[axis]), int64(n.operands[1].strides[last])}
	outer := *n
	outer.removeAxis(last)
	outer.removeAxis(axis)
	a := args{device[[2]deviceOperand](&outer, 1), m}
	grid := dim3{outer.total() * int(m.down) * int(m.across), 1, 1}
	launch(b, b.function("copy", "transpose_"+word(n.operands[0].dtype)), grid, blockThreads, 0, &a)
}
