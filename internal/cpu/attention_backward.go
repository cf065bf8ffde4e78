package cpu

import (
	"slices"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/gemm"
	"github.com/hone-ml/hone/internal/cpu/pool"
)

// AttentionBackward sets the gradients of Attention. The probabilities are computed again from lse:
// with P = exp(scale·q·kᵀ − lse) and dS = P·(dout·vᵀ − Σ dout·out), all by rows,
//
//	dv = Pᵀ·dout;  dk = scale·dSᵀ·q;  dq = scale·dS·k
func (b *Backend) AttentionBackward(dq, dk, dv, dout, out, lse, q, k, v *backend.View, a backend.AttentionArgs) {
	if q.DType == backend.F64 {
		attendBackward[float64](dq, dk, dv, dout, out, lse, q, k, v, a)
	} else {
		attendBackward[float32](dq, dk, dv, dout, out, lse, q, k, v, a)
	}
}

// attentionGrads is what the tasks of a backward call share.
type attentionGrads[C float] struct {
	*attention[C]
	dq, dk, dv, dout, out, lse *backend.View
}

// A keyCluster is segments whose keys overlap, directly or by way of others: usually one segment. A
// task owns the gradients of a cluster's keys for one head, and adds to them in a fixed order.
type keyCluster struct {
	segments []backend.Segment
	lo, hi   int
}

func attendBackward[C float](dq, dk, dv, dout, out, lse, q, k, v *backend.View, args backend.AttentionArgs) {
	a := &attentionGrads[C]{newAttention[C](q, k, v, args), dq, dk, dv, dout, out, lse}
	if dq != nil {
		clearOutside(dq, args.Segments)
	}
	clusters := clusterByKeys(args.Segments)
	ranges := make([][2]int32, len(clusters))
	for i, c := range clusters {
		ranges[i] = [2]int32{int32(c.lo), int32(c.hi)}
	}
	for _, grad := range []*backend.View{dk, dv} {
		if grad != nil {
			gaps(grad.Shape[0], ranges, func(lo, hi int) {
				part := grad.Slice(0, lo, hi)
				fillWithZero(&part)
			})
		}
	}
	if a.dim == 0 || a.group == 0 {
		return
	}
	kvHeads, flops := k.Shape[1], 0
	for _, s := range args.Segments {
		flops += 10 * int(s.Q1-s.Q0) * int(s.K1-s.K0) * a.dim * q.Shape[1]
	}
	tasks := len(clusters) * kvHeads
	pool.Run(tasks, 1+tasks*attentionFlops/(flops+1), func(lo, hi int) {
		ws, gemmWS := getWorkspace(), gemm.GetWorkspace()
		defer ws.put()
		defer gemmWS.Put()
		for i := lo; i < hi; i++ {
			ws.reset()
			a.cluster(clusters[i/kvHeads], i%kvHeads, ws, gemmWS)
		}
	})
}

// clusterByKeys groups segments, in the order of their keys.
func clusterByKeys(segments []backend.Segment) []keyCluster {
	sorted := slices.Clone(segments)
	slices.SortStableFunc(sorted, func(a, b backend.Segment) int { return int(a.K0) - int(b.K0) })
	var clusters []keyCluster
	for i, s := range sorted {
		last := len(clusters) - 1
		if last >= 0 && int(s.K0) < clusters[last].hi {
			c := &clusters[last]
			c.segments = append(c.segments, s)
			c.hi = max(c.hi, int(s.K1))
			continue
		}
		clusters = append(clusters, keyCluster{sorted[i : i+1 : i+1], int(s.K0), int(s.K1)})
	}
	return clusters
}

// cluster computes the gradients of one cluster for one key head.
func (a *attentionGrads[C]) cluster(c keyCluster, kvHead int, ws *workspace, gemmWS *gemm.Workspace) {
	keys := c.hi - c.lo
	dk, dv := take[C](ws, keys*a.dim), take[C](ws, keys*a.dim)
	clear(dk)
	clear(dv)
	for _, s := range c.segments {
		mark := ws.mark()
		first := (int(s.K0) - c.lo) * a.dim
		a.segment(s, kvHead, dk[first:], dv[first:], ws, gemmWS)
		ws.rewind(mark)
	}
	for j := range keys {
		row := func(x []C) []C { return x[j*a.dim : (j+1)*a.dim] }
		if a.dk != nil {
			store(a.dk.DType, headAt(a.dk, c.lo+j, kvHead), 1, row(dk))
		}
		if a.dv != nil {
			store(a.dv.DType, headAt(a.dv, c.lo+j, kvHead), 1, row(dv))
		}
	}
}

// segment adds a segment's part of dk and dv, and sets its dq.
func (a *attentionGrads[C]) segment(s backend.Segment, kvHead int, dk, dv []C, ws *workspace, gemmWS *gemm.Workspace) {
	queries, keys := int(s.Q1-s.Q0), int(s.K1-s.K0)
	rows := queries * a.group
	step := a.positions()
	tile := min(attentionKeys, keys)

	dq := take[C](ws, rows*a.dim)
	clear(dq)
	lse, delta := take[C](ws, rows), take[C](ws, rows)
	a.rowTerms(s, kvHead, lse, delta, ws)

	maxRows := min(step, queries) * a.group
	q, dout := take[C](ws, maxRows*a.dim), take[C](ws, maxRows*a.dim)
	p, ds := take[C](ws, maxRows*tile), take[C](ws, maxRows*tile)
	var kRows, vRows []C
	if !storedAs[C](a.k.DType) {
		kRows, vRows = take[C](ws, tile*a.dim), take[C](ws, tile*a.dim)
	}
	for j := 0; j < keys; j += tile {
		width := min(tile, keys-j)
		k := a.keyRows(a.k, int(s.K0)+j, width, kvHead, kRows)
		v := a.keyRows(a.v, int(s.K0)+j, width, kvHead, vRows)
		start := 0
		if a.causal {
			start = max(0, j-(keys-queries)) // the first query that sees key j
		}
		for lo := start; lo < queries; lo += step {
			hi := min(lo+step, queries)
			m, n := (hi-lo)*a.group, min(width, a.visible(s, hi-1)-j)
			if n <= 0 {
				continue
			}
			a.packQueries(q, a.q, int(s.Q0)+lo, int(s.Q0)+hi, kvHead, a.scale)
			a.packQueries(dout, a.dout, int(s.Q0)+lo, int(s.Q0)+hi, kvHead, 1)
			qs, douts, ps, dss := matrixOf(q, a.dim), matrixOf(dout, a.dim), matrixOf(p, n), matrixOf(ds, n)

			gemm.MulSerial(gemmWS, ps, qs, transposed(k), m, n, a.dim, false)
			gemm.MulSerial(gemmWS, dss, douts, transposed(v), m, n, a.dim, false)
			for r := range m {
				seen := min(a.visible(s, lo+r/a.group)-j, n)
				pr, dr := p[r*n:(r+1)*n], ds[r*n:(r+1)*n]
				seen = max(seen, 0)
				if seen > 0 {
					at := lo*a.group + r
					exp(pr[:seen], pr[:seen], lse[at])
					addScalar(dr[:seen], dr[:seen], -delta[at])
					mul(dr[:seen], dr[:seen], pr[:seen])
				}
				clear(pr[seen:])
				clear(dr[seen:])
			}
			if a.dv != nil {
				gemm.MulSerial(gemmWS, matrixOf(dv[j*a.dim:], a.dim), transposed(ps), douts, n, a.dim, m, true)
			}
			if a.dk != nil {
				gemm.MulSerial(gemmWS, matrixOf(dk[j*a.dim:], a.dim), transposed(dss), qs, n, a.dim, m, true)
			}
			if a.dq != nil {
				gemm.MulSerial(gemmWS, matrixOf(dq[lo*a.group*a.dim:], a.dim), dss, k, m, a.dim, n, true)
			}
		}
	}
	if a.dq != nil {
		a.unpackQueries(a.dq, dq, int(s.Q0), int(s.Q1), kvHead, a.scale)
	}
}

// rowTerms reads the segment's log-sum-exps and computes delta = Σ dout·out for each row.
func (a *attentionGrads[C]) rowTerms(s backend.Segment, kvHead int, lse, delta []C, ws *workspace) {
	x, y := take[C](ws, a.dim), take[C](ws, a.dim)
	total := a.q.Shape[0]
	saved := slice[C](a.lse.Ptr, a.lse.Len())
	for r := range lse {
		i, head := int(s.Q0)+r/a.group, kvHead*a.group+r%a.group
		lse[r] = saved[head*total+i]
		delta[r] = dot(
			load(a.dout.DType, headAt(a.dout, i, head), 1, a.dim, x),
			load(a.out.DType, headAt(a.out, i, head), 1, a.dim, y))
	}
}
