package cpu

import (
	"sync"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

// What an element-wise operation costs beside its loop counts where tensors are small: a loss, a mask of a few
// rows, a gate. Operands that lie dense in memory and are few are brief: they need neither a nest nor a task nor
// scratch, and the loops come from tables that are made once, since a function made on the spot is garbage.

// briefLen is how many elements at most are brief: those that any operation does in one task.
const briefLen = grainMath

// brief is the number of elements of views of one shape that are brief; -1 if they are not.
func brief(views ...*backend.View) int {
	n := views[0].Len()
	if n > briefLen {
		return -1
	}
	for _, v := range views {
		if !v.Contiguous() {
			return -1
		}
	}
	return n
}

// loopTable has the loops over elements T; nil where the general way must be taken.
type loopTable[T element] struct {
	unary         [backend.UnaryOps]func(out, x []T)
	binary        [backend.BinaryOps]func(out, x, y []T)
	scalar        [backend.BinaryOps]func(out, x []T, s T)
	compare       [backend.BinaryOps]func(out []uint8, x, y []T)
	compareScalar [backend.BinaryOps]func(out []uint8, x []T, s T)
}

var (
	loopsF32  = sync.OnceValue(floatLoops[float32])
	loopsF64  = sync.OnceValue(floatLoops[float64])
	loopsI32  = sync.OnceValue(numberLoops[int32])
	loopsI64  = sync.OnceValue(numberLoops[int64])
	loopsU8   = sync.OnceValue(numberLoops[uint8])
	loopsBool = sync.OnceValue(boolLoops)
	loopsBF16 = sync.OnceValue(bf16Loops)
)

func numberLoops[T number]() *loopTable[T] {
	t := new(loopTable[T])
	for _, op := range []backend.UnaryOp{backend.Neg, backend.Abs, backend.Square, backend.Sign} {
		t.unary[op] = integerUnary[T](op)
	}
	for op := range backend.BinaryOp(backend.BinaryOps) {
		switch {
		case op.Compares():
			t.compare[op], t.compareScalar[op] = comparison[T](op), comparisonScalar[T](op)
		case !op.Logical() && (isFloat[T]() || !op.NeedsFloat()):
			t.binary[op], t.scalar[op] = arithmetic[T](op), arithmeticScalar[T](op)
		}
	}
	return t
}

func floatLoops[T float]() *loopTable[T] {
	t := numberLoops[T]()
	for op := range backend.UnaryOp(backend.UnaryOps) {
		if op == backend.Not {
			continue
		}
		t.unary[op] = pointwise[T](op)
		if isFloat32[T]() {
			if vector, _ := vectorUnary[float32](op); vector != nil {
				t.unary[op] = func(out, x []T) { vector(cast[float32](out), cast[float32](x)) }
			}
		}
	}
	return t
}

func boolLoops() *loopTable[uint8] {
	t := new(loopTable[uint8])
	t.unary[backend.Not] = not
	for op := range backend.BinaryOp(backend.BinaryOps) {
		switch {
		case op.Compares():
			t.compare[op], t.compareScalar[op] = comparison[uint8](op), comparisonScalar[uint8](op)
		case op.Logical():
			t.binary[op], t.scalar[op] = arithmetic[uint8](op), arithmeticScalar[uint8](op)
		}
	}
	return t
}

// bf16Loops are those that compute with BF16 as it is stored.
func bf16Loops() *loopTable[uint16] {
	t := new(loopTable[uint16])
	for op := range backend.UnaryOp(backend.UnaryOps) {
		t.unary[op], _ = vectorUnary[uint16](op)
	}
	for op := range backend.BinaryOp(backend.BinaryOps) {
		if op.Compares() {
			t.compare[op] = vectorComparison[uint16](op)
		} else {
			t.binary[op] = vectorBinary[uint16](op)
		}
	}
	return t
}

func (t *loopTable[T]) runUnary(op backend.UnaryOp, n int, out, x *backend.View) bool {
	loop := t.unary[op]
	if loop == nil {
		return false
	}
	loop(slice[T](out.Ptr, n), slice[T](x.Ptr, n))
	return true
}

func (t *loopTable[T]) runBinary(op backend.BinaryOp, n int, out, x, y *backend.View) bool {
	if loop := t.compare[op]; loop != nil {
		loop(slice[uint8](out.Ptr, n), slice[T](x.Ptr, n), slice[T](y.Ptr, n))
		return true
	}
	loop := t.binary[op]
	if loop == nil {
		return false
	}
	loop(slice[T](out.Ptr, n), slice[T](x.Ptr, n), slice[T](y.Ptr, n))
	return true
}

func (t *loopTable[T]) runScalar(op backend.BinaryOp, n int, out, x *backend.View, s T) bool {
	if loop := t.compareScalar[op]; loop != nil {
		loop(slice[uint8](out.Ptr, n), slice[T](x.Ptr, n), s)
		return true
	}
	loop := t.scalar[op]
	if loop == nil {
		return false
	}
	loop(slice[T](out.Ptr, n), slice[T](x.Ptr, n), s)
	return true
}

// briefUnary does what Unary does, if it can.
func briefUnary(op backend.UnaryOp, out, x *backend.View) bool {
	n := brief(out, x)
	if n < 0 {
		return false
	}
	switch x.DType {
	case backend.F32:
		return loopsF32().runUnary(op, n, out, x)
	case backend.F64:
		return loopsF64().runUnary(op, n, out, x)
	case backend.BF16:
		return loopsBF16().runUnary(op, n, out, x)
	case backend.I32:
		return loopsI32().runUnary(op, n, out, x)
	case backend.I64:
		return loopsI64().runUnary(op, n, out, x)
	case backend.U8:
		return loopsU8().runUnary(op, n, out, x)
	case backend.Bool:
		return loopsBool().runUnary(op, n, out, x)
	}
	return false
}

// briefBinary does what Binary does, if it can.
func briefBinary(op backend.BinaryOp, out, x, y *backend.View) bool {
	n := brief(out, x, y)
	if n < 0 {
		return false
	}
	switch x.DType {
	case backend.F32:
		return loopsF32().runBinary(op, n, out, x, y)
	case backend.F64:
		return loopsF64().runBinary(op, n, out, x, y)
	case backend.BF16:
		return loopsBF16().runBinary(op, n, out, x, y)
	case backend.I32:
		return loopsI32().runBinary(op, n, out, x, y)
	case backend.I64:
		return loopsI64().runBinary(op, n, out, x, y)
	case backend.U8:
		return loopsU8().runBinary(op, n, out, x, y)
	case backend.Bool:
		return loopsBool().runBinary(op, n, out, x, y)
	}
	return false
}

// briefScalar does what Scalar does, if it can.
func briefScalar(op backend.BinaryOp, out, x *backend.View, s float64) bool {
	n := brief(out, x)
	if n < 0 {
		return false
	}
	switch x.DType {
	case backend.F32:
		return loopsF32().runScalar(op, n, out, x, float32(s))
	case backend.F64:
		return loopsF64().runScalar(op, n, out, x, s)
	case backend.I32:
		return loopsI32().runScalar(op, n, out, x, convertOne[int32](s))
	case backend.I64:
		return loopsI64().runScalar(op, n, out, x, convertOne[int64](s))
	case backend.U8:
		return loopsU8().runScalar(op, n, out, x, convertOne[uint8](s))
	}
	return false
}

// briefWhere does what Where does, if it can.
func briefWhere(out, cond, x, y *backend.View) bool {
	n := brief(out, cond, x, y)
	if n < 0 {
		return false
	}
	c := slice[uint8](cond.Ptr, n)
	switch out.DType.Size() {
	case 1:
		choose(slice[uint8](out.Ptr, n), c, slice[uint8](x.Ptr, n), slice[uint8](y.Ptr, n))
	case 2:
		simd.Where(slice[uint16](out.Ptr, n), c, slice[uint16](x.Ptr, n), slice[uint16](y.Ptr, n))
	case 4:
		simd.Where(slice[uint32](out.Ptr, n), c, slice[uint32](x.Ptr, n), slice[uint32](y.Ptr, n))
	default:
		choose(slice[uint64](out.Ptr, n), c, slice[uint64](x.Ptr, n), slice[uint64](y.Ptr, n))
	}
	return true
}

// briefSum sums all of x, if it can: one block of what the general way does.
func briefSum(out, x *backend.View) bool {
	n := brief(x)
	if n <= 0 || out.Len() != 1 {
		return false
	}
	switch x.DType {
	case backend.F32:
		put(out.DType, out.Ptr, rowSum(slice[float32](x.Ptr, n)))
	case backend.F64:
		put(out.DType, out.Ptr, rowSum(slice[float64](x.Ptr, n)))
	case backend.BF16:
		put(out.DType, out.Ptr, rowSum(slice[uint16](x.Ptr, n)))
	default:
		return false
	}
	return true
}

// briefConvert copies n elements that lie dense in memory to another dtype.
func briefConvert[D, S number](n int, out, x *backend.View, kernel func(dst []D, src []S)) {
	ws := getWorkspace()
	defer ws.put()
	src := load(x.DType, x.Ptr, 1, n, take[S](ws, n))
	if sizeOf[D]() == sizeOf[S]() && isFloat[D]() == isFloat[S]() && out.DType != backend.Bool {
		store(out.DType, out.Ptr, 1, cast[D](src)) // both compute in one type
		return
	}
	dst := destination(out.DType, out.Ptr, 1, n, take[D](ws, n))
	kernel(dst, src)
	store(out.DType, out.Ptr, 1, dst)
}
