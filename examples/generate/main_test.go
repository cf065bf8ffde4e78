package main

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/models/qwen"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tokenizer"
)

// aModel is a directory with a model of random weights, which says the same nonsense every time.
func aModel(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	tok, err := tokenizer.Train(slices.Values([]string{"one two three"}), tokenizer.TrainOptions{VocabSize: 270, AddedTokens: tokenizer.ControlTokens("<|end|>"), EOS: "<|end|>"})
	if err != nil {
		t.Fatal(err)
	}
	if err := tok.Save(dir); err != nil {
		t.Fatal(err)
	}
	m, err := qwen.New(qwen.Config{VocabSize: tok.VocabSize(), HiddenSize: 32, IntermediateSize: 64, NumHiddenLayers: 1, NumAttentionHeads: 2, NumKeyValueHeads: 1,
		HeadDim: 16, MaxPositionEmbeddings: 64, RMSNormEps: 1e-6, RopeTheta: 10000, TieWordEmbeddings: true}, tensor.CPU())
	if err != nil {
		t.Fatal(err)
	}
	r := tensor.NewRand(1)
	for _, p := range m.Parameters() {
		p.FillRandn(r, 0, 0.5)
	}
	if err := models.Save(dir, m); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestATextIsContinued(t *testing.T) {
	dir := aModel(t)
	var out, again bytes.Buffer
	for _, b := range []*bytes.Buffer{&out, &again} {
		if err := run(t.Context(), b, dir, "one two", true, models.Options{MaxTokens: 8, Temperature: 1, TopP: 0.95, Seed: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if len(strings.TrimSpace(out.String())) < 4 || out.String() != again.String() {
		t.Errorf("it says %q, and then %q", out.String(), again.String())
	}
}

func TestWhatCannotBeAskedIsAnError(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out, aModel(t), "Hello?", false, models.Options{}); err == nil || !strings.Contains(err.Error(), "chat template") {
		t.Errorf("a model without a chat template: %v", err)
	}
	t.Setenv("HF_HUB_OFFLINE", "1")
	t.Setenv("HF_HOME", t.TempDir())
	for name, want := range map[string]string{filepath.Join(t.TempDir(), "missing"): "there is no ", "missing.gguf": "there is no missing.gguf; give", "org/missing": "HF_HUB_OFFLINE"} {
		if err := run(t.Context(), &out, name, "Hello?", true, models.Options{}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "missing") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
