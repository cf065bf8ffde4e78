package report

import "math"

// Wilson returns the 95 % score interval of correct successes in n trials (Wilson 1927), as fractions. Unlike the
// normal approximation it is right near 0 and 1, where untrained and well-trained models are. With no trials it is all
// of [0, 1].
func Wilson(correct, n int) (lo, hi float64) {
	if n <= 0 {
		return 0, 1
	}
	const z = 1.959963984540054 // the normal quantile of 97.5 %
	p, m := float64(correct)/float64(n), float64(n)
	centre := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return max(centre-half, 0), min(centre+half, 1)
}

// NewScore returns a score that knows only how many of n questions are right; the caller adds the rest.
func NewScore(correct, n int) *Score {
	s := &Score{N: n}
	if n > 0 {
		s.ExecutionAccuracy = float64(correct) / float64(n)
	}
	s.CI95[0], s.CI95[1] = Wilson(correct, n)
	return s
}

// encodable returns s, or a copy in which values that JSON cannot write are 0. It is nil for nil.
func (s *Score) encodable() *Score {
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
