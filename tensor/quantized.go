package tensor

import (
	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/quant"
)

// A quantised tensor is contiguous, or the transpose of a contiguous matrix: its views keep it so.

// onlyWeights is why an op refuses a quantised tensor.
const onlyWeights = "a quantised tensor is for the weight of Linear and the right operand of MatMul only; convert it with To"

func (t *Tensor) unquantized(op string) {
	if t.view.DType.IsQuantized() {
		fail(op, []*Tensor{t}, "%s", onlyWeights)
	}
}

// blocksInOrder checks that t's blocks, if it has any, are those of its rows.
func (t *Tensor) blocksInOrder(op string) {
	if t.view.DType.IsQuantized() && !t.view.Contiguous() {
		fail(op, []*Tensor{t}, "the blocks of a transposed matrix do not lie along its rows")
	}
}

// convert sets out, which is contiguous or not quantised, to x. Shapes are equal.
func convert(op string, out, x *Tensor) {
	to, from := out.view.DType, x.view.DType
	switch {
	case !to.IsQuantized() && !from.IsQuantized():
		out.dev.backend.Copy(&out.view, &x.view)
	case to == from && out.view.Contiguous() && x.view.Contiguous():
		ov, xv := asBytes(out), asBytes(x)
		out.dev.backend.Copy(&ov, &xv)
	case to.IsFloat() && from.IsQuantized():
		dequantize(out, x)
	case to.IsQuantized() && from.IsFloat() && out.view.Contiguous():
		quantize(out, x)
	default:
		fail(op, []*Tensor{out, x}, "blocks can be made of floats, and give floats, only; not through a transpose")
	}
}

// asBytes is the memory of a contiguous tensor.
func asBytes(t *Tensor) backend.View {
	return backend.NewView(t.view.Ptr, U8, t.view.DType.Bytes(t.Len()))
}

// temporary runs fn with a scope whose memory is free again when it returns.
func temporary(d *Device, s *Scope, fn func(s *Scope)) {
	var inner *Scope
	if s != nil {
		inner = s.child(nil)
		defer func() {
			for _, m := range inner.storages {
				inner.release(m)
			}
		}()
	} else {
		inner = d.NewScope()
		defer inner.Close()
	}
	fn(inner)
}

// quantize sets the contiguous blocks out to the floats x.
func quantize(out, x *Tensor) {
	temporary(out.dev, out.scope, func(s *Scope) {
		fused, ok := backend.Fused[backend.Quantizer](out.dev.backend)
		if !x.view.Contiguous() || x.view.DType == F64 || !ok && x.view.DType != F32 {
			c := alloc(s, F32, x.view.Dims()...)
			out.dev.backend.Copy(&c.view, &x.view)
			x = c
		}
		if ok {
			fused.Quantize(&out.view, &x.view)
			return
		}
		blocks := make([]byte, out.view.DType.Bytes(out.Len()))
		quant.Quantize(out.view.DType, blocks, ToSlice[float32](x))
		out.dev.backend.CopyIn(out.view.Ptr, blocks)
	})
}

// dequantize sets the floats out to the values of the blocks x.
func dequantize(out, x *Tensor) {
	if !x.view.Contiguous() {
		out, x = transposed(out), transposed(x)
	}
	temporary(out.dev, out.scope, func(s *Scope) {
		fused, ok := backend.Fused[backend.Quantizer](out.dev.backend)
		to := out
		if !out.view.Contiguous() || out.view.DType == F64 || !ok && out.view.DType != F32 {
			to = alloc(s, F32, out.view.Dims()...)
		}
		if ok {
			fused.Dequantize(&to.view, &x.view)
		} else {
			values := make([]float32, x.Len())
			quant.Dequantize(x.view.DType, values, x.Bytes())
			out.dev.backend.CopyIn(to.view.Ptr, bytesOf(values))
		}
		if to != out {
			out.dev.backend.Copy(&out.view, &to.view)
		}
	})
}

// multiplyQuantized is multiply for a quantised matrix y.
func multiplyQuantized(out, x, y *Tensor, accumulate bool) {
	rows := rowsOf(x)
	product := out.alias(backend.NewView(out.view.Ptr, out.view.DType, rows.Dim(0), y.Dim(1)))
	fused, ok := backend.Fused[backend.QuantizedMatMuler](out.dev.backend)
	if ok && !y.view.Contiguous() && x.view.DType != F64 {
		fused.MatMulQuantized(&product.view, &rows.view, &transposed(y).view, accumulate)
		return
	}
	temporary(out.dev, out.scope, func(s *Scope) {
		w := y
		if !y.view.Contiguous() {
			w = transposed(y)
		}
		plain := alloc(s, x.view.DType, w.view.Dims()...)
		dequantize(plain, w)
		if w != y {
			plain = transposed(plain)
		}
		multiply(product, rows, plain, accumulate)
	})
}
