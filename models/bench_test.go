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
func bandwidth(b *testing.B) float64 {
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

// BenchmarkDecode generates tokens one after the other, the way that models.GenerateTokens does. An op is a
// token of each sequence. GB/s counts the parameters that a token reads, every matrix once, and "%bandwidth"
// is their share of what a mere sum over memory reads.
//
//	go test ./models -run xxx -bench Decode -benchtime 50x
//	HONE_MODEL=/tmp/q go test ./models -run xxx -bench Decode -benchtime 50x
func BenchmarkDecode(b *testing.B) {
	m := benchModel(b)
	defer free(m)
	bytes := 0
	for _, p := range m.Parameters() {
		bytes += p.Len() * p.DType().Size()
	}
	peak := bandwidth(b)
	for _, sequences := range []int{1, 4} {
		b.Run(fmt.Sprint(sequences, " sequences"), func(b *testing.B) {
			const prompt, most = 32, 512
			prompts := make([][]int32, sequences)
			for i := range prompts {
				for j := range prompt {
					prompts[i] = append(prompts[i], int32((i*prompt+j)*7919%m.Head().Dim(0)))
				}
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
					next() // the prompts go through the model
					for range sequences - 1 {
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
		})
	}
}
