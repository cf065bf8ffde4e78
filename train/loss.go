package train

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/tensor"
)

// Losses are the mean losses of a model on data, in nats per token.
type Losses struct {
	// Completion and Prompt are the means over the two kinds of targets, NaN where there are none or they
	// were not asked for.
	Completion, Prompt float64
	// Completions and Prompts are how many targets the means are of.
	Completions, Prompts int
	// Dropped and Truncated count the samples longer than Config.MaxLength.
	Dropped, Truncated int
}

// Total is Completion + promptLoss·Prompt, of those that have targets: what training minimises.
func (l Losses) Total(promptLoss float64) float64 {
	total := 0.0
	if l.Completions > 0 {
		total += l.Completion
	}
	if l.Prompts > 0 && promptLoss > 0 {
		total += promptLoss * l.Prompt
	}
	return total
}

// Loss computes the losses of a model on data, without learning from it. Of c it takes Batch, MaxLength,
// Packing and Long, as Run does, and computes the prompt's loss if PromptLoss is not 0. It is an error if
// nothing carries loss, and ctx's if that is cancelled between micro-batches.
func Loss(ctx context.Context, m models.CausalLM, d Data, c Config) (Losses, error) {
	l := Losses{Completion: math.NaN(), Prompt: math.NaN()}
	c.Sequential, c.Accum, c.Epochs = true, 1, 1
	if err := c.check(m); err != nil {
		return l, err
	}
	if d.Len() == 0 {
		return l, errors.New("train: the data has no samples")
	}
	s := newStream(d, &c, m.Head().Dim(0))
	scope := m.Head().Device().NewScope()
	defer scope.Close()
	var completion, prompt float64 // sums
	for {
		w, err := s.next(ctx)
		if err != nil {
			return l, err
		}
		if w == nil {
			break
		}
		b := &w.micros[0]
		if w.completions == 0 && (c.PromptLoss == 0 || w.prompts == 0) {
			continue
		}
		err = tensor.Try(func() {
			hidden := b.hidden(scope, m)
			if x := b.completion.loss(hidden, m, 1); x != nil {
				completion += x.Item()
				l.Completions += w.completions
			}
			if c.PromptLoss > 0 {
				if x := b.prompt.loss(hidden, m, 1); x != nil {
					prompt += x.Item()
					l.Prompts += w.prompts
				}
			}
			scope.Reset()
		})
		if err != nil {
			return l, fmt.Errorf("train: loss from %s on: %w", w.samples[0].sample.name(w.samples[0].index), err)
		}
	}
	l.Dropped, l.Truncated = s.at.Dropped, s.at.Truncated
	if l.Completions == 0 && l.Prompts == 0 {
		return l, fmt.Errorf("train: labels that are all masked: none of the %d samples has a completion token", d.Len())
	}
	if l.Completions > 0 {
		l.Completion = completion / float64(l.Completions)
	}
	if l.Prompts > 0 {
		l.Prompt = prompt / float64(l.Prompts)
	}
	return l, nil
}
