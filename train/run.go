package train

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/optim"
)

// Options are what a run is made of. Model, Optimizer, Data and Config are needed.
type Options struct {
	// Model is trained in place: its trainable parameters, which the optimizer holds.
	Model     models.CausalLM
	Optimizer optim.Optimizer
	Data      Data
	Config    Config

	// Schedule takes the place of Config.Schedule if it is not nil.
	Schedule Schedule
	// OnStep is told of every step, on the goroutine of Run.
	OnStep func(Metrics)
	// Evaluate is called after every Config.EvalEvery steps, on the goroutine of Run. It must not change
	// the model. An error ends the run.
	Evaluate func(ctx context.Context, step int) (Evaluation, error)
	// SaveModel writes what training changes of the model into the directory of a checkpoint that is being made,
	// and syncs it; LoadModel fills the model from there. Nil, both, stand for all of the model as models.Save
	// writes it. Adapters of a frozen model are written alone.
	SaveModel, LoadModel func(dir string) error
	// SaveExtra writes further files, such as a tokenizer's, into the directory of a checkpoint that is
	// being made, and syncs them.
	SaveExtra func(dir string) error
	// Log is given messages for people, one line each.
	Log func(message string)

	now func() time.Time // tests replace the clock
}

// Evaluation is what Options.Evaluate found, and what evaluations.jsonl holds beside step and seconds.
type Evaluation struct {
	// Score is what KeepBest and Patience compare; higher is better. It must be finite.
	Score float64
	// Values is anything else to be recorded. They must be finite.
	Values map[string]float64
}

// evaluationLine is a line of evaluations.jsonl.
type evaluationLine struct {
	Step    int                `json:"step"`
	Score   float64            `json:"score"`
	Seconds float64            `json:"seconds"`
	Values  map[string]float64 `json:"values,omitempty"`
}

// Stop says why a run ended.
type Stop string

// The ends of a run.
const (
	StopEpochs      Stop = "epochs"
	StopSteps       Stop = "max steps"
	StopTime        Stop = "max time"
	StopPatience    Stop = "patience"
	StopInterrupted Stop = "interrupted"
	StopFailed      Stop = "failed"
)

// Best is the highest score of a run.
type Best struct {
	Step       int
	Score      float64
	Checkpoint string // its directory; "" if checkpoints of the best are not kept
}

// Result is what a run, all its sessions together, has done.
type Result struct {
	Stopped     Stop
	Interrupted bool // ctx was cancelled
	// Step counts the steps, Skipped those among them that were not made because something was not finite or,
	// as Spikes of them, the gradients were far too large.
	Step, Skipped, Spikes int
	// Steps is how many the run has at most, 0 if that is unknown.
	Steps  int
	Epoch  float64
	Tokens int
	// Last is the last step of this session, zero if it made none.
	Last Metrics
	// Dropped and Truncated count the samples longer than Config.MaxLength that came up so far, each once.
	Dropped, Truncated int
	// Seconds is the run's time, TokensPerSecond the mean of this session as Metrics defines it.
	Seconds, TokensPerSecond float64
	// MaxInUse is the most bytes that tensors on the model's device held in this session, evaluations and
	// what the caller keeps there included.
	MaxInUse int
	// ResumedFrom is the step from which this session went on, 0 if it began anew.
	ResumedFrom int
	// Checkpoint is the directory of the newest checkpoint that this session made or resumed from, or "".
	Checkpoint string
	// Best is nil if nothing was evaluated.
	Best *Best
}

// Run trains until the configuration, patience or ctx ends it.
//
// The result is not nil as soon as training could begin, whatever the error. If ctx is cancelled Run
// finishes the micro-batch, gives up its window, saves a checkpoint of the last whole step and returns an
// error that wraps ctx's; Result.Interrupted is set, and resuming loses nothing. On other errors of data,
// model or evaluation it saves one, too. A step whose loss or gradient norm is not finite, or far too large
// (see Config.Spike), is skipped; ten in a row are an error, before which the last checkpoint that training
// could go on from is kept. Misuse of tensors and lack of memory are errors, not panics.
//
// Run is for one goroutine at a time; nothing else may use model and optimizer meanwhile, except that
// Options' functions may read the model.
func Run(ctx context.Context, o Options) (*Result, error) {
	r, err := newRun(ctx, o)
	if err != nil {
		return nil, err
	}
	stopped, err := r.train(ctx)
	if err != nil {
		stopped, err = r.fail(ctx, err)
	}
	err = also(err, r.close())
	return r.result(stopped), err
}

// train makes steps until the run is over.
func (r *run) train(ctx context.Context) (Stop, error) {
	for {
		stop, err := r.afterStep(ctx)
		if err != nil {
			return "", err
		}
		if stop == "" {
			stop = r.over()
		}
		var w *window
		if stop == "" {
			if w, err = r.stream.next(ctx); err != nil {
				return "", err
			}
			if w == nil {
				stop = StopEpochs
			}
		}
		if stop != "" {
			return stop, r.finish(ctx)
		}
		if err := r.step(ctx, w); err != nil {
			return "", err
		}
	}
}

// over says which limit has been reached, "" if none.
func (r *run) over() Stop {
	c := &r.o.Config
	switch {
	case c.Epochs > 0 && r.state.Epoch >= c.Epochs:
		return StopEpochs
	case c.MaxSteps > 0 && r.state.Step >= c.MaxSteps:
		return StopSteps
	case c.MaxTime > 0 && r.elapsed() >= c.MaxTime:
		return StopTime
	}
	return ""
}

// permanent marks an error after which no checkpoint is saved: it would be no use, or could be wrong.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// fail saves what can be saved and completes the error.
func (r *run) fail(ctx context.Context, err error) (Stop, error) {
	if p, ok := errors.AsType[permanent](err); ok {
		return StopFailed, p.error
	}
	err = also(err, r.save())
	if ctx.Err() == nil {
		return StopFailed, err
	}
	if !errors.Is(err, ctx.Err()) {
		err = also(ctx.Err(), err)
	}
	where := "nothing was saved"
	if r.saved >= 0 {
		where = "resume from " + r.checkpoints.path(r.saved)
	}
	return StopInterrupted, fmt.Errorf("train: interrupted after step %d; %s: %w", r.state.Step, where, err)
}

// result is what the run has come to.
func (r *run) result(stopped Stop) *Result {
	s := &r.state
	res := &Result{
		Stopped: stopped, Interrupted: stopped == StopInterrupted,
		Step: s.Step, Skipped: s.Skipped, Spikes: s.Spikes, Steps: r.steps, Epoch: r.epoch(), Tokens: s.Tokens, Last: r.last,
		Dropped: s.Dropped, Truncated: s.Truncated, Seconds: r.elapsed().Seconds(), TokensPerSecond: r.meter.mean(),
		ResumedFrom: r.resumed, MaxInUse: r.o.Model.Head().Device().Memory().MaxInUse,
	}
	if r.saved >= 0 {
		res.Checkpoint = r.checkpoints.path(r.saved)
	}
	if s.Best != nil {
		res.Best = &Best{Step: s.Best.Step, Score: s.Best.Score}
		if r.checkpoints != nil && r.o.Config.keepBest() {
			res.Best.Checkpoint = r.checkpoints.path(s.Best.Step)
		}
	}
	return res
}
