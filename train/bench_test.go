package train

import (
	"testing"

	"github.com/hone-ml/hone/models/qwen"
	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
)

// BenchmarkDemoStep is a step of the size of the text2sql demo: 0.9 M parameters, 12 samples of about 100
// tokens, loss on prompt and completion, Muon. A step includes everything that Run does.
func BenchmarkDemoStep(b *testing.B) {
	config := qwen.Config{VocabSize: 1024, HiddenSize: 128, IntermediateSize: 384, NumHiddenLayers: 4, NumAttentionHeads: 4, NumKeyValueHeads: 2,
		HeadDim: 32, MaxPositionEmbeddings: 512, RMSNormEps: 1e-6, RopeTheta: 1e4, TieWordEmbeddings: true, DType: "float32"}
	m, err := qwen.New(config, tensor.CPU())
	if err != nil {
		b.Fatal(err)
	}
	m.InitFanIn(tensor.NewRand(1))
	data := make(Samples, 1200)
	r := tensor.NewRand(2)
	s := tensor.CPU().NewScope()
	for i := range data {
		n := 80 + i%40
		for _, u := range tensor.Uniform(s, tensor.F64, r, 0, 1024, n).Float64s() {
			data[i].Tokens = append(data[i].Tokens, int32(u))
		}
		data[i].Completion = []Span{{n - 25, n}}
	}
	s.Close()
	c := Config{MaxSteps: b.N, Batch: 12, Accum: 1, PromptLoss: 1, LR: 0.03, Schedule: "linear", WarmupSteps: 60}
	var opt optim.Optimizer = muonAndAdamW(m)
	b.ResetTimer()
	result, err := Run(b.Context(), Options{Model: m, Optimizer: opt, Data: data, Config: c})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(result.TokensPerSecond, "tokens/s")
}
