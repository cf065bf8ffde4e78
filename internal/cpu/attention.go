package cpu

import (
	"math"
	"slices"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/gemm"
	"github.com/hone-ml/hone/internal/cpu/pool"
)

// Attention goes by tiles: a task holds the queries of a tile and goes through the tiles of keys, which it
// packs for the products. A tile's rows are queries of all the heads that share a key head, in the order
// [position][head of the group], so that a tile of keys serves the whole group and the positions of a
// tile may begin anywhere. Within a tile of keys the rows go by blocks, so small that their scores stay in
// cache and that a block multiplies few keys that the causal mask hides from it. Keys that it hides from
// all of a tile or a block are never visited.
const (
	attentionRows  = 512 // of a tile of queries, all heads of the group counted
	attentionKeys  = 256 // of a tile of keys
	attentionBlock = 48  // rows of a block
)

// attention is what every task of a call shares.
type attention[C float] struct {
	q, k, v *backend.View
	group   int // query heads for each key head
	dim     int // of a head
	causal  bool
	scale   C
}

func newAttention[C float](q, k, v *backend.View, a backend.AttentionArgs) *attention[C] {
	return &attention[C]{
		q: q, k: k, v: v,
		group: q.Shape[1] / max(k.Shape[1], 1), dim: q.Shape[2],
		causal: a.Causal, scale: C(a.Scale),
	}
}

// positions is the number of query positions in so many rows.
func (a *attention[C]) positions(rows int) int { return max(rows/a.group, 1) }

// visible is how many of a segment's keys its i-th query sees.
func (a *attention[C]) visible(s backend.Segment, i int) int {
	keys := int(s.K1 - s.K0)
	if !a.causal {
		return keys
	}
	return min(max(i+1+keys-int(s.Q1-s.Q0), 0), keys)
}

// headAt is the address of a row of one head.
func headAt(v *backend.View, row, head int) unsafe.Pointer {
	return unsafe.Add(v.Ptr, (row*v.Strides[0]+head*v.Strides[1])*v.DType.Size())
}

// packQueries copies the rows of positions [lo, hi) of one key head's group, multiplied by factor.
func (a *attention[C]) packQueries(dst []C, x *backend.View, lo, hi, kvHead int, factor C) {
	heads, width := a.group, a.dim // that are copied one by one
	if x.Strides[1] == a.dim {
		heads, width = 1, a.group*a.dim
	}
	for i := lo; i < hi; i++ {
		for g := range heads {
			row := dst[:width]
			dst = dst[width:]
			src := load(x.DType, headAt(x, i, kvHead*a.group+g), 1, width, row)
			scale(row, src, factor)
		}
	}
}

// operandAt is the rows of one head from a row on.
func operandAt(x *backend.View, row, head int) gemm.Operand {
	return gemm.Operand{Ptr: headAt(x, row, head), DType: x.DType, RowStride: x.Strides[0], ColStride: 1}
}

// matrixOf is rows of the given length as an operand.
func matrixOf[C float](x []C, rowLen int) gemm.Operand {
	return gemm.Operand{Ptr: unsafe.Pointer(unsafe.SliceData(x)), DType: dtypeOf[C](), RowStride: rowLen, ColStride: 1}
}

func transposed(o gemm.Operand) gemm.Operand {
	o.RowStride, o.ColStride = o.ColStride, o.RowStride
	return o
}

// Attention sets out = softmax(scale·q·kᵀ)·v for each segment.
func (b *Backend) Attention(out, lse, q, k, v *backend.View, a backend.AttentionArgs) {
	if q.DType == backend.F64 {
		attend[float64](out, lse, q, k, v, a)
	} else {
		attend[float32](out, lse, q, k, v, a)
	}
}

// attentionTask is the positions [lo, hi) of a segment, for one key head.
type attentionTask struct {
	segment backend.Segment
	lo, hi  int32
	kvHead  int32
}

func attend[C float](out, lse, q, k, v *backend.View, args backend.AttentionArgs) {
	a := newAttention[C](q, k, v, args)
	clearGaps(out, queryRanges(args.Segments))
	if lse != nil {
		clearLSE[C](lse, args.Segments)
	}
	if a.dim == 0 || a.group == 0 {
		return
	}
	many, few := a.forward, a.forwardFew
	if inBF16(q, args) {
		many = newBF16Attention(q, k, v, args).forward
		few = many
	}
	var tasks []attentionTask
	flops := 0
	step := a.positions(attentionRows)
	for _, s := range args.Segments {
		queries := int(s.Q1 - s.Q0)
		for kvHead := range k.Shape[1] {
			for lo := 0; lo < queries; lo += step {
				hi := min(lo+step, queries)
				tasks = append(tasks, attentionTask{s, int32(lo), int32(hi), int32(kvHead)})
				flops += 4 * (hi - lo) * a.group * a.dim * a.visible(s, hi-1)
			}
		}
	}
	// The last tiles of a causal segment are the dearest: begin with them.
	slices.Reverse(tasks)
	pool.Run(len(tasks), 1+len(tasks)*attentionFlops/(flops+1), func(lo, hi int) {
		ws := getAttentionWorkspace()
		defer ws.put()
		for _, t := range tasks[lo:hi] {
			ws.reset()
			if int(t.hi-t.lo)*a.group <= gemm.ThinRows {
				few(out, lse, t, ws)
			} else {
				many(out, lse, t, ws)
			}
		}
	})
}

// attentionFlops are worth a task of their own.
const attentionFlops = 1 << 19

// forward computes one task. For each row it keeps the largest score so far m, the sum l of
// exp(score − m), and the sum of v weighted likewise; a larger score scales the sums down (Milakov and
// Gimelshein 2018).
func (a *attention[C]) forward(out, lse *backend.View, t attentionTask, ws *attentionWorkspace) {
	s, kvHead := t.segment, int(t.kvHead)
	lo, hi := int(t.lo), int(t.hi)
	rows, first := (hi-lo)*a.group, int(s.Q0)+lo
	keys := a.visible(s, hi-1)

	q, o := take[C](&ws.workspace, rows*a.dim), take[C](&ws.workspace, rows*a.dim)
	m, l := take[C](&ws.workspace, rows), take[C](&ws.workspace, rows)
	clear(o) // for queries that see no key
	clear(l)
	fill(m, C(math.Inf(-1)))
	a.packQueries(q, a.q, first, first+hi-lo, kvHead, a.scale)

	tile := min(attentionKeys, keys)
	step := a.positions(attentionBlock) * a.group
	scores := take[C](&ws.workspace, step*tile)
	for j := 0; j < keys; j += tile {
		n := min(tile, keys-j)
		ws.kt.Pack(&ws.gemm, transposed(operandAt(a.k, int(s.K0)+j, kvHead)), a.dim, n)
		ws.v.Pack(&ws.gemm, operandAt(a.v, int(s.K0)+j, kvHead), n, a.dim)
		for at := 0; at < rows; at += step {
			end := min(at+step, rows)
			width := min(a.visible(s, lo+(end-1)/a.group)-j, n)
			if width <= 0 {
				continue
			}
			ws.kt.Mul(matrixOf(scores, width), matrixOf(q[at*a.dim:], a.dim), end-at, width, a.dim, false)
			for r := at; r < end; r++ {
				row := scores[(r-at)*width : (r-at+1)*width]
				seen := min(max(a.visible(s, lo+r/a.group)-j, 0), width)
				clear(row[seen:])
				if seen == 0 {
					continue
				}
				top := max(m[r], maximum(row[:seen]))
				if top > m[r] && j > 0 {
					shrink := C(math.Exp(float64(m[r] - top)))
					l[r] *= shrink
					scale(o[r*a.dim:(r+1)*a.dim], o[r*a.dim:(r+1)*a.dim], shrink)
				}
				m[r] = top
				l[r] += exp(row[:seen], row[:seen], top)
			}
			ws.v.Mul(matrixOf(o[at*a.dim:], a.dim), matrixOf(scores, width), end-at, a.dim, width, j > 0)
		}
	}
	a.finish(out, lse, t, o, m, l)
}

// finish writes the results of a task from the sums o [rows, dim] of weighted values, the largest scores m and the
// sums l of the weights.
func (a *attention[C]) finish(out, lse *backend.View, t attentionTask, o, m, l []C) {
	kvHead, first := int(t.kvHead), int(t.segment.Q0)+int(t.lo)
	for r := range m {
		i, head := first+r/a.group, kvHead*a.group+r%a.group
		row, p := o[r*a.dim:(r+1)*a.dim], headAt(out, i, head)
		if l[r] != 0 {
			mean := destination(out.DType, p, 1, a.dim, row)
			scale(mean, row, 1/l[r])
			row = mean
		}
		store(out.DType, p, 1, row)
	}
	a.storeLSE(lse, m, l, first, kvHead)
}

// storeLSE sets the log-sum-exps of a task's rows, if they are wanted, from their tops and sums.
func (a *attention[C]) storeLSE(lse *backend.View, m, l []C, first, kvHead int) {
	if lse == nil {
		return
	}
	all := slice[C](lse.Ptr, lse.Len())
	for r, value := range m {
		if l[r] != 0 {
			value += C(math.Log(float64(l[r])))
		}
		i, head := first+r/a.group, kvHead*a.group+r%a.group
		all[head*a.q.Shape[0]+i] = value
	}
}

// gaps calls fn for each range of rows below n that lies in none of the ranges.
func gaps(n int, ranges [][2]int32, fn func(lo, hi int)) {
	slices.SortFunc(ranges, func(a, b [2]int32) int { return int(a[0]) - int(b[0]) })
	end := 0
	for _, r := range ranges {
		if int(r[0]) > end {
			fn(end, int(r[0]))
		}
		end = max(end, int(r[1]))
	}
	if end < n {
		fn(end, n)
	}
}

func queryRanges(segments []backend.Segment) [][2]int32 {
	r := make([][2]int32, len(segments))
	for i, s := range segments {
		r[i] = [2]int32{s.Q0, s.Q1}
	}
	return r
}

func keyRanges(segments []backend.Segment) [][2]int32 {
	r := make([][2]int32, len(segments))
	for i, s := range segments {
		r[i] = [2]int32{s.K0, s.K1}
	}
	return r
}

// clearGaps zeroes the rows of x that lie in none of the ranges. x may be nil.
func clearGaps(x *backend.View, ranges [][2]int32) {
	if x == nil {
		return
	}
	gaps(x.Shape[0], ranges, func(lo, hi int) {
		part := x.Slice(0, lo, hi)
		fillWithZero(&part)
	})
}

// clearLSE sets the log-sum-exp of the queries that belong to no segment to −Inf.
func clearLSE[C float](lse *backend.View, segments []backend.Segment) {
	heads, queries := lse.Shape[0], lse.Shape[1]
	all := slice[C](lse.Ptr, heads*queries)
	gaps(queries, queryRanges(segments), func(lo, hi int) {
		for h := range heads {
			fill(all[h*queries+lo:h*queries+hi], C(math.Inf(-1)))
		}
	})
}
