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
	"github.com/hone-ml/hone/tokenizer"
	"github.com/hone-ml/hone/train"
)

// split is a set of questions asked before and after training.
type split struct {
	key, name, note string
	exam            examination
	families        map[string]string // of questions, by id
	schemas         map[string]string // as the prompt shows them, by id

	before, after, baseline *score.Summary
	first, last             []score.Item // judged answers before and after
}

// session is a training run with its examinations and its report.
type session struct {
	*program
	line      *progress.Line
	model     models.CausalLM
	tok       *tokenizer.Tokenizer
	answerer  *answerer
	splits    []*split
	out       string
	started   time.Time
	evalEvery int
	maxTokens int64 // of the whole run, for the progress line
	about     report.About

	steps       []report.Step
	evals       []report.Eval
	result      *train.Result
	evalSeconds float64
}

// run examines, trains and examines again.
func (s *session) run(ctx context.Context, o train.Options) error {
	o.OnStep = func(m train.Metrics) {
		s.steps = append(s.steps, report.Step{Step: m.Step, Epoch: m.Epoch, Tokens: int64(m.Tokens), Loss: m.Loss, LR: m.LR,
			GradNorm: m.GradNorm, TokensPerSecond: m.TokensPerSecond, Seconds: m.Seconds})
		s.line.Update(progress.State{Step: m.Step, Steps: m.Progress.Steps, Tokens: int64(m.Tokens), MaxTokens: s.maxTokens,
			Elapsed: time.Duration(m.Seconds * float64(time.Second)), MaxTime: o.Config.MaxTime, Loss: m.Loss, TokensPerSecond: m.TokensPerSecond})
	}
	o.Log = func(message string) { s.line.Log("%s", message) }
	o.SaveExtra = s.tok.Save
	if len(s.splits) > 0 {
		o.Evaluate = s.evaluate
	}
	if !o.Config.Resume {
		if err := s.examineAll(ctx, false); err != nil {
			return err
		}
	}
	var err error
	s.result, err = train.Run(ctx, o)
	s.line.Done()
	if err != nil {
		if s.result != nil && s.result.Interrupted {
			return fmt.Errorf("interrupted after step %d; go on with the same command and -resume: %w", s.result.Step, err)
		}
		return err
	}
	if err := s.save(); err != nil {
		return err
	}
	return s.examineAll(ctx, true)
}

// save writes the model to the run's directory, so that an interrupted examination loses nothing.
func (s *session) save() error {
	if err := models.Save(s.out, s.model); err != nil {
		return err
	}
	return s.tok.Save(s.out)
}

// evaluate is an examination during training, on the first split.
func (s *session) evaluate(ctx context.Context, step int) (train.Evaluation, error) {
	summary, _, err := s.splits[0].exam.examine(ctx, s.answerer, s.line)
	if err != nil {
		return train.Evaluation{}, err
	}
	s.evals = append(s.evals, report.Eval{Step: step, ExecutionAccuracy: summary.ExecutionAccuracy})
	s.line.Log("step %d: %s %s", step, s.splits[0].name, percent(summary))
	return train.Evaluation{Score: summary.ExecutionAccuracy, Values: map[string]float64{"valid_sql": summary.ValidSQL}}, nil
}

// examineAll asks the questions of every split.
func (s *session) examineAll(ctx context.Context, after bool) error {
	for _, sp := range s.splits {
		start := time.Now()
		summary, items, err := sp.exam.examine(ctx, s.answerer, s.line)
		if err != nil {
			return err
		}
		s.evalSeconds += time.Since(start).Seconds()
		when := "before"
		if after {
			when, sp.after, sp.last = "after", summary, items
		} else {
			sp.before, sp.first = summary, items
		}
		s.line.Log("%s training, %s: %s", when, sp.name, percent(summary))
	}
	s.line.Done()
	return nil
}

// finish writes the report and says where it is.
func (s *session) finish(asJSON bool) error {
	r := s.report()
	if err := report.Save(s.out, r); err != nil {
		return err
	}
	if asJSON {
		return report.WriteResults(s.stdout, r)
	}
	fmt.Fprintln(s.stdout)
	for _, sp := range s.splits {
		if sp.after == nil {
			continue
		}
		fmt.Fprintf(s.stdout, "%s\n", sp.name)
		if sp.before != nil {
			fmt.Fprintf(s.stdout, "  before training   %s\n", percent(sp.before))
		}
		if sp.baseline != nil {
			fmt.Fprintf(s.stdout, "  nearest question  %s\n", percent(sp.baseline))
		}
		fmt.Fprintf(s.stdout, "  after training    %s\n", percent(sp.after))
	}
	fmt.Fprintf(s.stdout, "%d steps, %d tokens, %.0f tokens/s, %.0f s in all\n", s.result.Step, s.result.Tokens, s.result.TokensPerSecond, r.Usage.Seconds)
	path, err := filepath.Abs(filepath.Join(s.out, report.HTMLFile))
	if err != nil {
		return errors.Join(err, errors.New("the report is in "+s.out))
	}
	_, err = fmt.Fprintf(s.stdout, "report: %s\n", path)
	return err
}

// report is what the run came to.
func (s *session) report() *report.Run {
	r := &report.Run{About: s.about, Steps: s.steps, Evals: s.evals, Usage: report.Usage{
		Parameters: parameters(s.model), Tokens: int64(s.result.Tokens), TokensPerSecond: s.result.TokensPerSecond,
		PeakRSSBytes: peakRSS(), PeakDeviceBytes: int64(s.model.Head().Device().Memory().Peak),
		Seconds: time.Since(s.started).Seconds(), TrainSeconds: s.result.Seconds, EvalSeconds: s.evalSeconds,
	}}
	if n := s.result.Dropped; n > 0 {
		r.About.Notes = append(r.About.Notes, fmt.Sprintf("%s longer than the maximum length left out.", plural(n, "sample")))
	}
	for _, sp := range s.splits {
		r.Splits = append(r.Splits, report.Split{Key: sp.key, Name: sp.name, Note: sp.note,
			Before: (*report.Score)(sp.before), After: (*report.Score)(sp.after), Baseline: (*report.Score)(sp.baseline)})
		for i, it := range sp.last {
			e := report.Example{ID: it.ID, Split: sp.key, DB: sp.exam.rows[i].DBID, Family: sp.families[it.ID], Schema: sp.exam.rows[i].Schema,
				Question: it.Question, Gold: it.Gold, Predicted: it.Predicted, Verdict: string(it.Verdict), Error: it.Error}
			if s, ok := sp.schemas[it.ID]; ok {
				e.Schema = s
			}
			if i < len(sp.first) {
				e.Before = sp.first[i].Predicted
			}
			r.Examples = append(r.Examples, e)
		}
	}
	return r
}
