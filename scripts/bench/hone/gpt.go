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
	Embed  *nn.Embedding `param:"wte"`
	Places *nn.Embedding `param:"wpe"`
	Blocks []*gptBlock   `param:"h"`
	Norm   *nn.LayerNorm `param:"ln_f"`
}

type gptBlock struct {
	Norm1 *nn.LayerNorm `param:"ln_1"`
	QKV   *nn.Linear    `param:"attn.c_attn"`
	Out   *nn.Linear    `param:"attn.c_proj"`
	Norm2 *nn.LayerNorm `param:"ln_2"`
	Up    *nn.Linear    `param:"mlp.c_fc"`
	Down  *nn.Linear    `param:"mlp.c_proj"`
}

func newGPT() *gpt {
	cpu := tensor.CPU()
	linear := func(in, out int) *nn.Linear { return nn.NewLinear(cpu, tensor.F32, in, out, true) }
	norm := func() *nn.LayerNorm { return nn.NewLayerNorm(cpu, tensor.F32, gptWidth, 1e-5) }
	m := &gpt{Embed: nn.NewEmbedding(cpu, tensor.F32, gptVocab, gptWidth), Places: nn.NewEmbedding(cpu, tensor.F32, gptTokens, gptWidth), Norm: norm()}
	for range gptLayers {
		m.Blocks = append(m.Blocks, &gptBlock{norm(), linear(gptWidth, 3*gptWidth), linear(gptWidth, gptWidth), norm(), linear(gptWidth, 4*gptWidth), linear(4*gptWidth, gptWidth)})
	}
	r := tensor.NewRand(1)
	for _, p := range nn.Parameters(m) {
		p.FillRandn(r, 0, 0.02)
	}
	return m
}

func (m *gpt) hidden(ids *tensor.Tensor) *tensor.Tensor {
	x := m.Embed.Forward(ids).Add(m.Places.Weight)
	for _, b := range m.Blocks {
		qkv := b.QKV.Forward(b.Norm1.Forward(x)).Reshape(gptRows, gptTokens, 3, gptHeads, gptWidth/gptHeads)
		part := func(i int) *tensor.Tensor { return qkv.Slice(2, i, i+1).Squeeze(2) }
		a := tensor.Attention(part(0), part(1), part(2), tensor.AttentionOptions{Causal: true})
		x = x.Add(b.Out.Forward(a.Reshape(gptRows, gptTokens, gptWidth)))
		x = x.Add(b.Down.Forward(b.Up.Forward(b.Norm2.Forward(x)).GELU()))
	}
	return m.Norm.Forward(x)
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
