package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hone-ml/hone/tensor"
)

func TestInfoSaysWhichGPUOrWhyNone(t *testing.T) {
	if out := ok(t, "info", "-device", "cuda-sim"); !strings.Contains(out, "cuda-sim") || !strings.Contains(out, "compute capability 8.0") {
		t.Errorf("info on the simulated GPU: %s", out)
	}
	if _, err := tensor.CUDA(0); err == nil {
		t.Skip("this machine has a GPU")
	}
	if out := ok(t, "info"); !strings.Contains(out, "cuda      none: ") || !strings.Contains(out, "-device cpu") {
		t.Errorf("info without a GPU: %s", out)
	}
	fails(t, 1, []string{"-device cuda:0", "use -device cpu"}, "info", "-device", "cuda:0")
	fails(t, 1, []string{"-device cuda", "use -device cpu"}, "info", "-device", "cuda")
}

func TestAutoFallsBackToTheCPUAndSaysSo(t *testing.T) {
	if _, err := tensor.CUDA(0); err == nil {
		t.Skip("this machine has a GPU")
	}
	w := theWorld(t)
	args := []string{"eval", "-model", w.model, "-data", w.valid, "-db-dir", w.databases, "-limit", "1"}
	o := cli(t, args...)
	if first, _, _ := strings.Cut(o.stderr, "\n"); o.code != 0 || !strings.HasPrefix(first, "no GPU, so on the CPU; text2sql info") {
		t.Errorf("exit code %d, standard error %s", o.code, o.stderr)
	}
	if o := cli(t, append(args, "-device", "cpu")...); o.code != 0 || strings.Contains(o.stderr, "no GPU") {
		t.Errorf("with -device cpu: exit code %d, standard error %s", o.code, o.stderr)
	}
}

// losses are those of a run, one a step.
func losses(t *testing.T, run string) (all []float64) {
	t.Helper()
	for line := range strings.Lines(string(read(t, filepath.Join(run, "metrics.jsonl")))) {
		var step struct{ Loss float64 }
		if err := json.Unmarshal([]byte(line), &step); err != nil {
			t.Fatal(err)
		}
		all = append(all, step.Loss)
	}
	return all
}

// sameLosses trains on the CPU and on the simulated GPU and compares.
func sameLosses(t *testing.T, steps int, args ...string) {
	t.Helper()
	var runs [2][]float64
	for i, device := range []string{"cpu", "cuda-sim"} {
		out := filepath.Join(t.TempDir(), device)
		ok(t, append(args, "-device", device, "-out", out)...)
		runs[i] = losses(t, out)
	}
	if len(runs[0]) != steps || len(runs[1]) != steps {
		t.Fatalf("losses of %d and %d steps, want %d", len(runs[0]), len(runs[1]), steps)
	}
	for i, cpu := range runs[0] {
		if gpu := runs[1][i]; !(math.Abs(gpu-cpu) <= 1e-5*cpu) {
			t.Errorf("step %d: loss %g on the CPU, %g on the simulated GPU", i+1, cpu, gpu)
		}
	}
}

func TestTrainingOnTheSimulatedGPUHasTheCPUsLosses(t *testing.T) {
	if testing.Short() {
		t.Skip("simulates a GPU")
	}
	w := theWorld(t)
	sameLosses(t, 2, "train", "-model", w.model, "-data", w.train, "-max-steps", "2", "-batch", "1", "-accum", "1", "-max-length", "256", "-dtype", "f32")
}

func TestTheDemoOnTheSimulatedGPUHasTheCPUsLosses(t *testing.T) {
	if os.Getenv("HONE_FULL_CHECK") == "" {
		t.Skip("takes ten minutes: HONE_FULL_CHECK=1 runs it")
	}
	sameLosses(t, 2, "demo", "-max-steps", "2", "-max-time", "1h", "-eval-limit", "1")
}
