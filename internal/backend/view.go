package backend

import (
	"fmt"
	"strings"
	"unsafe"
)

// MaxRank is the largest number of axes of a view.
const MaxRank = 6

// DType is the type of a tensor's elements.
type DType uint8

// The element types. BF16 and F16 are storage formats: arithmetic on them happens in F32.
const (
	F32 DType = iota
	F64
	BF16
	F16
	I32
	I64
	U8
	Bool
	Q8_0 // quantised weights in blocks of 32, see package quant
	Q4_0
)

var dtypes = [...]struct {
	name  string
	size  int // of a block, in bytes
	block int // the logarithm of its elements
}{
	F32: {"f32", 4, 0}, F64: {"f64", 8, 0}, BF16: {"bf16", 2, 0}, F16: {"f16", 2, 0},
	I32: {"i32", 4, 0}, I64: {"i64", 8, 0}, U8: {"u8", 1, 0}, Bool: {"bool", 1, 0},
	Q8_0: {"q8_0", 34, 5}, Q4_0: {"q4_0", 18, 5},
}

// Size is the number of bytes of an element or, of a quantised dtype, of a block.
func (d DType) Size() int { return dtypes[d].size }

// Block is the number of elements that are stored together: 1, but for quantised dtypes.
func (d DType) Block() int { return 1 << dtypes[d].block }

// Bytes is what n elements take, whole blocks of them.
func (d DType) Bytes(n int) int {
	t := &dtypes[d]
	return n >> t.block * t.size
}

// String is the lower-case name: "f32", "bf16", "i64", "bool".
func (d DType) String() string {
	if int(d) < len(dtypes) {
		return dtypes[d].name
	}
	return fmt.Sprintf("dtype(%d)", uint8(d))
}

// IsFloat reports whether d is F32, F64, BF16 or F16.
func (d DType) IsFloat() bool { return d <= F16 }

// IsQuantized reports whether d is Q8_0 or Q4_0: weights in blocks, which nothing computes with but
// products, see QuantizedMatMuler.
func (d DType) IsQuantized() bool { return d >= Q8_0 }

// Accumulator is the dtype in which sums of d are kept: F64 for F64, F32 for other floats,
// and d itself for the rest.
func (d DType) Accumulator() DType {
	switch d {
	case BF16, F16:
		return F32
	}
	return d
}

// A View is a strided window into device memory. The zero rank is a scalar of one element.
// Ptr may be dereferenced by the backend that allocated it only.
type View struct {
	Ptr     unsafe.Pointer // the element at index [0,0,…]
	DType   DType
	Rank    int
	Shape   [MaxRank]int
	Strides [MaxRank]int // in elements; 0 repeats one element along the axis
}

// NewView is a contiguous row-major view at p.
func NewView(p unsafe.Pointer, dt DType, shape ...int) View {
	v := View{Ptr: p, DType: dt, Rank: len(shape)}
	n := 1
	for i := len(shape) - 1; i >= 0; i-- {
		v.Shape[i], v.Strides[i] = shape[i], n
		n *= shape[i]
	}
	return v
}

// Dims is the shape as a slice of the view's own array.
func (v *View) Dims() []int { return v.Shape[:v.Rank] }

// Len is the number of elements.
func (v *View) Len() int {
	n := 1
	for _, d := range v.Shape[:v.Rank] {
		n *= d
	}
	return n
}

// Contiguous reports whether the elements lie one behind the other in row-major order.
func (v *View) Contiguous() bool {
	n := 1
	for i := v.Rank - 1; i >= 0; i-- {
		if v.Shape[i] != 1 && v.Strides[i] != n {
			return v.Len() == 0
		}
		n *= v.Shape[i]
	}
	return true
}

// RowsContiguous reports whether the last axis is contiguous (or has at most one element).
func (v *View) RowsContiguous() bool {
	return v.Rank == 0 || v.Shape[v.Rank-1] <= 1 || v.Strides[v.Rank-1] == 1
}

// At is the view of element i along the first axis: rank is one less.
func (v *View) At(i int) View {
	w := View{Ptr: unsafe.Add(v.Ptr, v.DType.Bytes(i*v.Strides[0])), DType: v.DType, Rank: v.Rank - 1}
	copy(w.Shape[:], v.Shape[1:v.Rank])
	copy(w.Strides[:], v.Strides[1:v.Rank])
	return w
}

// Slice is the view of [lo, hi) along an axis.
func (v *View) Slice(axis, lo, hi int) View {
	w := *v
	w.Ptr = unsafe.Add(v.Ptr, v.DType.Bytes(lo*v.Strides[axis]))
	w.Shape[axis] = hi - lo
	return w
}

// Flat is the same memory as one contiguous axis; it panics if the view is not contiguous.
func (v *View) Flat() View {
	if !v.Contiguous() {
		panic("backend: Flat of a view that is not contiguous: " + v.String())
	}
	return NewView(v.Ptr, v.DType, v.Len())
}

// String is dtype and shape: "f32[2 3]".
func (v *View) String() string {
	return v.DType.String() + strings.ReplaceAll(fmt.Sprint(v.Dims()), ",", "")
}
