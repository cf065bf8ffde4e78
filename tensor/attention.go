package tensor

import (
	"math"
	"slices"

	"github.com/hone-ml/hone/internal/backend"
)

// Segment is one attention problem among rows: query rows [Q0, Q1) attend key rows [K0, K1).
type Segment = backend.Segment

// AttentionOptions say what attends what. The zero value lets every query of a sequence see all its keys.
type AttentionOptions struct {
	// Causal lets a query see no key behind it. Queries and keys are aligned at the end, so that with
	// more keys than queries (a cache) the last query sees every key. (PyTorch's is_causal aligns them
	// at the start.)
	Causal bool
	// Scale multiplies q·k; 0 stands for 1/√D.
	Scale float64
	// SeqStarts packs several sequences into the rows: the flat indices b·T + t at which sequences begin,
	// ascending, the first 0. Every row of the batch begins one too. Queries and keys have equal lengths.
	SeqStarts []int32
	// Segments gives the problems outright, over the flat rows of q and of k; it excludes SeqStarts.
	// Queries outside every segment give zeros.
	Segments []Segment
}

// Attention is softmax(scale·q·kᵀ + mask)·v for each head: q [B, T, H, D], k and v [B, S, KV, D] →
// [B, T, H, D], of one float dtype. H is a multiple of KV; query head h reads key head h·KV/H (grouped
// queries). No matrix of T×S is made. (Dao et al., "FlashAttention", 2022.)
func Attention(q, k, v *Tensor, o AttentionOptions) *Tensor {
	ins := []*Tensor{q, k, v}
	s := scopeOf("Attention", ins)
	if q.view.Rank != 4 || k.view.Rank != 4 || !sameDims(k, v) || q.Dim(3) != k.Dim(3) || k.Dim(2) == 0 || q.Dim(2)%k.Dim(2) != 0 ||
		q.view.DType != k.view.DType || k.view.DType != v.view.DType || !q.view.DType.IsFloat() {
		fail("Attention", ins, "needs q [B, T, H, D] and k, v [B, S, KV, D] of one float dtype, H a multiple of KV")
	}
	args := backend.AttentionArgs{Segments: o.segments(ins), Causal: o.Causal, Scale: o.Scale}
	if args.Scale == 0 {
		args.Scale = 1 / math.Sqrt(float64(q.Dim(3)))
	}
	ins = bring(s, ins)
	shape := q.Shape()
	q, k, v = heads(ins[0]), heads(ins[1]), heads(ins[2])
	fused, ok := backend.Fused[backend.Attentioner](s.dev.backend)
	if !ok {
		return composedAttention(q, k, v, args).Reshape(shape...)
	}
	out := alloc(s, q.view.DType, q.view.Dims()...)
	var lse *Tensor
	var lsev *backend.View
	if s.tape != nil {
		lse = alloc(s, q.view.DType.Accumulator(), q.Dim(1), q.Dim(0))
		lsev = &lse.view
	}
	fused.Attention(&out.view, lsev, &q.view, &k.view, &v.view, args)
	record("Attention", []*Tensor{out}, []*Tensor{q, k, v}, []*Tensor{q, k, v, out, lse}, func(g *gradient) {
		dy := g.Output(0).Contiguous()
		dq, dk, dv := g.New(0), g.New(1), g.New(2)
		fused.AttentionBackward(&dq.view, &dk.view, &dv.view, &dy.view, &g.Saved(3).view, &g.Saved(4).view,
			&g.Saved(0).view, &g.Saved(1).view, &g.Saved(2).view, args)
		g.Add(0, dq)
		g.Add(1, dk)
		g.Add(2, dv)
	})
	return out.Reshape(shape...)
}

// heads is t [B, T, H, D] as rows [B·T, H, D].
func heads(t *Tensor) *Tensor {
	if !t.view.Contiguous() {
		t = t.Contiguous()
	}
	return t.Reshape(t.Dim(0)*t.Dim(1), t.Dim(2), t.Dim(3))
}

// segments are the problems that the options describe.
func (o *AttentionOptions) segments(ins []*Tensor) []Segment {
	q, k := ins[0], ins[1]
	b, t, s := q.Dim(0), q.Dim(1), k.Dim(1)
	if o.Segments != nil {
		if o.SeqStarts != nil {
			fail("Attention", ins, "SeqStarts and Segments exclude each other")
		}
		last := int32(0)
		for i, g := range o.Segments {
			if g.Q0 < last || g.Q1 < g.Q0 || int(g.Q1) > b*t || g.K0 < 0 || g.K1 < g.K0 || int(g.K1) > k.Dim(0)*s {
				fail("Attention", ins, "segment %d %+v is out of range or order", i, g)
			}
			last = g.Q1
		}
		return o.Segments
	}
	if k.Dim(0) != b {
		fail("Attention", ins, "q has a batch of %d, k of %d", b, k.Dim(0))
	}
	out := make([]Segment, 0, max(b, len(o.SeqStarts)))
	if o.SeqStarts == nil {
		for i := range b {
			out = append(out, Segment{Q0: int32(i * t), Q1: int32((i + 1) * t), K0: int32(i * s), K1: int32((i + 1) * s)})
		}
		return out
	}
	if s != t {
		fail("Attention", ins, "packed sequences need as many keys as queries")
	}
	starts := o.SeqStarts
	if len(starts) == 0 || starts[0] != 0 || !slices.IsSorted(starts) || int(starts[len(starts)-1]) > b*t {
		fail("Attention", ins, "SeqStarts %v must ascend from 0 and stay within %d rows", starts, b*t)
	}
	for i, lo := range starts {
		end := int32(b * t)
		if i+1 < len(starts) {
			end = starts[i+1]
		}
		for lo < end { // a sequence ends with its row of the batch
			hi := min(end, (lo/int32(t)+1)*int32(t))
			out = append(out, Segment{Q0: lo, Q1: hi, K0: lo, K1: hi})
			lo = hi
		}
	}
	return out
}

func composedAttention(q, k, v *Tensor, a backend.AttentionArgs) *Tensor {
	s, dt := q.scope, q.view.DType
	h, kv := q.Dim(1), k.Dim(1)
	var parts []*Tensor
	row := 0
	gap := func(to int) {
		if to > row {
			parts = append(parts, Zeros(s, dt, to-row, h, q.Dim(2)))
		}
		row = to
	}
	for _, g := range a.Segments {
		nq, nk := int(g.Q1-g.Q0), int(g.K1-g.K0)
		if nq == 0 || nk == 0 {
			continue
		}
		gap(int(g.Q0))
		row = int(g.Q1)
		qs := q.Slice(0, int(g.Q0), int(g.Q1)).Transpose(0, 1) // [H, nq, D]
		repeat := func(t *Tensor) *Tensor {                    // [H, nk, D]
			t = t.Slice(0, int(g.K0), int(g.K1)).Transpose(0, 1).Unsqueeze(1)
			return t.Expand(kv, h/kv, nk, t.Dim(3)).Reshape(h, nk, t.Dim(3))
		}
		scores := qs.MatMul(repeat(k).T()).To(dt.Accumulator()).MulScalar(a.Scale)
		var blind *Tensor
		if a.Causal {
			i := Arange(s, F32, 0, float64(nq), 1).Reshape(nq, 1).AddScalar(float64(nk - nq))
			j := Arange(s, F32, 0, float64(nk), 1).Reshape(1, nk)
			future := j.Gt(i)
			scores = Where(future, Full(s, scores.view.DType, -1e30), scores)
			if nk < nq { // queries that see no key give zeros
				blind = i.GeScalar(0).To(dt).Reshape(1, nq, 1)
			}
		}
		o := composedSoftmax(scores).To(dt).MatMul(repeat(v))
		if blind != nil {
			o = o.Mul(blind)
		}
		parts = append(parts, o.Transpose(0, 1))
	}
	gap(q.Dim(0))
	if len(parts) == 0 {
		return like(q)
	}
	return Cat(0, parts...)
}
