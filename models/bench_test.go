package models_test

import (
	"context"
	"fmt"
	"iter"
	"os"
	"testing"
	"time"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/models/qwen"
	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
)

// qwen06B is the shape of Qwen3-0.6B.
var qwen06B = qwen.Config{VocabSize: 151936, HiddenSize: 1024, IntermediateSize: 3072, NumHiddenLayers: 28, NumAttentionHeads: 16,
	NumKeyValueHeads: 8, HeadDim: 128, MaxPositionEmbeddings: 40960, RMSNormEps: 1e-6, RopeTheta: 1e6, TieWordEmbeddings: true, DType: "bfloat16"}

// benchModel is the model of the directory HONE_MODEL or, without one, random parameters in the shape of
// Qwen3-0.6B.
func benchModel(b *testing.B) models.CausalLM {
	if dir := os.Getenv("HONE_MODEL"); dir != "" {
		m, err := models.Load(dir, models.LoadOptions{Copy: true})
		if err != nil {
			b.Fatal(err)
		}
		return m
	}
	m, err := qwen.New(qwen06B, tensor.CPU())
	if err != nil {
		b.Fatal(err)
	}
	r := tensor.NewRand(1)
	for _, p := range m.Parameters() {
		if p.Rank() == 1 {
			p.Fill(1)
		} else {
			p.FillUniform(r, -0.03, 0.03)
		}
	}
	return m
}

// free gives a model's memory back before the next benchmark needs it.
func free(m models.CausalLM) {
	for _, p := range m.Parameters() {
		p.Free()
	}
}

// bandwidth is how many bytes a second all processors read together: the sum of more numbers than caches hold.
func bandwidth() float64 {
	x := tensor.Zeros(tensor.CPU(), tensor.F32, 128<<20)
	defer x.Free()
	s := tensor.CPU().NewScope()
	defer s.Close()
	best := 0.0
	for range 5 {
		start := time.Now()
		x.In(s).Sum()
		best = max(best, float64(x.Len()*x.DType().Size())/time.Since(start).Seconds())
	}
	return best
}

// BenchmarkDecode generates tokens one after the other, the way that models.GenerateTokens does, with the
// weights of linear layers as they are and quantised. An op is a token of each sequence. GB/s counts the
// parameters that a token reads, every matrix once, and "%bandwidth" is their share of what a mere sum over
// memory reads.
//
//	go test ./models -run xxx -bench Decode -benchtime 50x
//	HONE_MODEL=/tmp/q go test ./models -run xxx -bench Decode -benchtime 50x
func BenchmarkDecode(b *testing.B) {
	peak := bandwidth()
	for _, weights := range []string{"plain", "q8_0", "q4_0"} {
		b.Run(weights, func(b *testing.B) {
			m := benchModel(b)
			defer free(m)
			for _, dt := range []tensor.DType{tensor.Q8_0, tensor.Q4_0} {
				if dt.String() == weights {
					if err := nn.Quantize(m, dt); err != nil {
						b.Fatal(err)
					}
				}
			}
			for _, sequences := range []int{1, 4} {
				b.Run(fmt.Sprint(sequences, " sequences"), func(b *testing.B) { decode(b, m, sequences, peak) })
			}
		})
	}
}

// decode measures steps of so many sequences.
func decode(b *testing.B, m models.CausalLM, sequences int, peak float64) {
	const prompt, most = 32, 512
	bytes := 0
	for _, p := range m.Parameters() {
		bytes += p.DType().Bytes(p.Len())
	}
	prompts := make([][]int32, sequences)
	for i := range prompts {
		prompts[i] = tokens(m, i*prompt, prompt)
	}
	var next func() (models.BatchToken, error, bool)
	stop := func() {}
	defer func() { stop() }()
	left := 0
	b.ResetTimer()
	for range b.N {
		if left == 0 {
			b.StopTimer()
			stop()
			next, stop = iter.Pull2(models.GenerateTokens(context.Background(), m, prompts, models.Options{MaxTokens: most, Stop: []int32{}}))
			for range sequences { // the prompts go through the model
				next()
			}
			left = most - 1
			b.StartTimer()
		}
		for range sequences {
			if _, err, ok := next(); err != nil || !ok {
				b.Fatal(err)
			}
		}
		left--
	}
	seconds := b.Elapsed().Seconds() / float64(b.N)
	b.ReportMetric(float64(sequences)/seconds, "tokens/s")
	b.ReportMetric(float64(bytes)/seconds/1e9, "GB/s")
	b.ReportMetric(100*float64(bytes)/seconds/peak, "%bandwidth")
}

// tokens are n tokens that differ, from the first on.
func tokens(m models.CausalLM, first, n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32((first + i) * 7919 % m.Head().Dim(0))
	}
	return ids
}

// BenchmarkPrefill is the time from a prompt of 2,048 tokens to the first new token. GFLOP/s counts the products
// with the layers' matrices, those of causal attention, and the head for one token; "%matmul" is their share of
// what a product of 2048×1024 by 1024×3072 alone reaches.
//
//	go test ./models -run xxx -bench Prefill -benchtime 3x
func BenchmarkPrefill(b *testing.B) {
	const length = 2048
	m := benchModel(b).(*qwen.Model)
	defer free(m)
	c := &m.Config
	perToken := 0
	for _, p := range m.Parameters() {
		if p.Rank() == 2 && p != m.Head() && p != m.Embed.Weight {
			perToken += 2 * p.Len()
		}
	}
	attention := 4 * c.NumHiddenLayers * c.NumAttentionHeads * c.HeadDim * (length + 1) / 2
	flops := float64(length*(perToken+attention) + 2*m.Head().Len())
	peak := products(m.Head().DType())
	prompts := [][]int32{tokens(m, 0, length)}
	for b.Loop() {
		if _, err := models.GenerateAll(context.Background(), m, prompts, models.Options{MaxTokens: 1, Stop: []int32{}}); err != nil {
			b.Fatal(err)
		}
	}
	seconds := b.Elapsed().Seconds() / float64(b.N)
	b.ReportMetric(length/seconds, "tokens/s")
	b.ReportMetric(flops/seconds/1e9, "GFLOP/s")
	b.ReportMetric(100*flops/seconds/peak, "%matmul")
}

// products is the rate of a product that a layer makes, in FLOP/s.
func products(dt tensor.DType) float64 {
	const m, k, n = 2048, 1024, 3072
	x, w := tensor.Ones(tensor.CPU(), dt, m, k), tensor.Ones(tensor.CPU(), dt, n, k)
	defer x.Free()
	defer w.Free()
	s := tensor.CPU().NewScope()
	defer s.Close()
	best := 0.0
	for range 10 {
		start := time.Now()
		tensor.Linear(x.In(s), w, nil)
		best = max(best, 2*m*k*n/time.Since(start).Seconds())
		s.Reset()
	}
	return best
}
