package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/models/qwen"
	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
)

// midConfig is a model whose activations weigh about as much as its parameters.
func midConfig(dtype string, vocab int) qwen.Config {
	return qwen.Config{VocabSize: vocab, HiddenSize: 64, IntermediateSize: 192, NumHiddenLayers: 6, NumAttentionHeads: 4,
		NumKeyValueHeads: 2, HeadDim: 32, MaxPositionEmbeddings: 1024, RMSNormEps: 1e-6, RopeTheta: 1e4, TieWordEmbeddings: true, DType: dtype}
}

// builds makes models of a configuration, with the optimizer of the name.
func builds(c qwen.Config, r tensor.Recompute, optimizer func(models.CausalLM) optim.Optimizer) Build {
	return func(dev *tensor.Device) (models.CausalLM, optim.Optimizer, error) {
		m, err := qwen.New(c, dev)
		if err != nil {
			return nil, nil, err
		}
		initialise(m)
		m.SetRecompute(r)
		return m, optimizer(m), nil
	}
}

func TestMemoryIsPredictedWithinTenPercentOfWhatARunTakes(t *testing.T) {
	type arm struct {
		dtype     string
		recompute tensor.Recompute
		vocab     int
		packing   bool
		prompt    float64
		optimizer func(models.CausalLM) optim.Optimizer
	}
	var arms []arm
	for _, dtype := range []string{"float32", "bfloat16"} {
		for _, r := range []tensor.Recompute{tensor.RecomputeNone, tensor.RecomputeSelective, tensor.RecomputeBlock} {
			arms = append(arms, arm{dtype, r, 300, true, 0, adamW}, arm{dtype, r, 300, false, 1, muonAndAdamW})
		}
		arms = append(arms, arm{dtype, tensor.RecomputeSelective, 150_000, true, 0, adamW}) // logits are cut into chunks
	}
	for _, a := range arms {
		name := fmt.Sprintf("%s %s vocab=%d packing=%v", a.dtype, a.recompute, a.vocab, a.packing)
		data := tinyData(60)
		config := Config{MaxSteps: 2, Batch: 6, Accum: 2, MaxLength: 64, Packing: a.packing, PromptLoss: a.prompt, LR: 1e-3, Schedule: "constant", Clip: 1, Seed: 3}
		build := builds(midConfig(a.dtype, a.vocab), a.recompute, a.optimizer)
		dev := tensor.CPU()
		before := settle(dev)
		f, err := Predict(context.Background(), dev, build, data, config)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if now := dev.Memory().InUse; now != before {
			t.Errorf("%s: the prediction took %d bytes", name, now-before)
		}
		m, o, err := build(dev)
		if err != nil {
			t.Fatal(err)
		}
		result, err := Run(context.Background(), Options{Model: m, Optimizer: o, Data: data, Config: config})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		measured := result.MaxInUse - before
		if e := math.Abs(float64(f.Total())/float64(measured) - 1); e > 0.1 {
			t.Errorf("%s: %s predicted, %s measured: %.0f %% off", name, gibibytes(f.Total()), gibibytes(measured), 100*e)
		} else {
			t.Logf("%s: %s predicted (%s), %s measured", name, gibibytes(f.Total()), f.Parts(), gibibytes(measured))
		}
		runtime.KeepAlive(o)
	}
}

// settle waits until what nobody refers to any more is freed.
func settle(dev *tensor.Device) (inUse int) {
	for was := -1; was != inUse; {
		was = inUse
		for range 3 {
			runtime.GC()
			time.Sleep(2 * time.Millisecond)
		}
		inUse = dev.Memory().InUse
	}
	return inUse
}

func predict(t *testing.T, dev *tensor.Device, c qwen.Config, r tensor.Recompute, config Config) *Footprint {
	t.Helper()
	f, err := Predict(context.Background(), dev, builds(c, r, adamW), sized(config.Batch*config.MaxLength), config)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestPredictionOfALargeModelTakesNoMemory(t *testing.T) {
	// Qwen3-0.6B, 8,192 tokens a micro-batch: 9 to 20 GiB.
	config := Config{Batch: 1, Accum: 1, MaxLength: 8192, Packing: true}
	c := qwen.Sizes["qwen3-0.6b"]
	n := c.Parameters()
	none := predict(t, tensor.CPU(), c, tensor.RecomputeNone, config)
	narrow := config
	narrow.Gradients = tensor.BF16
	if f := predict(t, tensor.CPU(), c, tensor.RecomputeNone, narrow); f.Gradients > none.Gradients/2+4096*1024 || f.Gradients < 2*n {
		t.Errorf("gradients in BF16 take %s, in F32 %s", gibibytes(f.Gradients), gibibytes(none.Gradients))
	}
	if none.Parameters != 2*n || none.Gradients < 4*n || none.Gradients > 4*n+4096*1024 || none.Optimizer < 8*n {
		t.Errorf("%d parameters: %+v", n, none)
	}
	selective := predict(t, tensor.CPU(), c, tensor.RecomputeSelective, config)
	block := predict(t, tensor.CPU(), c, tensor.RecomputeBlock, config)
	if s, m, l := none.Activations, selective.Activations, block.Activations; m > s*3/4 || l > m/3 {
		t.Errorf("activations: %s, selectively %s, in blocks %s", gibibytes(s), gibibytes(m), gibibytes(l))
	}
}

func TestTrainingThatCannotFitIsRefusedWithTheNumbersAndTheKnobs(t *testing.T) {
	dev := tensor.CPU()
	limit := dev.Memory().Limit
	defer dev.SetMemoryLimit(limit)
	config := Config{Batch: 1, Accum: 1, MaxLength: 8192, Packing: true}
	c := qwen.Sizes["qwen3-0.6b"]

	dev.SetMemoryLimit(13 << 30)
	wantError(t, predict(t, dev, c, tensor.RecomputeNone, config).Fits(), "training needs about", "parameters 1.11 GiB", "gradients 2.22 GiB",
		"only 13.00 GiB may be used", "fewer tokens in a micro-batch (now 8192", "(selective: ", "(block: ", "gradients in bf16 (1.11 GiB less)", "higher memory limit")
	dev.SetMemoryLimit(3 << 30)
	wantError(t, predict(t, dev, c, tensor.RecomputeNone, config).Fits(), "a smaller model", "higher memory limit")
	for _, enough := range []int{64 << 30, 0} {
		dev.SetMemoryLimit(enough)
		if err := predict(t, dev, c, tensor.RecomputeBlock, config).Fits(); err != nil {
			t.Error(err)
		}
	}
}

func TestALimitIsKeptToTheSlab(t *testing.T) {
	// Between what tensors hold and what the device takes in large pieces there is room that a short limit
	// does not leave: the prediction says what a run does.
	dev := tensor.CPU()
	limit := dev.Memory().Limit
	defer dev.SetMemoryLimit(limit)
	dev.TrimCache()
	config := Config{MaxSteps: 1, Batch: 1, Accum: 1, MaxLength: 64, Packing: true, Schedule: "constant", LR: 1e-3}
	c := midConfig("float32", 300)
	total := predict(t, dev, c, tensor.RecomputeNone, config).Total()
	refused, allowed := 0, 0
	for _, percent := range []int{90, 99, 101, 110, 130, 200} {
		dev.SetMemoryLimit(total * percent / 100)
		f := predict(t, dev, c, tensor.RecomputeNone, config)
		err := f.Fits()
		if percent < 100 && err == nil {
			t.Errorf("%d %% of what tensors hold are found enough", percent)
		}
		if percent >= 200 && err != nil {
			t.Error(err)
		}
		if err != nil {
			refused++
		} else if allowed++; f.Reserved > f.Limit {
			t.Errorf("%+v", f)
		}
	}
	if refused == 0 || allowed == 0 {
		t.Errorf("%d limits are refused, %d allowed", refused, allowed)
	}
}

func TestPredictReportsWhatBuildAndDataReport(t *testing.T) {
	boom := errors.New("boom")
	broken := func(*tensor.Device) (models.CausalLM, optim.Optimizer, error) { return nil, nil, boom }
	config := Config{Batch: 1, Accum: 1, MaxLength: 8, Packing: true}
	if _, err := Predict(context.Background(), tensor.CPU(), broken, sized(4), config); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	_, err := Predict(context.Background(), tensor.CPU(), builds(tinyConfig("float32"), 0, adamW), sized(100), config)
	wantError(t, err, "longer than the maximum of 8 tokens")
}

func TestFootprintIsATable(t *testing.T) {
	f := &Footprint{Parameters: 1 << 30, Gradients: 3 << 30, Optimizer: 5 << 29, Activations: 7 << 20}
	const want = "" +
		"   parameters  1.00 GiB\n" +
		"    gradients  3.00 GiB\n" +
		"    optimizer  2.50 GiB\n" +
		"  activations   7.0 MiB\n" +
		"        total  6.51 GiB\n"
	if got := f.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
