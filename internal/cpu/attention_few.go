package cpu

import (
	"math"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/gemm"
)

// forwardFew computes a task of at most gemm.ThinRows rows, such as those of a token that is decoded. It reads the
// keys and values where they are, once: packed, they would be written and read again for a few products.
func (a *attention[C]) forwardFew(out, lse *backend.View, t attentionTask, ws *attentionWorkspace) {
	s, kvHead := t.segment, int(t.kvHead)
	lo, hi := int(t.lo), int(t.hi)
	rows, first := (hi-lo)*a.group, int(s.Q0)+lo
	keys := a.visible(s, hi-1)

	q, o := take[C](&ws.workspace, rows*a.dim), take[C](&ws.workspace, rows*a.dim)
	m, l := take[C](&ws.workspace, rows), take[C](&ws.workspace, rows)
	scores := take[C](&ws.workspace, rows*keys)
	a.packQueries(q, a.q, first, first+hi-lo, kvHead, a.scale)
	gemm.MulSerial(&ws.gemm, matrixOf(scores, keys), matrixOf(q, a.dim), transposed(operandAt(a.k, int(s.K0), kvHead)), rows, keys, a.dim, false)
	for r := range rows {
		seen := a.visible(s, lo+r/a.group)
		row := scores[r*keys : (r+1)*keys]
		clear(row[seen:])
		m[r], l[r] = C(math.Inf(-1)), 0
		if seen > 0 {
			m[r] = maximum(row[:seen])
			l[r] = exp(row[:seen], row[:seen], m[r])
		}
	}
	gemm.MulSerial(&ws.gemm, matrixOf(o, a.dim), matrixOf(scores, keys), operandAt(a.v, int(s.K0), kvHead), rows, a.dim, keys, false)
	a.finish(out, lse, t, o, m, l)
}
