package backend

import "unsafe"

// Optional kernels. Each has one idea, forward beside backward. In all of them a dtype T is a float
// dtype and A is T.Accumulator(). A nil gradient view means that it is not needed; gradients of weights
// (documented as "adds") accumulate into their view, all others overwrite it.

// Softmaxer fuses the softmax over the last axis. Rows are contiguous, rank is at least 1.
type Softmaxer interface {
	Softmax(out, x *View)            // out may be x
	SoftmaxBackward(dx, dy, y *View) // dx = y·(dy − Σ dy·y); dx may be dy
}

// ActivationDeriver fuses the backward of an activation: dx = dy·f'(x), in A. kept is the input x for SiLU, GELU,
// GELUTanh and Softplus, and the output f(x) for Sigmoid, Tanh and ReLU, whose dx is 0 where the output is, whatever
// dy. All are T of one shape; dx may be dy.
type ActivationDeriver interface {
	ActivationBackward(op UnaryOp, dx, dy, kept *View)
}

// Scanner runs a linear recurrence along an axis: out[i] = a[i]·out[i−1] + b[i] with start before the first
// element, or with reverse out[i] = a[i]·out[i+1] + b[i] with start behind the last. Shapes and dtypes are equal,
// any but Bool; strides are free, so that a constant a or b has stride 0. Floats are kept in F64 on the way,
// integers in I64. out overlaps nothing. With a = 1 it is a cumulative sum, with b = 0 a cumulative product.
type Scanner interface {
	Scan(out, a, b *View, axis int, start float64, reverse bool)
}

// Sorter finds the order of the rows of x along its last axis: index [..., k] gets, as I32, the places of the
// first k elements in ascending order or, with descending, in descending order. Equal elements stay in order,
// in either direction; NaN counts as larger than any number, −0 as 0. Shapes are equal but for the last axis, in
// which k is at most x's length; x is of any dtype, index contiguous.
type Sorter interface {
	Sort(index, x *View, descending bool)
}

// MatMulAdder fuses a matrix product with what is added to it: out = T(x·y + bias + residual), where the sum
// is kept in A and rounded once.
//
// out is T[m, n] with contiguous rows (any row stride); x is T[m, k] and y T[k, n], each with contiguous rows
// or columns; bias is T[n], residual T[m, n] with contiguous rows, and each may be nil. out overlaps nothing.
type MatMulAdder interface {
	MatMulAdd(out, x, y, bias, residual *View)
}

// RMSNormer fuses root-mean-square normalisation (Zhang and Sennrich 2019) as Qwen3 has it:
// out = T(x·rstd)·w with rstd = 1/√(mean(x²)+eps) over the last axis, computed in A.
//
// x, out, dy, dx are T[R, D] with contiguous rows (any row stride); w is T[D]; rstd is A[R], contiguous.
type RMSNormer interface {
	RMSNorm(out, rstd, x, w *View, eps float64)
	// RMSNormBackward adds to dw, which is A[D] or T[D]. dx may be dy.
	RMSNormBackward(dx, dw, dy, x, w, rstd *View)
}

// LayerNormer fuses layer normalisation (Ba et al. 2016): out = (x − mean)·rstd·w + b with
// rstd = 1/√(mean((x − mean)²)+eps) over the last axis, computed in A and rounded once.
//
// x, out, dy, dx are T[R, D] with contiguous rows (any row stride); w and b are T[D]; mean and rstd are
// A[R], contiguous.
type LayerNormer interface {
	LayerNorm(out, mean, rstd, x, w, b *View, eps float64)
	// LayerNormBackward adds to dw and db, which are A[D] or T[D]. dx may be dy.
	LayerNormBackward(dx, dw, db, dy, x, w, mean, rstd *View)
}

// RoPEr fuses rotary position embedding (Su et al. 2021), half-split as in Llama and Qwen: with
// x = [x1 | x2] halves of a head, out = [x1·cos − x2·sin | x2·cos + x1·sin]. inverse negates sin,
// which is the backward. x and out are T[N, H, D] with contiguous last axis, D even; cos and sin are
// A[N, D/2] (rounded to T before use when T is BF16, as transformers does). out may be x.
type RoPEr interface {
	RoPE(out, x, cos, sin *View, inverse bool)
}

// NormRoPEr fuses RMSNorm over the heads' last axis with RoPE, as Qwen3 has both on queries and keys:
// out = rope(T(T(x·rstd)·w)), rounded in BF16 where the two kernels would round.
//
// x, out, dy and dx are T[N, H, D] with contiguous last axis, D even; w is T[D], rstd A[N, H], contiguous;
// cos and sin are as RoPEr has them.
type NormRoPEr interface {
	NormRoPE(out, rstd, x, w, cos, sin *View, eps float64)
	// NormRoPEBackward adds to dw, which is A[D] or T[D]. dx may be dy.
	NormRoPEBackward(dx, dw, dy, x, w, rstd, cos, sin *View)
}

// SwiGLUer fuses silu(gate)·up. All are T of one shape with contiguous rows (any row stride), rank 2.
type SwiGLUer interface {
	SwiGLU(out, gate, up *View)
	SwiGLUBackward(dgate, dup, dy, gate, up *View)
}

// Segment is one attention problem: query rows [Q0, Q1) attend key rows [K0, K1).
// Under a causal mask, aligned bottom-right, query Q0+i sees keys K0+j with j ≤ i + (K1−K0) − (Q1−Q0).
type Segment struct{ Q0, Q1, K0, K1 int32 }

// AttentionArgs are the parts of attention that are not tensors.
type AttentionArgs struct {
	Segments []Segment // disjoint in queries; rows outside every segment give zeros
	Causal   bool
	Scale    float64 // multiplies q·k before the softmax
}

// Attentioner fuses softmax(scale·q·kᵀ)·v with an online softmax (Dao et al. 2022): no matrix of
// queries × keys in memory. Grouped queries: head h of q reads head h·KV/H of k and v.
//
// q, out: T[Nq, H, D]; k, v: T[Nk, KV, D]; last axis contiguous, other strides free.
// lse: A[H, Nq] contiguous, the log-sum-exp of each query's scaled scores (nil when not needed).
// A query that sees no key gives zeros (lse −Inf).
type Attentioner interface {
	Attention(out, lse, q, k, v *View, a AttentionArgs)
	AttentionBackward(dq, dk, dv, dout, out, lse, q, k, v *View, a AttentionArgs)
}

// CrossEntropyArgs are the parts of cross-entropy that are not tensors.
type CrossEntropyArgs struct {
	IgnoreIndex int     // rows with this target give loss 0 and gradient 0
	Smoothing   float64 // target (1−ε)·onehot + ε/C

	// First and Classes say that logits are the columns [First, First+C) of rows of Classes logits, of which
	// only a part exists at a time; targets count columns of the whole row. Classes is 0 for whole rows.
	First, Classes int
}

// CrossEntropyState is the number of running values of a row that CrossEntropyPart keeps.
const CrossEntropyState = 4

// CrossEntropyer fuses log-softmax and negative log-likelihood over rows.
//
// logits: T[N, C] with contiguous rows; targets: I32[N]; loss, lse: A[N]. A target outside [0, C) that
// is not IgnoreIndex panics with *IndexError.
type CrossEntropyer interface {
	CrossEntropy(loss, lse, logits, targets *View, a CrossEntropyArgs)
	// CrossEntropyPart is CrossEntropy of rows that come in parts, from the first column to the last; see
	// CrossEntropyArgs.First. state is A[N, CrossEntropyState], contiguous, the kernel's own: the part with
	// the first column sets it. The part with the last one sets loss and lse, which are nil before.
	CrossEntropyPart(loss, lse, state, logits, targets *View, a CrossEntropyArgs)
	// CrossEntropyBackward sets dlogits = scale[i]·(softmax − target); scale is A[N]. dlogits is T, or BF16
	// where T is F32. It may lie over logits, if each row begins at the same address.
	CrossEntropyBackward(dlogits, logits, lse, targets, scale *View, a CrossEntropyArgs)
}

// SquareSummer sums squares in one pass: out[i] = Σ x² over the elements [i·chunk, (i+1)·chunk) of x, in A.
// x is T[N], out A[⌈N/chunk⌉], both contiguous.
type SquareSummer interface {
	SumSquares(out, x *View, chunk int)
}

// Quantizer converts between quantised weights and F32, BF16 or F16, as package quant does. x and out are
// contiguous and of one length.
type Quantizer interface {
	Quantize(out, x *View)
	Dequantize(out, x *View)
}

// QuantizedMatMuler multiplies by quantised weights: out = x·wᵀ, or out += x·wᵀ with accumulate.
//
// x is F32, BF16 or F16 [M, K] and out x's dtype or F32 [M, N], both with contiguous rows (any row
// stride); w is Q8_0 or Q4_0 [N, K], contiguous. Sums are kept in F32. Weights may be rounded to x's dtype
// first.
type QuantizedMatMuler interface {
	MatMulQuantized(out, x, w *View, accumulate bool)
}

// HostMemory is implemented by backends whose kernels also work on host memory that did not come from
// Alloc, such as a mapped file. It may be aligned to the element only.
type HostMemory interface{ UsesHostMemory() }

// Poisoner makes memory undefined, so that a use after free shows: what reads it before it is written gets NaNs, or,
// on a simulator, is an error.
type Poisoner interface {
	Poison(p unsafe.Pointer, bytes int)
}
