package cuda

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
)

// class names the type in which kernels compute with a dtype: float for F32, BF16 and F16, f64, or integer, of 64 bits,
// whose results wrap around when they are stored.
func class(dt backend.DType) string {
	switch {
	case dt == backend.F64:
		return "f64"
	case dt.IsFloat():
		return "float"
	}
	return "integer"
}

// lanes is how many elements of a dtype make 16 bytes.
func lanes(dt backend.DType) int { return 16 / dt.Size() }

// hot reports whether dt has vector kernels.
func hot(dt backend.DType) bool { return dt == backend.F32 || dt == backend.BF16 }

// Unary sets out = op(x).
func (b *Backend) Unary(op backend.UnaryOp, out, x *backend.View) {
	type args struct {
		nest nest2
		op   int32
	}
	newNest(0, out, x).parts(b.most, func(n *nest, _ int) {
		family, name, width := "unary", "unary_"+class(x.DType), 1
		switch {
		case hasVectors(op) && hot(x.DType) && n.vectorizes(4, false):
			family, name, width = "unary_vectors", "unary_vectors_"+x.DType.String(), 4
		case x.DType.IsFloat() && inF64(op):
			name = "unary_f64"
		}
		a := args{device[[2]deviceOperand](n, width), int32(op)}
		launch(b, b.function(family, name), blocks(int(a.nest.count)), blockThreads, 0, &a)
	})
}

// hasVectors reports whether the family unary_vectors has op.
func hasVectors(op backend.UnaryOp) bool {
	switch op {
	case backend.Neg, backend.Square, backend.ReLU, backend.Sqrt, backend.Reciprocal, backend.Exp, backend.Log, backend.Tanh,
		backend.Sigmoid, backend.SiLU, backend.GELU, backend.GELUSlope, backend.GELUTanh, backend.GELUTanhSlope:
		return true
	}
	return false
}

// inF64 reports whether all floats compute op in F64.
func inF64(op backend.UnaryOp) bool {
	switch op {
	case backend.Exp2, backend.Expm1, backend.Log2, backend.Log10, backend.Tan, backend.Asin, backend.Acos, backend.Atan, backend.Sinh,
		backend.Cosh, backend.Asinh, backend.Acosh, backend.Atanh, backend.Erfc:
		return true
	}
	return false
}

// classOf names the type in which kernels compute op of a dtype.
func classOf(op backend.BinaryOp, dt backend.DType) string {
	if dt.IsFloat() && (op.NeedsFloat() || op == backend.Remainder || op == backend.Fmod) {
		return "f64"
	}
	return class(dt)
}

// Binary sets out = op(x, y).
func (b *Backend) Binary(op backend.BinaryOp, out, x, y *backend.View) {
	type args struct {
		nest nest3
		op   int32
	}
	type dividing struct { // integers
		nest  nest3
		op    int32
		fault unsafe.Pointer
	}
	fault := b.faultOf(op, x.DType)
	newNest(0, out, x, y).parts(b.most, func(n *nest, _ int) {
		name, width := "binary_"+classOf(op, x.DType), 1
		if op <= backend.Min && hot(x.DType) && n.vectorizes(lanes(x.DType), true) {
			name, width = "binary_vectors_"+x.DType.String(), lanes(x.DType)
		}
		a := args{device[[3]deviceOperand](n, width), int32(op)}
		f, grid := b.function("binary", name), blocks(int(a.nest.count))
		if class(x.DType) == "integer" {
			launch(b, f, grid, blockThreads, 0, &dividing{a.nest, a.op, fault})
			return
		}
		launch(b, f, grid, blockThreads, 0, &a)
	})
}

// faultOf is where a kernel reports a division by zero, nil if it has none to report.
func (b *Backend) faultOf(op backend.BinaryOp, dt backend.DType) unsafe.Pointer {
	if dt.IsFloat() || !op.Divides() {
		return nil
	}
	return b.divideFault()
}

// Scalar sets out = op(x, s).
func (b *Backend) Scalar(op backend.BinaryOp, out, x *backend.View, s float64) {
	if x.DType.Accumulator() == backend.F32 {
		s = float64(float32(s))
	}
	fault := b.faultOf(op, x.DType)
	newNest(0, out, x).parts(b.most, func(n *nest, _ int) {
		computed := classOf(op, x.DType)
		name, width := "scalar_"+computed, 1
		if op <= backend.Min && hot(x.DType) && n.vectorizes(lanes(x.DType), false) {
			name, width = "scalar_vectors_"+x.DType.String(), lanes(x.DType)
		}
		nest := device[[2]deviceOperand](n, width)
		f, grid := b.function("binary", name), blocks(int(nest.count))
		switch computed {
		case "float":
			launch(b, f, grid, blockThreads, 0, &struct {
				nest nest2
				op   int32
				s    float32
			}{nest, int32(op), float32(s)})
		case "f64":
			launch(b, f, grid, blockThreads, 0, &struct {
				nest nest2
				op   int32
				s    float64
			}{nest, int32(op), s})
		default:
			launch(b, f, grid, blockThreads, 0, &struct {
				nest  nest2
				op    int32
				s     int64
				fault unsafe.Pointer
			}{nest, int32(op), integer(x.DType, s), fault})
		}
	})
}

// integer is a number as an integer dtype or Bool holds it.
func integer(dt backend.DType, v float64) int64 {
	switch dt {
	case backend.I32:
		return int64(int32(int64(v)))
	case backend.U8:
		return int64(uint8(int64(v)))
	case backend.Bool:
		if v != 0 {
			return 1
		}
		return 0
	}
	return int64(v)
}

// Where sets out = cond ? x : y.
func (b *Backend) Where(out, cond, x, y *backend.View) {
	type args struct{ nest nest4 }
	f := b.function("binary", "where_"+word(out.DType))
	newNest(0, out, cond, x, y).parts(b.most, func(n *nest, _ int) {
		a := args{device[[4]deviceOperand](n, 1)}
		launch(b, f, blocks(int(a.nest.count)), blockThreads, 0, &a)
	})
}

// word names the unsigned integer of a dtype's size, as which its elements are moved.
func word(dt backend.DType) string {
	return [...]string{1: "u8", 2: "u16", 4: "u32", 8: "u64"}[dt.Size()]
}
