package score

import (
	"encoding/json"
	"math"
)

// A Summary is the score of a set of predictions; its JSON is what the program
// prints. Accuracies and ValidSQL are fractions of N, from 0 to 1.
//
// ValidSQL, Errors, Timeouts and the missing predictions add up to N: a
// prediction is valid when it ran, and counts as an error when the database
// refused it, it was too large, or it held no single query.
type Summary struct {
	N                 int        `json:"n"`
	ExecutionAccuracy float64    `json:"execution_accuracy"` // the strict rule, see Equal
	CI95              [2]float64 `json:"ci95"`               // Wilson's interval of Accuracy
	SetAccuracy       float64    `json:"set_accuracy"`       // BIRD's rule, see SetEqual
	ExactMatch        float64    `json:"exact_match"`        // see ExactMatch, and Texts
	ValidSQL          float64    `json:"valid_sql"`
	Errors            int        `json:"errors"`
	Timeouts          int        `json:"timeouts"`
	EmptyGolds        int        `json:"empty_golds"` // gold queries that return no rows
	Seconds           float64    `json:"seconds"`

	// RobustAccuracy is the fraction that is right on perturbed copies of the
	// databases too, see Robust; nil where that was not asked for.
	RobustAccuracy *float64 `json:"robust_accuracy,omitempty"`

	// SkippedGolds is how many rows were left out, not in N, because a gold query
	// of theirs fails.
	SkippedGolds int `json:"skipped_golds,omitempty"`

	// Measure is TextMeasure where answers are texts, which are compared and not
	// executed: of the accuracies only ExactMatch is then measured.
	Measure string `json:"measure,omitempty"`
	// Loss is the mean over the answers' tokens, in nats, where it was measured.
	Loss *float64 `json:"loss,omitempty"`
}

// TextMeasure is the Measure of texts.
const TextMeasure = "exact match"

// IsText reports whether the score is one of texts.
func (s *Summary) IsText() bool { return s.Measure == TextMeasure }

// Accuracy is the fraction of right answers: the execution accuracy or, of
// texts, the exact matches.
func (s *Summary) Accuracy() float64 {
	if s.IsText() {
		return s.ExactMatch
	}
	return s.ExecutionAccuracy
}

// AccuracyName is what Accuracy is called.
func (s *Summary) AccuracyName() string {
	if s.IsText() {
		return TextMeasure
	}
	return "execution accuracy"
}

// MarshalJSON leaves out of a score of texts what only execution can tell.
func (s Summary) MarshalJSON() ([]byte, error) {
	if s.IsText() {
		return json.Marshal(struct {
			N          int        `json:"n"`
			Measure    string     `json:"measure"`
			ExactMatch float64    `json:"exact_match"`
			CI95       [2]float64 `json:"ci95"`
			Loss       *float64   `json:"loss,omitempty"`
			Seconds    float64    `json:"seconds"`
		}{s.N, s.Measure, s.ExactMatch, s.CI95, s.Loss, s.Seconds})
	}
	type plain Summary // without this method
	return json.Marshal(plain(s))
}

// Summarize counts the verdicts of items, which may be a part of those that
// Evaluate or Texts returned. Seconds is 0.
func Summarize(items []Item) *Summary {
	s := &Summary{N: len(items)}
	var correct, set, exact, valid, texts int
	for _, it := range items {
		switch it.Verdict {
		case Correct:
			correct++
			valid++
		case Wrong:
			valid++
		case Timeout:
			s.Timeouts++
		case Failed, TooLarge, Forbidden, NoQuery:
			s.Errors++
		}
		set += truth(it.SetMatch)
		exact += truth(it.ExactMatch)
		texts += truth(it.Text)
		s.EmptyGolds += truth(it.EmptyGold)
	}
	n := float64(s.N)
	s.CI95[0], s.CI95[1] = Wilson(correct, s.N)
	s.ExactMatch = float64(exact) / n
	if texts > 0 {
		s.Measure, s.ExactMatch = TextMeasure, float64(correct)/n
		return s
	}
	s.ExecutionAccuracy, s.SetAccuracy, s.ValidSQL = float64(correct)/n, float64(set)/n, float64(valid)/n
	return s
}

// Wilson returns the 95 % interval of a proportion of which k of n were seen,
// by Wilson's score (Wilson 1927, without correction for continuity). Of n = 0
// nothing is known: it is 0 to 1.
func Wilson(k, n int) (low, high float64) {
	if n == 0 {
		return 0, 1
	}
	const z = 1.959963984540054 // the 97.5 % quantile of the normal distribution
	total := float64(n)
	p := float64(k) / total
	center := (p + z*z/(2*total)) / (1 + z*z/total)
	half := z / (1 + z*z/total) * math.Sqrt(p*(1-p)/total+z*z/(4*total*total))
	low, high = max(0, center-half), min(1, center+half)
	if k == 0 {
		low = 0 // but for rounding
	}
	if k == n {
		high = 1
	}
	return low, high
}
