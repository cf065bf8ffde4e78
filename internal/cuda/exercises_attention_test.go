package cuda

import (
	"math"
	"slices"
	"strings"

	"github.com/hone-ml/hone/internal/backend"
)

// An attended is one call of attention in an exercise.
type attended struct {
	queries, keys, heads, kvHeads, dim int
	segments                           []backend.Segment // nil: one of all
	causal                             bool
	holes                              bool    // scores of −Inf
	plain                              bool    // no score far above others
	low                                bool    // in backward: scores of every other query near −200, where exp(−lse) is no number
	scale                              float64 // 0: 1/√dim
	part                               bool    // without what may be nil
}

func (c attended) args() backend.AttentionArgs {
	a := backend.AttentionArgs{Segments: c.segments, Causal: c.causal, Scale: c.scale}
	if a.Segments == nil {
		a.Segments = []backend.Segment{{Q1: int32(c.queries), K1: int32(c.keys)}}
	}
	if a.Scale == 0 {
		a.Scale = 1 / math.Sqrt(float64(c.dim))
	}
	return a
}

// seen are the keys that a query sees.
func (c attended) seen(query int) (first, end int) {
	for _, s := range c.args().Segments {
		if i := int32(query); i >= s.Q0 && i < s.Q1 {
			if c.causal {
				return int(s.K0), int(max(s.K0, min(s.K1, i+1+s.K1-s.Q1)))
			}
			return int(s.K0), int(s.K1)
		}
	}
	return 0, 0
}

// rowsOfHeads is an operand [n, heads, dim] of normal numbers or the given ones, with NaN in gaps between heads.
func (r *rig) rowsOfHeads(dt backend.DType, offset, n, heads, dim int, x []float64) *backend.View {
	if x == nil {
		x = normals(r.rng, 1, n*heads*dim)
	}
	pitch := dim + 8
	all := slices.Repeat([]float64{math.NaN()}, n*heads*pitch)
	for i, v := range x {
		all[i/dim*pitch+i%dim] = v
	}
	v := r.put(dt, encode(r.t, dt, all), offset, n, heads, pitch).Slice(2, 0, dim)
	return &v
}

func (r *rig) outOfHeads(dt backend.DType, offset, n, heads, dim int) *backend.View {
	v := r.out(dt, offset, n, heads, dim+8).Slice(2, 0, dim)
	return &v
}

// queriesAndKeys draws what gives half of the queries one score that is so far above the others that exp overflows where
// the softmax misses it, the farther keys in turn, and the rest scores of which each counts.
func (r *rig) queriesAndKeys(dt backend.DType, offset int, c attended) (q, k *backend.View) {
	qs, ks := normals(r.rng, 1, c.queries*c.heads*c.dim), normals(r.rng, 1, c.keys*c.kvHeads*c.dim)
	if c.holes {
		for j := range c.keys * c.kvHeads {
			if j/c.kvHeads < c.keys/2 || j%3 == 0 {
				ks[j*c.dim] = math.Inf(-1)
			}
		}
	}
	scale, peak := math.Abs(c.args().Scale), 200.0
	if dt == backend.F64 {
		peak = 2000
	}
	for i := range c.queries * c.heads {
		query, head := i/c.heads, i%c.heads
		row := qs[i*c.dim:][:c.dim]
		first, end := c.seen(query)
		if !c.plain && i/3%2 == 1 && end > first {
			j := (first+(i*37)%(end-first))*c.kvHeads + head/(c.heads/c.kvHeads)
			key, square := ks[j*c.dim:][:c.dim], 0.0
			if !math.IsInf(key[0], 0) {
				for _, x := range key {
					square += x * x
				}
				for d, x := range key {
					row[d] = x * peak / square / scale
				}
			}
		}
		if c.holes {
			row[0] = 1
		}
	}
	return r.rowsOfHeads(dt, offset, c.queries, c.heads, c.dim, qs), r.rowsOfHeads(dt, offset, c.keys, c.kvHeads, c.dim, ks)
}

func (r *rig) attend(dt backend.DType, offset int, c attended) {
	q, k := r.queriesAndKeys(dt, offset, c)
	v := r.rowsOfHeads(dt, offset, c.keys, c.kvHeads, c.dim, nil)
	lse := r.out(dt.Accumulator(), 0, c.heads, c.queries)
	if c.part {
		lse = nil
	}
	r.b.Attention(r.outOfHeads(dt, offset, c.queries, c.heads, c.dim), lse, q, k, v, c.args())
	r.settle()
}

// attendBackward computes the gradient of queries, or those of keys and values.
func (r *rig) attendBackward(dt backend.DType, offset int, ofQueries bool, c attended) {
	qs, ks := normals(r.rng, 1, c.queries*c.heads*c.dim), normals(r.rng, 1, c.keys*c.kvHeads*c.dim)
	sums := normals(r.rng, 1, c.heads*c.queries)
	for i := range sums {
		query := i % c.queries
		if first, end := c.seen(query); first == end {
			sums[i] = math.Inf(-1)
		} else if sums[i] += 2; c.low && query%2 == 1 {
			sums[i] -= 200
			qs[(query*c.heads+i/c.queries)*c.dim] = -200 / 8 / c.args().Scale
		}
	}
	for j := range c.keys * c.kvHeads {
		switch {
		case c.low:
			ks[j*c.dim] = 8
		case c.holes && !ofQueries && j%3 == 1:
			ks[j*c.dim] = math.Inf(-1)
		}
	}
	if c.holes {
		for i := range c.queries * c.heads {
			qs[i*c.dim] = 1
		}
	}
	q, k := r.rowsOfHeads(dt, offset, c.queries, c.heads, c.dim, qs), r.rowsOfHeads(dt, offset, c.keys, c.kvHeads, c.dim, ks)
	v, dout := r.rowsOfHeads(dt, offset, c.keys, c.kvHeads, c.dim, nil), r.rowsOfHeads(dt, offset, c.queries, c.heads, c.dim, nil)
	out := r.rowsOfHeads(dt, offset, c.queries, c.heads, c.dim, nil)
	lse := r.put(dt.Accumulator(), encode(r.t, dt.Accumulator(), sums), 0, c.heads, c.queries)
	var dq, dk, dv *backend.View
	if ofQueries {
		dq = r.outOfHeads(dt, offset, c.queries, c.heads, c.dim)
	} else {
		dk, dv = r.outOfHeads(dt, offset, c.keys, c.kvHeads, c.dim), r.outOfHeads(dt, offset, c.keys, c.kvHeads, c.dim)
		if c.part {
			dk = nil
		}
	}
	r.b.AttentionBackward(dq, dk, dv, dout, out, lse, q, k, v, c.args())
	r.settle()
}

// pieces is a call with a segment of each of 16 lengths, which are given, and rows outside of segments between them.
func (c attended) pieces(lengths func(i int) (queries, keys int)) attended {
	for i := range 16 {
		queries, keys := lengths(i)
		c.segments = append(c.segments, backend.Segment{Q0: int32(c.queries), Q1: int32(c.queries + queries), K0: int32(c.keys), K1: int32(c.keys + keys)})
		c.queries, c.keys = c.queries+queries+i%2, c.keys+keys+i%3
	}
	return c
}

// Queries that end in every eighth row of a tile, at odd and at even ones, and in every second one of a warp, with keys
// that do so, too, or with diagonals that begin in every eighth column.
func endsOfTiles(i int) (queries, keys int) {
	return max(8*i+i/4*2+(i+i/8)%2, 2), max(i/2*8+i/4*2+i%2, 2-i)
}

func diagonals(i int) (queries, keys int) {
	queries, _ = endsOfTiles(i)
	return queries, queries + i%4*8 + i/4
}

// attentionExercise is for the kernels on tensor cores.
func attentionExercise(kernel string) exercise {
	d := 64
	if strings.Contains(kernel, "128") {
		d = 128
	}
	two := []backend.Segment{{Q0: 1, Q1: 41, K0: 0, K1: 60}, {Q0: 44, Q1: 70, K0: 50, K1: 150}}
	few := []backend.Segment{{Q0: 1, Q1: 3, K0: 0, K1: 300}, {Q0: 3, Q1: 5, K0: 290, K1: 310}}
	one := attended{heads: 1, kvHeads: 1, dim: d}
	return func(r *rig) {
		switch {
		case strings.Contains(kernel, "_few"), strings.Contains(kernel, "_merge"):
			for _, c := range []attended{
				{queries: 5, keys: 330, heads: 6, kvHeads: 2, dim: d, causal: true},
				{queries: 16, keys: 100, heads: 1, kvHeads: 1, dim: d - 8},
				{queries: 7, keys: 320, heads: 4, kvHeads: 1, dim: d, causal: true, segments: few, part: true},
				{queries: 5, keys: 3, heads: 1, kvHeads: 1, dim: d - 40, causal: true},
				{queries: 3, keys: 150, heads: 2, kvHeads: 1, dim: d, holes: true},
				one.pieces(func(i int) (queries, keys int) { return i + 1, i/2*8 + 4 + i%2 }),
				one.pieces(func(i int) (queries, keys int) { return 1, 4*i + 64 }),
			} {
				r.attend(backend.BF16, 0, c)
			}
		case strings.Contains(kernel, "_forward"):
			causal := one
			causal.causal, causal.plain = true, true
			for _, c := range []attended{
				{queries: 128, keys: 192, heads: 1, kvHeads: 1, dim: d},
				{queries: 73, keys: 160, heads: 4, kvHeads: 2, dim: d - 16, causal: true, segments: two, part: true},
				{queries: 150, keys: 135, heads: 1, kvHeads: 1, dim: d, causal: true},
				{queries: 33, keys: 150, heads: 1, kvHeads: 1, dim: d, holes: true},
				{queries: 35, keys: 68, heads: 1, kvHeads: 1, dim: d, causal: true, plain: true},
				one.pieces(endsOfTiles),
				causal.pieces(diagonals),
			} {
				r.attend(backend.BF16, 0, c)
			}
		default:
			causal, low, holes := one, one, one
			causal.causal, low.low, holes.holes = true, true, true
			causal.part = true
			for _, c := range []attended{
				{queries: 128, keys: 192, heads: 1, kvHeads: 1, dim: d},
				{queries: 73, keys: 160, heads: 4, kvHeads: 2, dim: d - 16, causal: true, segments: two},
				{queries: 150, keys: 135, heads: 1, kvHeads: 1, dim: d, causal: true},
				low.pieces(endsOfTiles),
				holes.pieces(func(i int) (queries, keys int) { queries, _ = endsOfTiles(i); return queries, 16 }),
				causal.pieces(diagonals),
			} {
				if ofQueries := strings.Contains(kernel, "_queries"); !ofQueries || !c.holes {
					r.attendBackward(backend.BF16, 0, ofQueries, c)
				}
			}
		}
	}
}

// anyAttentionExercise is for the kernels that take any dtype, dimension and address.
func anyAttentionExercise(kernel string) exercise {
	dtypes := []backend.DType{variantOf(kernel).dtype}
	if strings.HasSuffix(kernel, "_half") {
		dtypes = []backend.DType{backend.BF16, backend.F16}
	}
	segments := []backend.Segment{{Q0: 1, Q1: 8, K0: 0, K1: 40}, {Q0: 9, Q1: 14, K0: 30, K1: 71}}
	return func(r *rig) {
		for _, c := range []attended{
			{queries: 6, keys: 70, heads: 1, kvHeads: 1, dim: 39},
			{queries: 15, keys: 75, heads: 4, kvHeads: 2, dim: 9, causal: true, segments: segments, part: true},
			{queries: 50, keys: 41, heads: 1, kvHeads: 1, dim: 5, causal: true, scale: -0.3},
			{queries: 3, keys: 70, heads: 1, kvHeads: 1, dim: 5, holes: true},
			{queries: 13, keys: 64, heads: 1, kvHeads: 1, dim: 32},
			{queries: 5, keys: 3, heads: 1, kvHeads: 1, dim: 3},
		} {
			for _, dt := range dtypes {
				if strings.Contains(kernel, "_forward") {
					r.attend(dt, 1, c)
				} else if !c.holes {
					r.attendBackward(dt, 1, !strings.Contains(kernel, "_keys"), c)
				}
			}
		}
	}
}
