package models

import (
	"cmp"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
)

// sampler chooses tokens of one sequence. Its random stream depends on the seed and the sequence's place
// in the batch only.
type sampler struct {
	options Options
	rand    *rand.Rand
	pool    []candidate
}

// candidate is a token that may be drawn.
type candidate struct {
	id     int32
	logit  float32
	weight float64 // its probability but for a common factor
}

func newSampler(o Options, sequence int) *sampler {
	return &sampler{options: o, rand: rand.New(rand.NewPCG(o.Seed, uint64(sequence)))}
}

// choose takes the most likely token (the first of equals) at temperature 0, and otherwise draws. It
// reorders nothing that need not be: a vocabulary may have 150,000 tokens.
func (s *sampler) choose(logits []float32) (int32, error) {
	best, err := mostLikely(logits)
	if err != nil || s.options.Temperature == 0 {
		return best, err
	}
	k, floor := len(logits), float32(math.Inf(-1))
	if s.options.TopK > 0 && s.options.TopK < k {
		k = s.options.TopK
		floor = below(logits, k)
	}
	s.pool = s.pool[:0]
	for i, l := range logits {
		if l >= floor {
			s.pool = append(s.pool, candidate{id: int32(i), logit: l})
		}
	}
	if k < len(logits) {
		s.sort()
		s.pool = s.pool[:k]
	}
	sum := 0.0
	for i, c := range s.pool {
		w := math.Exp((float64(c.logit) - float64(logits[best])) / s.options.Temperature)
		s.pool[i].weight = w
		sum += w
	}
	if p := s.options.TopP; p > 0 && p < 1 {
		sum = s.nucleus(p, sum)
	}
	at := s.rand.Float64() * sum
	for _, c := range s.pool {
		if at -= c.weight; at < 0 {
			return c.id, nil
		}
	}
	return best, nil // rounding left a rest
}

// nucleus keeps the fewest candidates that hold the fraction p of sum, and returns what they hold.
func (s *sampler) nucleus(p, sum float64) float64 {
	// all that are lighter than this weigh less than 1−p together: they need no sorting
	least := (1 - p) * sum / float64(len(s.pool))
	s.pool = slices.DeleteFunc(s.pool, func(c candidate) bool { return c.weight < least })
	s.sort()
	reached, n := 0.0, 0
	for n < len(s.pool) && reached < p*sum {
		reached += s.pool[n].weight
		n++
	}
	s.pool = s.pool[:n]
	return reached
}

// sort puts the most likely candidates first, equals by their ids.
func (s *sampler) sort() {
	slices.SortFunc(s.pool, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.logit, a.logit), cmp.Compare(a.id, b.id))
	})
}

// mostLikely is the first of the highest logits.
func mostLikely(logits []float32) (int32, error) {
	best := 0
	for i, l := range logits {
		if l != l {
			return 0, errors.New("the logits are not numbers (NaN): the parameters are broken, perhaps by training that diverged")
		}
		if l > logits[best] {
			best = i
		}
	}
	if math.IsInf(float64(logits[best]), 0) {
		return 0, errors.New("the highest logit is infinite: the parameters are broken, perhaps by training that diverged")
	}
	return int32(best), nil
}

// below is a bound that the k-th highest logit reaches: of k pieces of logits, the least maximum.
func below(logits []float32, k int) float32 {
	least := float32(math.Inf(1))
	for i := range k {
		least = min(least, slices.Max(logits[i*len(logits)/k:(i+1)*len(logits)/k]))
	}
	return least
}
