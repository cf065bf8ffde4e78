package train

import (
	"context"
	"fmt"
	"math"

	"github.com/hone-ml/hone/tensor"
)

// step learns from a window. The run's state changes only when all of it is done.
func (r *run) step(ctx context.Context, w *window) error {
	c, s := &r.o.Config, &r.state
	if err := w.check(c.PromptLoss); err != nil {
		return err
	}
	p := Progress{Step: s.Step, Steps: r.steps, Elapsed: r.elapsed(), Limit: c.MaxTime}
	factor := r.schedule(p)
	if !finite(factor) {
		return fmt.Errorf("train: the schedule gives %g for step %d", factor, s.Step)
	}
	m := Metrics{Step: s.Step + 1, LR: c.LR * factor, Progress: p}
	var stepErr error
	if err := tensor.Try(func() { stepErr = r.learn(ctx, w, factor, &m) }); err != nil {
		return fmt.Errorf("train: step %d: %w", m.Step, err)
	}
	if stepErr != nil {
		return stepErr
	}
	s.Step++
	s.Tokens += w.tokens
	s.place = w.after
	s.OptimizerSteps = r.o.Optimizer.Steps()
	r.count(&m)
	now := r.elapsed()
	r.meter.add(w.tokens, (now - p.Elapsed).Seconds())
	m.Epoch, m.Tokens, m.Seconds, m.TokensPerSecond = r.epoch(), s.Tokens, now.Seconds(), r.meter.rate()
	r.last = m
	if err := r.metrics.add(m); err != nil {
		return permanent{err}
	}
	if err := r.mirrors.step(&m); err != nil {
		return permanent{err}
	}
	if r.o.OnStep != nil {
		r.o.OnStep(m)
	}
	return nil
}

// learn sums the gradients of the window's micro-batches and makes one step with them.
func (r *run) learn(ctx context.Context, w *window, factor float64, m *Metrics) error {
	c := &r.o.Config
	r.grads.Zero()
	r.losses.Fill(0)
	r.tape.Reset()
	r.tape.UseRand(r.random.Split(uint64(r.state.Step)))
	for i := range w.micros {
		if err := ctx.Err(); err != nil {
			return err
		}
		r.accumulate(&w.micros[i], w, r.losses.Index(i))
		r.tape.Reset()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.Clip > 0 {
		m.GradNorm = r.grads.Clip(c.Clip)
	} else {
		m.GradNorm = r.grads.Norm()
	}
	r.readLosses(w, m)
	if m.Skipped = !finite(m.Loss) || !finite(m.GradNorm); m.Skipped {
		return nil
	}
	limit := r.state.Guard.limit(c.Spike)
	if m.Spike = r.state.Guard.observe(m.GradNorm, c.Spike); m.Spike {
		m.Skipped, m.limit = true, limit
		return nil
	}
	r.o.Optimizer.SetFactor(factor)
	if err := r.o.Optimizer.Step(r.grads); err != nil {
		return permanent{fmt.Errorf("train: step %d: %w", m.Step, err)}
	}
	return nil
}

// count takes in whether the step was skipped.
func (r *run) count(m *Metrics) {
	s := &r.state
	if !m.Skipped {
		s.SkippedInRow, s.SpikesInRow = 0, 0
		s.Good = max(s.Good, r.saved)
		return
	}
	s.Skipped++
	s.SkippedInRow++
	why := ""
	if m.Spike {
		s.Spikes++
		s.SpikesInRow++
		why = fmt.Sprintf(", above %.4g", m.limit)
	}
	r.o.Log(fmt.Sprintf("step %d is skipped: loss %g, gradient norm %g%s", m.Step, m.Loss, m.GradNorm, why))
}

// accumulate adds the gradients of a micro-batch and puts the parts of its loss into losses [2].
func (r *run) accumulate(b *microBatch, w *window, losses *tensor.Tensor) {
	promptLoss := r.o.Config.PromptLoss
	if len(b.completion.rows) == 0 && (promptLoss == 0 || len(b.prompt.rows) == 0) {
		return // nothing here carries loss
	}
	model := r.o.Model
	hidden, aux := b.hiddenAux(r.tape, model)
	loss := b.completion.loss(hidden, model, float64(w.completions))
	if loss != nil {
		losses.Index(0).CopyFrom(loss)
	}
	if promptLoss > 0 {
		if prompt := b.prompt.loss(hidden, model, float64(w.prompts)); prompt != nil {
			losses.Index(1).CopyFrom(prompt)
			prompt = prompt.MulScalar(promptLoss)
			if loss == nil {
				loss = prompt
			} else {
				loss = loss.Add(prompt)
			}
		}
	}
	if aux != nil { // by its share of the tokens, as if the window were one batch
		loss = loss.Add(aux.MulScalar(float64(len(b.ids)) / float64(w.tokens)))
	}
	loss.Backward(r.grads)
}

// readLosses waits for the device and sums the losses of the window.
func (r *run) readLosses(w *window, m *Metrics) {
	m.Completion, m.Prompt = math.NaN(), math.NaN()
	sums := [2]float64{}
	for i, x := range r.losses.Float64s() {
		sums[i%2] += x
	}
	if w.completions > 0 {
		m.Completion = sums[0]
	}
	promptLoss := r.o.Config.PromptLoss
	if w.prompts > 0 && promptLoss > 0 {
		m.Prompt = sums[1]
	}
	m.Loss = sums[0] + promptLoss*sums[1]
}
