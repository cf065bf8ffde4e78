package train

import "fmt"

// Span is the tokens [Start, End) of a sample.
type Span struct{ Start, End int }

// Sample is one tokenised example. Every token but the first is a target: predicted from those before it.
// Targets in Completion are what the model is to say; all others are the prompt, which carries loss only
// where Config.PromptLoss is not 0.
type Sample struct {
	// ID names the sample in errors; the index stands in if it is empty.
	ID string
	// Tokens are ids in [0, V).
	Tokens []int32
	// Completion is the spans of what is to be learned, ascending and disjoint: one for question and
	// answer, several for a conversation, {0, len(Tokens)} for plain text.
	Completion []Span
}

// Data is what a run learns from. Sample is called from one goroutine, several times for the same i, and
// must give the same each time.
type Data interface {
	Len() int
	Sample(i int) (Sample, error)
}

// Samples is Data in memory.
type Samples []Sample

// Len is the number of samples.
func (s Samples) Len() int { return len(s) }

// Sample is the i-th sample.
func (s Samples) Sample(i int) (Sample, error) { return s[i], nil }

// name is how errors call the i-th sample.
func (s *Sample) name(i int) string {
	if s.ID != "" {
		return fmt.Sprintf("sample %d (%s)", i, s.ID)
	}
	return fmt.Sprintf("sample %d", i)
}

// check reports what makes a sample unusable for a model of the given vocabulary.
func (s *Sample) check(vocab int) error {
	if len(s.Tokens) == 0 {
		return fmt.Errorf("it has no tokens")
	}
	for i, id := range s.Tokens {
		if id < 0 || int(id) >= vocab {
			return fmt.Errorf("token %d is %d, outside the model's vocabulary [0, %d): was it made with another tokenizer?", i, id, vocab)
		}
	}
	last := 0
	for _, c := range s.Completion {
		if c.Start < last || c.End < c.Start || c.End > len(s.Tokens) {
			return fmt.Errorf("completion span [%d, %d) is out of order or outside its %d tokens", c.Start, c.End, len(s.Tokens))
		}
		last = c.End
	}
	return nil
}

// truncate cuts the sample to its first n tokens.
func (s *Sample) truncate(n int) {
	s.Tokens = s.Tokens[:n]
	var kept []Span
	for _, c := range s.Completion {
		if c.Start < n {
			kept = append(kept, Span{c.Start, min(c.End, n)})
		}
	}
	s.Completion = kept
}

// completions is the number of completion targets.
func (s *Sample) completions() int {
	n := 0
	for _, c := range s.Completion {
		n += max(0, c.End-max(c.Start, 1))
	}
	return n
}

// read fetches and checks the i-th sample and applies the limit on its length. ok is false for one that
// is dropped; long says that it was longer than the limit.
func read(d Data, i, vocab, limit int, long LongSamples) (s Sample, ok, isLong bool, err error) {
	s, err = d.Sample(i)
	if err != nil {
		return s, false, false, fmt.Errorf("train: sample %d: %w", i, err)
	}
	if err := s.check(vocab); err != nil {
		return s, false, false, fmt.Errorf("train: %s: %w", s.name(i), err)
	}
	if limit == 0 || len(s.Tokens) <= limit {
		return s, true, false, nil
	}
	if long == DropLong {
		return s, false, true, nil
	}
	s.truncate(limit)
	return s, true, true, nil
}
