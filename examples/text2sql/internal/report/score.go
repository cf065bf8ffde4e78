package report

import (
	"math"

	"github.com/hone-ml/hone/examples/text2sql/internal/score"
)

// NewScore returns a score that knows only how many of n questions are right; the caller adds the rest.
func NewScore(correct, n int) *Score {
	s := &Score{N: n}
	if n > 0 {
		s.ExecutionAccuracy = float64(correct) / float64(n)
	}
	s.CI95[0], s.CI95[1] = score.Wilson(correct, n)
	return s
}

// encodable returns s, or a copy in which values that JSON cannot write are 0. It is nil for nil.
func encodable(s *Score) *Score {
	if s == nil {
		return nil
	}
	c := *s
	for _, v := range []*float64{&c.ExecutionAccuracy, &c.CI95[0], &c.CI95[1], &c.SetAccuracy, &c.ExactMatch, &c.ValidSQL, &c.Seconds} {
		*v = orZero(*v)
	}
	return &c
}

func orZero(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	return v
}
