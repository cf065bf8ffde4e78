package cpu

import (
	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/gemm"
)

// MatMul sets out = x·y, or out += x·y with accumulate, over the last two axes.
func (b *Backend) MatMul(out, x, y *backend.View, accumulate bool) {
	row, col := out.Rank-2, out.Rank-1
	m, n, k := out.Shape[row], out.Shape[col], x.Shape[col]
	if out.Len() == 0 {
		return
	}
	if k == 0 {
		if !accumulate {
			b.Fill(out, 0)
		}
		return
	}
	if out.Rank == 2 {
		gemm.Mul(matrix(out), matrix(x), matrix(y), m, n, k, accumulate)
		return
	}
	multiplyBatch(out, x, y, m, n, k, accumulate)
}

// multiplyBatch is MatMul of several matrices of m×k and k×n elements.
func multiplyBatch(out, x, y *backend.View, m, n, k int, accumulate bool) {
	c, left, right := matrix(out), matrix(x), matrix(y)
	batch := newBatch(out, x, y)

	// Matrices with the rows of x one behind the other and the same y are one tall matrix.
	if last := batch.rank - 1; batch.total > 1 && batch.operands[2].strides[last] == 0 &&
		batch.operands[1].strides[last] == m*left.RowStride && batch.operands[0].strides[last] == m*c.RowStride {
		m *= batch.shape[last]
		batch.total /= batch.shape[last]
		batch.shape[last] = 1
	}
	gemm.MulBatch(batch.total, func(i int) (gemm.Operand, gemm.Operand, gemm.Operand) {
		pos := batch.coordsOf(i)
		c, left, right := c, left, right
		c.Ptr, left.Ptr, right.Ptr = batch.at(0, &pos), batch.at(1, &pos), batch.at(2, &pos)
		return c, left, right
	}, m, n, k, accumulate)
}

// MatMulAdd sets out = x·y + bias + residual.
func (b *Backend) MatMulAdd(out, x, y, bias, residual *backend.View) {
	var e gemm.Epilogue
	if bias != nil {
		e.Bias = gemm.Operand{Ptr: bias.Ptr, DType: bias.DType, ColStride: bias.Strides[0]}
	}
	if residual != nil {
		e.Residual = matrix(residual)
	}
	gemm.MulFused(matrix(out), matrix(x), matrix(y), out.Shape[0], out.Shape[1], x.Shape[1], false, e)
}

// matrix is the last two axes of a view as an operand. An axis of one element gets a stride that makes
// the other one look as good as it can.
func matrix(v *backend.View) gemm.Operand {
	row, col := v.Rank-2, v.Rank-1
	o := gemm.Operand{Ptr: v.Ptr, DType: v.DType, RowStride: v.Strides[row], ColStride: v.Strides[col]}
	switch {
	case v.Shape[col] == 1 && o.RowStride != 1:
		o.ColStride = 1
	case v.Shape[row] == 1 && o.ColStride != 1:
		o.RowStride = 1
	case v.Shape[col] == 1:
		o.ColStride = max(v.Shape[row], 1)
	case v.Shape[row] == 1:
		o.RowStride = v.Shape[col]
	}
	return o
}

// newBatch is the nest of the axes before the matrices.
func newBatch(views ...*backend.View) *nest {
	n := new(nest)
	batch := make([]*backend.View, len(views))
	for i, v := range views {
		w := *v
		w.Rank -= 2
		batch[i] = &w
	}
	n.addAxes(batch)
	n.merge()
	return n
}

// dtypeOf is the dtype that is stored as C.
func dtypeOf[C float]() backend.DType {
	if isFloat32[C]() {
		return backend.F32
	}
	return backend.F64
}
