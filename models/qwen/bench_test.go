package qwen

import (
	"os"
	"testing"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
)

// demo is the shape that examples/text2sql trains from scratch.
var demo = Config{VocabSize: 1024, HiddenSize: 128, IntermediateSize: 384, NumHiddenLayers: 4, NumAttentionHeads: 4,
	NumKeyValueHeads: 2, HeadDim: 32, MaxPositionEmbeddings: 512, RMSNormEps: 1e-6, RopeTheta: 1e4, TieWordEmbeddings: true, DType: "float32"}

// BenchmarkTrainingStep is a whole step of the demo: forward, backward, Muon and AdamW.
func BenchmarkTrainingStep(b *testing.B) {
	const sequences, length = 12, 100
	dev := tensor.CPU()
	m, err := New(demo, dev)
	if err != nil {
		b.Fatal(err)
	}
	m.InitFanIn(tensor.NewRand(1))
	var matrices, others []*tensor.Tensor
	for _, p := range m.Parameters() {
		if p.Rank() == 2 && p != m.Head() {
			matrices = append(matrices, p)
		} else {
			others = append(others, p)
		}
	}
	opt := optim.Join(optim.NewMuon([]optim.Group{{Params: matrices, LR: 0.03, WeightDecay: 0.05}}, optim.MuonConfig{}),
		optim.NewAdamW([]optim.Group{{Params: others, LR: 5e-3}}, optim.AdamWConfig{Beta2: 0.98}))
	grads := tensor.NewGrads(m.Parameters(), tensor.F32)
	tape := dev.NewTape()
	defer tape.Close()
	ids, starts := make([]int32, sequences*length), []int32{}
	for i := range ids {
		ids[i] = int32(i * 7919 % 1024)
		if i%length == 0 {
			starts = append(starts, int32(i))
		}
	}
	for _, part := range []string{"forward", "backward", "step"} {
		b.Run(part, func(b *testing.B) {
			for b.Loop() {
				batch := models.Batch{IDs: tensor.FromSlice(tape, ids, 1, len(ids)), SeqStarts: starts}
				loss := tensor.LinearCrossEntropy(m.Hidden(batch, nil), m.Head(), tensor.FromSlice(tape, ids, 1, len(ids)), tensor.CrossEntropyOptions{})
				if part != "forward" {
					loss.Backward(grads)
				}
				if part == "step" {
					if err := opt.Step(grads); err != nil {
						b.Fatal(err)
					}
					grads.Zero()
				}
				tape.Reset()
			}
			b.ReportMetric(float64(len(ids))*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}

// BenchmarkQwenStep is forward and backward of 1,024 tokens through layers of Qwen3-0.6B's shape, with a seventh of
// its vocabulary: the head weighs what it does beside 28 layers.
func BenchmarkQwenStep(b *testing.B) {
	const layers, tokens = 4, 1024
	dev := tensor.CPU()
	for _, dtype := range []string{"float32", "bfloat16"} {
		config := Sizes["qwen3-0.6b"]
		config.NumHiddenLayers, config.VocabSize, config.DType = layers, 151936/7, dtype
		m, err := New(config, dev)
		if err != nil {
			b.Fatal(err)
		}
		m.Init(tensor.NewRand(1))
		ids := make([]int32, tokens)
		for i := range ids {
			ids[i] = int32(i * 7919 % config.VocabSize)
		}
		for _, recompute := range []tensor.Recompute{tensor.RecomputeNone, tensor.RecomputeSelective, tensor.RecomputeBlock} {
			b.Run(dtype+"/"+recompute.String(), func(b *testing.B) {
				m.SetRecompute(recompute)
				grads := tensor.NewGrads(m.Parameters(), tensor.F32)
				defer grads.Free()
				tape := dev.NewTape()
				defer tape.Close()
				b.ReportAllocs()
				for b.Loop() {
					loss := tensor.LinearCrossEntropy(m.Hidden(models.Batch{IDs: tensor.FromSlice(tape, ids, 1, tokens)}, nil), m.Head(),
						tensor.FromSlice(tape, ids, 1, tokens), tensor.CrossEntropyOptions{KeepLogits: recompute == tensor.RecomputeNone})
					loss.Backward(grads)
					tape.Reset()
				}
				b.ReportMetric(tokens*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
				b.ReportMetric(float64(tape.Peak())/(1<<20), "MiB")
			})
		}
	}
}

// BenchmarkLoadToLogits loads the model of the directory HONE_MODEL and computes the logits of one token:
//
//	go run ./examples/text2sql init -config qwen3-0.6b -out /tmp/q
//	HONE_MODEL=/tmp/q go test ./models/qwen -run xxx -bench LoadToLogits -benchtime 5x
func BenchmarkLoadToLogits(b *testing.B) {
	dir := os.Getenv("HONE_MODEL")
	if dir == "" {
		b.Skip("HONE_MODEL does not name a model directory")
	}
	for b.Loop() {
		m, err := models.Load(dir, models.LoadOptions{})
		if err != nil {
			b.Fatal(err)
		}
		s := tensor.CPU().NewScope()
		h := m.Hidden(models.Batch{IDs: tensor.FromSlice(s, []int32{1}, 1, 1)}, nil)
		if n := len(tensor.ToSlice[float32](tensor.Linear(h, m.Head(), nil))); n != m.Head().Dim(0) {
			b.Fatalf("%d logits", n)
		}
		s.Close()
	}
}
