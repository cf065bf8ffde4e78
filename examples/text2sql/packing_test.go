package main

import (
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/hone-ml/hone/models/qwen"
	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tokenizer"
	"github.com/hone-ml/hone/train"
)

// realSamples is the training set of text2sql-postgres with the tokens of Qwen3, those of 1,024 at most.
func realSamples(t testing.TB) train.Samples {
	t.Helper()
	dir := sharedData(t, "text2sql-postgres")
	tok, err := tokenizer.Load(sharedData(t, "qwen3-tokenizer"))
	if err != nil {
		t.Fatal(err)
	}
	form, err := formatOf(tok, tokenizer.TemplateAuto)
	if err != nil {
		t.Fatal(err)
	}
	f := trainFlags{data: filepath.Join(dir, "train.jsonl")}
	all, _, err := f.samples(t.Context(), form)
	if err != nil {
		t.Fatal(err)
	}
	var short train.Samples
	for _, s := range all {
		if len(s.Tokens) <= 1024 {
			short = append(short, s)
		}
	}
	t.Logf("%d of %d samples have 1,024 tokens at most", len(short), len(all))
	return short
}

// padded is the samples in batches of 8 in random order, each as long as the longest of its batch.
func padded(samples train.Samples, seed uint64) (batches train.Samples, tokens, positions int) {
	order := rand.New(rand.NewPCG(seed, 0)).Perm(len(samples))
	for len(order) >= 8 {
		longest := 0
		for _, i := range order[:8] {
			longest = max(longest, len(samples[i].Tokens))
		}
		for _, i := range order[:8] {
			s := samples[i]
			tokens += len(s.Tokens)
			s.Tokens = append(s.Tokens[:len(s.Tokens):len(s.Tokens)], make([]int32, longest-len(s.Tokens))...)
			positions += longest
			batches = append(batches, s)
		}
		order = order[8:]
	}
	return batches, tokens, positions
}

func TestPaddedBatchesOfTheRealTrainingSetWouldComputeMuchMore(t *testing.T) {
	samples := realSamples(t)
	_, tokens, positions := padded(samples, 1)
	ratio := float64(positions) / float64(tokens)
	t.Logf("batches of 8 in random order, padded to the longest: %d positions for %d tokens, %.2f times as many", positions, tokens, ratio)
	if ratio < 1.6 {
		t.Errorf("padding costs %.2f times, and was to cost 1.6 times or more", ratio)
	}
}

// BenchmarkPacking is trained tokens, without padding, a second, of a model of 25M parameters beside its embedding: once in
// packed rows, and once in batches of 8 that are padded, whose padding is computed as any other token. A step has about as
// many trained tokens, 2,400, either way.
func BenchmarkPacking(b *testing.B) {
	samples := realSamples(b)
	config := qwen.Config{VocabSize: 151936, HiddenSize: 512, IntermediateSize: 1536, NumHiddenLayers: 8, NumAttentionHeads: 8, NumKeyValueHeads: 4, HeadDim: 64,
		MaxPositionEmbeddings: 2048, RMSNormEps: 1e-6, RopeTheta: 1e4, TieWordEmbeddings: true, DType: "float32"}
	const steps = 5
	run := func(b *testing.B, data train.Samples, c train.Config, part float64) {
		m, err := qwen.New(config, tensor.CPU())
		if err != nil {
			b.Fatal(err)
		}
		m.InitFanIn(tensor.NewRand(1))
		c.MaxSteps, c.Accum, c.Schedule, c.LR = steps*b.N, 1, "constant", 1e-5
		result, err := train.Run(b.Context(), train.Options{Model: m, Optimizer: optim.NewAdamW(optim.Split(m.Parameters(), 1e-5, 0), optim.AdamWConfig{}), Data: data, Config: c})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(part*result.TokensPerSecond, "tokens/s")
	}
	b.Run("packed", func(b *testing.B) { run(b, samples, train.Config{Batch: 2, MaxLength: 1200, Packing: true}, 1) })
	b.Run("padded", func(b *testing.B) {
		order := rand.New(rand.NewPCG(2, 0)).Perm(len(samples))
		taken := make(train.Samples, 0, 8*steps*b.N)
		for i := range cap(taken) {
			taken = append(taken, samples[order[i%len(order)]])
		}
		batches, tokens, positions := padded(taken, 1)
		run(b, batches, train.Config{Batch: 8, Sequential: true}, float64(tokens)/float64(positions))
	})
}
