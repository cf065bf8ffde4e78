package models_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/models/qwen"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/safetensors"
)

func TestAModelThatIsSavedAndLoadedIsTheSame(t *testing.T) {
	for _, tied := range []bool{true, false} {
		for _, dtype := range []string{"float32", "bfloat16", "float16", "float64"} {
			t.Run(fmt.Sprintf("tied=%v/%s", tied, dtype), func(t *testing.T) {
				m := newTiny(t, tied, dtype)
				dir := saved(t, m)
				loaded, err := models.Load(dir, models.LoadOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if !maps.Equal(bytesOf(loaded), bytesOf(m)) {
					t.Error("the parameters differ")
				}
				again := saved(t, loaded)
				for _, file := range []string{"config.json", "generation_config.json", "model.safetensors"} {
					first, err := os.ReadFile(filepath.Join(dir, file))
					if err != nil {
						t.Fatal(err)
					}
					if second, err := os.ReadFile(filepath.Join(again, file)); err != nil || !slices.Equal(first, second) {
						t.Errorf("%s differs when it is saved again (%v)", file, err)
					}
				}
				f, err := safetensors.Open(dir)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if _, ok := f.Info("lm_head.weight"); ok == tied {
					t.Errorf("lm_head.weight is in the file: %v", ok)
				}
				if left, _ := filepath.Glob(filepath.Join(dir, "*.tmp")); left != nil {
					t.Errorf("left behind: %q", left)
				}
			})
		}
	}
}

func TestALoadedModelIsItsOwnAndMayBeSavedOverItsFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs a system that replaces files which are mapped")
	}
	for _, copied := range []bool{false, true} {
		m := newTiny(t, true, "float32")
		dir := saved(t, m)
		first, err := models.Load(dir, models.LoadOptions{Copy: copied})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range first.Parameters() {
			p.Fill(3)
		}
		second, err := models.Load(dir, models.LoadOptions{Copy: copied})
		if err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(bytesOf(second), bytesOf(m)) {
			t.Errorf("copied %v: changing a loaded model changed its file", copied)
		}
		changed := bytesOf(first)
		if err := models.Save(dir, first); err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(bytesOf(second), bytesOf(m)) || !maps.Equal(bytesOf(first), changed) {
			t.Errorf("copied %v: saving over the file changed a model that was loaded from it", copied)
		}
		third, err := models.Load(dir, models.LoadOptions{Copy: copied})
		if err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(bytesOf(third), changed) {
			t.Errorf("copied %v: what was saved is not what is loaded", copied)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		runtime.GC()
		if !maps.Equal(bytesOf(third), changed) {
			t.Errorf("copied %v: a model changed when its file was removed", copied)
		}
	}
}

func TestLoadConvertsToTheDTypeAskedFor(t *testing.T) {
	m := newTiny(t, true, "float32")
	dir := saved(t, m)
	loaded, err := models.Load(dir, models.LoadOptions{Device: tensor.CPU(), DType: new(tensor.BF16)})
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range m.Parameters() {
		for other, q := range loaded.Parameters() {
			if other != name {
				continue
			}
			want := tensor.ToSlice[float32](p)
			for i, x := range tensor.ToSlice[tensor.BFloat16](q) {
				if x != tensor.ToBFloat16(want[i]) {
					t.Fatalf("%s[%d] is %v, want %g rounded", name, i, x, want[i])
				}
			}
		}
	}
	config, err := loaded.(*qwen.Model).ConfigJSON()
	if err != nil || !strings.Contains(string(config), `"dtype": "bfloat16"`) || !strings.Contains(string(config), `"torch_dtype": "bfloat16"`) {
		t.Errorf("config.json does not follow: %s (%v)", config, err)
	}
	_, err = models.Load(dir, models.LoadOptions{DType: new(tensor.I32)})
	wantError(t, err, "config.json", "parameters cannot be i32")
}

func TestLoadNamesTheTensorThatDoesNotFit(t *testing.T) {
	const norm, up = "model.norm.weight", "model.layers.1.mlp.up_proj.weight"
	f32 := func(name string, shape ...int) safetensors.Tensor {
		n := 4
		for _, d := range shape {
			n *= d
		}
		return safetensors.Tensor{Name: name, DType: safetensors.F32, Shape: shape, Data: make([]byte, n)}
	}
	for name, c := range map[string]struct {
		change func(ts map[string]safetensors.Tensor)
		want   []string
	}{
		"missing": {func(ts map[string]safetensors.Tensor) { delete(ts, up) },
			[]string{"tensor " + up + " is missing"}},
		"many missing": {func(ts map[string]safetensors.Tensor) {
			maps.DeleteFunc(ts, func(name string, _ safetensors.Tensor) bool { return strings.HasPrefix(name, "model.layers.1.") })
		}, []string{"11 tensors (model.layers.1.input_layernorm.weight, ", ", …) are missing"}},
		"extra": {func(ts map[string]safetensors.Tensor) { ts["model.bias"] = f32("model.bias", 3) },
			[]string{"tensor model.bias is not of this model"}},
		"misshapen": {func(ts map[string]safetensors.Tensor) { ts[up] = f32(up, 40, 23) },
			[]string{"tensor " + up, "[40 23]", "[40 24]"}},
		"transposed": {func(ts map[string]safetensors.Tensor) { ts[up] = f32(up, 24, 40) },
			[]string{"tensor " + up, "[24 40]", "[40 24]"}},
		"of another rank": {func(ts map[string]safetensors.Tensor) { ts[norm] = f32(norm, 24, 1) },
			[]string{"tensor " + norm, "[24 1]", "[24]"}},
		"of integers": {func(ts map[string]safetensors.Tensor) {
			x := ts[norm]
			x.DType = safetensors.I32
			ts[norm] = x
		}, []string{"tensor " + norm, "I32", "F32, BF16, F16 or F64"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := saved(t, newTiny(t, true, "float32"))
			rewrite(t, filepath.Join(dir, "model.safetensors"), c.change)
			_, err := models.Load(dir, models.LoadOptions{})
			wantError(t, err, append(c.want, dir)...)
		})
	}
}

func TestATiedHeadMayStandInTheFileAndAnUntiedOneMust(t *testing.T) {
	m := newTiny(t, true, "float32")
	dir := saved(t, m)
	rewrite(t, filepath.Join(dir, "model.safetensors"), func(ts map[string]safetensors.Tensor) {
		head := ts["model.embed_tokens.weight"]
		head.Name = "lm_head.weight"
		ts[head.Name] = head
	})
	loaded, err := models.Load(dir, models.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(bytesOf(loaded), bytesOf(m)) {
		t.Error("the parameters differ")
	}

	dir = saved(t, newTiny(t, false, "float32"))
	rewrite(t, filepath.Join(dir, "model.safetensors"), func(ts map[string]safetensors.Tensor) { delete(ts, "lm_head.weight") })
	_, err = models.Load(dir, models.LoadOptions{})
	wantError(t, err, "tensor lm_head.weight is missing")
}

func TestLoadReadsShards(t *testing.T) {
	m := newTiny(t, false, "bfloat16")
	dir := saved(t, m)
	whole := filepath.Join(dir, "model.safetensors")
	f, err := safetensors.Open(whole)
	if err != nil {
		t.Fatal(err)
	}
	shards := map[string][]safetensors.Tensor{}
	where := map[string]string{}
	for i, name := range f.Names() {
		info, _ := f.Info(name)
		shard := fmt.Sprintf("model-%05d-of-00003.safetensors", i%3+1)
		shards[shard] = append(shards[shard], safetensors.Tensor{Name: name, DType: info.DType, Shape: info.Shape, Data: slices.Clone(f.Bytes(name))})
		where[name] = shard
	}
	if err := errors.Join(f.Close(), os.Remove(whole)); err != nil {
		t.Fatal(err)
	}
	for shard, ts := range shards {
		if err := safetensors.Write(filepath.Join(dir, shard), ts, safetensors.FormatPT()); err != nil {
			t.Fatal(err)
		}
	}
	index, err := json.Marshal(map[string]any{"metadata": map[string]int{"total_size": 1}, "weight_map": where})
	if err != nil {
		t.Fatal(err)
	}
	write(t, string(index), dir, "model.safetensors.index.json")
	loaded, err := models.Load(dir, models.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(bytesOf(loaded), bytesOf(m)) {
		t.Error("the parameters differ")
	}
	if err := os.Remove(filepath.Join(dir, "model-00002-of-00003.safetensors")); err != nil {
		t.Fatal(err)
	}
	_, err = models.Load(dir, models.LoadOptions{})
	wantError(t, err, "model-00002-of-00003.safetensors")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestTruncatedFilesAreErrorsWhereverTheyEnd(t *testing.T) {
	dir := saved(t, newTiny(t, true, "float32"))
	path := filepath.Join(dir, "model.safetensors")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 7, 8, 100, 2000, len(whole) / 2, len(whole) - 1} {
		write(t, string(whole[:n]), path)
		if _, err := models.Load(dir, models.LoadOptions{}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%d of %d bytes: error %v", n, len(whole), err)
		}
	}
}

func TestTablesOfRotaryPositionsInOldCheckpointsArePassedOver(t *testing.T) {
	m := newTiny(t, false, "float32")
	dir := saved(t, m)
	rewrite(t, filepath.Join(dir, "model.safetensors"), func(ts map[string]safetensors.Tensor) {
		name := "model.layers.1.self_attn.rotary_emb.inv_freq"
		ts[name] = safetensors.Tensor{Name: name, DType: safetensors.F32, Shape: []int{4}, Data: make([]byte, 16)}
	})
	loaded, err := models.Load(dir, models.LoadOptions{Copy: true})
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(bytesOf(loaded), bytesOf(m)) {
		t.Error("the parameters are others")
	}
}

func TestLoadSaysWhatIsWrongWithTheDirectory(t *testing.T) {
	empty := t.TempDir()
	_, err := models.Load(empty, models.LoadOptions{})
	wantError(t, err, filepath.Join(empty, "config.json"))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	for config, want := range map[string]string{
		``:                          "end of JSON",
		`{`:                         "end of JSON",
		`[]`:                        "JSON array",
		`{}`:                        "no model_type",
		`null`:                      "no model_type",
		`{"model_type":3}`:          "model_type",
		`{"model_type":"mamba"}`:    `model_type "mamba" is not registered; this program knows bigram, llama, qwen2, qwen3`,
		`{"model_type":"qwen3"}`:    "vocab_size",
		"{\"model_type\":\"\n\"}":   "invalid character",
		`{"model_type":"qwen3"} {}`: "after top-level value",
	} {
		dir := t.TempDir()
		write(t, config, dir, "config.json")
		_, err := models.Load(dir, models.LoadOptions{})
		wantError(t, err, filepath.Join(dir, "config.json"), want)
		_, err = models.Load(dir, models.LoadOptions{DType: new(tensor.F32)})
		wantError(t, err, want)
	}
	dir := saved(t, newTiny(t, true, "float32"))
	if err := os.Remove(filepath.Join(dir, "model.safetensors")); err != nil {
		t.Fatal(err)
	}
	_, err = models.Load(dir, models.LoadOptions{})
	wantError(t, err, dir, "model.safetensors")
}

func TestSaveRefusesWhatItCannotSave(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "model")
	wantError(t, models.Save(dir, plain{newTiny(t, true, "float32")}), "models_test.plain cannot be saved", "ConfigJSON")
	if _, err := os.Stat(dir); err == nil {
		t.Error("a directory was made")
	}
	file := filepath.Join(t.TempDir(), "file")
	write(t, "", file)
	wantError(t, models.Save(filepath.Join(file, "model"), newTiny(t, true, "float32")), file)
}

func TestGenerationConfigDecidesWhereTextsEnd(t *testing.T) {
	for content, want := range map[string][]int32{
		`{"eos_token_id":7}`:                       {7},
		`{"eos_token_id":[7,9],"temperature":0.6}`: {7, 9},
		`{"eos_token_id":null,"top_k":20}`:         {1}, // that of config.json
		`{"top_k":20}`:                             {1},
		``:                                         {1}, // no such file
	} {
		dir := saved(t, newTiny(t, true, "float32"))
		file := filepath.Join(dir, "generation_config.json")
		if content == "" {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		} else {
			write(t, content, file)
		}
		m, err := models.Load(dir, models.LoadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := m.(models.Stopper).StopTokens(); !slices.Equal(got, want) {
			t.Errorf("%s: stop tokens %v, want %v", content, got, want)
		}
	}
}

func TestGenerationConfigIsSavedAsItCame(t *testing.T) {
	dir := saved(t, newTiny(t, true, "float32"))
	file := filepath.Join(dir, "generation_config.json")
	fresh, err := os.ReadFile(file)
	if err != nil || string(fresh) != "{\n  \"eos_token_id\": 1\n}\n" {
		t.Errorf("a new model has %q (%v)", fresh, err)
	}
	content := "{\n  \"bos_token_id\": 3,\n  \"eos_token_id\": [\n    7,\n    9\n  ],\n  \"temperature\": 0.6,\n  \"top_k\": 20\n}\n"
	write(t, content, file)
	m, err := models.Load(dir, models.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(saved(t, m), "generation_config.json"))
	if err != nil || string(got) != content {
		t.Errorf("saved %s (%v)", got, err)
	}
	config, err := m.(*qwen.Model).ConfigJSON()
	if err != nil || !strings.Contains(string(config), `"eos_token_id": 1,`) {
		t.Errorf("config.json took over the stop tokens: %s (%v)", config, err)
	}
}

func TestAMalformedGenerationConfigIsAnError(t *testing.T) {
	dir := saved(t, newTiny(t, true, "float32"))
	file := filepath.Join(dir, "generation_config.json")
	for content, want := range map[string]string{
		`{"eos_token_id":"</s>"}`:     `field eos_token_id is "</s>", want []int32`,
		`{"eos_token_id":[1,"2"]}`:    `field eos_token_id is [1,"2"], want []int32`,
		`{"eos_token_id":1.5}`:        `field eos_token_id is 1.5, want`,
		`{"eos_token_id":3000000000}`: `field eos_token_id is 3000000000, want`,
		`[1]`:                         "it is a JSON array, want an object",
		`{`:                           "end of JSON",
	} {
		write(t, content, file)
		_, err := models.Load(dir, models.LoadOptions{})
		wantError(t, err, file, want)
	}
}

func TestRegisteringATypeTwicePanics(t *testing.T) {
	defer func() {
		if p := recover(); p != "models: Register called twice for qwen3" {
			t.Errorf("panic %v", p)
		}
	}()
	models.Register("qwen3", func([]byte, tensor.Place) (models.CausalLM, error) { return nil, nil })
}
