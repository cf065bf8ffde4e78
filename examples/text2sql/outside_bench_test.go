package main

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/hone-ml/hone/examples/text2sql/internal/demodata"
	"github.com/hone-ml/hone/examples/text2sql/internal/progress"
	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/models/qwen"
	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/train"
)

// clock adds up the time between the end of a step's optimizer and the first forward pass of the next: metrics, their
// files, the line of progress, and making the samples.
type clock struct {
	*qwen.Model
	optim.Optimizer
	left    time.Time
	outside time.Duration
}

func (c *clock) Hidden(b models.Batch, cache *models.Cache) *tensor.Tensor {
	if !c.left.IsZero() {
		c.outside += time.Since(c.left)
		c.left = time.Time{}
	}
	return c.Model.Hidden(b, cache)
}

func (c *clock) Step(g *tensor.Grads) error {
	err := c.Optimizer.Step(g)
	c.left = time.Now()
	return err
}

// BenchmarkOutsideTheModel is how much of a step of the demo, the smallest model there is, passes outside of model and
// optimizer. Its samples are made and tokenised while it trains.
func BenchmarkOutsideTheModel(b *testing.B) {
	d, err := demodata.New(context.Background(), demodata.Options{Seed: 42})
	if err != nil {
		b.Fatal(err)
	}
	tok, err := demoTokenizer(d)
	if err != nil {
		b.Fatal(err)
	}
	form, ok := newCompact(tok)
	if !ok {
		b.Fatal("no compact form")
	}
	m, err := qwen.New(demoModel(tok.VocabSize(), form.end), tensor.CPU())
	if err != nil {
		b.Fatal(err)
	}
	m.InitFanIn(tensor.NewRand(42))
	c := &clock{Model: m, Optimizer: demoOptimizer(m)}
	line := progress.New(io.Discard, progress.Options{})
	defer line.Done()
	config := train.Config{MaxSteps: b.N, Batch: demoBatch, Accum: 1, Sequential: true, PromptLoss: 1, LR: demoMuonLR, Schedule: "linear", WarmupSteps: 60,
		Spike: 6, Seed: 42, OutDir: b.TempDir()}
	b.ResetTimer()
	result, err := train.Run(b.Context(), train.Options{Model: c, Optimizer: c, Data: &demoStream{d, form, b.N * demoBatch}, Config: config,
		OnStep: func(m train.Metrics) {
			line.Update(progress.State{Step: m.Step, Steps: m.Progress.Steps, Tokens: int64(m.Tokens), Loss: m.Loss, TokensPerSecond: m.TokensPerSecond})
		}})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(100*c.outside.Seconds()/result.Seconds, "%outside")
}
