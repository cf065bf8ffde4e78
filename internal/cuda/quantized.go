package cuda

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
)

// Quantize sets out to blocks of x.
func (b *Backend) Quantize(out, x *backend.View) {
	blocks := out.Len() / out.DType.Block()
	launch(b, b.function("quantized", "quantize_"+out.DType.String()), dim3{ceilDiv(blocks, 8), 1, 1}, 256, 0, &struct {
		Out, X unsafe.Pointer
		DType  int32
		Blocks uint32
	}{out.Ptr, x.Ptr, int32(x.DType), uint32(blocks)})
}

// Dequantize sets out to the weights that the blocks x hold.
func (b *Backend) Dequantize(out, x *backend.View) {
	n := out.Len()
	launch(b, b.function("quantized", "dequantize_"+x.DType.String()), dim3{min(ceilDiv(n, 256), 1<<16), 1, 1}, 256, 0, &struct {
		Out   unsafe.Pointer
		DType int32
		X     unsafe.Pointer
		N     int64
	}{out.Ptr, int32(out.DType), x.Ptr, int64(n)})
}

// quantizedRows is how many rows of x at most are multiplied by the weights as they are: products of more are bound by
// computing, which tensor cores do with weights of x's dtype.
const quantizedRows = 8

// MatMulQuantized sets out = x·wᵀ, or out += x·wᵀ with accumulate. The weights of many rows of x are first
// converted to x's dtype, a part at a time.
func (b *Backend) MatMulQuantized(out, x, w *backend.View, accumulate bool) {
	m, n, k := out.Shape[0], out.Shape[1], x.Shape[1]
	if m == 0 || n == 0 {
		return
	}
	if k == 0 {
		if !accumulate {
			b.Fill(out, 0)
		}
		return
	}
	if m <= quantizedRows {
		b.multiplyFew(out, x, w, accumulate)
		return
	}
	const atATime = 1 << 24 // weights
	cols := min(max(atATime/k, 1), n)
	part, done := b.scratch(cols * k * x.DType.Size())
	defer done()
	for j := 0; j < n; j += cols {
		cols := min(cols, n-j)
		plain := backend.NewView(part, x.DType, cols, k)
		blocks := w.Slice(0, j, j+cols)
		b.Dequantize(&plain, &blocks)
		to := out.Slice(1, j, j+cols)
		plain.Shape[0], plain.Shape[1], plain.Strides[0], plain.Strides[1] = k, cols, 1, k
		b.MatMul(&to, x, &plain, accumulate)
	}
}

// multiplyFew is MatMulQuantized of at most quantizedRows rows.
func (b *Backend) multiplyFew(out, x, w *backend.View, accumulate bool) {
	m, n, k := out.Shape[0], out.Shape[1], x.Shape[1]
	// The kernel for so many rows of x, and how many rows of w each of the eight warps of a block takes: more share what is
	// loaded of x, few give a large card work.
	rows, perWarp := "8", 4
	switch {
	case m == 1:
		rows, perWarp = "1", 8
	case m <= 4:
		rows = "4"
	}
	perWarp = min(max(n/(8*128), 1), perWarp)
	type product struct {
		Out           unsafe.Pointer
		OutStride     int64
		X             unsafe.Pointer
		XStride       int64
		W             unsafe.Pointer
		OutType, Type int32
		M, N, Blocks  uint32
		Rows          uint32
		Accumulate    uint32
	}
	launch(b, b.function("quantized", "multiply_"+w.DType.String()+"_"+rows), dim3{ceilDiv(n, 8*perWarp), 1, 1}, 256, 0, &struct{ P product }{product{
		out.Ptr, int64(out.Strides[0]), x.Ptr, int64(x.Strides[0]), w.Ptr, int32(out.DType), int32(x.DType),
		uint32(m), uint32(n), uint32(k / w.DType.Block()), uint32(perWarp), flag(accumulate)}})
}
