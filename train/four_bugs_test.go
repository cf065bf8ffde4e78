package train

import (
	"math"
	"slices"
	"testing"

	"github.com/hone-ml/hone/tensor"
)

// unpacked is a window of samples taken one by one.
func unpacked(batch, accum int) Config {
	return Config{Batch: batch, Accum: accum, PromptLoss: 0.7, Schedule: "constant", Sequential: true}
}

func TestAccumulationDividesByTheTargetsOfTheWholeWindow(t *testing.T) {
	m := tinyModel(t, "float32")
	data := tinyData(8)
	loss, grads := gradients(t, m, data, unpacked(8, 1))
	for _, c := range []Config{
		unpacked(1, 8), unpacked(2, 4), unpacked(3, 3), // the last leaves a micro-batch of 2
		unpacked(5, 2), unpacked(1, 20),
		{Batch: 1, Accum: 9, MaxLength: 40, Packing: true, PromptLoss: 0.7, Schedule: "constant", Sequential: true},
	} {
		l, g := gradients(t, m, data, c)
		wantClose(t, l, loss, g, grads, 1e-6)
	}
}

func TestAccumulationIsNotTheMeanOfMicroBatchMeans(t *testing.T) {
	m := tinyModel(t, "float32")
	data := Samples{tinyData(1)[0], {Tokens: make([]int32, 40), Completion: []Span{{1, 40}}}}
	whole, _ := gradients(t, m, data, Config{Batch: 2, Accum: 1, Schedule: "constant", Sequential: true})
	cut, _ := gradients(t, m, data, Config{Batch: 1, Accum: 2, Schedule: "constant", Sequential: true})
	a, _ := gradients(t, m, data[:1], Config{Batch: 1, Accum: 1, Schedule: "constant", Sequential: true})
	b, _ := gradients(t, m, data[1:], Config{Batch: 1, Accum: 1, Schedule: "constant", Sequential: true})
	if math.Abs(cut-whole) > 1e-6*whole {
		t.Errorf("cut in two the loss is %.9g, whole %.9g", cut, whole)
	}
	if math.Abs((a+b)/2-whole) < 1e-3*whole {
		t.Fatal("these samples do not tell the two apart")
	}
}

func TestGradientsOfBF16ParametersAreF32AndDoNotDependOnTheCut(t *testing.T) {
	m := tinyModel(t, "bfloat16")
	data := tinyData(8)
	c := unpacked(8, 1)
	c.PromptLoss = 0
	_, whole := gradients(t, m, data, c)
	c.Batch, c.Accum = 1, 8
	_, cut := gradients(t, m, data, c)
	// What differs is the rounding of activations' gradients, not that of the sums: micro-batches round
	// each row alike.
	wantClose(t, 1, 1, cut, whole, 2e-3)
	fine := 0
	for _, g := range cut {
		for _, x := range g {
			if float32(x) != tensor.ToBFloat16(float32(x)).Float32() {
				fine++
			}
		}
	}
	if fine == 0 {
		t.Error("every gradient is a BF16 number")
	}
}

func TestPackedEqualsUnpacked(t *testing.T) {
	m := tinyModel(t, "float32")
	data := tinyData(9)
	loss, grads := gradients(t, m, data, unpacked(1, 9))
	c := Config{Batch: 3, Accum: 3, MaxLength: 64, Packing: true, PromptLoss: 0.7, Schedule: "constant", Sequential: true}
	l, g := gradients(t, m, data, c)
	wantClose(t, l, loss, g, grads, 1e-5)
	c.PromptLoss = 0
	u := unpacked(1, 9)
	u.PromptLoss = 0
	loss, grads = gradients(t, m, data, u)
	l, g = gradients(t, m, data, c)
	wantClose(t, l, loss, g, grads, 1e-5)
}

func TestNothingAttendsAcrossSamples(t *testing.T) {
	m := tinyModel(t, "float32")
	data := tinyData(4)
	hidden := func(samples ...Sample) []float32 {
		var b microBatch
		for i := range samples {
			b.add(&samples[i])
		}
		s := tensor.CPU().NewScope()
		defer s.Close()
		return tensor.ToSlice[float32](b.hidden(s, m))
	}
	alone := hidden(data[1])
	packed := hidden(data[0], data[1], data[2])
	from := len(data[0].Tokens) * 32
	for i, x := range alone {
		if math.Abs(float64(packed[from+i]-x)) > 1e-5 {
			t.Fatalf("element %d of the second sample is %g in company, %g alone", i, packed[from+i], x)
		}
	}
	other := data[0]
	other.Tokens = slices.Clone(other.Tokens)
	other.Tokens[0] = (other.Tokens[0] + 1) % tinyVocab
	changed := hidden(other, data[1], data[2])
	if !slices.Equal(changed[from:], packed[from:]) {
		t.Error("a token of the first sample changes the others")
	}
	if slices.Equal(changed[:from], packed[:from]) {
		t.Error("a token of the first sample does not change it either")
	}
	// its positions restart: the same sample packed twice gives the same twice
	twice := hidden(data[1], data[1])
	for i, x := range alone {
		if math.Abs(float64(twice[len(alone)+i]-x)) > 1e-5 {
			t.Fatal("positions do not restart")
		}
	}
}

func TestWindowWithoutLossIsAnErrorThatNamesTheSamples(t *testing.T) {
	data := tinyData(3)
	for i := range data {
		data[i].Completion = nil
	}
	m := tinyModel(t, "float32")
	c := unpacked(2, 1)
	c.PromptLoss, c.MaxSteps = 0, 1
	_, err := Run(t.Context(), Options{Model: m, Optimizer: adamW(m), Data: data, Config: c})
	wantError(t, err, "labels that are all masked", "sample 0 (row-0)", "sample 1 (row-1)")
	if _, err := Loss(t.Context(), m, data, c); err == nil {
		t.Error("Loss: no error")
	}
	c.PromptLoss = 1
	r := mustRun(t, Options{Model: m, Optimizer: adamW(m), Data: data, Config: c})
	if !(r.Last.Prompt > 0) || !math.IsNaN(r.Last.Completion) || r.Last.Loss != r.Last.Prompt {
		t.Errorf("with a prompt loss: %+v", r.Last)
	}
}

func TestMicroBatchWithoutLossIsNotComputed(t *testing.T) {
	data := tinyData(3)
	data[1].Completion = nil
	c := unpacked(1, 3)
	c.PromptLoss = 0
	wrapped := &wrapped{Model: tinyModel(t, "float32"), change: func(_ int, h *tensor.Tensor) *tensor.Tensor { return h }}
	loss, grads := gradients(t, wrapped, data, c)
	if wrapped.calls != 2 {
		t.Errorf("%d forward passes, want 2", wrapped.calls)
	}
	l, g := gradients(t, wrapped.Model, Samples{data[0], data[2]}, Config{Batch: 2, Accum: 1, Schedule: "constant", Sequential: true})
	wantClose(t, loss, l, grads, g, 3e-6) // the sums over rows are cut otherwise
}
