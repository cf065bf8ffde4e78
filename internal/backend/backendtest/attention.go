package backendtest

import (
	"fmt"
	"math"
	"sync"

	"github.com/hone-ml/hone/internal/backend"
)

type attentionTest struct {
	queries, keys     int
	heads, kvHeads, d int
	segments          []backend.Segment
	causal            bool
	scale             float64 // of q and k
	dtypes            []backend.DType
}

func testAttention(s *suite) {
	b := s.b.(backend.Attentioner)
	all := floatDTypes
	f32 := []backend.DType{backend.F32}
	training := []backend.DType{backend.F32, backend.BF16}
	one := func(queries, keys int) []backend.Segment {
		return []backend.Segment{{Q0: 0, Q1: int32(queries), K0: 0, K1: int32(keys)}}
	}
	packed := func(lengths ...int32) (segments []backend.Segment) {
		at := int32(0)
		for _, n := range lengths {
			segments = append(segments, backend.Segment{Q0: at, Q1: at + n, K0: at, K1: at + n})
			at += n
		}
		return segments
	}
	many := 300
	if s.slow {
		many = 90
	}
	tests := []attentionTest{
		{1, 1, 1, 1, 1, one(1, 1), true, 1, all},
		{5, 5, 2, 1, 8, one(5, 5), true, 1, all},
		{5, 5, 2, 2, 8, one(5, 5), false, 1, all},
		{7, 19, 4, 2, 16, one(7, 19), true, 1, all}, // a continued sequence
		{19, 7, 4, 2, 16, one(19, 7), true, 1, all}, // queries that see no key
		{19, 7, 4, 2, 16, one(19, 7), false, 1, all},
		{4, 0, 2, 1, 8, one(4, 0), true, 1, f32}, // no keys at all
		{0, 4, 2, 1, 8, one(0, 4), true, 1, f32}, // no queries
		{9, 9, 2, 1, 8, nil, true, 1, all},       // no segments
		{30, 30, 6, 2, 24, packed(1, 0, 12, 17), true, 1, all},
		{30, 30, 6, 2, 24, packed(1, 0, 12, 17), false, 1, f32},
		{40, 50, 3, 1, 10, []backend.Segment{{Q0: 20, Q1: 33, K0: 30, K1: 43}, {Q0: 3, Q1: 15, K0: 2, K1: 20}}, true, 1, all},                                 // gaps, disorder
		{24, 40, 4, 2, 16, []backend.Segment{{Q0: 0, Q1: 8, K0: 0, K1: 20}, {Q0: 8, Q1: 16, K0: 12, K1: 30}, {Q0: 16, Q1: 24, K0: 0, K1: 20}}, false, 1, all}, // shared keys
		{129, 129, 2, 1, 16, one(129, 129), true, 1, all}, // one more than a tile of keys
		{127, 128, 1, 1, 33, one(127, 128), true, 1, f32},
		{65, 300, 4, 4, 8, one(65, 300), true, 1, f32},
		{many, many, 4, 2, 32, one(many, many), true, 1, f32},
		{300, 300, 4, 2, 32, packed(100, 63, 64, 65, 8), true, 1, all},
		{200, 200, 9, 3, 64, packed(150, 50), true, 20, all},                 // scores of hundreds
		{many, many, 9, 3, 64, packed(int32(many-50), 50), false, 1e-4, f32}, // scores of nothing
		{1, 600, 8, 2, 64, one(1, 600), true, 1, all},                        // decoding
		{3, 900, 4, 4, 64, []backend.Segment{{Q0: 0, Q1: 1, K0: 0, K1: 257}, {Q0: 1, Q1: 2, K0: 300, K1: 300}, {Q0: 2, Q1: 3, K0: 400, K1: 900}}, true, 1, all},
		{40, 40, 32, 1, 16, one(40, 40), true, 1, f32}, // one key head for all
		{40, 40, 130, 1, 4, one(40, 40), true, 1, f32}, // a group larger than a tile
		{3, 3, 2, 1, 0, one(3, 3), true, 1, f32},
		{257, 255, 2, 2, 32, one(257, 255), true, 1, training}, // one more and one less than a block
		{255, 257, 2, 1, 40, one(255, 257), true, 1, training},
		{513, 513, 4, 1, 32, one(513, 513), true, 1, training}, // three blocks, one of them a single row
		{511, 511, 2, 2, 33, packed(31, 33, 257, 190), true, 1, training},
		{260, 700, 2, 1, 32, one(260, 700), false, 1, training},
		{700, 260, 2, 1, 32, one(700, 260), true, 1, training}, // whole blocks of queries that see no key
		{66, 66, 4, 2, 128, one(66, 66), true, 1, training},
		{34, 34, 2, 1, 256, one(34, 34), true, 1, training},
	}
	for _, test := range tests {
		for _, dt := range test.dtypes {
			for _, l := range rowLayouts {
				if !s.slow || test.worthwhile(dt, l) {
					s.attention(b, test, dt, l)
				}
			}
		}
	}
}

// worthwhile reports whether a slow backend computes a test. Of the large ones it does those with the dtype and the
// layout of a training step, for which its tiles are large, and those which have no other dtype.
func (a *attentionTest) worthwhile(dt backend.DType, l layout) bool {
	if a.queries*a.keys*a.heads*a.d < 1<<19 {
		return true
	}
	return l == contiguous && (dt == backend.BF16 || len(a.dtypes) == 1)
}

func (s *suite) attention(b backend.Attentioner, a attentionTest, dt backend.DType, l layout) {
	acc := dt.Accumulator()
	args := backend.AttentionArgs{Segments: a.segments, Causal: a.causal, Scale: 1 / math.Sqrt(float64(max(a.d, 1)))}
	q, k := s.normal(dt, math.Sqrt(a.scale), a.queries, a.heads, a.d), s.normal(dt, math.Sqrt(a.scale), a.keys, a.kvHeads, a.d)
	v, dout := s.normal(dt, 1, a.keys, a.kvHeads, a.d), s.normal(dt, 1, a.queries, a.heads, a.d)
	label := fmt.Sprintf("%v q%v k%v %v, causal %v, scale %v, %d segments", dt, q.shape, k.shape, l, a.causal, a.scale, len(a.segments))
	forward := once(s, label, func() [2]array {
		out, lse := attention(q, k, v, args)
		return [2]array{out, lse}
	})
	out, lse := forward[0], forward[1]
	tol := toleranceOf(dt)
	tol.scale *= 1 + a.scale/4 // the exponent's own rounding
	s.try(label, func() {
		vq, vk, vv := s.in(dt, q, l), s.in(dt, k, l), s.in(dt, v, l)
		o, alone, e := s.out(dt, l, q.shape...), s.out(dt, l, q.shape...), s.out(acc, contiguous, a.heads, a.queries)
		b.Attention(&o.view, &e.view, vq, vk, vv, args)
		b.Attention(&alone.view, nil, vq, vk, vv, args)
		s.expect("out", o, tol, func() array { return out })
		s.expect("out without lse", alone, tol, func() array { return out })
		if a.d > 0 {
			s.expect("lse", e, tolerance{scale: summed(dt).scale}, func() array { return lse })
		}
	})
	s.try("backward "+label, func() {
		vq, vk, vv := s.in(dt, q, l), s.in(dt, k, l), s.in(dt, v, l)
		vd, vo, ve := s.in(dt, dout, l), s.in(dt, out.rounded(dt), l), s.in(acc, lse.rounded(acc), contiguous)
		dq, dk, dv := s.out(dt, l, q.shape...), s.out(dt, l, k.shape...), s.out(dt, l, k.shape...)
		b.AttentionBackward(&dq.view, &dk.view, &dv.view, vd, vo, ve, vq, vk, vv, args)
		wants := sync.OnceValue(func() [3]array {
			dq, dk, dv := attentionBackward(q, k, v, dout, args)
			return [3]array{dq, dk, dv}
		})
		s.expect("dq", dq, tol, func() array { return wants()[0] })
		s.expect("dk", dk, tol, func() array { return wants()[1] })
		s.expect("dv", dv, tol, func() array { return wants()[2] })

		only := s.out(dt, l, q.shape...)
		b.AttentionBackward(&only.view, nil, nil, vd, vo, ve, vq, vk, vv, args)
		s.expect("dq alone", only, tol, func() array { return wants()[0] })
		onlyK, onlyV := s.out(dt, l, k.shape...), s.out(dt, l, k.shape...)
		b.AttentionBackward(nil, &onlyK.view, &onlyV.view, vd, vo, ve, vq, vk, vv, args)
		s.expect("dk without dq", onlyK, tol, func() array { return wants()[1] })
		s.expect("dv without dq", onlyV, tol, func() array { return wants()[2] })
	})
}

// eachQuery calls f with the keys and their probabilities for every query of every head.
func eachQuery(q, k array, args backend.AttentionArgs, f func(i, head, kvHead, firstKey int, p []float64, lse float64)) {
	heads := q.shape[1]
	for _, s := range args.Segments {
		for i := int(s.Q0); i < int(s.Q1); i++ {
			n := int(s.K1 - s.K0)
			if args.Causal {
				n = min(n, max(0, i-int(s.Q0)+1+n-int(s.Q1-s.Q0)))
			}
			for h := range heads {
				kvHead := h * k.shape[1] / heads
				row := q.head(i, h)
				scores := make([]float64, n)
				largest, sum := math.Inf(-1), 0.0
				for j := range scores {
					for c, v := range k.head(int(s.K0)+j, kvHead) {
						scores[j] += args.Scale * row[c] * v
					}
					largest = max(largest, scores[j])
				}
				for _, v := range scores {
					sum += math.Exp(v - largest)
				}
				f(i, h, kvHead, int(s.K0), softmax(scores), largest+math.Log(sum))
			}
		}
	}
}

// head is one row of an array [rows, heads, dim].
func (a array) head(row, head int) []float64 {
	d := a.shape[2]
	return a.data[(row*a.shape[1]+head)*d:][:d]
}

func attention(q, k, v array, args backend.AttentionArgs) (out, lse array) {
	out, lse = newArray(q.shape...), newArray(q.shape[1], q.shape[0])
	for i := range lse.data {
		lse.data[i] = math.Inf(-1)
	}
	eachQuery(q, k, args, func(i, h, kvHead, first int, p []float64, l float64) {
		if len(p) == 0 {
			return
		}
		lse.data[h*q.shape[0]+i] = l
		row := out.head(i, h)
		for j, weight := range p {
			for c, value := range v.head(first+j, kvHead) {
				row[c] += weight * value
			}
		}
	})
	return out, lse
}

func attentionBackward(q, k, v, dout array, args backend.AttentionArgs) (dq, dk, dv array) {
	dq, dk, dv = newArray(q.shape...), newArray(k.shape...), newArray(k.shape...)
	eachQuery(q, k, args, func(i, h, kvHead, first int, p []float64, _ float64) {
		g, qi, dqi := dout.head(i, h), q.head(i, h), dq.head(i, h)
		dp, mean := make([]float64, len(p)), 0.0
		for j := range p {
			for c, value := range v.head(first+j, kvHead) {
				dp[j] += g[c] * value
			}
			mean += p[j] * dp[j]
		}
		for j := range p {
			ds := p[j] * (dp[j] - mean) * args.Scale
			key, dkj, dvj := k.head(first+j, kvHead), dk.head(first+j, kvHead), dv.head(first+j, kvHead)
			for c := range g {
				dvj[c] += p[j] * g[c]
				dkj[c] += ds * qi[c]
				dqi[c] += ds * key[c]
			}
		}
	})
	return dq, dk, dv
}
