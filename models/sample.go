package models

import (
	"cmp"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
)

// sampler chooses tokens of one sequence. Its random stream depends on the seed and the sequence's number only.
type sampler struct {
	options Options
	rand    *rand.Rand
	pool    []candidate
	seen    map[int32]bool // tokens of the text, with a penalty
	changed []float32      // logits with the penalty
}

// candidate is a token that may be drawn.
type candidate struct {
	id     int32
	logit  float32
	weight float64 // its probability but for a common factor
}

func newSampler(o Options, sequence int, prompt []int32) *sampler {
	s := &sampler{options: o, rand: rand.New(rand.NewPCG(o.Seed, uint64(sequence)))}
	if p := o.RepetitionPenalty; p != 0 && p != 1 {
		s.seen = map[int32]bool{}
		for _, id := range prompt {
			s.seen[id] = true
		}
	}
	return s
}

// next chooses a token by the logits behind the text, which stay as they are.
func (s *sampler) next(logits []float32) (BatchToken, error) {
	id, err := s.choose(logits)
	if err != nil {
		return BatchToken{}, err
	}
	if s.seen != nil {
		s.seen[id] = true
	}
	token := BatchToken{ID: id}
	if s.options.Logprobs || s.options.TopLogprobs > 0 {
		s.rate(&token, logits)
	}
	return token, nil
}

// choose takes the most likely token (the first of equals) at temperature 0, and otherwise draws.
func (s *sampler) choose(logits []float32) (int32, error) {
	logits = s.penalized(logits)
	best, err := mostLikely(logits)
	if err != nil || s.options.Temperature == 0 {
		return best, err
	}
	sum := s.candidates(logits, best)
	at := s.rand.Float64() * sum
	for _, c := range s.pool {
		if at -= c.weight; at < 0 {
			return c.id, nil
		}
	}
	return best, nil // rounding left a rest
}

// penalized are the logits with the penalty on tokens of the text.
func (s *sampler) penalized(logits []float32) []float32 {
	if len(s.seen) == 0 {
		return logits
	}
	s.changed = append(s.changed[:0], logits...)
	penalty := float32(s.options.RepetitionPenalty)
	for id := range s.seen {
		if l := &s.changed[id]; *l > 0 {
			*l /= penalty
		} else {
			*l *= penalty
		}
	}
	return s.changed
}

// candidates puts the tokens that may be drawn into the pool, and returns the sum of their weights. It
// reorders nothing that need not be: a vocabulary may have 150,000 tokens.
func (s *sampler) candidates(logits []float32, best int32) (sum float64) {
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
	for i, c := range s.pool {
		w := math.Exp((float64(c.logit) - float64(logits[best])) / s.options.Temperature)
		s.pool[i].weight = w
		sum += w
	}
	if p := s.options.TopP; p > 0 && p < 1 {
		sum = s.nucleus(p, sum)
	}
	if p := s.options.MinP; p > 0 {
		sum = s.atLeast(p) // the most likely weighs 1
	}
	return sum
}

// atLeast keeps the candidates of that weight, and returns what they hold.
func (s *sampler) atLeast(least float64) (sum float64) {
	s.pool = slices.DeleteFunc(s.pool, func(c candidate) bool { return c.weight < least })
	for _, c := range s.pool {
		sum += c.weight
	}
	return sum
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
