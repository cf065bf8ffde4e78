package cpu

import (
	"math"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/gemm"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

// Attention in bfloat16 where the processor multiplies it as it is, after Dao's FlashAttention-2 (2023).
// The division into tasks, tiles and blocks is that of attention forward; probabilities are rounded to
// bfloat16 for the second product, sums are kept in F32. Operands and sums lie in scratch memory that is
// rounded up to whole tiles of the products.
const (
	bf16Keys  = 512 // of a tile of keys, forward
	bf16Block = 64  // rows of a block, forward: a multiple of 32
)

// bf16Flops are worth a task of their own.
const bf16Flops = 1 << 21

// inBF16 reports whether the products can be done in bfloat16.
func inBF16(q *backend.View, a backend.AttentionArgs) bool {
	return q.DType == backend.BF16 && gemm.MultipliesBF16() && a.Scale > 0
}

// roundUp is the least multiple of unit, a power of two, that is not less than n.
func roundUp(n, unit int) int { return (n + unit - 1) &^ (unit - 1) }

// bf16Attention is what every task of a call shares.
type bf16Attention struct {
	*attention[float32]
	padded int // dim, in whole steps of a sum
}

func newBF16Attention(q, k, v *backend.View, args backend.AttentionArgs) *bf16Attention {
	return &bf16Attention{newAttention[float32](q, k, v, args), roundUp(q.Shape[2], 32)}
}

// copyRows copies the rows of positions [lo, hi) of one key head's group to rows of a.padded elements, and
// clears the rows up to count.
func (a *bf16Attention) copyRows(dst []uint16, x *backend.View, lo, hi, kvHead, count int) {
	r := 0
	for i := lo; i < hi; i++ {
		for g := range a.group {
			row := dst[r*a.padded : (r+1)*a.padded]
			copy(row, slice[uint16](headAt(x, i, kvHead*a.group+g), a.dim))
			clear(row[a.dim:])
			r++
		}
	}
	clear(dst[r*a.padded : count*a.padded])
}

// forward computes one task, as attention.forward does.
func (a *bf16Attention) forward(out, lse *backend.View, t attentionTask, ws *attentionWorkspace) {
	s, kvHead := t.segment, int(t.kvHead)
	lo, hi := int(t.lo), int(t.hi)
	rows, first := (hi-lo)*a.group, int(s.Q0)+lo
	keys, padded := a.visible(s, hi-1), roundUp(rows, bf16Block)

	q, o := take[uint16](&ws.workspace, padded*a.padded), take[float32](&ws.workspace, padded*a.padded)
	m, l := take[float32](&ws.workspace, rows), take[float32](&ws.workspace, rows)
	clear(o)
	clear(l)
	fill(m, float32(math.Inf(-1)))
	a.copyRows(q, a.q, first, first+hi-lo, kvHead, padded)
	ws.rows.Rows(q, a.padded)

	tile := min(bf16Keys, keys)
	stride := roundUp(tile, 32) + 16 // no power of two
	scores, probs := take[float32](&ws.workspace, bf16Block*stride), take[uint16](&ws.workspace, bf16Block*stride)
	ws.probs.Rows(probs, stride)
	for j := 0; j < keys; j += tile {
		n := min(tile, keys-j)
		ws.ktPairs.Pack(&ws.gemm, transposed(operandAt(a.k, int(s.K0)+j, kvHead)), a.dim, n)
		ws.vPairs.Pack(&ws.gemm, operandAt(a.v, int(s.K0)+j, kvHead), n, a.dim)
		for at := 0; at < rows; at += bf16Block {
			end := min(at+bf16Block, rows)
			width := min(a.visible(s, lo+(end-1)/a.group)-j, n)
			if width <= 0 {
				continue
			}
			gemm.MulPacked(scores, stride, &ws.rows, at, 0, &ws.ktPairs, end-at, width, a.dim, false)
			whole := roundUp(width, 32)
			for r := at; r < end; r++ {
				row, p := scores[(r-at)*stride:], probs[(r-at)*stride:][:whole]
				seen := min(max(a.visible(s, lo+r/a.group)-j, 0), width)
				clear(p[seen:])
				if seen == 0 {
					continue
				}
				top, sum := simd.SoftmaxStep(p, row[:seen], a.scale*math.Log2E, m[r])
				if top > m[r] && l[r] != 0 {
					shrink := float32(math.Exp2(float64(m[r] - top)))
					l[r] *= shrink
					sums := o[r*a.padded : (r+1)*a.padded]
					simd.Scale(sums, sums, shrink)
				}
				m[r] = top
				l[r] += sum
			}
			gemm.MulPacked(o[at*a.padded:], a.padded, &ws.probs, 0, 0, &ws.vPairs, end-at, a.dim, whole, true)
		}
	}
	for r := range rows {
		row := o[r*a.padded:][:a.dim]
		if l[r] != 0 {
			simd.Scale(row, row, 1/l[r])
		}
		i, head := first+r/a.group, kvHead*a.group+r%a.group
		simd.F32ToBF16(slice[uint16](headAt(out, i, head), a.dim), row)
	}
	simd.Scale(m, m, math.Ln2)
	a.storeLSE(lse, m, l, first, kvHead)
}
