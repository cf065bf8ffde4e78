package cpu

import (
	"math"
	"slices"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/gemm"
	"github.com/hone-ml/hone/internal/cpu/pool"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

const (
	// bf16GradRows are the rows of a block, backward: the products for dk and dv sum over so many in
	// registers. A multiple of simd.GradRows.
	bf16GradRows = 256
	// bf16GradSums bounds the sums of the gradients, in elements. Heads that would need more are done after
	// the others.
	bf16GradSums = 16 << 20
)

// bf16Grads is what the tasks of a backward in bfloat16 share. Its pairs and stages are those of
// attentionGrads.
type bf16Grads struct {
	*bf16Attention
	dq, dk, dv *backend.View
	dout       *backend.View
	lse, delta []float32 // [H, Nq]
	plans      []gradPlan
	pairs      []bf16Pair // by stages

	// For each of the heads in work, which begin with kvHead, the sums of the gradients: dq in the order of
	// a task's rows; dk and dv by blocks of keys and transposed, because in that form the products take the
	// probabilities as they are.
	kvHead              int
	sumsQ, sumsK, sumsV []float32
	sizeQ, sizeK        int // of a head
}

// gradPlan is how a segment is divided.
type gradPlan struct {
	backend.Segment
	sumsQ, sumsK int    // where the segment's sums begin among those of a head
	hasQ, hasK   []bool // blocks that have a pair
}

func (p *gradPlan) queries() int { return int(p.Q1 - p.Q0) }
func (p *gradPlan) keys() int    { return int(p.K1 - p.K0) }

// bf16Pair is a pair of blocks of a segment.
type bf16Pair struct {
	plan           *gradPlan
	query, key     int // the blocks' numbers
	stage          int
	firstQ, firstK bool // no pair before this one has added to the block's sums
}

// shareKeys reports whether a key belongs to several segments.
func shareKeys(segments []backend.Segment) bool {
	sorted := slices.Clone(segments)
	slices.SortFunc(sorted, func(a, b backend.Segment) int { return int(a.K0) - int(b.K0) })
	end := int32(0)
	for _, s := range sorted {
		if s.K0 < end && s.K1 > s.K0 {
			return true
		}
		end = max(end, s.K1)
	}
	return false
}

// attendBackwardBF16 is attendBackward where inBF16 holds and segments share no keys.
func attendBackwardBF16(dq, dk, dv, dout, out, lse, q, k, v *backend.View, args backend.AttentionArgs) {
	shared := getAttentionWorkspace()
	defer shared.put()
	a := &bf16Grads{bf16Attention: newBF16Attention(q, k, v, args), dq: dq, dk: dk, dv: dv, dout: dout}
	a.lse = slice[float32](lse.Ptr, lse.Len())
	a.delta = take[float32](&shared.workspace, lse.Len())
	queryDots(a.delta, dout, out)
	flops := a.plan(args.Segments)

	kvHeads := k.Shape[1]
	heads := max(1, min(kvHeads, bf16GradSums/max(a.sizeQ+2*a.sizeK, 1)))
	sums := take[float32](&shared.workspace, heads*(a.sizeQ+2*a.sizeK))
	a.sumsQ, a.sumsK, a.sumsV = sums[:heads*a.sizeQ], sums[heads*a.sizeQ:][:heads*a.sizeK], sums[heads*(a.sizeQ+a.sizeK):]
	grain := 1 + len(a.pairs)*kvHeads*bf16Flops/(flops+1)
	for a.kvHead = 0; a.kvHead < kvHeads; a.kvHead += heads {
		n := min(heads, kvHeads-a.kvHead)
		for pairs := a.pairs; len(pairs) > 0; {
			end := 1
			for end < len(pairs) && pairs[end].stage == pairs[0].stage {
				end++
			}
			stage := pairs[:end]
			spread(len(stage)*n, grain, func(task int, ws *attentionWorkspace) {
				a.pair(&stage[task/n], task%n, ws)
			})
			pairs = pairs[end:]
		}
		a.finish(n)
	}
}

// spread runs numbered tasks in parallel, so many at a time, each with a workspace.
func spread(tasks, grain int, do func(task int, ws *attentionWorkspace)) {
	pool.Run(tasks, grain, func(lo, hi int) {
		ws := getAttentionWorkspace()
		defer ws.put()
		for i := lo; i < hi; i++ {
			ws.reset()
			do(i, ws)
		}
	})
}

// plan divides the segments.
func (a *bf16Grads) plan(segments []backend.Segment) (flops int) {
	a.plans = make([]gradPlan, len(segments))
	for at, s := range segments {
		p := &a.plans[at]
		p.Segment, p.sumsQ, p.sumsK = s, a.sizeQ, a.sizeK
		queries, keys := p.queries(), p.keys()
		down, across := (queries+gradPositions-1)/gradPositions, (keys+gradKeys-1)/gradKeys
		p.hasQ, p.hasK = make([]bool, down), make([]bool, across)
		for i := range down {
			a.sizeQ += a.rowsOf(p, i) * a.padded
		}
		a.sizeK += roundUp(keys, 32) * a.padded
		stages := max(down, across)
		for i := range down {
			hi := min((i+1)*gradPositions, queries)
			for j := range across {
				seen := min(a.visible(s, hi-1)-j*gradKeys, gradKeys)
				if seen <= 0 {
					continue
				}
				a.pairs = append(a.pairs, bf16Pair{plan: p, query: i, key: j, stage: (i - j + stages) % stages})
				flops += 10 * (hi - i*gradPositions) * seen * a.dim * a.q.Shape[1]
			}
		}
	}
	slices.SortStableFunc(a.pairs, func(a, b bf16Pair) int { return a.stage - b.stage })
	for i := range a.pairs {
		p := &a.pairs[i]
		p.firstQ, p.firstK = !p.plan.hasQ[p.query], !p.plan.hasK[p.key]
		p.plan.hasQ[p.query], p.plan.hasK[p.key] = true, true
	}
	return flops
}

// positionsOf are the query positions [lo, hi) of a block of a segment, rowsOf its rows in whole tiles.
func (a *bf16Grads) positionsOf(p *gradPlan, block int) (lo, hi int) {
	return block * gradPositions, min((block+1)*gradPositions, p.queries())
}

func (a *bf16Grads) rowsOf(p *gradPlan, block int) int {
	lo, hi := a.positionsOf(p, block)
	return roundUp((hi-lo)*a.group, simd.GradRows)
}

// queryAt is where the sums of a block of queries lie, for the head-th head in work.
func (a *bf16Grads) queryAt(p *gradPlan, block, head int) []float32 {
	before := block * roundUp(gradPositions*a.group, simd.GradRows)
	return a.sumsQ[head*a.sizeQ+p.sumsQ+before*a.padded:][:a.rowsOf(p, block)*a.padded]
}

// keysAt is where the sums of a block of keys lie: a.dim rows, rounded up to a.padded, of width elements.
func (a *bf16Grads) keysAt(sums []float32, p *gradPlan, block, head int) (at []float32, width int) {
	width = roundUp(min(gradKeys, p.keys()-block*gradKeys), 32)
	return sums[head*a.sizeK+p.sumsK+block*gradKeys*a.padded:][:width*a.padded], width
}

// pair adds one pair's part of the gradients of the head-th head in work.
func (a *bf16Grads) pair(p *bf16Pair, head int, ws *attentionWorkspace) {
	s, kvHead := p.plan, a.kvHead+head
	lo, hi := a.positionsOf(s, p.query)
	j := p.key * gradKeys
	n := min(gradKeys, s.keys()-j)
	rows, padded := (hi-lo)*a.group, a.rowsOf(s, p.query)

	k, v := operandAt(a.k, int(s.K0)+j, kvHead), operandAt(a.v, int(s.K0)+j, kvHead)
	ws.ktPairs.Pack(&ws.gemm, transposed(k), a.dim, n)
	ws.vPairs.Pack(&ws.gemm, transposed(v), a.dim, n)
	if a.dq != nil {
		ws.kPairs.Pack(&ws.gemm, k, n, a.dim)
	}
	q, dout := take[uint16](&ws.workspace, padded*a.padded), take[uint16](&ws.workspace, padded*a.padded)
	a.copyRows(q, a.q, int(s.Q0)+lo, int(s.Q0)+hi, kvHead, padded)
	a.copyRows(dout, a.dout, int(s.Q0)+lo, int(s.Q0)+hi, kvHead, padded)
	ws.rows.Rows(q, a.padded)
	ws.douts.Rows(dout, a.padded)

	dq := a.queryAt(s, p.query, head)
	dk, width := a.keysAt(a.sumsK, s, p.key, head)
	dv, _ := a.keysAt(a.sumsV, s, p.key, head)
	step := min(bf16GradRows, padded)
	stride := width + 16 // no power of two
	g := gradScratch{
		scores: take[float32](&ws.workspace, simd.GradRows*stride),
		grads:  take[float32](&ws.workspace, simd.GradRows*stride),
		rows:   take[uint16](&ws.workspace, step*stride),
		stride: stride, width: width,
	}
	ws.dsRows.Rows(g.rows, stride)
	addK := !p.firstK
	for at := 0; at < padded; at += step {
		m := min(step, padded-at)
		if seen := a.visible(s.Segment, lo+(min(at+m, rows)-1)/a.group) - j; seen <= 0 && addK && !p.firstQ {
			continue
		}
		g.probs, g.panel = ws.probPairs.Make(m, n)
		g.ds, _ = ws.dsPairs.Make(m, n)
		for r := 0; r < m; r += simd.GradRows {
			a.softmax(&g, p, kvHead, at, r, rows, ws)
		}
		if a.dv != nil {
			ws.turned.Pack(&ws.gemm, transposed(rowsOfBF16(dout[at*a.padded:], a.padded)), a.dim, m)
			gemm.MulPacked(dv, width, &ws.turned, 0, 0, &ws.probPairs, a.dim, width, m, addK)
		}
		if a.dk != nil {
			ws.turned.Pack(&ws.gemm, transposed(rowsOfBF16(q[at*a.padded:], a.padded)), a.dim, m)
			gemm.MulPacked(dk, width, &ws.turned, 0, 0, &ws.dsPairs, a.dim, width, m, addK)
		}
		if a.dq != nil {
			gemm.MulPacked(dq[at*a.padded:], a.padded, &ws.dsRows, 0, 0, &ws.kPairs, m, a.dim, width, !p.firstQ)
		}
		addK = true
	}
}

// gradScratch is the scratch memory of a block of rows.
type gradScratch struct {
	scores, grads []float32 // of simd.GradRows rows
	rows          []uint16  // dS by rows
	stride, width int       // of these, and their columns in use
	probs, ds     []uint16  // P and dS in pairs
	panel         int
}

// softmax computes P and dS of the rows from r on of the block that begins at row at of the pair.
func (a *bf16Grads) softmax(g *gradScratch, p *bf16Pair, kvHead, at, r, rows int, ws *attentionWorkspace) {
	s := p.plan
	first, j := p.query*gradPositions, p.key*gradKeys
	n := min(gradKeys, s.keys()-j)
	last := min(at+r+simd.GradRows, rows) - 1
	seen := 0
	if last >= at+r {
		seen = min(max(a.visible(s.Segment, first+last/a.group)-j, 0), n)
	}
	whole := roundUp(seen, 32)
	for panel := whole / 32; panel < g.width/32; panel++ {
		part := panel*g.panel + r*32
		clear(g.probs[part:][:32*simd.GradRows])
		clear(g.ds[part:][:32*simd.GradRows])
	}
	if whole < g.width {
		for i := range simd.GradRows {
			clear(g.rows[(r+i)*g.stride+whole:][:g.width-whole])
		}
	}
	if whole == 0 {
		return
	}
	gemm.MulPacked(g.scores, g.stride, &ws.rows, at+r, 0, &ws.ktPairs, simd.GradRows, whole, a.dim, false)
	gemm.MulPacked(g.grads, g.stride, &ws.douts, at+r, 0, &ws.vPairs, simd.GradRows, whole, a.dim, false)
	var lse, delta [simd.GradRows]float32
	hidden := float32(math.Inf(-1))
	for i := range simd.GradRows {
		lse[i] = -hidden // no probability at all
		row := at + r + i
		if row >= rows { // a row of zeros, of which the scores of infinite keys are NaN
			fill(g.scores[i*g.stride:][:whole], hidden)
			continue
		}
		position := first + row/a.group
		if seen := min(max(a.visible(s.Segment, position)-j, 0), n); seen < whole {
			fill(g.scores[i*g.stride+seen:][:whole-seen], hidden)
		}
		of := (kvHead*a.group+row%a.group)*a.q.Shape[0] + int(s.Q0) + position
		if a.lse[of] != hidden {
			lse[i] = a.lse[of] * math.Log2E
		}
		delta[i] = a.delta[of]
	}
	simd.SoftmaxGrad(g.probs[r*32:], g.ds[r*32:], g.panel, g.rows[r*g.stride:], g.stride,
		g.scores, g.grads, g.stride, whole/32, a.scale*math.Log2E, &lse, &delta)
}

// rowsOfBF16 is rows of BF16 that lie stride elements apart.
func rowsOfBF16(x []uint16, stride int) gemm.Operand {
	return gemm.Operand{Ptr: unsafe.Pointer(unsafe.SliceData(x)), DType: backend.BF16, RowStride: stride, ColStride: 1}
}

// finish writes the gradients of the heads in work.
func (a *bf16Grads) finish(heads int) {
	if a.dq != nil {
		a.finishQueries(heads)
	}
	for _, grad := range []struct {
		to    *backend.View
		sums  []float32
		scale float32
	}{{a.dk, a.sumsK, a.scale}, {a.dv, a.sumsV, 1}} {
		if grad.to != nil {
			a.finishKeys(grad.to, grad.sums, grad.scale, heads)
		}
	}
}

// gradBlockOf is a block of queries or keys of a segment.
type gradBlockOf struct {
	plan  *gradPlan
	block int
}

func (a *bf16Grads) finishQueries(heads int) {
	var blocks []gradBlockOf
	for i := range a.plans {
		for block := range a.plans[i].hasQ {
			blocks = append(blocks, gradBlockOf{&a.plans[i], block})
		}
	}
	spread(len(blocks)*heads, 1, func(task int, ws *attentionWorkspace) {
		p, block, head := blocks[task/heads].plan, blocks[task/heads].block, task%heads
		lo, hi := a.positionsOf(p, block)
		sums := a.queryAt(p, block, head)
		if !p.hasQ[block] {
			clear(sums)
		}
		simd.Scale(sums, sums, a.scale)
		for r := range (hi - lo) * a.group {
			to := headAt(a.dq, int(p.Q0)+lo+r/a.group, (a.kvHead+head)*a.group+r%a.group)
			simd.F32ToBF16(slice[uint16](to, a.dim), sums[r*a.padded:][:a.dim])
		}
	})
}

func (a *bf16Grads) finishKeys(to *backend.View, all []float32, factor float32, heads int) {
	var blocks []gradBlockOf
	for i := range a.plans {
		for block := range a.plans[i].hasK {
			blocks = append(blocks, gradBlockOf{&a.plans[i], block})
		}
	}
	spread(len(blocks)*heads, 1, func(task int, ws *attentionWorkspace) {
		p, block, head := blocks[task/heads].plan, blocks[task/heads].block, task%heads
		sums, width := a.keysAt(all, p, block, head)
		if !p.hasK[block] {
			clear(sums)
		}
		if factor != 1 {
			simd.Scale(sums, sums, factor)
		}
		n := min(gradKeys, p.keys()-block*gradKeys)
		rows := take[float32](&ws.workspace, n*a.padded+64)
		gemm.Transpose(rows, a.padded, matrixOf(sums, width), a.dim, n)
		for j := range n {
			at := headAt(to, int(p.K0)+block*gradKeys+j, a.kvHead+head)
			simd.F32ToBF16(slice[uint16](at, a.dim), rows[j*a.padded:][:a.dim])
		}
	})
}
