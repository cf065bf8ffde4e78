package train

import (
	"strings"
	"testing"

	"github.com/hone-ml/hone/models/qwen"
	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
)

func TestMemoryIsEstimatedCloseToWhatAStepTakes(t *testing.T) {
	for _, test := range []struct {
		dtype      tensor.DType
		name       string
		checkpoint bool
		vocab      int
	}{
		{tensor.F32, "float32", false, 300}, {tensor.F32, "float32", true, 300},
		{tensor.BF16, "bfloat16", false, 300}, {tensor.BF16, "bfloat16", true, 300},
		{tensor.F32, "float32", false, 12000}, // logits are not kept
	} {
		config := qwen.Config{VocabSize: test.vocab, HiddenSize: 64, IntermediateSize: 192, NumHiddenLayers: 6, NumAttentionHeads: 4,
			NumKeyValueHeads: 2, HeadDim: 32, MaxPositionEmbeddings: 1024, RMSNormEps: 1e-6, RopeTheta: 1e4, TieWordEmbeddings: true, DType: test.name}
		m := tinyModelOf(t, config)
		m.SetCheckpointing(test.checkpoint)
		const tokens = 512
		data := sized(tokens / 2)
		data = append(data, data[0])
		grads := tensor.NewGrads(m.Parameters(), tensor.F32)
		tape := tensor.CPU().NewTape()
		defer tape.Close()
		var b microBatch
		for i := range data {
			b.add(&data[i])
		}
		loss := b.completion.loss(b.hidden(tape, m), m.Head(), 1)
		loss.Backward(grads)
		e := EstimateMemory(MemoryPlan{
			Parameters: nn.Count(m.Parameters()), DType: test.dtype, Tokens: tokens, Hidden: 64, Vocab: test.vocab, Checkpoint: test.checkpoint,
			Activations: Decoder{Layers: 6, Hidden: 64, Intermediate: 192, Heads: 4, KVHeads: 2, HeadDim: 32, DType: test.dtype},
		})
		estimate := float64(e.Activations + e.Head)
		ratio := estimate / float64(tape.Peak())
		t.Logf("%+v: estimated %.1f MiB, took %.1f MiB, ratio %.3f", test, estimate/(1<<20), float64(tape.Peak())/(1<<20), ratio)
		if ratio < 1 || ratio > 1.2 {
			t.Errorf("%+v: estimated %.0f bytes, took %d", test, estimate, tape.Peak())
		}
	}
}

// qwen06B is the plan of a full fine-tune of Qwen3-0.6B.
func qwen06B() MemoryPlan {
	return MemoryPlan{Parameters: 596_049_920, DType: tensor.BF16, Tokens: 8192, Targets: 1000, Hidden: 1024, Vocab: 151936,
		Activations: Decoder{Layers: 28, Hidden: 1024, Intermediate: 3072, Heads: 16, KVHeads: 8, HeadDim: 128, DType: tensor.BF16}}
}

func TestModelThatCannotFitIsRefusedWithTheNumbersAndTheKnobs(t *testing.T) {
	p := qwen06B()
	e := EstimateMemory(p)
	if e.Parameters != 2*p.Parameters || e.Gradients != 4*p.Parameters || e.Masters != 4*p.Parameters || e.Moments != 8*p.Parameters {
		t.Errorf("%+v", e)
	}
	if sum := e.Parameters + e.Gradients + e.Masters + e.Moments + e.Activations + e.Head; e.Total() != sum {
		t.Errorf("total %d, want %d", e.Total(), sum)
	}
	err := e.Fits(12 << 30)
	wantError(t, err, "training needs about", "parameters 1.11 GiB", "masters 2.22 GiB", "moments 4.44 GiB", "only 12.00 GiB may be used",
		"fewer tokens in a micro-batch (now 8192", "computing layers again in backward", "higher memory limit")
	wantError(t, e.Fits(8<<30), "a smaller model", "f32 parameters")
	if err := e.Fits(64 << 30); err != nil {
		t.Error(err)
	}
	if err := e.Fits(0); err != nil {
		t.Error(err)
	}
	p.Checkpoint = true
	c := EstimateMemory(p)
	if c.Activations >= e.Activations/5 {
		t.Errorf("checkpointing takes %d of %d", c.Activations, e.Activations)
	}
	if err := c.Fits(12 << 30); err != nil {
		t.Error(err)
	}
	if strings.Contains(c.Fits(10<<30).Error(), "again in backward") {
		t.Error("the knob is offered though it is turned already")
	}
}

func TestEstimateIsATable(t *testing.T) {
	e := &Estimate{Parameters: 1 << 30, Gradients: 3 << 30, Moments: 5 << 29, Activations: 7 << 20}
	const want = "" +
		"   parameters  1.00 GiB\n" +
		"    gradients  3.00 GiB\n" +
		"      moments  2.50 GiB\n" +
		"  activations   7.0 MiB\n" +
		"         head   0.0 MiB\n" +
		"        total  6.51 GiB\n"
	if got := e.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestFewLogitsAreKeptAndManyAreCutIntoChunks(t *testing.T) {
	head := func(targets int) int {
		return EstimateMemory(MemoryPlan{Parameters: 1, DType: tensor.F32, Tokens: 1, Targets: targets, Vocab: 1 << 17}).Head
	}
	const row = 4 << 17
	for targets, rows := range map[int]int{1: 1, 64: 64, 65: 65, 256: 256, 1000: 256} {
		if got := head(targets); got < rows*row || got > rows*row+targets*64 {
			t.Errorf("%d targets: %d bytes, want %d rows of logits", targets, got, rows)
		}
	}
}
