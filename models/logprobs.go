package models

import (
	"cmp"
	"math"
	"slices"
)

// rate gives a token its log probability, and the most likely ones in its place, by the logits.
func (s *sampler) rate(token *BatchToken, logits []float32) {
	highest := float64(slices.Max(logits))
	sum := 0.0
	for _, l := range logits {
		sum += math.Exp(float64(l) - highest)
	}
	logSum := highest + math.Log(sum)
	logprob := func(id int32) float64 { return float64(logits[id]) - logSum }
	token.Logprob = logprob(token.ID)
	k := min(s.options.TopLogprobs, len(logits))
	if k == 0 {
		return
	}
	floor := below(logits, k)
	for i, l := range logits {
		if l >= floor {
			token.Top = append(token.Top, Likely{int32(i), logprob(int32(i))})
		}
	}
	slices.SortFunc(token.Top, func(a, b Likely) int { return cmp.Or(cmp.Compare(b.Logprob, a.Logprob), cmp.Compare(a.ID, b.ID)) })
	token.Top = slices.Clip(token.Top[:k])
}
