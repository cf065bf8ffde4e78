package models_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/models/qwen"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/safetensors"
)

// tiny is a Qwen3 whose head_dim is not hidden/heads.
func tiny(tied bool, dtype string) qwen.Config {
	return qwen.Config{VocabSize: 300, HiddenSize: 24, IntermediateSize: 40, NumHiddenLayers: 2, NumAttentionHeads: 4,
		NumKeyValueHeads: 2, HeadDim: 8, MaxPositionEmbeddings: 64, RMSNormEps: 1e-6, RopeTheta: 1e4,
		TieWordEmbeddings: tied, DType: dtype, EOSTokenID: []int32{1}}
}

// newTiny is a tiny model whose logits differ enough from each other that sampling has something to choose from.
func newTiny(t testing.TB, tied bool, dtype string) *qwen.Model {
	t.Helper()
	m, err := qwen.New(tiny(tied, dtype), tensor.CPU())
	if err != nil {
		t.Fatal(err)
	}
	r := tensor.NewRand(7)
	for _, p := range m.Parameters() {
		if p.Rank() == 1 {
			p.FillRandn(r, 1, 0.1)
		} else {
			p.FillRandn(r, 0, 0.4)
		}
	}
	return m
}

// saved is the directory of a tiny model.
func saved(t testing.TB, m models.CausalLM) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "model")
	if err := models.Save(dir, m); err != nil {
		t.Fatal(err)
	}
	return dir
}

func bytesOf(m models.CausalLM) map[string]string {
	all := map[string]string{}
	for name, p := range m.Parameters() {
		all[name] = fmt.Sprint(p.DType(), p.Shape(), p.Bytes())
	}
	return all
}

// rewrite changes the tensors of a safetensors file, which are given by name.
func rewrite(t *testing.T, path string, change func(ts map[string]safetensors.Tensor)) {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	ts := map[string]safetensors.Tensor{}
	for info, data := range f.All() {
		ts[info.Name] = safetensors.Tensor{Name: info.Name, DType: info.DType, Shape: info.Shape, Data: slices.Clone(data)}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	change(ts)
	if err := safetensors.Write(path, slices.Collect(maps.Values(ts)), safetensors.FormatPT()); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, content string, path ...string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(path...), []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; it should say %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q has several lines", err)
	}
}
