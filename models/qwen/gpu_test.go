package qwen

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/models/modeltest"
	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
)

func TestTrainingOnAGPUGivesTheSameBitsEveryTime(t *testing.T) {
	var first [][]byte
	for range 2 {
		modeltest.OnEveryDevice(t, func(t *testing.T, dev *tensor.Device) {
			if dev == tensor.CPU() {
				return
			}
			g := openGolden(t, "tied", "training.safetensors")
			m := load(t, dev, "tied", new(tensor.BF16))
			tape := dev.NewTape()
			defer tape.Close()
			grads := tensor.NewGrads(m.Parameters(), tensor.F32)
			opt := optim.NewAdamW(optim.Split(m.Parameters(), 0.01, 0.1), optim.AdamWConfig{})
			ids, targets := g.ints("ids")[:22], g.ints("targets")[:22]
			for range 3 {
				h := m.Hidden(models.Batch{IDs: tensor.FromSlice(tape, ids, 2, 11)}, nil)
				tensor.LinearCrossEntropy(h, m.Head(), tensor.FromSlice(tape, targets, 2, 11), tensor.CrossEntropyOptions{}).Backward(grads)
				if err := opt.Step(grads); err != nil {
					t.Fatal(err)
				}
				grads.Zero()
				tape.Reset()
			}
			var bits [][]byte
			for _, p := range m.Parameters() {
				bits = append(bits, p.Bytes())
			}
			if first == nil {
				first = bits
			}
			for i := range bits {
				if !bytes.Equal(bits[i], first[i]) {
					t.Fatalf("parameter %d has other bits the second time", i)
				}
			}
		})
	}
}

// BenchmarkQwen06BStep is a step of a full fine-tune of Qwen3-0.6B on a card that HONE_TEST_DEVICE names: 2,048 tokens,
// BF16 weights and gradients. %MFU is of what densePeak knows; 4.28 GFLOP a token.
func BenchmarkQwen06BStep(b *testing.B) {
	const tokens, flops = 2048, 4.28e9
	m, dev := qwen06B(b)
	ids := someTokens(m, tokens)
	for _, recompute := range []tensor.Recompute{tensor.RecomputeNone, tensor.RecomputeBlock} {
		b.Run(recompute.String(), func(b *testing.B) {
			m.SetRecompute(recompute)
			grads := tensor.NewGrads(m.Parameters(), tensor.BF16)
			defer grads.Free()
			opt := optim.NewAdamW(optim.Split(m.Parameters(), 1e-5, 0.1), optim.AdamWConfig{})
			tape := dev.NewTape()
			defer tape.Close()
			step := func() {
				batch := models.Batch{IDs: tensor.FromSlice(tape, ids, 1, tokens)}
				tensor.LinearCrossEntropy(m.Hidden(batch, nil), m.Head(), tensor.FromSlice(tape, ids, 1, tokens), tensor.CrossEntropyOptions{}).Backward(grads)
				if err := opt.Step(grads); err != nil {
					b.Fatal(err)
				}
				grads.Zero()
				tape.Reset()
			}
			step() // compiles the kernels and grows the memory
			if err := dev.Sync(); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				step()
			}
			if err := dev.Sync(); err != nil {
				b.Fatal(err)
			}
			rate := tokens * float64(b.N) / b.Elapsed().Seconds()
			b.ReportMetric(rate, "tokens/s")
			if peak := densePeak(dev.String()); peak > 0 {
				b.ReportMetric(100*rate*flops/peak, "%MFU")
			}
			b.ReportMetric(float64(dev.Memory().Peak)/(1<<30), "GiB")
		})
	}
}

// BenchmarkQwen06BDecode continues a prompt of 64 tokens by 128 on that card, in BF16.
func BenchmarkQwen06BDecode(b *testing.B) {
	const tokens = 128
	m, _ := qwen06B(b)
	prompts := [][]int32{someTokens(m, 64)}
	decode := func() {
		if _, err := models.GenerateAll(b.Context(), m, prompts, models.Options{MaxTokens: tokens}); err != nil {
			b.Fatal(err)
		}
	}
	decode() // compiles the kernels
	for b.Loop() {
		decode()
	}
	b.ReportMetric(tokens*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
}

// qwen06B is a model of the size on the card that HONE_TEST_DEVICE names.
func qwen06B(b *testing.B) (*Model, *tensor.Device) {
	b.Helper()
	name := os.Getenv("HONE_TEST_DEVICE")
	if !strings.HasPrefix(name, "cuda:") {
		b.Skip("HONE_TEST_DEVICE names no card (cuda:0)")
	}
	dev, err := tensor.OpenDevice(name)
	if err != nil {
		b.Fatal(err)
	}
	config := Sizes["qwen3-0.6b"]
	config.DType = "bfloat16"
	m, err := New(config, dev)
	if err != nil {
		b.Fatal(err)
	}
	m.Init(tensor.NewRand(1))
	return m, dev
}

func someTokens(m *Model, n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(i * 7919 % m.Config.VocabSize)
	}
	return ids
}

// densePeak is the peak of dense BF16 products of a card by its name, in FLOP/s, as NVIDIA's data sheets give it; 0 if unknown.
func densePeak(card string) float64 {
	for _, c := range []struct {
		name   string
		tflops float64
	}{
		{"H100 PCIe", 756}, {"H100", 989}, {"H200", 989}, {"A100", 312}, {"A10G", 70}, {"A10", 125}, {"L40S", 362}, {"L4", 121},
		{"RTX 4090", 165}, {"RTX 3090", 71},
	} {
		if strings.Contains(card, c.name) {
			return c.tflops * 1e12
		}
	}
	return 0
}
