package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/hone-ml/hone/examples/text2sql/internal/progress"
	"github.com/hone-ml/hone/examples/text2sql/internal/report"
	"github.com/hone-ml/hone/examples/text2sql/internal/score"
	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/nn/lora"
	"github.com/hone-ml/hone/tokenizer"
	"github.com/hone-ml/hone/train"
)

// split is a set of questions asked before and after training.
type split struct {
	key, name, note string
	exam            examination
	families        map[string]string // of questions, by id
	schemas         map[string]string // as the prompt shows them, by id

	of   *split // of which it is a part that is not examined by itself, or nil
	only []int  // then: its rows there

	noneSeen                bool // training knows none of its databases
	before, after, baseline *score.Summary
	first, last             []score.Item // judged answers before and after
}

// judged is an examination during training.
type judged struct {
	step    int
	score   float64
	summary *score.Summary
	items   []score.Item
}

// session is a training run with its examinations and its report.
type session struct {
	*program
	line      *progress.Line
	model     models.CausalLM
	adapter   *lora.Adapter // all of the model that is trained and saved, or nil
	tok       *tokenizer.Tokenizer
	answerer  *answerer
	splits    []*split
	out       string
	started   time.Time
	resumable bool          // the command has -resume
	resumed   func() error  // called once the run has gone on: flags other than the run's are refused before that; or nil
	maxTime   time.Duration // of the evaluations and training together, 0 for no limit
	about     report.About

	footprint   *train.Footprint // as predicted
	result      *train.Result
	evaluated   int     // the step after which the first split was examined last, while training
	best        judged  // the examination with the highest score, while training
	modelStep   int     // the step whose parameters the model has when training is done
	earlier     float64 // seconds of the run before this session
	evalSeconds float64
}

// run examines, trains, saves the model and examines again. The files of the run tell of the whole of it,
// even if it was interrupted and resumed.
func (s *session) run(ctx context.Context, o train.Options) error {
	o.OnStep = func(m train.Metrics) {
		if s.resumed != nil {
			if err := s.resumed(); err != nil {
				s.line.Log("%v", err)
			}
			s.resumed = nil
		}
		s.line.Update(progress.State{Step: m.Step, Steps: m.Progress.Steps, Tokens: int64(m.Tokens),
			Elapsed: time.Duration(m.Seconds * float64(time.Second)), MaxTime: o.Config.MaxTime, Loss: m.Loss, TokensPerSecond: m.TokensPerSecond})
	}
	o.Log = func(message string) { s.line.Log("%s", message) }
	o.SaveExtra = s.tok.Save
	if s.adapter != nil {
		o.SaveModel, o.LoadModel = s.adapter.Save, s.adapter.Restore
	}
	if len(s.splits) > 0 {
		o.Evaluate = s.evaluate
	}
	if err := s.examineBefore(ctx, o.Config.Resume); err != nil {
		return err
	}
	if err := s.share(&o.Config); err != nil {
		return err
	}
	began := time.Now()
	var err error
	s.result, err = train.Run(ctx, o)
	s.line.Done()
	if err != nil {
		return s.stopped(err)
	}
	s.earlier += max(0, s.result.Seconds-time.Since(began).Seconds())
	if err := s.takeBest(); err != nil {
		return err
	}
	if err := s.save(); err != nil {
		return err
	}
	if len(s.splits) > 0 && s.evaluated != s.modelStep {
		s.splits[0].after, s.splits[0].last = nil, nil // those of an earlier step
	}
	if err := s.examineAll(ctx, true); err != nil {
		r, reportErr := s.report()
		if reportErr == nil {
			reportErr = report.Save(s.out, r)
		}
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			err = errors.New("interrupted")
		}
		return fmt.Errorf("training is done and the model is in %s, but measuring it was not finished (text2sql eval -model %s … does it): %w", s.out, s.out, errors.Join(err, reportErr))
	}
	return nil
}

// takeBest gives the model the parameters of the best step, where there is a checkpoint of it (-patience), and
// otherwise leaves it those of the last. Checkpoints stay as they are: a run that is resumed goes on from the newest.
func (s *session) takeBest() error {
	s.modelStep = s.result.Step
	b := s.result.Best
	if b == nil || b.Checkpoint == "" || b.Step == s.result.Step {
		return nil
	}
	read := func(dir string) error { return models.LoadParameters(filepath.Join(dir, "model.safetensors"), s.model) }
	if s.adapter != nil {
		read = s.adapter.Restore
	}
	if err := read(b.Checkpoint); err != nil {
		return fmt.Errorf("the model of the best step, %d, could not be read: %w", b.Step, err)
	}
	s.modelStep = b.Step
	if s.best.step == b.Step { // of this session
		s.evaluated, s.splits[0].after, s.splits[0].last = b.Step, s.best.summary, s.best.items
	}
	last := "which is not kept without -save-every"
	if filepath.Base(s.result.Checkpoint) == fmt.Sprintf("step-%06d", s.result.Step) {
		last = "which is " + s.result.Checkpoint
	}
	s.line.Log("the model is that of step %d, the best, and not of the last, %d, %s", b.Step, s.result.Step, last)
	return nil
}

// share leaves training what the examinations before and after it leave of the time: that after it takes
// as long as that before.
func (s *session) share(c *train.Config) error {
	if s.maxTime == 0 || s.evalSeconds == 0 {
		return nil
	}
	once := time.Duration(s.evalSeconds * float64(time.Second))
	c.MaxTime = s.maxTime - 2*once
	if c.MaxTime <= 0 {
		return fmt.Errorf("the examination before training took %s, and the one after it will: of -max-time %s nothing is left for training; raise it, or lower -eval-limit",
			once.Round(time.Second/10), s.maxTime)
	}
	return nil
}

// stopped says how a run that training did not finish can go on.
func (s *session) stopped(err error) error {
	r := s.result
	if r == nil || !r.Interrupted {
		return err
	}
	switch {
	case r.Step == 0:
		return errors.New("interrupted before the first step")
	case filepath.Base(r.Checkpoint) != fmt.Sprintf("step-%06d", r.Step): // it could not be saved
		return err
	case !s.resumable:
		return fmt.Errorf("interrupted after step %d; the model as it was then is in %s", r.Step, r.Checkpoint)
	}
	return fmt.Errorf("interrupted after step %d, which is saved; the same command with -resume goes on from there", r.Step)
}

// save writes the model to the run's directory, so that an interrupted examination loses nothing.
func (s *session) save() error {
	write := func(dir string) error { return models.Save(dir, s.model) }
	if s.adapter != nil {
		write = s.adapter.Save
	}
	err := write(s.out)
	if err == nil {
		err = s.tok.Save(s.out)
	}
	if err == nil {
		return nil
	}
	if s.result.Checkpoint == "" {
		return fmt.Errorf("the trained model could not be saved: %w", err)
	}
	return fmt.Errorf("the trained model could not be saved: %w; the checkpoint %s is intact: make room and use -resume", err, s.result.Checkpoint)
}

// evaluate is an examination during training, on the first split.
func (s *session) evaluate(ctx context.Context, step int) (train.Evaluation, error) {
	start := time.Now()
	sp := s.splits[0]
	summary, items, err := sp.exam.examine(ctx, s.answerer, s.line)
	if err != nil {
		return train.Evaluation{}, err
	}
	s.evaluated, sp.after, sp.last = step, summary, items
	s.evalSeconds += time.Since(start).Seconds()
	s.line.Log("step %d, %s: %s", step, sp.name, told(summary))
	e := train.Evaluation{Score: summary.Accuracy(), Values: map[string]float64{"valid_sql": summary.ValidSQL}}
	if summary.Loss != nil { // few texts are met to the letter: the loss tells models apart sooner
		e = train.Evaluation{Score: -*summary.Loss, Values: map[string]float64{"loss": *summary.Loss, "exact_match": summary.ExactMatch}}
	}
	if s.best.summary == nil || e.Score > s.best.score {
		s.best = judged{step, e.Score, summary, items}
	}
	return e, nil
}

// examineAll asks the questions of every split.
func (s *session) examineAll(ctx context.Context, after bool) error {
	for i, sp := range s.splits {
		start := time.Now()
		var summary *score.Summary
		var items []score.Item
		switch {
		case after && i == 0 && s.evaluated > 0 && s.evaluated == s.modelStep:
			summary, items = sp.after, sp.last // known already
		case sp.of != nil:
			summary = sp.part(after)
		default:
			var err error
			if summary, items, err = sp.exam.examine(ctx, s.answerer, s.line); err != nil {
				return err
			}
			s.evalSeconds += time.Since(start).Seconds()
		}
		when := "before"
		if after {
			when, sp.after, sp.last = "after", summary, items
		} else {
			sp.before, sp.first = summary, items
		}
		s.line.Log("%s training, %s: %s", when, sp.name, told(summary))
	}
	s.line.Done()
	return nil
}

// part scores the split by the answers to the one that it is a part of.
func (sp *split) part(after bool) *score.Summary {
	all, seconds := sp.of.first, sp.of.before
	if after {
		all, seconds = sp.of.last, sp.of.after
	}
	items := make([]score.Item, len(sp.only))
	for i, row := range sp.only {
		items[i] = all[row]
	}
	summary := score.Summarize(items)
	summary.Seconds = seconds.Seconds * float64(len(items)) / float64(len(all))
	return summary
}
