package models_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/tensor"
)

func TestShardsHoldTheModelAndNoneIsTooLarge(t *testing.T) {
	for _, dtype := range []string{"float32", "bfloat16", "float16", "float64"} {
		for _, tied := range []bool{true, false} {
			m := newTiny(t, tied, dtype)
			const limit = 20_000
			dir := saved(t, m) // a single file, which must not be loaded any more
			for _, p := range m.Parameters() {
				p.FillRandn(tensor.NewRand(5), 0, 1)
			}
			if err := models.SaveSharded(dir, m, limit); err != nil {
				t.Fatal(err)
			}
			got, err := models.Load(dir, models.LoadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if !maps.Equal(bytesOf(got), bytesOf(m)) {
				t.Errorf("%s, tied: %v: the parameters differ", dtype, tied)
			}
			checkShards(t, dir, m, limit)
		}
	}
}

// checkShards holds the index and the files against the model.
func checkShards(t *testing.T, dir string, m models.CausalLM, limit int) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "model.safetensors.index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var index struct {
		Metadata struct {
			TotalSize int `json:"total_size"`
		}
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(data, &index); err != nil {
		t.Fatal(err)
	}
	sizes, count, total := map[string]int{}, map[string]int{}, 0
	for name, p := range m.Parameters() {
		n := p.DType().Bytes(p.Len())
		sizes[index.WeightMap[name]] += n
		count[index.WeightMap[name]]++
		total += n
	}
	if index.Metadata.TotalSize != total || len(index.WeightMap) != len(bytesOf(m)) {
		t.Errorf("the index has %d bytes and %d tensors, want %d and %d", index.Metadata.TotalSize, len(index.WeightMap), total, len(bytesOf(m)))
	}
	for file, n := range sizes {
		if n > limit && count[file] > 1 {
			t.Errorf("%s has %d bytes of %d tensors, want at most %d", file, n, count[file], limit)
		}
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "model-*-of-*.safetensors")); len(files) != len(sizes) || len(files) < 2 {
		t.Errorf("%d files, want %d", len(files), len(sizes))
	}
}

func TestOneFileIsEnoughForWhatFits(t *testing.T) {
	m := newTiny(t, true, "float32")
	dir := filepath.Join(t.TempDir(), "model")
	if err := models.SaveSharded(dir, m, 1<<30); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "model.safetensors.index.json")); err == nil {
		t.Error("one file has an index")
	}
	if _, err := models.Load(dir, models.LoadOptions{}); err != nil {
		t.Error(err)
	}
	if err := models.SaveSharded(dir, m, 0); err == nil || !strings.Contains(err.Error(), "shards of 0 bytes: give a positive number") {
		t.Errorf("error %v", err)
	}
}
