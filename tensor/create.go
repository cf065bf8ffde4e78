package tensor

import (
	"io"
	"math"
	"runtime"
	"slices"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/x448/float16"
)

// FromSlice copies data, in row-major order, to a new tensor of T's dtype. Without a shape the tensor
// has one axis. It panics if the shape does not hold len(data) elements.
func FromSlice[T Element](p Place, data []T, shape ...int) *Tensor {
	if len(shape) == 0 {
		shape = []int{len(data)}
	}
	if n := shapeLen(shape); n != len(data) {
		badShape("FromSlice", DTypeOf[T](), shape, "the shape has %d elements, the slice %d", n, len(data))
	}
	t := alloc(p, DTypeOf[T](), shape...)
	t.dev.backend.CopyIn(t.view.Ptr, bytesOf(data))
	return t
}

// Scalar is a tensor of rank 0.
func Scalar[T Element](p Place, x T) *Tensor {
	t := alloc(p, DTypeOf[T]())
	t.dev.backend.CopyIn(t.view.Ptr, bytesOf([]T{x}))
	return t
}

// FromBytes copies elements in their little-endian form, as checkpoint files hold them, to a new tensor.
// It panics if the shape does not need len(data) bytes.
func FromBytes(p Place, dt DType, data []byte, shape ...int) *Tensor {
	if n := dt.Bytes(shapeLen(shape)); n != len(data) {
		badShape("FromBytes", dt, shape, "the shape needs %d bytes, the slice has %d", n, len(data))
	}
	t := alloc(p, dt, shape...)
	t.dev.backend.CopyIn(t.view.Ptr, data)
	return t
}

// ToSlice copies the elements to the host in row-major order and waits for the device. T is t's dtype,
// or float32 or float64, to which any dtype is converted; otherwise it panics.
func ToSlice[T Element](t *Tensor) []T {
	t.alive("ToSlice")
	want := DTypeOf[T]()
	if want != t.view.DType && want != F32 && want != F64 {
		fail("ToSlice", []*Tensor{t}, "elements are %s, not %s", t.view.DType, want)
	}
	src := t
	if want != t.view.DType || !t.view.Contiguous() {
		s := t.dev.NewScope()
		defer s.Close()
		src = alloc(s, want, t.view.Dims()...)
		convert("ToSlice", src, t)
	}
	out := make([]T, t.Len())
	t.dev.copyOut(bytesOf(out), src.view.Ptr)
	runtime.KeepAlive(t) // an address alone does not keep long-lived memory from being freed
	return out
}

// Float64s copies the elements of any dtype to the host as float64.
func (t *Tensor) Float64s() []float64 { return ToSlice[float64](t) }

// Bytes copies the elements, row-major and little-endian, to the host.
func (t *Tensor) Bytes() []byte {
	t.alive("Bytes")
	t.blocksInOrder("Bytes")
	src := t
	if !t.view.Contiguous() {
		s := t.dev.NewScope()
		defer s.Close()
		src = alloc(s, t.view.DType, t.view.Dims()...)
		t.dev.backend.Copy(&src.view, &t.view)
	}
	out := make([]byte, t.view.DType.Bytes(t.Len()))
	t.dev.copyOut(out, src.view.Ptr)
	runtime.KeepAlive(t)
	return out
}

// Item is the value of a tensor of one element; it waits for the device.
func (t *Tensor) Item() float64 {
	t.alive("Item")
	if t.Len() != 1 {
		fail("Item", []*Tensor{t}, "the tensor has %d elements, not one", t.Len())
	}
	var raw [8]byte
	t.dev.copyOut(raw[:t.view.DType.Size()], t.view.Ptr)
	runtime.KeepAlive(t)
	p := unsafe.Pointer(&raw)
	switch t.view.DType {
	case F32:
		return float64(*(*float32)(p))
	case F64:
		return *(*float64)(p)
	case BF16:
		return float64((*(*BFloat16)(p)).Float32())
	case F16:
		return float64((*(*float16.Float16)(p)).Float32())
	case I32:
		return float64(*(*int32)(p))
	case I64:
		return float64(*(*int64)(p))
	}
	return float64(raw[0])
}

func bytesOf[T Element](s []T) []byte {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), len(s)*int(unsafe.Sizeof(s[0])))
}

// Empty is a new tensor whose elements are undefined until they are written.
func Empty(p Place, dt DType, shape ...int) *Tensor { return alloc(p, dt, shape...) }

// Zeros is a new tensor of zeros.
func Zeros(p Place, dt DType, shape ...int) *Tensor { return Full(p, dt, 0, shape...) }

// Ones is a new tensor of ones.
func Ones(p Place, dt DType, shape ...int) *Tensor { return Full(p, dt, 1, shape...) }

// Full is a new tensor whose elements are all value, converted to dt.
func Full(p Place, dt DType, value float64, shape ...int) *Tensor {
	if dt.IsQuantized() {
		badShape("Full", dt, shape, "%s", onlyWeights)
	}
	t := alloc(p, dt, shape...)
	t.dev.backend.Fill(&t.view, value)
	return t
}

// ZerosLike is zeros of t's shape and dtype, in its place.
func ZerosLike(t *Tensor) *Tensor { return FullLike(t, 0) }

// OnesLike is ones of t's shape and dtype, in its place.
func OnesLike(t *Tensor) *Tensor { return FullLike(t, 1) }

// FullLike is a tensor of t's shape and dtype, in its place, whose elements are all value.
func FullLike(t *Tensor, value float64) *Tensor {
	t.alive("FullLike")
	return Full(t.home(), t.view.DType, value, t.view.Dims()...)
}

// home is the place of t.
func (t *Tensor) home() Place {
	if t.scope != nil {
		return t.scope
	}
	return t.dev
}

// Eye is the identity matrix [n, n].
func Eye(p Place, dt DType, n int) *Tensor {
	t := Zeros(p, dt, n, n)
	diagonal := t.view
	diagonal.Rank, diagonal.Strides[0] = 1, n+1
	t.dev.backend.Fill(&diagonal, 1)
	return t
}

// Linspace is n numbers from start to end, both included, at equal distances: [n]. One number is start. They
// are computed in F64, from both ends, and converted to dt. It panics if n is negative.
func Linspace(p Place, dt DType, start, end float64, n int) *Tensor {
	if n < 0 || dt.IsQuantized() {
		badShape("Linspace", dt, []int{n}, "a number of elements ≥ 0 and a dtype of single elements are needed")
	}
	points := make([]float64, n)
	step := (end - start) / float64(max(n-1, 1))
	for i := range points {
		if i < (n+1)/2 {
			points[i] = start + float64(i)*step
		} else {
			points[i] = end - float64(n-1-i)*step
		}
	}
	t := alloc(p, dt, n)
	s := t.dev.NewScope()
	defer s.Close()
	convert("Linspace", t, FromSlice(s, points))
	return t
}

// Arange is start, start+step, … up to but without end. It panics if step is 0 or leads away from end.
func Arange(p Place, dt DType, start, end, step float64) *Tensor {
	n := math.Ceil((end - start) / step)
	if !(n >= 0) || math.IsInf(n, 0) {
		panic(&Error{Op: "Arange", Reason: "the step does not lead from start to end"})
	}
	t := alloc(p, dt, int(n))
	t.dev.backend.Arange(&t.view, start, step)
	return t
}

// Randn draws from the normal distribution with mean 0 and standard deviation std.
func Randn(p Place, dt DType, r *Rand, std float64, shape ...int) *Tensor {
	return cheaply(alloc(p, dt, shape...), nil, drawing("Randn", dt, backend.Normal, r, shapeLen(shape), 0, std))
}

// Uniform draws from [lo, hi).
func Uniform(p Place, dt DType, r *Rand, lo, hi float64, shape ...int) *Tensor {
	return cheaply(alloc(p, dt, shape...), nil, drawing("Uniform", dt, backend.Uniform, r, shapeLen(shape), lo, hi))
}

// drawing takes n numbers from r's stream and gives what fills a tensor with them.
func drawing(op string, dt DType, d backend.Dist, r *Rand, n int, lo, hi float64) func(out *Tensor, in []*Tensor) {
	if !dt.IsFloat() {
		badShape(op, dt, []int{n}, "a float dtype is needed")
	}
	key, counter := r.key, r.take(n)
	return func(out *Tensor, _ []*Tensor) { out.dev.backend.Random(&out.view, d, key, counter, lo, hi) }
}

// Fill sets every element to value, in place.
func (t *Tensor) Fill(value float64) {
	t.mutable("Fill")
	t.unquantized("Fill")
	t.dev.backend.Fill(&t.view, value)
}

// FillRandn draws every element anew from the normal distribution, in place.
func (t *Tensor) FillRandn(r *Rand, mean, std float64) {
	t.mutable("FillRandn")
	drawing("FillRandn", t.view.DType, backend.Normal, r, t.Len(), mean, std)(t, nil)
}

// FillUniform draws every element anew from [lo, hi), in place.
func (t *Tensor) FillUniform(r *Rand, lo, hi float64) {
	t.mutable("FillUniform")
	drawing("FillUniform", t.view.DType, backend.Uniform, r, t.Len(), lo, hi)(t, nil)
}

// CopyFrom overwrites t with src, converting the dtype. Shapes must be equal and the memory distinct; the
// two may live in different places of one device. No gradient flows through it; backward panics if it
// needed what was overwritten.
func (t *Tensor) CopyFrom(src *Tensor) {
	t.mutable("CopyFrom")
	src.alive("CopyFrom")
	if !sameDims(t, src) || t.dev != src.dev {
		fail("CopyFrom", []*Tensor{t, src}, "shapes and devices must be equal")
	}
	convert("CopyFrom", t, src)
	runtime.KeepAlive(src)
}

// CopyFromSlice overwrites t with host data in row-major order. T is t's dtype.
func CopyFromSlice[T Element](t *Tensor, data []T) {
	t.mutable("CopyFromSlice")
	if len(data) != t.Len() || DTypeOf[T]() != t.view.DType || !t.view.Contiguous() {
		fail("CopyFromSlice", []*Tensor{t}, "needs %d contiguous elements of %s", len(data), DTypeOf[T]())
	}
	t.dev.backend.CopyIn(t.view.Ptr, bytesOf(data))
}

// CopyFromBytes overwrites t with elements of dtype dt in their little-endian form, converting the dtype.
// It panics if data does not hold t.Len() elements or t is not contiguous.
func CopyFromBytes(t *Tensor, dt DType, data []byte) {
	t.mutable("CopyFromBytes")
	if len(data) != dt.Bytes(t.Len()) || !t.view.Contiguous() {
		fail("CopyFromBytes", []*Tensor{t}, "%d bytes of %s do not fill it, or it is not contiguous", len(data), dt)
	}
	if dt == t.view.DType {
		t.dev.backend.CopyIn(t.view.Ptr, data)
		return
	}
	s := t.dev.NewScope()
	defer s.Close()
	convert("CopyFromBytes", t, FromBytes(s, dt, data, t.view.Dims()...))
}

// Bind makes a long-lived tensor use data, elements of its own dtype in their little-endian form, instead of
// memory of the device, and copies nothing: a model that is mapped from a file is there at once. data must be
// writable, stay valid as long as owner is reachable, and change by nobody else. The tensor's own memory
// remains reserved, so that the device's budget stays true when a copy-on-write mapping is written to.
//
// It reports whether it did so: the device must compute in host memory, t own its memory, and data be
// aligned to its elements. No view of t may exist yet. It panics if data does not hold t.Len() elements.
func Bind(t *Tensor, data []byte, owner any) bool {
	t.mutable("Bind")
	if len(data) != t.view.DType.Bytes(t.Len()) {
		fail("Bind", []*Tensor{t}, "%d bytes do not fill it", len(data))
	}
	_, host := backend.Fused[backend.HostMemory](t.dev.backend)
	if !host || t.scope != nil || t.mem != &t.own || len(data) == 0 ||
		!t.view.DType.IsQuantized() && uintptr(unsafe.Pointer(&data[0]))%uintptr(t.view.DType.Size()) != 0 {
		return false
	}
	t.view.Ptr = unsafe.Pointer(&data[0])
	t.own.host = owner
	return true
}

// WriteTo writes the elements, row-major and little-endian, in pieces.
func (t *Tensor) WriteTo(w io.Writer) (int64, error) {
	t.alive("WriteTo")
	t.blocksInOrder("WriteTo")
	if !t.view.Contiguous() {
		n, err := w.Write(t.Bytes())
		return int64(n), err
	}
	left := t.view.DType.Bytes(t.Len())
	buf := make([]byte, min(left, 4<<20))
	total := int64(0)
	for at := 0; left > 0; {
		piece := buf[:min(left, len(buf))]
		t.dev.copyOut(piece, unsafe.Add(t.view.Ptr, at))
		n, err := w.Write(piece)
		total += int64(n)
		if err != nil {
			return total, err
		}
		at += len(piece)
		left -= len(piece)
	}
	return total, nil
}

func (t *Tensor) mutable(op string) {
	t.alive(op)
	if t.needsGrad {
		fail(op, []*Tensor{t}, "a tensor that is part of a recorded computation cannot be overwritten")
	}
	t.mem.version++
}

// shapeLen is the number of elements of a shape.
func shapeLen(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// hasShape reports whether t's dimensions are shape.
func (t *Tensor) hasShape(shape ...int) bool { return slices.Equal(t.view.Dims(), shape) }
