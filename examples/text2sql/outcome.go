package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"time"

	"github.com/hone-ml/hone/examples/text2sql/internal/report"
	"github.com/hone-ml/hone/examples/text2sql/internal/score"
)

// finish writes the report and says where it is.
func (s *session) finish(asJSON bool) error {
	r, err := s.report()
	if err != nil {
		return err
	}
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
			fmt.Fprintf(s.stdout, "  before training   %s\n", told(sp.before))
		}
		if sp.baseline != nil {
			fmt.Fprintf(s.stdout, "  nearest question  %s\n", told(sp.baseline))
		}
		fmt.Fprintf(s.stdout, "  after training    %s\n", told(sp.after))
	}
	if s.modelStep != s.result.Step {
		fmt.Fprintf(s.stdout, "the model is that of step %d, the best\n", s.modelStep)
	}
	fmt.Fprintf(s.stdout, "%s, %d tokens, %.0f tokens/s, %.0f s in all\n", plural(s.result.Step, "step"), s.result.Tokens, s.result.TokensPerSecond, r.Usage.Seconds)
	if n := s.result.Skipped; n > 0 {
		fmt.Fprintf(s.stdout, "%s skipped, %d of them for gradients far too large\n", plural(n, "step"), s.result.Spikes)
	}
	fmt.Fprintf(s.stdout, "memory: predicted %s, measured %s in tensors, %s resident\n", gibibytes(int(r.Usage.PredictedBytes)), gibibytes(int(r.Usage.MeasuredBytes)), gibibytes(int(r.Usage.PeakRSSBytes)))
	path, err := filepath.Abs(filepath.Join(s.out, report.HTMLFile))
	if err != nil {
		return errors.Join(err, errors.New("the report is in "+s.out))
	}
	_, err = fmt.Fprintf(s.stdout, "report: %s\n", path)
	return err
}

// report is what the whole run came to: the steps of earlier sessions are in its files.
func (s *session) report() (*report.Run, error) {
	r := &report.Run{About: s.about, Usage: report.Usage{
		Parameters: parameters(s.model), Tokens: int64(s.result.Tokens), TokensPerSecond: s.result.TokensPerSecond,
		PeakRSSBytes: peakRSS(), PeakDeviceBytes: int64(s.model.Head().Device().Memory().Peak),
		PredictedBytes: int64(s.footprint.Total()), MeasuredBytes: int64(s.result.MaxInUse),
		Steps: s.result.Step, ModelStep: s.modelStep, SkippedSteps: s.result.Skipped, Spikes: s.result.Spikes,
		Seconds: s.earlier + time.Since(s.started).Seconds(), TrainSeconds: s.result.Seconds, EvalSeconds: s.evalSeconds,
	}}
	var err error
	if r.Steps, err = report.ReadMetrics(filepath.Join(s.out, report.MetricsFile)); err != nil {
		return nil, err
	}
	if r.Evals, err = report.ReadEvaluations(filepath.Join(s.out, report.EvaluationsFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if len(r.Evals) > 0 {
		r.Evals = s.withEnds(r.Evals)
	}
	if n := s.result.ResumedFrom; n > 0 {
		r.About.Notes = append(r.About.Notes, fmt.Sprintf("The run was resumed after step %d; tokens a second and peak memory are those since then.", n))
	}
	if n := s.result.Dropped; n > 0 {
		r.About.Notes = append(r.About.Notes, fmt.Sprintf("%s longer than the maximum length left out.", plural(n, "sample")))
	}
	if s.modelStep != s.result.Step {
		r.About.Notes = append(r.About.Notes, fmt.Sprintf("The model is that of step %d, which was the best; training ended after step %d.", s.modelStep, s.result.Step))
	}
	for _, sp := range s.splits {
		r.Splits = append(r.Splits, report.Split{Key: sp.key, Name: sp.name, Note: sp.note, NoneSeen: sp.noneSeen,
			Before: sp.before, After: sp.after, Baseline: sp.baseline})
		for i, it := range sp.last {
			e := report.Example{ID: it.ID, Split: sp.key, DB: sp.exam.rows[i].DBID, Family: sp.families[it.ID], Schema: sp.exam.rows[i].Schema,
				Question: it.Question, Gold: it.Gold, Predicted: it.Predicted, Verdict: string(it.Verdict), Error: it.Error}
			if !it.Text {
				e.Difficulty = string(score.DifficultyOf(it.Gold))
			}
			if s, ok := sp.schemas[it.ID]; ok {
				e.Schema = s
			}
			if i < len(sp.first) {
				e.Before = sp.first[i].Predicted
			}
			r.Examples = append(r.Examples, e)
		}
		sp.addRows(r.Examples[len(r.Examples)-len(sp.last):])
	}
	return r, nil
}

// withEnds adds the accuracies before and after training to those measured meanwhile.
func (s *session) withEnds(evals []report.Eval) []report.Eval {
	first := s.splits[0]
	if first.before != nil && evals[0].Step > 0 {
		evals = append([]report.Eval{{ExecutionAccuracy: first.before.Accuracy(), Loss: math.NaN()}}, evals...)
	}
	if first.after != nil && evals[len(evals)-1].Step < s.result.Step {
		evals = append(evals, report.Eval{Step: s.result.Step, ExecutionAccuracy: first.after.Accuracy(), Loss: math.NaN()})
	}
	return evals
}
