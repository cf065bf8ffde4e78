// Package backend is the contract between the tensor package and a device.
//
// A backend is a set of kernels over strided views of memory that it allocated. It knows nothing of
// gradients, scopes or models: the tensor package validates every call and records what backward needs.
// The core interface is small; each fused kernel is an optional interface of its own, found by type
// assertion. Where one is absent the tensor package runs the composed twin, made of core kernels.
//
// A new device is a new package that implements Backend and passes backendtest.Run.
package backend

import "unsafe"

// Info describes a device.
type Info struct {
	Name   string // "cpu", "cuda:0"
	Model  string // the processor's or the card's own name
	Path   string // the kernel path in use: "avx512", "generic", "sm_80"
	Driver string // what is below a card: "CUDA 12.4, compute capability 8.9"; empty for processors
	Memory uint64 // bytes that a program may use, 0 if unknown
}

// Backend is a device's core kernels.
//
// The caller guarantees: shapes agree as documented (broadcast operands carry stride 0), pointers are
// valid for the view, outputs do not overlap inputs unless the method says that it may work in place,
// and rank is at most MaxRank. Views may have any strides unless the method says otherwise, and any
// dimension may be 0.
//
// Sums accumulate in at least F32 (F64 for F64) in an order that depends on the shapes only, never on
// the number of threads. BF16 and F16 are storage: elements are converted to F32, computed, rounded to
// nearest even.
//
// Calls may be asynchronous, in issue order; CopyOut and Sync wait. What an asynchronous call would panic with,
// the next of these two panics with. Methods may be called from several goroutines. A device that fails panics
// with *DeviceError.
type Backend interface {
	Info() Info

	// Alloc returns bytes of device memory aligned to 64 bytes, contents undefined.
	Alloc(bytes int) (unsafe.Pointer, error)
	// Free returns memory that came from Alloc with the same size.
	Free(p unsafe.Pointer, bytes int)
	CopyIn(dst unsafe.Pointer, src []byte)
	CopyOut(dst []byte, src unsafe.Pointer)
	// Sync waits for all issued work and reports an asynchronous failure.
	Sync() error

	// Fill sets every element to value, converted to the view's dtype (nonzero is true for Bool).
	Fill(out *View, value float64)
	// Arange sets the i-th element, in row-major order, to start + i·step.
	Arange(out *View, start, step float64)
	// Random draws out's elements, in row-major order, from the stream (key, counter); see Philox.
	// Uniform draws lie in [lo, hi); Normal has mean lo and standard deviation hi; Bits fills I32 or I64.
	Random(out *View, d Dist, key, counter uint64, lo, hi float64)

	// Copy sets out = x, converting dtypes. Shapes are equal.
	// Float to integer truncates toward zero; anything nonzero is true.
	Copy(out, x *View)
	// Unary sets out = op(x). Shapes and dtypes are equal; out may be x itself.
	Unary(op UnaryOp, out, x *View)
	// Binary sets out = op(x, y). Shapes are equal (broadcast by stride 0); x and y have one dtype,
	// which is out's too, except that comparisons give Bool. out may be x or y itself.
	Binary(op BinaryOp, out, x, y *View)
	// Scalar sets out = op(x, s), s converted to x's dtype first (to F32 for BF16 and F16).
	// out may be x itself.
	Scalar(op BinaryOp, out, x *View, s float64)
	// Where sets out = cond ? x : y. cond is Bool. Shapes are equal.
	Where(out, cond, x, y *View)
	// Reduce folds the axes in which out has size 1 and x has not. Ranks are equal.
	// ArgMax and ArgMin fold the last axis only, give I32 or I64, and the first of equals; NaN wins.
	// An empty fold gives the operation's identity (0 for Sum, 1 for Prod, -Inf for Max).
	// Max and Min fold Bool too: whether any and whether all are true.
	Reduce(op ReduceOp, out, x *View)

	// MatMul sets out = x·y, or out += x·y with accumulate. The last two axes are the matrices
	// [m,k]·[k,n]→[m,n]; the axes before them are equal (broadcast by stride 0 in x and y).
	// x and y share a float dtype; out has that dtype or F32. k may be 0.
	// In x and y at least one of the last two strides is 1 (or its dimension is 1); out's rows are
	// contiguous. Transposed operands are given by their strides.
	MatMul(out, x, y *View, accumulate bool)

	// Gather sets out[i,…] = x[index[i],…]. index is I32 or I64, contiguous, of rank 1; x and out have
	// equal shapes but for the first axis and one dtype. An index out of range panics with *IndexError.
	Gather(out, x, index *View)
	// ScatterAdd adds x[i,…] to out[index[i],…] in the order of i. out is x's dtype or F32.
	ScatterAdd(out, index, x *View)
}

// IndexError is the panic of Gather, ScatterAdd and CrossEntropy when an index lies outside [0, Limit).
type IndexError struct {
	Position int   // where in the index
	Index    int64 // the offending value
	Limit    int
}

// UnaryOp names an element-wise function of one argument.
type UnaryOp uint8

// The unary functions. Those from Exp on need a float dtype; Not needs Bool.
const (
	Neg UnaryOp = iota
	Abs
	Square
	Sign // -1, 0 or 1; 0 for NaN
	Not
	Exp
	Log
	Sqrt
	Rsqrt
	Sin
	Cos
	Tanh
	Sigmoid
	SiLU // x·sigmoid(x)
	ReLU
	Reciprocal
	Exp2
	Expm1
	Log2
	Log10
	Log1p
	Tan
	Asin
	Acos
	Atan
	Sinh
	Cosh
	Asinh
	Acosh
	Atanh
	Erf
	Erfc
	Floor
	Ceil
	Trunc
	Round         // half to even
	Softplus      // log(1 + exp(x))
	GELU          // x·Φ(x)
	GELUSlope     // its derivative
	GELUTanh      // x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))/2
	GELUTanhSlope // its derivative

	UnaryOps = iota // how many there are
)

// BinaryOp names an element-wise function of two arguments.
type BinaryOp uint8

// The binary functions. Those from Eq on are comparisons, with Bool results; And, Or and Xor need Bool.
// Dividing integers by 0 panics with a runtime.Error.
const (
	Add BinaryOp = iota
	Sub
	Mul
	Div
	Max       // NaN if either is
	Min       // NaN if either is
	Pow       // float dtypes only
	Atan2     // float dtypes only
	Hypot     // float dtypes only
	Remainder // x − y·floor(x/y), with the sign of y
	Fmod      // x − y·trunc(x/y), with the sign of x
	And
	Or
	Xor
	Eq
	Ne
	Lt
	Le
	Gt
	Ge

	BinaryOps = iota // how many there are
)

// Compares reports whether op gives Bool.
func (op BinaryOp) Compares() bool { return op >= Eq }

// Logical reports whether op needs Bool.
func (op BinaryOp) Logical() bool { return op >= And && op <= Xor }

// NeedsFloat reports whether op is defined for float dtypes only.
func (op BinaryOp) NeedsFloat() bool { return op >= Pow && op <= Hypot }

// Divides reports whether op is undefined where integers have a second argument of 0.
func (op BinaryOp) Divides() bool { return op == Div || op == Remainder || op == Fmod }

// ReduceOp names a fold.
type ReduceOp uint8

// The folds.
const (
	Sum ReduceOp = iota
	ReduceMax
	ReduceMin
	Prod
	ArgMax
	ArgMin
)

// Dist names a distribution of random numbers.
type Dist uint8

// The distributions that Random draws from.
const (
	Bits Dist = iota
	Uniform
	Normal
)

// Fused finds an optional kernel of a backend: one of the interfaces in fused.go. A backend that wraps
// another one, and tells so by a method Unwrap() Backend, has the optional kernels that the other has.
func Fused[T any](b Backend) (kernel T, ok bool) {
	if w, wraps := b.(interface{ Unwrap() Backend }); wraps {
		if _, ok := Fused[T](w.Unwrap()); !ok {
			return kernel, false
		}
	}
	kernel, ok = b.(T)
	return kernel, ok
}
