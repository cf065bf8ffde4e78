package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
	"github.com/hone-ml/hone/examples/text2sql/internal/score"
	"github.com/hone-ml/hone/internal/atomicfile"
)

// beforeFile keeps in the run's directory how the model answered before training, which a resumed run
// need not find out again.
const beforeFile = "before.json"

// beforeScores is before.json, by the splits' keys.
type beforeScores struct {
	Seconds float64                `json:"seconds"` // what measuring took
	Splits  map[string]beforeScore `json:"splits"`
}

type beforeScore struct {
	Score   *score.Summary `json:"score"`
	Answers []score.Item   `json:"answers,omitempty"`
}

// examineBefore examines the model before training, or reads how that went. It comes before a checkpoint
// is restored, and so sees the model that the run began with even when it is resumed.
func (s *session) examineBefore(ctx context.Context, resume bool) error {
	if len(s.splits) == 0 {
		return nil
	}
	path := filepath.Join(s.out, beforeFile)
	if resume {
		known, err := s.readBefore(path)
		if err != nil || known {
			return err
		}
	}
	start := time.Now()
	if err := s.examineAll(ctx, false); err != nil {
		return err
	}
	b := beforeScores{time.Since(start).Seconds(), map[string]beforeScore{}}
	for _, sp := range s.splits {
		b.Splits[sp.key] = beforeScore{sp.before, sp.first}
	}
	if err := os.MkdirAll(s.out, 0o777); err != nil {
		return err
	}
	return atomicfile.WriteFile(path, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		return e.Encode(b)
	})
}

// readBefore takes the scores of an earlier session, if it asked the same questions.
func (s *session) readBefore(path string) (known bool, err error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var b beforeScores
	if err := json.Unmarshal(raw, &b); err != nil {
		return false, fmt.Errorf("%s: %w; remove it to measure again", path, err)
	}
	for _, sp := range s.splits {
		was := b.Splits[sp.key]
		same := sp.of != nil && was.Score != nil && was.Score.N == len(sp.only) ||
			sp.of == nil && slices.EqualFunc(was.Answers, sp.exam.rows, func(it score.Item, r data.Row) bool { return it.ID == r.ID && it.Gold == r.SQL })
		if was.Score == nil || !same {
			return false, nil
		}
	}
	for _, sp := range s.splits {
		sp.before, sp.first = b.Splits[sp.key].Score, b.Splits[sp.key].Answers
	}
	s.earlier, s.evalSeconds = b.Seconds, b.Seconds
	return true, nil
}
