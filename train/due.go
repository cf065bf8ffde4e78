package train

import (
	"context"
	"fmt"
)

// maxSkipped is how many steps in a row may be skipped.
const maxSkipped = 10

// afterStep does what is due after a step, or, in a resumed run, was due when it was interrupted.
func (r *run) afterStep(ctx context.Context) (Stop, error) {
	c, s := &r.o.Config, &r.state
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if s.SkippedInRow >= maxSkipped {
		return "", permanent{fmt.Errorf("train: the loss or the gradients were not finite in %d steps in a row, up to step %d: the parameters are as they were before; "+
			"begin anew from them, or from an earlier checkpoint, with a lower learning rate or clipping, or train in f32", s.SkippedInRow, s.Step)}
	}
	if c.EvalEvery > 0 && s.Step%c.EvalEvery == 0 && s.Evaluated < s.Step {
		if err := r.evaluate(ctx); err != nil {
			return "", err
		}
	}
	if c.SaveEvery > 0 && s.Step%c.SaveEvery == 0 {
		if err := r.save(); err != nil {
			return "", err
		}
	}
	if c.Patience > 0 && s.SinceBest >= c.Patience {
		return StopPatience, nil
	}
	return "", nil
}

// finish does what is due at the end of a run.
func (r *run) finish(ctx context.Context) error {
	c := &r.o.Config
	if c.keepBest() && c.EvalEvery > 0 && r.state.Evaluated < r.state.Step {
		if err := r.evaluate(ctx); err != nil {
			return err
		}
	}
	if c.SaveEvery > 0 {
		return r.save()
	}
	return nil
}

// evaluate asks for the score of the parameters as they are.
func (r *run) evaluate(ctx context.Context) error {
	c, s := &r.o.Config, &r.state
	e, err := r.o.Evaluate(ctx, s.Step)
	if err != nil {
		return fmt.Errorf("train: evaluation after step %d: %w", s.Step, err)
	}
	if !finite(e.Score) {
		return fmt.Errorf("train: evaluation after step %d: the score is %g", s.Step, e.Score)
	}
	if err := r.evaluations.add(evaluationLine{s.Step, e.Score, r.elapsed().Seconds(), e.Values}); err != nil {
		return err
	}
	s.Evaluated = s.Step
	if s.Best != nil && e.Score <= s.Best.Score {
		s.SinceBest++
		return nil
	}
	s.Best, s.SinceBest = &bestScore{s.Step, e.Score}, 0
	if c.keepBest() && r.checkpoints != nil {
		return r.save()
	}
	return nil
}

// save makes a checkpoint of the last whole step, unless there is one.
func (r *run) save() error {
	if r.checkpoints == nil || r.saved == r.state.Step || r.state.Step == 0 {
		return nil
	}
	if err := also(r.metrics.sync(), r.evaluations.sync()); err != nil {
		return permanent{err}
	}
	r.state.Seconds = r.elapsed().Seconds()
	if err := r.checkpoints.save(&r.state); err != nil {
		intact := "there is no earlier one"
		if r.saved >= 0 {
			intact = "the one before, " + r.checkpoints.path(r.saved) + ", is intact"
		}
		return permanent{fmt.Errorf("%w; %s: make room and resume", err, intact)}
	}
	r.saved = r.state.Step
	best := -1
	if r.state.Best != nil && r.o.Config.keepBest() {
		best = r.state.Best.Step
	}
	if err := r.checkpoints.prune(r.o.Config.Keep, best); err != nil {
		return permanent{err}
	}
	return nil
}
