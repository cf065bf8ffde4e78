package main

import (
	"io"
	"time"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
)

// The tiny GPT: character level, 4 layers, 256 wide, 8 rows of 128.
const (
	gptLayers, gptWidth, gptHeads = 4, 256, 4
	gptVocab, gptTokens, gptRows  = 65, 128, 8
)

// A gpt is GPT-2's architecture with a tied head, made of the layers that a user has.
type gpt struct {
	Embed  *nn.Embedding `param:"embed"`
	Places *nn.Embedding `param:"places"`
	Blocks nn.Sequential `param:"blocks"`
	Norm   *nn.LayerNorm `param:"norm"`
}

func newGPT() *gpt {
	cpu, dt := tensor.CPU(), tensor.F32
	norm := func() *nn.LayerNorm { return nn.NewLayerNorm(cpu, dt, gptWidth, 1e-5) }
	m := &gpt{Embed: nn.NewEmbedding(cpu, dt, gptVocab, gptWidth), Places: nn.NewEmbedding(cpu, dt, gptTokens, gptWidth), Norm: norm()}
	for range gptLayers {
		attention := nn.NewMultiHeadAttention(cpu, dt, nn.AttentionConfig{Width: gptWidth, Heads: gptHeads, Bias: true, Causal: true})
		m.Blocks = append(m.Blocks, nn.Residual{Layer: nn.Sequential{norm(), attention}},
			nn.Residual{Layer: nn.Sequential{norm(), nn.NewMLP(cpu, dt, nn.GELU{}, gptWidth, 4*gptWidth, gptWidth)}})
	}
	r := tensor.NewRand(1)
	for _, p := range nn.Parameters(m) {
		p.FillRandn(r, 0, 0.02)
	}
	return m
}

func (m *gpt) hidden(ids *tensor.Tensor) *tensor.Tensor {
	return m.Norm.Forward(m.Blocks.Forward(m.Embed.Forward(ids).Add(m.Places.Weight)))
}

// trainGPT is a training step of the tiny GPT: forward, backward, clipping, AdamW.
func trainGPT(o options) (err error) {
	m := newGPT()
	opt := optim.NewAdamW(optim.Split(nn.Parameters(m), 1e-3, 0.01), optim.AdamWConfig{})
	grads := tensor.NewGrads(nn.Parameters(m), tensor.F32)
	tape := tensor.CPU().NewTape()
	defer tape.Close()
	x := make([]int32, gptRows*gptTokens+1)
	for i := range x {
		x[i] = int32(uint32(i) * 2654435761 % gptVocab)
	}
	var times []float64
	var loss float64
	for i := range 20 * o.repeats {
		if i == 20*o.repeats-1 && o.trace {
			defer showTrace(tensor.CPU().StartTrace(io.Discard), &err)
		}
		start := time.Now()
		ids, targets := tensor.FromSlice(tape, x[:len(x)-1], gptRows, gptTokens), tensor.FromSlice(tape, x[1:], gptRows, gptTokens)
		l := tensor.LinearCrossEntropy(m.hidden(ids), m.Embed.Weight, targets, tensor.CrossEntropyOptions{})
		l.Backward(grads)
		loss = l.Item()
		grads.Clip(1)
		if err := opt.Step(grads); err != nil {
			return err
		}
		grads.Zero()
		tape.Reset()
		times = append(times, time.Since(start).Seconds())
	}
	s := middle(times)
	o.report("gpt", record{"mode": "hone", "seconds": s, "tokens_per_second": gptRows * gptTokens / s, "loss": loss, "peak_rss": peakRSS()})
	return nil
}
