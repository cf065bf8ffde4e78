package cpu

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/gemm"
	"github.com/hone-ml/hone/internal/cpu/pool"
	"github.com/hone-ml/hone/internal/quant"
)

// Quantize sets out to blocks of x.
func (*Backend) Quantize(out, x *backend.View) {
	overBlocks(out, x, grainScalar, func(blocks []byte, p unsafe.Pointer, scratch []float32) {
		quant.Quantize(out.DType, blocks, load(x.DType, p, 1, len(scratch), scratch))
	})
}

// Dequantize sets out to the weights that the blocks x hold.
func (*Backend) Dequantize(out, x *backend.View) {
	overBlocks(x, out, grainCheap, func(blocks []byte, p unsafe.Pointer, scratch []float32) {
		weights := destination(out.DType, p, 1, len(scratch), scratch)
		gemm.Dequantize(weights, blocks, x.DType)
		store(out.DType, p, 1, weights)
	})
}

// overBlocks calls f for pieces of a quantised view, together with the place of their weights in the other one
// and as much scratch.
func overBlocks(quantised, plain *backend.View, grain int, f func(blocks []byte, weights unsafe.Pointer, scratch []float32)) {
	const piece = blockLen // elements, of whole blocks
	dt, n := quantised.DType, quantised.Len()
	raw := slice[byte](quantised.Ptr, dt.Bytes(n))
	pool.Run((n+piece-1)/piece, max(grain/piece, 1), func(lo, hi int) {
		ws := getWorkspace()
		defer ws.put()
		scratch := take[float32](ws, piece)
		for at := lo * piece; at < min(hi*piece, n); at += piece {
			count := min(piece, n-at)
			f(raw[dt.Bytes(at):dt.Bytes(at+count)], unsafe.Add(plain.Ptr, plain.DType.Bytes(at)), scratch[:count])
		}
	})
}

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
	if m <= gemm.ThinRows {
		weights := gemm.Operand{Ptr: w.Ptr, DType: w.DType, RowStride: 1, ColStride: k}
		gemm.Mul(matrix(out), matrix(x), weights, m, n, k, accumulate)
		return
	}
	const atATime = 1 << 20 // weights: a few MiB, which stay in the cache
	cols := min(max(atATime/k, 1), n)
	ws := getWorkspace()
	defer ws.put()
	part := take[uint32](ws, cols*k)
	for j := 0; j < n; j += cols {
		cols := min(cols, n-j)
		plain := backend.NewView(unsafe.Pointer(&part[0]), x.DType, cols, k)
		blocks := w.Slice(0, j, j+cols)
		b.Dequantize(&plain, &blocks)
		to := out.Slice(1, j, j+cols)
		plain.Shape[0], plain.Shape[1], plain.Strides[0], plain.Strides[1] = k, cols, 1, k
		b.MatMul(&to, x, &plain, accumulate)
	}
}
