package backendtest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"

	"github.com/x448/float16"

	"github.com/hone-ml/hone/internal/backend"
)

// An array is a tensor on the host, row-major.
type array struct {
	shape []int
	data  []float64
}

func newArray(shape ...int) array { return array{shape, make([]float64, size(shape))} }

func size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// each calls f with every index of a shape, in row-major order. The slice is reused.
func each(shape []int, f func(i int, index []int)) {
	index := make([]int, len(shape))
	for i := range size(shape) {
		f(i, index)
		for axis := len(shape) - 1; axis >= 0; axis-- {
			if index[axis]++; index[axis] < shape[axis] {
				break
			}
			index[axis] = 0
		}
	}
}

// at is the element at an index; axes of size 1 are broadcast.
func (a array) at(index ...int) float64 {
	i := 0
	for axis, d := range a.shape {
		i *= d
		if d > 1 {
			i += index[axis]
		}
	}
	return a.data[i]
}

// mapped is f of every element.
func (a array) mapped(f func(x float64) float64) array {
	b := newArray(a.shape...)
	for i, x := range a.data {
		b.data[i] = f(x)
	}
	return b
}

// rounded is a as dt stores it.
func (a array) rounded(dt backend.DType) array {
	if dt == backend.F64 {
		return a
	}
	return a.mapped(func(x float64) float64 { return round(dt, x) })
}

// round is x as dt stores it.
func round(dt backend.DType, x float64) float64 {
	var b [8]byte
	return decode(dt, encode(dt, b[:0], x))
}

// normal draws from N(0, scale²), rounded to dt.
func (s *suite) normal(dt backend.DType, scale float64, shape ...int) array {
	a := newArray(shape...)
	for i := range a.data {
		a.data[i] = s.rng.NormFloat64() * scale
	}
	return a.rounded(dt)
}

// integers draws from [lo, hi).
func (s *suite) integers(lo, hi int, shape ...int) array {
	a := newArray(shape...)
	for i := range a.data {
		a.data[i] = float64(lo + s.rng.IntN(hi-lo))
	}
	return a
}

// sample draws numbers that suit a dtype.
func (s *suite) sample(dt backend.DType, shape ...int) array {
	switch {
	case dt.IsFloat():
		return s.normal(dt, 1, shape...)
	case dt == backend.Bool:
		return s.integers(0, 2, shape...)
	case dt == backend.U8:
		return s.integers(0, 256, shape...)
	}
	return s.integers(-1000, 1000, shape...)
}

// A layout is how a tensor lies in memory.
type layout int

const (
	contiguous layout = iota
	padded            // rows contiguous, a gap after each
	columns           // the first axis is the fastest
	spread            // every axis has a stride that skips elements
)

var (
	layouts    = []layout{contiguous, padded, columns, spread}
	rowLayouts = []layout{contiguous, padded}
)

func (l layout) String() string { return [...]string{"contiguous", "padded", "columns", "spread"}[l] }

// strides of a shape, and the number of elements that it spans.
func (l layout) strides(shape []int) ([]int, int) {
	strides, n := make([]int, len(shape)), 1
	for i := range shape {
		axis := len(shape) - 1 - i
		switch l {
		case columns:
			axis = i
		case padded:
			if i == 1 {
				n += 3
			}
		case spread:
			n *= 2
			n++
		}
		strides[axis] = n
		n *= shape[axis]
	}
	return strides, n
}

// guard bytes lie before and behind every tensor; those and the gaps are all ones: NaN, or -1.
const (
	guard   = 64
	pattern = 0xff
)

// A tensor is an array on the device.
type tensor struct {
	view      backend.View
	base      unsafe.Pointer
	bytes     int // in use, of those allocated
	allocated int
	output    bool
	before    []byte // all of the memory, when uploaded
	offsets   []int  // of the elements from base, in bytes
}

// upload copies an array to the device.
func (s *suite) upload(dt backend.DType, a array, l layout) *tensor {
	strides, n := l.strides(a.shape)
	n = max(n, 1)
	t := &tensor{bytes: 2*guard + dt.Size() + n*dt.Size()}
	t.base, t.allocated = s.shared.alloc(t.bytes)
	// One element more than the guard: nothing may count on more alignment than an element's.
	start := guard
	if l != contiguous {
		start += dt.Size()
	}
	t.view = backend.NewView(unsafe.Add(t.base, start), dt, a.shape...)
	copy(t.view.Strides[:], strides)
	t.before = bytes.Repeat([]byte{pattern}, t.bytes)
	t.offsets = make([]int, len(a.data))
	each(a.shape, func(i int, index []int) {
		p := start
		for axis, x := range index {
			p += x * strides[axis] * dt.Size()
		}
		t.offsets[i] = p
		encode(dt, t.before[p:p], a.data[i])
	})
	s.b.CopyIn(t.base, t.before)
	s.tensors = append(s.tensors, t)
	return t
}

// in uploads an input; try verifies that it does not change.
func (s *suite) in(dt backend.DType, a array, l layout) *backend.View {
	return &s.upload(dt, a, l).view
}

// out is memory for a result, full of the pattern.
func (s *suite) out(dt backend.DType, l layout, shape ...int) *tensor {
	a := newArray(shape...)
	for i := range a.data {
		a.data[i] = math.NaN()
		if !dt.IsFloat() {
			a.data[i] = 1
		}
	}
	return s.inout(dt, a, l)
}

// inout uploads what an operation changes.
func (s *suite) inout(dt backend.DType, a array, l layout) *tensor {
	t := s.upload(dt, a, l)
	t.output = true
	return t
}

// broadcast uploads an array whose axes of size 1 are repeated up to shape.
func (s *suite) broadcast(dt backend.DType, a array, l layout, shape ...int) *backend.View {
	v := s.in(dt, a, l)
	for axis, d := range shape {
		if v.Shape[axis] != d {
			v.Shape[axis], v.Strides[axis] = d, 0
		}
	}
	return v
}

func (t *tensor) download(s *suite) []byte {
	if err := s.b.Sync(); err != nil {
		s.errorf("Sync: %v", err)
	}
	raw := make([]byte, t.bytes)
	s.b.CopyOut(raw, t.base)
	return raw
}

func (t *tensor) decode(raw []byte) array {
	a := newArray(t.view.Dims()...)
	for i, p := range t.offsets {
		a.data[i] = decode(t.view.DType, raw[p:])
	}
	return a
}

// verify demands that an input is what it was.
func (t *tensor) verify(s *suite) {
	if !t.output && !bytes.Equal(t.download(s), t.before) {
		s.errorf("the input %v was changed", &t.view)
	}
}

// verifyOutside demands that nothing was written around an output or in its gaps.
func (t *tensor) verifyOutside(s *suite, what string, raw []byte) {
	rest, size := bytes.Clone(raw), t.view.DType.Size()
	for _, p := range t.offsets {
		copy(rest[p:p+size], t.before[p:])
	}
	if !bytes.Equal(rest, t.before) {
		s.errorf("%s: memory outside %v was written", what, &t.view)
	}
}

// encode appends x to dst as dt stores it.
func encode(dt backend.DType, dst []byte, x float64) []byte {
	switch dt {
	case backend.F32:
		return binary.NativeEndian.AppendUint32(dst, math.Float32bits(float32(x)))
	case backend.F64:
		return binary.NativeEndian.AppendUint64(dst, math.Float64bits(x))
	case backend.BF16:
		b := math.Float32bits(float32(x))
		if x != x {
			return binary.NativeEndian.AppendUint16(dst, 0x7fc0)
		}
		return binary.NativeEndian.AppendUint16(dst, uint16((b+0x7fff+b>>16&1)>>16))
	case backend.F16:
		return binary.NativeEndian.AppendUint16(dst, float16.Fromfloat32(float32(x)).Bits())
	case backend.I32:
		return binary.NativeEndian.AppendUint32(dst, uint32(int32(x)))
	case backend.I64:
		return binary.NativeEndian.AppendUint64(dst, uint64(int64(x)))
	case backend.U8:
		return append(dst, uint8(int64(x)))
	case backend.Bool:
		if x != 0 {
			return append(dst, 1)
		}
		return append(dst, 0)
	}
	panic(fmt.Sprintf("no encoding of %v", dt))
}

func decode(dt backend.DType, b []byte) float64 {
	switch dt {
	case backend.F32:
		return float64(math.Float32frombits(binary.NativeEndian.Uint32(b)))
	case backend.F64:
		return math.Float64frombits(binary.NativeEndian.Uint64(b))
	case backend.BF16:
		return float64(math.Float32frombits(uint32(binary.NativeEndian.Uint16(b)) << 16))
	case backend.F16:
		return float64(float16.Frombits(binary.NativeEndian.Uint16(b)).Float32())
	case backend.I32:
		return float64(int32(binary.NativeEndian.Uint32(b)))
	case backend.I64:
		return float64(int64(binary.NativeEndian.Uint64(b)))
	}
	return float64(b[0])
}
