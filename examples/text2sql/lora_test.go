package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
	"github.com/hone-ml/hone/nn/lora"
)

// loraArgs trains a few cheap steps of an adapter, enough for it to matter.
func loraArgs(w world, out string, more ...string) []string {
	return trainArgs(w, out, append([]string{"-device", "cpu", "-lora", "-rank", "4", "-lr", "0.02", "-dropout", "0.1"}, more...)...)
}

// adapterOf is the bytes of a run's adapter.
func adapterOf(t *testing.T, run string) string {
	t.Helper()
	return string(read(t, filepath.Join(run, lora.WeightsFile)))
}

func TestTrainLoRALeavesAnAdapterThatEveryCommandTakes(t *testing.T) {
	w, dir := theWorld(t), t.TempDir()
	answers := func(model, name string, more ...string) []data.Prediction {
		t.Helper()
		path := filepath.Join(dir, name)
		ok(t, append([]string{"eval", "-model", model, "-data", w.valid, "-db-dir", w.databases, "-max-tokens", "12", "-device", "cpu", "-answers", path}, more...)...)
		p, err := data.ReadPredictions(path)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	same := func(a, b []data.Prediction) bool {
		for i := range a {
			if a[i] != b[i] {
				return false
			}
		}
		return len(a) == len(b)
	}
	before := answers(w.model, "before")
	for _, base := range []string{"f32", "bf16", "q8", "q4"} {
		flag := []string{"-base-dtype", base}
		if base == "f32" {
			flag = []string{"-dtype", base}
		}
		out := filepath.Join(dir, base)
		results := jsonObject(t, ok(t, append(loraArgs(w, out, "-max-steps", "8", "-json", "-memory", "8GiB"), flag...)...)) // a process of its own: no other tests' tensors
		predicted, measured := results["predicted_bytes"].(float64), results["measured_bytes"].(float64)
		if measured > 1.05*predicted || measured < 0.6*predicted {
			t.Errorf("%s: %.0f bytes were predicted, %.0f measured", base, predicted, measured)
		}
		if _, err := os.Stat(filepath.Join(out, "model.safetensors")); err == nil {
			t.Errorf("%s: the run holds the whole model", base)
		}
		config, err := lora.ReadConfig(out)
		if err != nil || config.Base != w.model || config.Rank != 4 || config.Alpha != 32 || config.Task != "CAUSAL_LM" {
			t.Errorf("%s: the adapter's configuration is %+v, %v", base, config, err)
		}
		after := answers(out, base+".answers")
		if same(before, after) {
			t.Errorf("%s: the answers are those of before training", base)
		}
		merged := filepath.Join(dir, base+"-merged")
		ok(t, "export", "-model", out, "-out", merged, "-dtype", "f32", "-device", "cpu")
		if base == "f32" && !same(after, answers(merged, "merged.answers")) {
			t.Error("the merged model gives other answers")
		}
		ok(t, "export", "-model", out, "-out", merged+".gguf", "-device", "cpu")
	}
	fails(t, 1, []string{"another model"}, "eval", "-model", filepath.Join(dir, "q4"), "-data", w.valid, "-db-dir", w.databases, "-max-tokens", "12", "-answers", filepath.Join(dir, "q8.answers"))
}

func TestAnAdapterCanBeOfAGGUFFile(t *testing.T) {
	w, dir := theWorld(t), t.TempDir()
	file, run := filepath.Join(dir, "model.gguf"), filepath.Join(dir, "run")
	ok(t, "export", "-model", w.model, "-out", file, "-type", "q8")
	w.model = file
	ok(t, loraArgs(w, run, "-max-steps", "2", "-base-dtype", "q8")...)
	ok(t, "eval", "-model", run, "-data", w.valid, "-db-dir", w.databases, "-max-tokens", "4", "-device", "cpu")
	ok(t, "export", "-model", run, "-out", filepath.Join(dir, "merged.gguf"), "-device", "cpu")
}

func TestAnAdaptersRunIsResumedToTheBit(t *testing.T) {
	w, dir := theWorld(t), t.TempDir()
	for _, base := range []string{"bf16", "q4"} {
		whole, broken := filepath.Join(dir, base), filepath.Join(dir, base+"-broken")
		args := func(out string) []string {
			return loraArgs(w, out, "-max-steps", "6", "-save-every", "2", "-keep", "0", "-base-dtype", base)
		}
		ok(t, args(whole)...)
		ok(t, args(broken)...)
		for _, name := range []string{"checkpoints/step-000004", "checkpoints/step-000006", lora.ConfigFile, lora.WeightsFile} {
			if err := os.RemoveAll(filepath.Join(broken, name)); err != nil {
				t.Fatal(err)
			}
		}
		fails(t, 1, []string{"the rank of the adapter", "is 4, now it is 8"}, append(args(broken), "-resume", "-rank", "8")...)
		fails(t, 1, []string{"was " + map[string]string{"bf16": "bf16", "q4": "q4_0"}[base], "now it is q8_0"}, append(args(broken), "-resume", "-base-dtype", "q8")...)
		ok(t, append(args(broken), "-resume")...)
		if adapterOf(t, whole) != adapterOf(t, broken) {
			t.Errorf("%s: the resumed run made another adapter", base)
		}
		if _, err := os.Stat(filepath.Join(whole, "checkpoints", "step-000006", "model.safetensors")); err == nil {
			t.Error("a checkpoint holds the whole model")
		}
	}
}

func TestAnAdapterTakesAFractionOfTheMemory(t *testing.T) {
	model, w := bareModel(t, "qwen3-0.6b"), theWorld(t)
	plan := func(more ...string) map[string]any {
		return jsonObject(t, ok(t, append([]string{"train", "-plan", "-model", model, "-data", w.train, "-device", "cpu", "-json"}, more...)...))
	}
	total := func(p map[string]any) float64 { return p["predicted_bytes"].(float64) }
	full := plan()
	adapter, small := plan("-lora"), plan("-lora", "-base-dtype", "q4")
	if total(adapter) > 0.35*total(full) || total(small) > 0.2*total(full) {
		t.Errorf("full fine-tuning takes %.2f GiB, an adapter %.2f, on 4 bits %.2f", total(full)/(1<<30), total(adapter)/(1<<30), total(small)/(1<<30))
	}
	const parameters = 28 * 16 * (1024 + 2048 + 2*(1024+1024) + 2048 + 1024 + 3*(1024+3072)) // of rank 16 on seven layers
	if g, o := adapter["gradients"].(float64), adapter["optimizer"].(float64); g < 4*parameters || g > 4.1*parameters || o < 8*parameters || o > 8.1*parameters {
		t.Errorf("gradients of %g and moments of %g bytes for %d parameters: frozen ones have neither", g, o, parameters)
	}
}

func TestAnAdapterNamesTheModelOfTheHubAsPEFTDoes(t *testing.T) {
	w := theWorld(t)
	hubOf(t, w.model)
	run := filepath.Join(t.TempDir(), "run")
	ok(t, "train", "-model", "test/model@main", "-data", w.train, "-out", run, "-max-steps", "1", "-max-length", "256", "-lora", "-rank", "1", "-device", "cpu")
	if c, err := lora.ReadConfig(run); err != nil || c.Base != "test/model" || c.Revision != "main" {
		t.Errorf("the base is %q at %q, %v", c.Base, c.Revision, err)
	}
	ok(t, "export", "-model", run, "-out", filepath.Join(t.TempDir(), "merged"))
	config := read(t, filepath.Join(run, lora.ConfigFile))
	write(t, filepath.Join(run, lora.ConfigFile), bytes.Replace(config, []byte(`"main"`), []byte(`"v9"`), 1))
	fails(t, 1, []string{"test/model@v9"}, "export", "-model", run, "-out", filepath.Join(t.TempDir(), "other"))
}

func TestTrainLoRARefusesWhatDoesNotFit(t *testing.T) {
	w, dir := theWorld(t), t.TempDir()
	args := func(more ...string) []string {
		return loraArgs(w, filepath.Join(dir, "run"), append(more, "-max-steps", "1")...)
	}
	fails(t, 2, []string{"-dtype and -base-dtype exclude each other"}, args("-dtype", "f32", "-base-dtype", "q8")...)
	fails(t, 2, []string{"-rank is 0"}, args("-rank", "0")...)
	fails(t, 2, []string{"-alpha is 0"}, args("-alpha", "0")...)
	fails(t, 2, []string{"-dropout is 1"}, args("-dropout", "1")...)
	fails(t, 2, []string{"-targets is for -lora"}, trainArgs(w, filepath.Join(dir, "run"), "-targets", "q_proj")...)
	fails(t, 1, []string{"-targets", `"query"`, "q_proj, k_proj"}, args("-targets", "q_proj,query")...)
	ok(t, args()...)
	run := filepath.Join(dir, "run")
	fails(t, 1, []string{"holds a run or a model already"}, args()...)
	fails(t, 1, []string{"holds an adapter", "text2sql export"}, "train", "-model", run, "-data", w.train, "-out", filepath.Join(dir, "more"), "-max-steps", "1")
	moved := filepath.Join(dir, "moved")
	if err := os.Mkdir(moved, 0o755); err != nil {
		t.Fatal(err)
	}
	config := read(t, filepath.Join(run, lora.ConfigFile))
	write(t, filepath.Join(moved, lora.ConfigFile), bytes.ReplaceAll(config, []byte(filepath.Base(w.model)+`"`), []byte(`gone/or/lost"`)))
	fails(t, 1, []string{"gone/or/lost", "base_model_name_or_path", moved}, "ask", "-model", moved, "-db", filepath.Join(w.databases, "shop.sqlite"), "Who?")
	write(t, filepath.Join(moved, lora.ConfigFile), bytes.ReplaceAll(config, []byte("base_model_name_or_path"), []byte("x")))
	fails(t, 1, []string{"does not say of which model"}, "ask", "-model", moved, "-db", filepath.Join(w.databases, "shop.sqlite"), "Who?")
	if o := cli(t, "train", "-h"); !strings.Contains(o.stdout, "-targets") {
		t.Errorf("the help does not tell of -targets: %s", o.stdout)
	}
}
