package train

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/models/qwen"
	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
)

const tinyVocab = 61

// tinyConfig is a Qwen3 of 25 thousand parameters; the dtype is "float32" or "bfloat16".
func tinyConfig(dtype string) qwen.Config {
	return qwen.Config{VocabSize: tinyVocab, HiddenSize: 32, IntermediateSize: 48, NumHiddenLayers: 2, NumAttentionHeads: 4,
		NumKeyValueHeads: 2, HeadDim: 12, MaxPositionEmbeddings: 64, RMSNormEps: 1e-6, RopeTheta: 1e4, TieWordEmbeddings: true, DType: dtype}
}

func tinyModel(t testing.TB, dtype string) *qwen.Model {
	t.Helper()
	return tinyModelOf(t, tinyConfig(dtype))
}

func tinyModelOf(t testing.TB, c qwen.Config) *qwen.Model {
	t.Helper()
	m, err := qwen.New(c, tensor.CPU())
	if err != nil {
		t.Fatal(err)
	}
	initialise(m)
	return m
}

// initialise gives the parameters the values from which every run here starts: large embeddings, so that
// the losses of tokens differ.
func initialise(m *qwen.Model) {
	m.InitFanIn(tensor.NewRand(7))
	m.Embed.Weight.FillRandn(tensor.NewRand(8), 0, 0.4)
}

// tinyData is n samples of 6 to 25 tokens, the last third of each its completion: the first third again.
func tinyData(n int) Samples {
	rng := uint64(12345)
	next := func(limit int) int {
		rng = rng*6364136223846793005 + 1442695040888963407
		return int(rng>>33) % limit
	}
	data := make(Samples, n)
	for i := range data {
		third := 2 + next(7)
		tokens := make([]int32, 0, 3*third+1)
		for range 2 * third {
			tokens = append(tokens, int32(next(tinyVocab)))
		}
		tokens = append(tokens, tokens[:third]...)
		data[i] = Sample{ID: fmt.Sprintf("row-%d", i), Tokens: tokens, Completion: []Span{{2 * third, len(tokens)}}}
	}
	return data
}

func tinyRunConfig(dir string) Config {
	return Config{MaxSteps: 12, Batch: 3, Accum: 2, MaxLength: 32, Packing: true, PromptLoss: 0.5, LR: 3e-3,
		Schedule: "cosine", WarmupSteps: 3, Clip: 1, SaveEvery: 4, Keep: 2, Seed: 5, OutDir: dir}
}

func adamW(m models.CausalLM) optim.Optimizer {
	return optim.NewAdamW(optim.Split(m.Parameters(), 3e-3, 0.01), optim.AdamWConfig{})
}

// adamWWith makes adamW with packed moments.
func adamWWith(moments optim.Moments) func(models.CausalLM) optim.Optimizer {
	return func(m models.CausalLM) optim.Optimizer {
		return optim.NewAdamW(optim.Split(m.Parameters(), 3e-3, 0.01), optim.AdamWConfig{Moments: moments})
	}
}

// muonAndAdamW is the demo's kind of optimizer.
func muonAndAdamW(m models.CausalLM) optim.Optimizer {
	var matrices, rest []*tensor.Tensor
	for name, p := range m.Parameters() {
		if p.Rank() == 2 && strings.Contains(name, "layers") {
			matrices = append(matrices, p)
		} else {
			rest = append(rest, p)
		}
	}
	return optim.Join(
		optim.NewMuon([]optim.Group{{Params: matrices, LR: 0.02, WeightDecay: 0.05}}, optim.MuonConfig{}),
		optim.NewAdamW([]optim.Group{{Params: rest, LR: 3e-3}}, optim.AdamWConfig{Beta2: 0.98}))
}

// mustRun runs and fails the test on an error.
func mustRun(t testing.TB, o Options) *Result {
	t.Helper()
	r, err := Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// tensorsOf is every parameter and moment by name, as bytes.
func tensorsOf(m models.CausalLM, o optim.Optimizer) map[string][]byte {
	all := map[string][]byte{}
	for name, p := range m.Parameters() {
		all[name] = p.Bytes()
	}
	for name, p := range o.State() {
		all["state "+name] = p.Bytes()
	}
	return all
}

// wantSameTensors fails unless both hold the same bits.
func wantSameTensors(t testing.TB, got, want map[string][]byte) {
	t.Helper()
	if len(got) != len(want) || len(want) == 0 {
		t.Fatalf("%d tensors, want %d", len(got), len(want))
	}
	for name, w := range want {
		if !slices.Equal(got[name], w) {
			t.Fatalf("%s differs", name)
		}
	}
}

// metricsWithoutTimes is the lines of a metrics.jsonl less what depends on the clock.
func metricsWithoutTimes(t testing.TB, dir string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(data)) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		delete(fields, "seconds")
		delete(fields, "tokens_per_second")
		data, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(data))
	}
	return lines
}

// gradients is the loss and gradients of the first window of data, before clipping.
func gradients(t testing.TB, m models.CausalLM, data Data, c Config) (loss float64, grads map[string][]float64) {
	t.Helper()
	c.Clip, c.OutDir, c.SaveEvery, c.MaxSteps, c.Epochs = 0, "", 0, 1, 0
	spy := &gradientSpy{}
	r := mustRun(t, Options{Model: m, Optimizer: spy, Data: data, Config: c})
	return r.Last.Loss, spy.seen
}

// gradientSpy is an optimizer that copies the gradients and leaves the parameters alone.
type gradientSpy struct {
	optim.Optimizer
	seen map[string][]float64
}

func (s *gradientSpy) Step(g *tensor.Grads) error {
	s.seen = map[string][]float64{}
	for name, t := range g.All() {
		s.seen[name] = t.Float64s()
	}
	return nil
}
func (s *gradientSpy) SetFactor(float64) {}
func (s *gradientSpy) Steps() int        { return 1 }

// wantClose fails unless the losses agree relatively, and each gradient by max|a−b| / max|b|.
func wantClose(t testing.TB, loss, wantLoss float64, grads, want map[string][]float64, tolerance float64) {
	t.Helper()
	if !(math.Abs(loss-wantLoss) <= tolerance*math.Abs(wantLoss)) {
		t.Errorf("loss %.9g, want %.9g", loss, wantLoss)
	}
	if len(grads) != len(want) || len(want) == 0 {
		t.Fatalf("%d gradients, want %d", len(grads), len(want))
	}
	for name, w := range want {
		worst, largest := 0.0, 0.0
		for i, x := range grads[name] {
			worst, largest = max(worst, math.Abs(x-w[i])), max(largest, math.Abs(w[i]))
		}
		if !(worst <= tolerance*largest) || largest == 0 {
			t.Errorf("gradient of %s is off by %.2g of %.2g", name, worst, largest)
		}
	}
}

// wrapped is a model whose hidden states pass through a function, told which call it is, from 1.
type wrapped struct {
	*qwen.Model
	calls  int
	change func(call int, hidden *tensor.Tensor) *tensor.Tensor
}

func (w *wrapped) Hidden(b models.Batch, c *models.Cache) *tensor.Tensor {
	w.calls++
	return w.change(w.calls, w.Model.Hidden(b, c))
}
