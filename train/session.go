package train

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hone-ml/hone/tensor"
)

// run is one session of a run.
type run struct {
	o        Options
	schedule Schedule
	steps    int // of the whole run at most, 0 if unknown
	stream   *stream
	state    state
	began    time.Time // when the session began, less the seconds of those before

	tape   *tensor.Scope
	grads  *tensor.Grads
	losses *tensor.Tensor // [Accum, 2]: the completion's and the prompt's part of each micro-batch
	random *tensor.Rand

	checkpoints *checkpoints // nil without OutDir
	metrics     *journal
	evaluations *journal
	mirrors     *mirrors
	saved       int // the newest checkpoint's step, -1 if there is none
	resumed     int
	last        Metrics
	meter       meter
}

// newRun checks everything, looks at the data, restores a checkpoint and takes memory.
func newRun(ctx context.Context, o Options) (*run, error) {
	if o.Model == nil || o.Optimizer == nil || o.Data == nil {
		return nil, errors.New("train: Options need Model, Optimizer and Data")
	}
	if (o.SaveModel == nil) != (o.LoadModel == nil) {
		return nil, errors.New("train: Options need both SaveModel and LoadModel, or neither")
	}
	c := &o.Config
	if err := c.check(o.Model); err != nil {
		return nil, err
	}
	if c.EvalEvery > 0 && o.Evaluate == nil {
		return nil, errors.New("train: evaluations are asked for, but Options.Evaluate is nil")
	}
	if o.Data.Len() == 0 {
		return nil, errors.New("train: the data has no samples")
	}
	if o.Log == nil {
		o.Log = func(string) {}
	}
	if o.now == nil {
		o.now = time.Now
	}
	r := &run{o: o, began: o.now(), saved: -1, random: tensor.NewRand(c.Seed).Split(stepStream)}
	c = &r.o.Config
	r.stream = newStream(o.Data, c, o.Model.Head().Dim(0))
	data, err := r.plan(ctx)
	if err != nil {
		return nil, err
	}
	if r.schedule = o.Schedule; r.schedule == nil {
		if r.schedule, err = c.schedule(r.steps); err != nil {
			return nil, err
		}
	}
	settings := c.settings(o.Data.Len(), data, r.steps, o.Schedule != nil)
	r.state = state{Version: stateVersion, Config: asMap(settings)}
	if err := r.open(settings); err != nil {
		return nil, err
	}
	o.Model.Head().Device().ResetPeak()
	if err := tensor.Try(r.allocate); err != nil {
		return nil, also(fmt.Errorf("train: %w", err), r.close())
	}
	return r, nil
}

// plan finds out how many steps there will be and gives the data's fingerprint. Only a run of whole
// epochs needs to know all samples beforehand.
func (r *run) plan(ctx context.Context) (fingerprint string, err error) {
	c := &r.o.Config
	if c.Epochs == 0 {
		r.steps = c.MaxSteps
		return "", nil
	}
	p, err := scan(ctx, r.o.Data, c, r.stream.vocab)
	if err != nil {
		return "", err
	}
	r.steps = p.steps(r.stream)
	if c.MaxSteps > 0 {
		r.steps = min(r.steps, c.MaxSteps)
	}
	r.o.Log(fmt.Sprintf("%d samples, %d tokens, at most %d steps", r.o.Data.Len(), p.tokens, r.steps))
	if p.long > 0 {
		what := "dropped"
		if c.Long == TruncateLong {
			what = "truncated"
		}
		r.o.Log(fmt.Sprintf("%d samples are longer than %d tokens and %s; the longest has %d", p.long, c.MaxLength, what, p.longest))
	}
	if p.unlabelled > 0 && c.PromptLoss == 0 {
		r.o.Log(fmt.Sprintf("%d samples have no completion and carry no loss", p.unlabelled))
	}
	return fmt.Sprintf("%016x", p.fingerprint), nil
}

// open prepares the run's directory and goes to where a checkpoint left off.
func (r *run) open(settings []setting) (err error) {
	c := &r.o.Config
	if c.OutDir == "" {
		return nil
	}
	k := &checkpoints{dir: filepath.Join(c.OutDir, "checkpoints"), model: r.o.Model, optimizer: r.o.Optimizer,
		saveModel: r.o.SaveModel, loadModel: r.o.LoadModel, extra: r.o.SaveExtra}
	r.checkpoints = k
	if err := os.MkdirAll(k.dir, 0o777); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	steps, err := k.steps()
	if err != nil {
		return err
	}
	switch {
	case len(steps) > 0 && !c.Resume:
		return fmt.Errorf("train: %s holds a run already, up to step %d: resume it, or choose another directory", c.OutDir, steps[len(steps)-1])
	case len(steps) > 0:
		s, err := k.restore(steps[len(steps)-1], settings)
		if err != nil {
			return err
		}
		s.Config = r.state.Config
		r.state, r.saved, r.resumed, r.stream.at = *s, s.Step, s.Step, s.place
		r.began = r.began.Add(-time.Duration(s.Seconds * float64(time.Second)))
		r.o.Log(fmt.Sprintf("resuming from %s", k.path(s.Step)))
	case c.Resume:
		r.o.Log(fmt.Sprintf("%s has no checkpoint to resume from: beginning anew", c.OutDir))
	}
	if err := k.clean(); err != nil {
		return err
	}
	if r.metrics, err = openJournal(filepath.Join(c.OutDir, "metrics.jsonl"), r.state.Step); err != nil {
		return err
	}
	r.evaluations, err = openJournal(filepath.Join(c.OutDir, "evaluations.jsonl"), r.state.Evaluated)
	if err != nil {
		return also(err, r.metrics.close())
	}
	if r.mirrors, err = openMirrors(c.OutDir, r.state.Step, r.o.now); err != nil {
		return also(err, also(r.metrics.close(), r.evaluations.close()))
	}
	return nil
}

// allocate takes the memory that lives as long as the session.
func (r *run) allocate() {
	gradients, losses := r.o.Config.Gradients, tensor.F32
	for _, p := range r.o.Model.Parameters() {
		if p.DType() == tensor.F64 {
			gradients, losses = tensor.F64, tensor.F64
		}
	}
	r.grads = tensor.NewGrads(r.o.Model.Parameters(), gradients)
	dev := r.grads.Device()
	r.losses = tensor.Zeros(dev, losses, r.o.Config.Accum, 2)
	r.tape = dev.NewTape()
}

// close gives back memory and files.
func (r *run) close() error {
	if r.tape != nil {
		r.tape.Close()
		r.tape.Device().TrimCache() // what comes next needs other sizes
		r.losses.Free()
		r.grads.Free()
	}
	return also(also(r.metrics.close(), r.evaluations.close()), r.mirrors.close())
}

func (r *run) elapsed() time.Duration { return r.o.now().Sub(r.began) }

// epoch is how many times the data has been gone through.
func (r *run) epoch() float64 {
	return float64(r.state.Epoch) + float64(r.state.Position)/float64(r.o.Data.Len())
}
