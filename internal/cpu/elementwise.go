package cpu

import (
	"fmt"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

// Grains of element-wise loops: elements that take 10 µs or more.
const (
	grainCheap  = 1 << 15 // a SIMD loop, bound by memory
	grainScalar = 1 << 13 // plain Go with a conversion or a branch
	grainMath   = 1 << 10 // a call of package math for each element
)

// Unary sets out = op(x).
func (*Backend) Unary(op backend.UnaryOp, out, x *backend.View) {
	if briefUnary(op, out, x) {
		return
	}
	switch x.DType {
	case backend.F64:
		unary(out, x, grainMath, pointwise[float64](op))
	case backend.I32:
		unary(out, x, grainScalar, integerUnary[int32](op))
	case backend.I64:
		unary(out, x, grainScalar, integerUnary[int64](op))
	case backend.U8:
		unary(out, x, grainScalar, integerUnary[uint8](op))
	case backend.Bool:
		if op != backend.Not {
			panic(fmt.Sprintf("cpu: unary operation %d of %v", op, x))
		}
		unary(out, x, grainScalar, not)
	case backend.BF16:
		if kernel, grain := vectorUnary[uint16](op); kernel != nil {
			unary(out, x, grain, kernel)
			return
		}
		unary(out, x, grainMath, pointwise[float32](op))
	default:
		kernel, grain := vectorUnary[float32](op)
		if kernel == nil {
			kernel, grain = pointwise[float32](op), grainMath
		}
		unary(out, x, grain, kernel)
	}
}

func unary[T element](out, x *backend.View, grain int, kernel func(out, x []T)) {
	n := newNest(out, x)
	n.computeIn(sizeOf[T]())
	n.run(grain, func(ws *workspace, at *coords, count int) {
		dst := writable[T](n, 0, ws, at, count)
		kernel(dst, read[T](n, 1, ws, at, count))
		write(n, 0, at, dst)
	})
}

// Binary sets out = op(x, y).
func (*Backend) Binary(op backend.BinaryOp, out, x, y *backend.View) {
	if briefBinary(op, out, x, y) {
		return
	}
	switch x.DType {
	case backend.F64:
		binary[float64](op, out, x, y, grainScalar)
	case backend.I32:
		binary[int32](op, out, x, y, grainScalar)
	case backend.I64:
		binary[int64](op, out, x, y, grainScalar)
	case backend.U8, backend.Bool:
		binary[uint8](op, out, x, y, grainScalar)
	default:
		if vector := vectorBinary[uint16](op); vector != nil && x.DType == backend.BF16 {
			number := vectorScalar[uint16](op)
			scalar := func(out, x []uint16, s uint16) { number(out, x, float32(wideOf(s))) }
			arithmeticOver(newNest(out, x, y), op, grainCheap, vector, scalar)
			return
		}
		if op.Compares() && x.DType == backend.BF16 {
			kernel := vectorComparison[uint16](op)
			compareOver(newNest(out, x, y), grainCheap, kernel, func(out []uint8, x []uint16, s uint16) { compareWith(out, x, s, kernel) })
			return
		}
		binary[float32](op, out, x, y, grainOf(op))
	}
}

func grainOf(op backend.BinaryOp) int {
	switch {
	case op <= backend.Min || op.Compares():
		return grainCheap
	case op >= backend.Pow && op <= backend.Fmod:
		return grainMath
	}
	return grainScalar
}

func binary[T number](op backend.BinaryOp, out, x, y *backend.View, grain int) {
	n := newNest(out, x, y)
	if op.Compares() {
		compareOver(n, grain, comparison[T](op), comparisonScalar[T](op))
		return
	}
	arithmeticOver(n, op, grain, arithmetic[T](op), arithmeticScalar[T](op))
}

// arithmeticOver runs op over a nest of out, x and y, by scalar where one of the inputs is constant.
func arithmeticOver[T element](n *nest, op backend.BinaryOp, grain int, vector func(out, x, y []T), scalar func(out, x []T, s T)) {
	commutes := op != backend.Sub && op != backend.Div && (op < backend.Pow || op > backend.Fmod)
	n.computeIn(sizeOf[T]())
	n.run(grain, func(ws *workspace, at *coords, count int) {
		dst := writable[T](n, 0, ws, at, count)
		switch {
		case n.constant(2, at, count):
			scalar(dst, read[T](n, 1, ws, at, count), readOne[T](n, 2, at))
		case commutes && n.constant(1, at, count):
			scalar(dst, read[T](n, 2, ws, at, count), readOne[T](n, 1, at))
		default:
			vector(dst, read[T](n, 1, ws, at, count), read[T](n, 2, ws, at, count))
		}
		write(n, 0, at, dst)
	})
}

// compareOver runs a comparison over a nest of out, x and y, by scalar where y is constant.
func compareOver[T element](n *nest, grain int, vector func(out []uint8, x, y []T), scalar func(out []uint8, x []T, s T)) {
	n.computeIn(sizeOf[T]())
	n.run(grain, func(ws *workspace, at *coords, count int) {
		dst := writable[uint8](n, 0, ws, at, count)
		if a := read[T](n, 1, ws, at, count); n.constant(2, at, count) {
			scalar(dst, a, readOne[T](n, 2, at))
		} else {
			vector(dst, a, read[T](n, 2, ws, at, count))
		}
		write(n, 0, at, dst)
	})
}

// Scalar sets out = op(x, s).
func (*Backend) Scalar(op backend.BinaryOp, out, x *backend.View, s float64) {
	if briefScalar(op, out, x, s) {
		return
	}
	switch x.DType {
	case backend.F64:
		scalar(op, out, x, s, grainScalar)
	case backend.I32:
		scalar(op, out, x, convertOne[int32](s), grainScalar)
	case backend.I64:
		scalar(op, out, x, convertOne[int64](s), grainScalar)
	case backend.U8:
		scalar(op, out, x, convertOne[uint8](s), grainScalar)
	case backend.Bool:
		scalar(op, out, x, truth(s != 0), grainScalar)
	default:
		if kernel := vectorScalar[uint16](op); kernel != nil && x.DType == backend.BF16 {
			unary(out, x, grainCheap, func(out, x []uint16) { kernel(out, x, float32(s)) })
			return
		}
		scalar(op, out, x, float32(s), grainOf(op))
	}
}

func scalar[T number](op backend.BinaryOp, out, x *backend.View, s T, grain int) {
	n := newNest(out, x)
	if op.Compares() {
		kernel := comparisonScalar[T](op)
		n.run(grain, func(ws *workspace, at *coords, count int) {
			dst := writable[uint8](n, 0, ws, at, count)
			kernel(dst, read[T](n, 1, ws, at, count), s)
			write(n, 0, at, dst)
		})
		return
	}
	kernel := arithmeticScalar[T](op)
	n.run(grain, func(ws *workspace, at *coords, count int) {
		dst := writable[T](n, 0, ws, at, count)
		kernel(dst, read[T](n, 1, ws, at, count), s)
		write(n, 0, at, dst)
	})
}

// Where sets out = cond ? x : y.
func (*Backend) Where(out, cond, x, y *backend.View) {
	if briefWhere(out, cond, x, y) {
		return
	}
	switch out.DType.Size() {
	case 1:
		where(out, cond, x, y, grainScalar, choose[uint8])
	case 2:
		where(out, cond, x, y, grainCheap, simd.Where[uint16])
	case 4:
		where(out, cond, x, y, grainCheap, simd.Where[uint32])
	default:
		where(out, cond, x, y, grainScalar, choose[uint64])
	}
}

func where[T element](out, cond, x, y *backend.View, grain int, kernel func(out []T, cond []uint8, x, y []T)) {
	n := newNest(out, cond, x, y)
	n.computeIn(sizeOf[T]())
	n.run(grain, func(ws *workspace, at *coords, count int) {
		dst := writable[T](n, 0, ws, at, count)
		kernel(dst, read[uint8](n, 1, ws, at, count), read[T](n, 2, ws, at, count), read[T](n, 3, ws, at, count))
		write(n, 0, at, dst)
	})
}

func choose[T element](out []T, cond []uint8, x, y []T) {
	cond, x, y = cond[:len(out)], x[:len(out)], y[:len(out)]
	for i := range out {
		v := x[i]
		if cond[i] == 0 {
			v = y[i]
		}
		out[i] = v
	}
}

func truth(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}
