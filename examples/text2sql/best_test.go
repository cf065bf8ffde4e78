package main

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/hone-ml/hone/examples/text2sql/internal/report"
)

// bestArgs is a run that gets worse soon, for its rate is far too high, and stops for want of patience.
func bestArgs(w world, file, out string) []string {
	return []string{"train", "-model", w.model, "-data", file, "-valid", file, "-out", out, "-max-steps", "60", "-batch", "1", "-accum", "1", "-max-length", "128",
		"-lr", "0.4", "-spike", "0", "-schedule", "constant", "-max-tokens", "4", "-eval-every", "2", "-patience", "3"}
}

func TestAfterEarlyStoppingTheModelIsTheBest(t *testing.T) {
	w, dir := theWorld(t), t.TempDir()
	file := write(t, filepath.Join(dir, "chat.jsonl"), []byte(chatLines))
	run := filepath.Join(dir, "run")
	o := cli(t, bestArgs(w, file, run)...)
	if o.code != 0 {
		t.Fatalf("exit code %d: %s", o.code, o.stderr)
	}
	results := jsonObject(t, string(read(t, filepath.Join(run, report.ResultsFile))))
	best, last := 0, 0
	high := 0.0
	for line := range bytes.Lines(read(t, filepath.Join(run, report.EvaluationsFile))) {
		var e struct {
			Step  int
			Score float64
		}
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		if last = e.Step; best == 0 || e.Score > high {
			best, high = e.Step, e.Score
		}
	}
	if last >= 60 || best != last-6 {
		t.Fatalf("the best step is %d, the last %d: want three evaluations without a better one", best, last)
	}
	if results["model_step"] != float64(best) || results["steps"] != float64(last) || results["after"].(map[string]any)["loss"] != -high {
		t.Errorf("model_step %v, steps %v, after %v; the best step is %d with %g", results["model_step"], results["steps"], results["after"], best, high)
	}
	checkpoint := filepath.Join(run, "checkpoints", "step-"+strings.Repeat("0", 6-len(strconv.Itoa(best)))+strconv.Itoa(best))
	if !bytes.Equal(read(t, filepath.Join(run, "model.safetensors")), read(t, filepath.Join(checkpoint, "model.safetensors"))) {
		t.Errorf("the run's model is not that of %s", checkpoint)
	}
	for what, text := range map[string]string{"progress": o.stderr, "output": o.stdout, "report": string(read(t, filepath.Join(run, report.HTMLFile)))} {
		if !strings.Contains(text, "model is that of step "+strconv.Itoa(best)) {
			t.Errorf("the %s does not say which model it is: %s", what, text)
		}
	}
	if s := jsonObject(t, ok(t, "eval", "-model", run, "-data", file, "-max-tokens", "4", "-json")); s["loss"] != -high {
		t.Errorf("eval of the run: %v, want the loss %g", s, -high)
	}

	// A run that was interrupted comes to the same.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	broken := filepath.Join(dir, "broken")
	p := &program{stdout: new(bytes.Buffer), stderr: &interruptAt{text: "step " + strconv.Itoa(last-2) + ", validation", times: 1, cancel: cancel}}
	if code := p.main(ctx, bestArgs(w, file, broken)); code != 1 {
		t.Fatalf("exit code %d", code)
	}
	ok(t, append(bestArgs(w, file, broken), "-resume")...)
	for _, name := range []string{"model.safetensors", report.PredictionsFile} {
		if !bytes.Equal(read(t, filepath.Join(run, name)), read(t, filepath.Join(broken, name))) {
			t.Errorf("%s of the resumed run is another", name)
		}
	}
}
