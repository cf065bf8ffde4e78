package cpu

import (
	"slices"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/gemm"
	"github.com/hone-ml/hone/internal/cpu/pool"
)

// AttentionBackward sets the gradients of Attention. The probabilities are computed again from lse:
// with P = exp(scale·q·kᵀ − lse) and dS = P·(dout·vᵀ − Σ dout·out), all by rows,
//
//	dv = Pᵀ·dout;  dk = scale·dSᵀ·q;  dq = scale·dS·k
func (b *Backend) AttentionBackward(dq, dk, dv, dout, out, lse, q, k, v *backend.View, a backend.AttentionArgs) {
	switch {
	case q.DType == backend.F64:
		attendBackward[float64](dq, dk, dv, dout, out, lse, q, k, v, a)
	case inBF16(q, a) && !shareKeys(a.Segments) && q.Len() > 0 && k.Len() > 0:
		clearGaps(dq, queryRanges(a.Segments))
		clearGaps(dk, keyRanges(a.Segments))
		clearGaps(dv, keyRanges(a.Segments))
		attendBackwardBF16(dq, dk, dv, dout, out, lse, q, k, v, a)
	default:
		attendBackward[float32](dq, dk, dv, dout, out, lse, q, k, v, a)
	}
}

// The work of a backward goes by pairs of a block of queries and a block of keys. A pair adds to the
// gradients of both, so the pairs of a segment are done in stages: those of a stage share no block, and a
// stage begins when the one before it has ended. That makes many independent tasks of one long sequence,
// computes every product once, and adds in one order however many processors there are.
const (
	gradPositions = 256 // query positions of a pair
	gradKeys      = 256
	gradBlock     = 96 // rows, as in attention forward
)

// attentionGrads is what the tasks of a backward call share.
type attentionGrads[C float] struct {
	*attention[C]
	dq, dk, dv *backend.View // of dtype C
	dout       *backend.View
	lse, delta []C // [H, Nq]
}

// gradPair is the task of one pair, for one key head.
type gradPair struct {
	segment       backend.Segment
	query, key    int32 // first of the segment
	stage, kvHead int32
}

func attendBackward[C float](dq, dk, dv, dout, out, lse, q, k, v *backend.View, args backend.AttentionArgs) {
	a := &attentionGrads[C]{attention: newAttention[C](q, k, v, args), dout: dout}
	shared := getAttentionWorkspace()
	defer shared.put()

	grads := [3]*backend.View{dq, dk, dv}
	for i, to := range [3]**backend.View{&a.dq, &a.dk, &a.dv} {
		grad := grads[i]
		if grad == nil {
			continue
		}
		fillWithZero(grad)
		if *to = grad; !storedAs[C](grad.DType) {
			sums := take[C](&shared.workspace, grad.Len())
			clear(sums)
			view := backend.NewView(unsafe.Pointer(unsafe.SliceData(sums)), dtypeOf[C](), grad.Dims()...)
			*to = &view
		}
	}
	if a.dim == 0 || a.group == 0 {
		return
	}
	a.lse = slice[C](lse.Ptr, lse.Len())
	a.delta = take[C](&shared.workspace, lse.Len())
	queryDots(a.delta, dout, out)

	pairs, flops := a.pairs(args.Segments)
	grain := 1 + len(pairs)*attentionFlops/(flops+1)
	for len(pairs) > 0 {
		n := 1
		for n < len(pairs) && pairs[n].stage == pairs[0].stage {
			n++
		}
		stage := pairs[:n]
		pool.Run(n, grain, func(lo, hi int) {
			ws := getAttentionWorkspace()
			defer ws.put()
			for _, p := range stage[lo:hi] {
				ws.reset()
				a.pair(p, ws)
			}
		})
		pairs = pairs[n:]
	}
	for i, from := range [3]*backend.View{a.dq, a.dk, a.dv} {
		if from != nil && from != grads[i] {
			new(Backend).Copy(grads[i], from)
		}
	}
}

// queryDots sets delta [H, Nq] to Σ dout·out for each query of each head.
func queryDots[C float](delta []C, dout, out *backend.View) {
	queries, heads, dim := out.Shape[0], out.Shape[1], out.Shape[2]
	together := 1 // heads that are read at a time
	if out.Strides[1] == dim && dout.Strides[1] == dim {
		together = heads
	}
	pool.Run(queries, 1+grainScalar/(heads*dim), func(lo, hi int) {
		ws := getWorkspace()
		defer ws.put()
		x, y := take[C](ws, together*dim), take[C](ws, together*dim)
		for i := lo; i < hi; i++ {
			for first := 0; first < heads; first += together {
				d := load(dout.DType, headAt(dout, i, first), 1, together*dim, x)
				o := load(out.DType, headAt(out, i, first), 1, together*dim, y)
				for h := range together {
					delta[(first+h)*queries+i] = dot(d[h*dim:(h+1)*dim], o[h*dim:(h+1)*dim])
				}
			}
		}
	})
}

// pairs are the tasks by stages. Segments that share keys are done one after the other.
func (a *attentionGrads[C]) pairs(segments []backend.Segment) (pairs []gradPair, flops int) {
	sorted := slices.Clone(segments)
	slices.SortStableFunc(sorted, func(a, b backend.Segment) int { return int(a.K0) - int(b.K0) })
	var end int32       // of the keys so far
	var first, next int // stages of this segment, and of a later one that shares its keys
	for _, s := range sorted {
		if s.K0 >= end {
			next = 0
		}
		first, end = next, max(end, s.K1)
		queries, keys := int(s.Q1-s.Q0), int(s.K1-s.K0)
		down, across := (queries+gradPositions-1)/gradPositions, (keys+gradKeys-1)/gradKeys
		stages := max(down, across)
		next = first + stages
		for i := range down {
			for j := range across {
				lo, hi := i*gradPositions, min((i+1)*gradPositions, queries)
				seen := min(a.visible(s, hi-1)-j*gradKeys, gradKeys)
				if seen <= 0 {
					continue
				}
				for kvHead := range a.k.Shape[1] {
					pairs = append(pairs, gradPair{
						segment: s, query: int32(lo), key: int32(j * gradKeys),
						stage: int32(first + (i-j+stages)%stages), kvHead: int32(kvHead),
					})
				}
				flops += 10 * (hi - lo) * seen * a.dim * a.q.Shape[1]
			}
		}
	}
	slices.SortStableFunc(pairs, func(a, b gradPair) int { return int(a.stage) - int(b.stage) })
	return pairs, flops
}

// pair adds one pair's part of the gradients.
func (a *attentionGrads[C]) pair(p gradPair, ws *attentionWorkspace) {
	s, kvHead := p.segment, int(p.kvHead)
	lo, hi := int(p.query), min(int(p.query)+gradPositions, int(s.Q1-s.Q0))
	j := int(p.key)
	n := min(gradKeys, a.visible(s, hi-1)-j)

	k, v := operandAt(a.k, int(s.K0)+j, kvHead), operandAt(a.v, int(s.K0)+j, kvHead)
	ws.kt.Pack(&ws.gemm, transposed(k), a.dim, n)
	ws.v.Pack(&ws.gemm, transposed(v), a.dim, n)
	if a.dq != nil {
		ws.k.Pack(&ws.gemm, k, n, a.dim)
	}

	step := a.positions(gradBlock)
	rows := min(step, hi-lo) * a.group
	const slack = 64 // MulInPlace reads beyond the last row
	q, dout := take[C](&ws.workspace, rows*a.dim+slack), take[C](&ws.workspace, rows*a.dim+slack)
	probs, ds := take[C](&ws.workspace, rows*n), take[C](&ws.workspace, rows*n)
	dq := take[C](&ws.workspace, rows*a.dim)
	dk, dv := take[C](&ws.workspace, n*a.dim), take[C](&ws.workspace, n*a.dim)
	clear(dk)
	clear(dv)
	for at := lo; at < hi; at += step {
		end := min(at+step, hi)
		m, width := (end-at)*a.group, min(a.visible(s, end-1)-j, n)
		if width <= 0 {
			continue
		}
		a.packQueries(q, a.q, int(s.Q0)+at, int(s.Q0)+end, kvHead, a.scale)
		a.packQueries(dout, a.dout, int(s.Q0)+at, int(s.Q0)+end, kvHead, 1)
		qs, douts, ps, dss := matrixOf(q, a.dim), matrixOf(dout, a.dim), matrixOf(probs, width), matrixOf(ds, width)

		ws.kt.Mul(ps, qs, m, width, a.dim, false)
		ws.v.Mul(dss, douts, m, width, a.dim, false)
		for r := range m {
			i, head := int(s.Q0)+at+r/a.group, kvHead*a.group+r%a.group
			row := head*a.q.Shape[0] + i
			seen := min(max(a.visible(s, at+r/a.group)-j, 0), width)
			pr, dr := probs[r*width:(r+1)*width], ds[r*width:(r+1)*width]
			exp(pr[:seen], pr[:seen], a.lse[row])
			addScalar(dr[:seen], dr[:seen], -a.delta[row])
			mul(dr[:seen], dr[:seen], pr[:seen])
			clear(pr[seen:])
			clear(dr[seen:])
		}
		if a.dv != nil {
			gemm.MulInPlace(matrixOf(dv, a.dim), transposed(ps), douts, width, a.dim, m, true)
		}
		if a.dk != nil {
			gemm.MulInPlace(matrixOf(dk, a.dim), transposed(dss), qs, width, a.dim, m, true)
		}
		if a.dq != nil {
			ws.k.Mul(matrixOf(dq, a.dim), dss, m, a.dim, width, false)
			for r := range m {
				i, head := int(s.Q0)+at+r/a.group, kvHead*a.group+r%a.group
				addScaled(slice[C](headAt(a.dq, i, head), a.dim), a.scale, dq[r*a.dim:(r+1)*a.dim])
			}
		}
	}
	for i := range n {
		row := int(s.K0) + j + i
		if a.dk != nil {
			addScaled(slice[C](headAt(a.dk, row, kvHead), a.dim), 1, dk[i*a.dim:(i+1)*a.dim])
		}
		if a.dv != nil {
			addScaled(slice[C](headAt(a.dv, row, kvHead), a.dim), 1, dv[i*a.dim:(i+1)*a.dim])
		}
	}
}
