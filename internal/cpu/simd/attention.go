package simd

import (
	"fmt"
	"math"
	"unsafe"
)

// What lies between the products of attention in bfloat16 (see package cpu), where the operands of the
// products are packed as package gemm packs them.

// GradRows is the number of rows that a call of SoftmaxGrad does.
const GradRows = 32

// SoftmaxStep is a step of the online softmax of a row (Milakov and Gimelshein 2018): it sets
// p = 2^(scale·x − newTop) in bfloat16, where newTop is the largest of top and the elements of scale·x,
// and returns newTop and Σ p before rounding. p has at least as many elements as x. scale is positive. A
// NaN in x makes the sum and its own p NaN and leaves newTop alone.
func SoftmaxStep(p []uint16, x []float32, scale, top float32) (newTop, sum float32) {
	p = cut(p, len(x))
	if len(x) > block {
		panic(fmt.Sprintf("simd: SoftmaxStep of %d elements; at most %d", len(x), block))
	}
	return attentions[active].softmaxStep(p, x, scale, top)
}

// SoftmaxGrad does what the backward of attention needs between its products, for 32 rows of scores s and
// of gradients dp of probabilities, stride elements apart and 32·panels long:
//
//	p = 2^(scale·s − lse);  ds = p·(dp − delta)
//
// in bfloat16. p and ds are a step of a packed right operand, whose panels of 32 columns lie panel elements
// apart: two tiles of 16 columns, in each 16 pairs of rows, in each the two elements of every column. rows
// gets ds as it is, rowStride elements apart.
func SoftmaxGrad(p, ds []uint16, panel int, rows []uint16, rowStride int, s, dp []float32, stride, panels int, scale float32, lse, delta *[GradRows]float32) {
	if panels == 0 {
		return
	}
	end := (panels-1)*panel + 32*GradRows
	p, ds, rows = cut(p, end), cut(ds, end), cut(rows, (GradRows-1)*rowStride+32*panels)
	s, dp = cut(s, (GradRows-1)*stride+32*panels), cut(dp, (GradRows-1)*stride+32*panels)
	attentions[active].softmaxGrad(&p[0], &ds[0], 2*panel, &rows[0], 2*rowStride, &s[0], &dp[0], 4*stride, panels, scale, &lse[0], &delta[0])
}

// attentionKernels is one path's loops. Distances are in bytes.
type attentionKernels struct {
	softmaxStep func(p []uint16, x []float32, scale, top float32) (newTop, sum float32)
	softmaxGrad func(p, ds *uint16, panel int, rows *uint16, rowStride int, s, dp *float32, stride, panels int,
		scale float32, lse, delta *float32)
}

var attentionGeneric = attentionKernels{softmaxStepGeneric, softmaxGradGeneric}

// exp2 is 2 to the power of x, to 3 parts in a million, which is much beyond bfloat16: 2ⁿ·2ᶠ with n the
// integer nearest x and a polynomial for 2ᶠ, the one of degree 4 with the least relative error on
// [−1/2, 1/2] (by Lawson's algorithm, 1961).
func exp2(x float32) float32 {
	switch {
	case x != x:
		return x
	case x < -160:
		return 0
	case x > 128:
		return float32(math.Inf(1))
	}
	n := x + roundBias - roundBias
	f := x - n
	p := float32(0.009570101909070181)
	p = p*f + 0.05591786031921613
	p = p*f + 0.24024744827915176
	p = p*f + 0.69312181473672
	p = p*f + 0.9999992614456962
	half := int32(n) >> 1
	return p * pow2(half) * pow2(int32(n)-half)
}

func softmaxStepGeneric(p []uint16, x []float32, scale, top float32) (newTop, sum float32) {
	for _, v := range x {
		if v *= scale; v > top {
			top = v
		}
	}
	for i, v := range x {
		e := exp2(scale*v - top)
		sum += e
		p[i] = BF16(e)
	}
	return top, sum
}

func softmaxGradGeneric(p, ds *uint16, panel int, rows *uint16, rowStride int, s, dp *float32, stride, panels int,
	scale float32, lse, delta *float32) {
	for r := range GradRows {
		for j := range 32 * panels {
			score, grad := behind(s, r*stride+4*j), behind(dp, r*stride+4*j)
			prob := exp2(scale**score - *behind(lse, 4*r))
			g := BF16(prob * (*grad - *behind(delta, 4*r)))
			pair := j/32*panel + j%32/16*1024 + r/2*64 + j%16*4 + r%2*2
			*behind(p, pair), *behind(ds, pair), *behind(rows, r*rowStride+2*j) = BF16(prob), g, g
		}
	}
}

// behind is the element that lies bytes behind p.
func behind[T any](p *T, bytes int) *T { return (*T)(unsafe.Add(unsafe.Pointer(p), bytes)) }
