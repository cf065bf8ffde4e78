package models

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// sampler chooses tokens of one sequence. Its random stream depends on the seed and the sequence's place
// in the batch only.
type sampler struct {
	options Options
	rand    *rand.Rand
	order   []int32
	probs   []float64
}

func newSampler(o Options, sequence int) *sampler {
	return &sampler{options: o, rand: rand.New(rand.NewPCG(o.Seed, uint64(sequence)))}
}

// choose takes the most likely token (the first of equals) at temperature 0, and otherwise draws.
func (s *sampler) choose(logits []float32) int32 {
	if s.options.Temperature == 0 {
		best := 0
		for i, l := range logits {
			if l > logits[best] {
				best = i
			}
		}
		return int32(best)
	}
	s.order = s.order[:0]
	for i := range logits {
		s.order = append(s.order, int32(i))
	}
	slices.SortFunc(s.order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(logits[b], logits[a]), cmp.Compare(a, b))
	})
	if k := s.options.TopK; k > 0 && k < len(s.order) {
		s.order = s.order[:k]
	}
	top := float64(logits[s.order[0]])
	sum := 0.0
	s.probs = s.probs[:0]
	for _, id := range s.order {
		p := math.Exp((float64(logits[id]) - top) / s.options.Temperature)
		s.probs = append(s.probs, p)
		sum += p
	}
	if p := s.options.TopP; p > 0 && p < 1 {
		reached, n := 0.0, 0
		for n < len(s.probs) && reached < p*sum {
			reached += s.probs[n]
			n++
		}
		s.probs, sum = s.probs[:n], reached
	}
	at := s.rand.Float64() * sum
	for i, p := range s.probs {
		if at -= p; at < 0 {
			return s.order[i]
		}
	}
	return s.order[len(s.probs)-1]
}
