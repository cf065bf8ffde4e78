package train

import (
	"context"
	"fmt"
)

// afterStep does what is due after a step, or, in a resumed run, was due when it was interrupted.
func (r *run) afterStep(ctx context.Context) (Stop, error) {
	c, s := &r.o.Config, &r.state
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if s.SkippedInRow >= c.maxSkipped() {
		return "", permanent{r.hopeless()}
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

// hopeless is the error after too many steps in a row that had to be skipped.
func (r *run) hopeless() error {
	s := &r.state
	why := "the loss or the gradients were not finite"
	switch s.SpikesInRow {
	case 0:
	case s.SkippedInRow:
		why = "the gradients were far larger than before"
	default:
		why += fmt.Sprintf(", or far larger than before (%d times),", s.SpikesInRow)
	}
	first := s.Step - s.SkippedInRow + 1
	kept := "no checkpoint was made before them"
	if r.checkpoints != nil && s.Good > 0 {
		kept = "the last checkpoint from which a step could be made is " + r.checkpoints.path(s.Good)
	}
	return fmt.Errorf("train: %s in %d steps in a row, steps %d to %d, which were skipped: the parameters are as step %d left them; %s; "+
		"begin anew from there with a lower learning rate or clipping, or train in f32", why, s.SkippedInRow, first, s.Step, first-1, kept)
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
	if err := r.mirrors.evaluation(s.Step, &e); err != nil {
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
	var stay []int
	if r.state.Best != nil && r.o.Config.keepBest() {
		stay = append(stay, r.state.Best.Step)
	}
	if r.state.SkippedInRow > 0 { // the checkpoints since then may be of parameters that are past saving
		stay = append(stay, r.state.Good)
	}
	if err := r.checkpoints.prune(r.o.Config.Keep, stay...); err != nil {
		return permanent{err}
	}
	return nil
}
