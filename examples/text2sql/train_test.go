package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
	"github.com/hone-ml/hone/examples/text2sql/internal/report"
	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/tensor/safetensors"
	"github.com/hone-ml/hone/tokenizer"
)

func TestATrainedModelSaysWithWhatItsAnswersEnd(t *testing.T) {
	w, dir := theWorld(t), t.TempDir()
	tok, err := tokenizer.Load(w.model)
	if err != nil {
		t.Fatal(err)
	}
	form, err := formatOf(tok, tokenizer.TemplateAuto)
	if err != nil {
		t.Fatal(err)
	}
	end := form.stop()[0]
	base := filepath.Join(dir, "base") // whose texts end otherwise
	if err := os.CopyFS(base, os.DirFS(w.model)); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(base, "generation_config.json"), fmt.Appendf(nil, `{"eos_token_id": %d, "temperature": 0.5}`, end+40))
	adapter, merged := filepath.Join(dir, "adapter"), filepath.Join(dir, "merged")
	ok(t, "train", "-model", base, "-data", w.train, "-out", adapter, "-max-steps", "1", "-max-length", "256", "-lora", "-rank", "1", "-device", "cpu")
	ok(t, "export", "-model", adapter, "-out", merged)
	for model, want := range map[string][]int32{base: {end + 40, end}, w.model: {end}, merged: {end + 40, end}} {
		run := model
		if model != merged {
			run = trainedFrom(t, model)
		}
		var c models.GenerationConfig
		if err := json.Unmarshal(read(t, filepath.Join(run, "generation_config.json")), &c); err != nil || !slices.Equal(c.EOSTokenID, want) {
			t.Errorf("texts of the trained model end with %v, want %v, %v", c.EOSTokenID, want, err)
		}
		if kept := bytes.Contains(read(t, filepath.Join(run, "generation_config.json")), []byte("0.5")); kept != (model != w.model) {
			t.Error("the rest of the file is lost")
		}
	}
}

// trainArgs trains a few cheap steps.
func trainArgs(w world, out string, more ...string) []string {
	return append([]string{"train", "-model", w.model, "-data", w.train, "-out", out, "-batch", "2", "-accum", "1", "-max-length", "128",
		"-packing=false", "-max-tokens", "8"}, more...)
}

func TestTrainLeavesTheRunDirectoryOfTheContract(t *testing.T) {
	w, out := theWorld(t), filepath.Join(t.TempDir(), "run")
	o := cli(t, trainArgs(w, out, "-valid", w.valid, "-db-dir", w.databases, "-max-steps", "4", "-eval-every", "2", "-json")...)
	if o.code != 0 {
		t.Fatalf("exit code %d: %s", o.code, o.stderr)
	}
	if !strings.Contains(o.stderr, "step 4/4") && !strings.Contains(o.stderr, "step   4/4") {
		t.Errorf("the progress does not reach step 4: %s", o.stderr)
	}
	checkRunDirectory(t, out, 4, 4)
	printed, saved := jsonObject(t, o.stdout), jsonObject(t, string(read(t, filepath.Join(out, "results.json"))))
	wantKeys(t, "results.json", saved, "before_unseen", "after_unseen")
	if n := saved["after_unseen"].(map[string]any)["n"]; n != 2.0 {
		t.Errorf("%v questions on unseen databases, want 2", n)
	}
	if printed["tokens"] != saved["tokens"] || saved["tokens"].(float64) < 100 {
		t.Errorf("%v tokens printed, %v in results.json", printed["tokens"], saved["tokens"])
	}
	run, err := report.Load(out)
	if err != nil || len(run.Evals) != 2 {
		t.Errorf("evaluations %+v, error %v; want those of steps 2 and 4", run.Evals, err)
	}
	ok(t, "eval", "-model", out, "-data", w.valid, "-db-dir", w.databases, "-max-tokens", "4")
}

// checkRunDirectory looks into every file of a run.
func checkRunDirectory(t *testing.T, out string, steps, questions int) {
	t.Helper()
	for _, name := range []string{"config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"} {
		if !json.Valid(read(t, filepath.Join(out, name))) {
			t.Errorf("%s is not JSON", name)
		}
	}
	f, err := safetensors.Open(filepath.Join(out, "model.safetensors"))
	if err != nil {
		t.Error(err)
	} else {
		f.Close()
	}
	results := jsonObject(t, string(read(t, filepath.Join(out, "results.json"))))
	wantKeys(t, "results.json", results, "before", "after", "parameters", "tokens", "tokens_per_second", "peak_rss_bytes", "peak_device_bytes", "predicted_bytes", "measured_bytes", "seconds")
	for _, part := range []string{"before", "after"} {
		wantKeys(t, part, results[part].(map[string]any), scoreKeys...)
	}
	for name, want := range map[string][]string{
		"metrics.jsonl":     {"step", "epoch", "tokens", "loss", "lr", "grad_norm", "tokens_per_second", "seconds"},
		"predictions.jsonl": {"id", "question", "gold", "predicted", "verdict", "error"},
	} {
		n := 0
		for line := range bytes.Lines(read(t, filepath.Join(out, name))) {
			var object map[string]any
			if err := json.Unmarshal(line, &object); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			wantKeys(t, name, object, want...)
			n++
		}
		if total := map[string]int{"metrics.jsonl": steps, "predictions.jsonl": questions}[name]; n != total {
			t.Errorf("%s has %d lines, want %d", name, n, total)
		}
	}
	if _, err := png.Decode(bytes.NewReader(read(t, filepath.Join(out, "loss.png")))); err != nil {
		t.Errorf("loss.png: %v", err)
	}
	examples, err := report.ReadPredictions(filepath.Join(out, report.PredictionsFile))
	if err != nil {
		t.Error(err)
	}
	for _, e := range examples {
		if e.Difficulty == "" || e.Verdict != report.Correct && e.GoldRows == nil {
			t.Errorf("%s has no difficulty, or none of the rows that would have been right: %+v", e.ID, e)
		}
	}
	if page := string(read(t, filepath.Join(out, "report.html"))); !strings.Contains(page, "Execution accuracy") || !strings.HasSuffix(strings.TrimSpace(page), "</html>") {
		t.Error("report.html is not whole")
	}
}

// interruptAt is a standard error that cancels once a text has come by.
type interruptAt struct {
	said   strings.Builder
	text   string
	times  int // how often the text has come by then
	cancel context.CancelFunc
}

func (w *interruptAt) Write(p []byte) (int, error) {
	n, err := w.said.Write(p)
	if strings.Count(w.said.String(), w.text) == w.times {
		w.cancel()
	}
	return n, err
}

func TestAnInterruptedRunGoesOnAndItsReportCoversAllOfIt(t *testing.T) {
	w, dir := theWorld(t), t.TempDir()
	args := func(out string) []string {
		return trainArgs(w, filepath.Join(dir, out), "-valid", w.valid, "-db-dir", w.databases, "-max-steps", "6", "-eval-every", "2")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stderr := &interruptAt{text: "step 2, validation", times: 1, cancel: cancel}
	var stdout bytes.Buffer
	p := &program{stdout: &stdout, stderr: stderr}
	if code := p.main(ctx, args("broken")); code != 1 || stdout.Len() > 0 {
		t.Fatalf("exit code %d, printed %q", code, &stdout)
	}
	if want := "text2sql: interrupted after step 2, which is saved; the same command with -resume goes on from there\n"; !strings.HasSuffix(stderr.said.String(), want) {
		t.Errorf("the last words are not %q: %s", want, stderr.said.String())
	}
	fails(t, 1, []string{"holds a run", "-resume"}, args("broken")...)
	recipe := filepath.Join(dir, "broken", recipeFile)
	flags := read(t, recipe)
	fails(t, 1, []string{"learning rate", "0.1"}, append(args("broken"), "-resume", "-lr", "0.1")...)
	if !bytes.Equal(read(t, recipe), flags) {
		t.Error("a command that was refused changed the recipe of the run")
	}
	o := cli(t, append(args("broken"), "-resume")...)
	if o.code != 0 || strings.Contains(o.stderr, "before training") {
		t.Fatalf("exit code %d, or the model was measured once more: %s", o.code, o.stderr)
	}
	checkRunDirectory(t, filepath.Join(dir, "broken"), 6, 4)

	ok(t, args("whole")...)
	for _, name := range []string{"model.safetensors", "predictions.jsonl"} {
		if !bytes.Equal(read(t, filepath.Join(dir, "broken", name)), read(t, filepath.Join(dir, "whole", name))) {
			t.Errorf("%s of the resumed run is another than that of a run that was not interrupted", name)
		}
	}
	broken, err := report.Load(filepath.Join(dir, "broken"))
	if err != nil {
		t.Fatal(err)
	}
	whole, err := report.Load(filepath.Join(dir, "whole"))
	if err != nil {
		t.Fatal(err)
	}
	if len(broken.Evals) != 3 || broken.Splits[0].Before == nil || broken.Usage.Tokens != whole.Usage.Tokens || broken.Usage.Seconds < broken.Usage.TrainSeconds {
		t.Errorf("evaluations %v, before %v, usage %+v; want three, a score, and the %d tokens of the whole", broken.Evals, broken.Splits[0].Before, broken.Usage, whole.Usage.Tokens)
	}
	if page := string(read(t, filepath.Join(dir, "broken", "report.html"))); !strings.Contains(page, "resumed after step 2") {
		t.Error("the report does not say that the run was resumed")
	}
}

func TestARunThatIsDoneIsNotOverwritten(t *testing.T) {
	w, out := theWorld(t), filepath.Join(t.TempDir(), "run")
	ok(t, trainArgs(w, out, "-max-steps", "1")...)
	fails(t, 1, []string{out, "holds a run"}, trainArgs(w, out, "-max-steps", "1")...)
	fails(t, 1, []string{out, "no checkpoint to resume from"}, trainArgs(w, out, "-max-steps", "1", "-resume")...)
	fails(t, 1, []string{w.model, "the folder of -model"}, trainArgs(w, w.model, "-max-steps", "1", "-resume")...)
	fails(t, 1, []string{w.train, "is a file"}, trainArgs(w, w.train, "-max-steps", "1")...)
}

func TestAnInterruptionWhileMeasuringLosesNothing(t *testing.T) {
	w, out := theWorld(t), filepath.Join(t.TempDir(), "run")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stderr := &interruptAt{text: "validation 0/4", times: 2, cancel: cancel} // the second time is after training
	p := &program{stdout: new(bytes.Buffer), stderr: stderr}
	if code := p.main(ctx, trainArgs(w, out, "-valid", w.valid, "-db-dir", w.databases, "-max-steps", "1")); code != 1 {
		t.Fatalf("exit code %d: %s", code, stderr.said.String())
	}
	for _, want := range []string{"training is done and the model is in " + out, "eval -model", "interrupted"} {
		if !strings.Contains(stderr.said.String(), want) {
			t.Errorf("the error lacks %q: %s", want, stderr.said.String())
		}
	}
	ok(t, "eval", "-model", out, "-data", w.valid, "-db-dir", w.databases, "-max-tokens", "4")
}

func TestRowsThatAreWrongAreNamedByFileAndLine(t *testing.T) {
	w := theWorld(t)
	good := read(t, w.train)
	out := filepath.Join(t.TempDir(), "run")
	for broken, part := range map[string]string{
		`{"id": "x"`:                "not a JSON object",
		`[1, 2]`:                    "an array",
		`{"id":"x","db_id":"shop"}`: `of no form that is known`,
		`{"id":"t0","db_id":"d","schema":"s","question":"q","sql":"x","dialect":"sqlite"}`: `id "t0" is on line 1 already`,
		`{"id":"x","db_id":"d","schema":"s","question":7,"sql":"x","dialect":"sqlite"}`:    `field "question" is a number`,
		`{"id":"x","db_id":"d","schema":"s","question":"q","sql":" ","dialect":"sqlite"}`:  `field "sql" is empty`,
	} {
		file := write(t, filepath.Join(t.TempDir(), "rows.jsonl"), append(slices.Clone(good), broken+"\n"...))
		fails(t, 1, []string{file + ":9: ", part}, "train", "-model", w.model, "-data", file, "-out", out)
		fails(t, 1, []string{file + ":9: ", part}, trainArgs(w, out, "-valid", file, "-db-dir", w.databases)...)
	}
	empty := write(t, filepath.Join(t.TempDir(), "empty.jsonl"), nil)
	fails(t, 1, []string{empty, "no rows"}, "train", "-model", w.model, "-data", empty, "-out", out)
	fails(t, 1, []string{"none.jsonl"}, "train", "-model", w.model, "-data", "none.jsonl", "-out", out)
	if _, err := os.Stat(out); err == nil {
		t.Errorf("%s was made for runs that never began", out)
	}
}

func TestRowsLongerThanTheMaximumAreCountedAndSaid(t *testing.T) {
	w, out := theWorld(t), filepath.Join(t.TempDir(), "run")
	rows := slices.Clone(trainRows)
	rows[3].Schema += strings.Repeat("\n-- a remark", 100)
	file := filepath.Join(t.TempDir(), "rows.jsonl")
	if err := data.Write(file, rows); err != nil {
		t.Fatal(err)
	}
	w.train = file
	o := cli(t, trainArgs(w, out, "-max-steps", "5")...)
	if o.code != 0 || !strings.Contains(o.stderr, "1 row of 8 longer than -max-length 128 left out: t3; ") {
		t.Errorf("exit code %d: %s", o.code, o.stderr)
	}
	if page := string(read(t, filepath.Join(out, "report.html"))); !strings.Contains(page, "longer than the maximum length left out") {
		t.Error("the report does not say that a row was left out")
	}
	if o := cli(t, trainArgs(w, out+"3", "-epochs", "1")...); o.code != 0 || !strings.Contains(o.stderr, "longer than -max-length 128: t3\n") {
		t.Errorf("exit code %d: %s", o.code, o.stderr)
	}
	check := cli(t, "data", "check", "-data", file, "-tokenizer", w.tokenizer, "-max-length", "128")
	if !strings.Contains(check.stdout, "1 row longer than -max-length 128\n  longer  lines 4\n") {
		t.Errorf("data check printed %s", check.stdout)
	}
	fails(t, 1, []string{file, "every row", "-max-length 9"}, trainArgs(w, out+"2", "-max-steps", "1", "-max-length", "9")...)
}

// spoiled is a copy of the model's folder, to be changed.
func spoiled(t *testing.T, w world) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "model")
	if err := os.CopyFS(dir, os.DirFS(w.model)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestModelsThatAreWrongAreRefusedByName(t *testing.T) {
	w := theWorld(t)
	weights := read(t, filepath.Join(w.model, "model.safetensors"))
	const gone = "model.layers.1.mlp.up_proj.weight"
	for name, test := range map[string]struct {
		spoil func(dir string)
		parts []string
	}{
		"truncated": {func(dir string) {
			write(t, filepath.Join(dir, "model.safetensors"), weights[:len(weights)-100])
		}, []string{"model.safetensors", "truncated"}},
		"a tensor is missing": {func(dir string) {
			renamed := bytes.Replace(weights, []byte(gone), bytes.Replace([]byte(gone), []byte("up_proj"), []byte("xx_proj"), 1), 1)
			write(t, filepath.Join(dir, "model.safetensors"), renamed)
		}, []string{"tensor " + gone + " is missing"}},
		"no weights":   {func(dir string) { os.Remove(filepath.Join(dir, "model.safetensors")) }, []string{"model.safetensors"}},
		"no tokenizer": {func(dir string) { os.Remove(filepath.Join(dir, "tokenizer.json")) }, []string{"no tokenizer.json"}},
		"a tokenizer of another model": {func(dir string) {
			tok, err := testTokenizer(450)
			if err != nil {
				t.Fatal(err)
			}
			if err := tok.Save(dir); err != nil {
				t.Fatal(err)
			}
		}, []string{"tokenizer has ", "vocabulary only"}},
		"a config of another type": {func(dir string) {
			write(t, filepath.Join(dir, "config.json"), []byte(`{"model_type":"qwen3","vocab_size":"many"}`))
		}, []string{"config.json", "vocab_size"}},
		"an unknown architecture": {func(dir string) {
			write(t, filepath.Join(dir, "config.json"), []byte(`{"model_type":"abacus"}`))
		}, []string{"abacus", "qwen3"}},
	} {
		t.Run(name, func(t *testing.T) {
			bad := w
			bad.model = spoiled(t, w)
			test.spoil(bad.model)
			out := filepath.Join(t.TempDir(), "run")
			fails(t, 1, test.parts, trainArgs(bad, out, "-max-steps", "1")...)
			fails(t, 1, test.parts, "eval", "-model", bad.model, "-data", w.valid, "-db-dir", w.databases)
			if _, err := os.Stat(out); err == nil {
				t.Errorf("%s was made for a run that never began", out)
			}
		})
	}
	fails(t, 1, []string{"-max-length 4096", "1024 positions"}, trainArgs(w, t.TempDir(), "-max-steps", "1", "-max-length", "4096")...)
	fails(t, 1, []string{w.config, "is a file"}, "eval", "-model", w.config, "-data", w.valid, "-db-dir", w.databases)
}

func TestATrainingTooLargeForTheMemoryIsRefusedWithTheNumbers(t *testing.T) {
	w, out := theWorld(t), filepath.Join(t.TempDir(), "run")
	fails(t, 1, []string{"training needs about", "activations", "only 1.9 MiB may be used", "-batch", "-memory"},
		"train", "-model", w.model, "-data", w.train, "-out", out, "-memory", "2MB")
	large := write(t, filepath.Join(spoiled(t, w), "config.json"), testConfig(500, map[string]any{"hidden_size": 65536, "intermediate_size": 1 << 20, "num_hidden_layers": 100}))
	fails(t, 1, []string{"training needs about", "GiB", "a smaller model"},
		"train", "-model", filepath.Dir(large), "-data", w.train, "-out", out, "-memory", "4GiB")
	if _, err := os.Stat(out); err == nil {
		t.Errorf("%s was made for runs that never began", out)
	}
}

func TestNoTemporaryFilesStay(t *testing.T) {
	w, out := theWorld(t), filepath.Join(t.TempDir(), "run")
	ok(t, trainArgs(w, out, "-max-steps", "3", "-save-every", "1", "-keep", "1")...)
	var checkpoints []string
	err := filepath.WalkDir(out, func(path string, d fs.DirEntry, err error) error {
		if strings.Contains(d.Name(), ".tmp") || strings.HasPrefix(d.Name(), ".") {
			t.Errorf("%s stayed", path)
		}
		if strings.HasPrefix(d.Name(), "step-") {
			checkpoints = append(checkpoints, d.Name())
		}
		return err
	})
	if err != nil || !slices.Equal(checkpoints, []string{"step-000003"}) {
		t.Errorf("checkpoints %v, error %v; want the newest only", checkpoints, err)
	}
}
