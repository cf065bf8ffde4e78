package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
	"github.com/hone-ml/hone/examples/text2sql/internal/perturb"
	"github.com/hone-ml/hone/examples/text2sql/internal/progress"
	"github.com/hone-ml/hone/examples/text2sql/internal/score"
	"github.com/hone-ml/hone/examples/text2sql/internal/sqlexec"
)

// A judgedLine is a judged answer with all that a summary needs.
type judgedLine struct {
	score.Item
	SetMatch   bool   `json:"set_match"`
	ExactMatch bool   `json:"exact_match"`
	EmptyGold  bool   `json:"empty_gold"`
	On         string `json:"on"` // digest of where it was executed
}

// scoring is a scoring that can be cut off: with out, what is judged is kept beside it until all is.
type scoring struct {
	dbs   databases
	exec  sqlexec.Executor
	golds *score.Golds
	out   string // file of judged answers, or ""

	copies int    // of each database, perturbed, for the robust accuracy
	seed   uint64 // of the copies

	line *progress.Line // shows how far a scoring is that takes long

	skipFailing bool // leave rows out whose gold queries fail
	skipped     int  // rows that were
}

// register adds the flags of failing golds and of perturbed copies.
func (s *scoring) register(fs *flag.FlagSet) {
	skipFailingFlag(fs, &s.skipFailing)
	fs.IntVar(&s.copies, "perturb", 0, "measure robust_accuracy too, on `N` copies of each SQLite database with other rows (5 find nearly all lucky answers)")
}

// check finds wrong usage.
func (s *scoring) check() error {
	switch {
	case s.copies < 0:
		return usagef("-perturb is %d, want 0 or more", s.copies)
	case s.copies > 0 && s.dbs.dsn != "":
		return usagef("-perturb copies SQLite databases; PostgreSQL's cannot be")
	}
	return nil
}

// run scores predictions, writes the judged answers and measures on copies.
func (s *scoring) run(ctx context.Context, rows []data.Row, preds []data.Prediction) (*score.Summary, error) {
	summary, items, err := s.judge(ctx, rows, preds)
	if err == nil {
		summary.SkippedGolds = s.skipped
	}
	if err != nil || s.copies == 0 {
		return summary, err
	}
	start := time.Now()
	robust, err := score.Robust(ctx, func(ctx context.Context, dbID string) (score.Copies, error) {
		return perturb.Open(ctx, sqlexec.File(s.dbs.dir, dbID), s.copies, s.seed, sqlexec.Limits{})
	}, rows, items)
	if err != nil {
		return nil, err
	}
	n := 0
	for _, right := range robust {
		n += truth(right)
	}
	summary.RobustAccuracy = new(float64(n) / float64(len(rows)))
	summary.Seconds += time.Since(start).Seconds()
	return summary, nil
}

// progress returns what is to be called for each answer that is judged, with the number of those known before. Most
// scorings are over before there is anything to show.
func (s *scoring) progress(total int) func(known int) {
	start, done := time.Now(), 0
	return func(known int) {
		if done++; time.Since(start) > time.Second {
			s.line.Count(progress.Count{Label: "scoring", Done: min(known+done, total), Total: total})
		}
	}
}

// part is the file that keeps what is judged so far.
func (s *scoring) part() string { return s.out + ".part" }

// judge scores predictions and writes the judged answers.
func (s *scoring) judge(ctx context.Context, rows []data.Row, preds []data.Prediction) (*score.Summary, []score.Item, error) {
	if rows[0].IsChat() {
		summary, items, err := score.Texts(rows, preds)
		if err == nil && s.out != "" {
			err = data.Write(s.out, items)
		}
		return summary, items, err
	}
	o := score.Options{Golds: s.golds}
	told := s.progress(len(rows))
	if s.out == "" {
		o.Judged = func(score.Item) { told(0) }
		return score.Evaluate(ctx, s.exec, rows, preds, o)
	}
	on := digest([]byte(s.dbs.dir), []byte(withoutPassword(s.dbs.dsn)))
	o.Known = map[string]score.Item{}
	j, err := openJournal(s.part(), func(line []byte) error {
		var l judgedLine
		if err := json.Unmarshal(line, &l); err != nil {
			return fmt.Errorf("not a judged answer: %w; remove the file", err)
		}
		if l.On == on {
			l.Item.SetMatch, l.Item.ExactMatch, l.Item.EmptyGold = l.SetMatch, l.ExactMatch, l.EmptyGold
			o.Known[l.ID] = l.Item
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	o.Judged = func(it score.Item) {
		j.add(judgedLine{it, it.SetMatch, it.ExactMatch, it.EmptyGold, on})
		told(len(o.Known))
	}
	summary, items, err := score.Evaluate(ctx, s.exec, rows, preds, o)
	if closeErr := j.done(); closeErr != nil {
		return nil, nil, errors.Join(err, closeErr)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
		if ctx.Err() != nil || errors.Is(err, sqlexec.ErrUnavailable) {
			err = fmt.Errorf("%w; what was judged so far is kept in %s, and the same command goes on from there", err, s.part())
		}
		return nil, nil, err
	}
	if err := data.Write(s.out, items); err != nil {
		return nil, nil, err
	}
	return summary, items, os.Remove(s.part())
}
