package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
	"github.com/hone-ml/hone/models/qwen"
)

// bareModel is a released model's folder without the weights.
func bareModel(t *testing.T, size string) string {
	t.Helper()
	config := qwen.Sizes[size]
	raw, err := config.JSON()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "config.json"), raw)
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json"} {
		write(t, filepath.Join(dir, name), read(t, filepath.Join(sharedData(t, "qwen3-tokenizer"), name)))
	}
	return dir
}

func TestAPlanNeedsNoWeightsAndTakesNoMemory(t *testing.T) {
	model := bareModel(t, "qwen3-0.6b")
	w := theWorld(t)
	args := []string{"train", "-plan", "-model", model, "-data", w.train, "-device", "cuda-sim"}
	plan := jsonObject(t, ok(t, append(args, "-memory", "24GiB", "-json")...))
	if plan["fits"] != true || plan["parameters"].(float64) != 2*596_049_920 || plan["limit_bytes"] != 24.0*(1<<30) {
		t.Errorf("the plan is %v", plan)
	}
	o := cli(t, append(args, "-memory", "6GiB")...)
	if o.code != 1 || !bytes.Contains([]byte(o.stdout), []byte("predicted (parameters 1.11 GiB")) {
		t.Errorf("exit code %d, printed %s%s", o.code, o.stdout, o.stderr)
	}
}

func TestEachRecipeFitsItsCard(t *testing.T) {
	model := bareModel(t, "qwen3-0.6b")
	train := filepath.Join(sharedData(t, "text2sql-postgres"), "train.jsonl")
	const context = 1 << 29 // of the driver, measured by none of the plans
	for recipe, card := range map[string]float64{"6gb": 6 << 30, "24gb": 24 << 30, "80gb": 80 << 30} {
		plan := jsonObject(t, ok(t, "train", "-plan", "-recipe", filepath.Join("recipes", recipe+".json"), "-model", model, "-data", train, "-device", "cuda-sim", "-memory", "100GiB", "-json"))
		if need := plan["reserved_bytes"].(float64) + context; need > 0.9*card || need < 0.5*card {
			t.Errorf("%s: %.2f GiB are planned with the driver's, want 50 to 90 %% of the card", recipe, need/(1<<30))
		}
	}
	files, err := os.ReadDir("recipes")
	if err != nil || len(files) != 3 {
		t.Errorf("%d recipes, %v", len(files), err)
	}
}

func TestQuestionsThatDoNotFitTogetherAreAnsweredByHalves(t *testing.T) {
	w, dir := theWorld(t), t.TempDir()
	args := func(name string, more ...string) []string {
		return append([]string{"eval", "-model", w.model, "-data", w.valid, "-db-dir", w.databases, "-max-tokens", "700", "-device", "cpu", "-answers", filepath.Join(dir, name)}, more...)
	}
	ok(t, args("together")...)
	ok(t, args("halves", "-memory", "4MB")...)
	together, err := data.ReadPredictions(filepath.Join(dir, "together"))
	if err != nil {
		t.Fatal(err)
	}
	halves, err := data.ReadPredictions(filepath.Join(dir, "halves"))
	if err != nil || len(halves) != len(together) {
		t.Fatalf("%d answers and %d, %v", len(halves), len(together), err)
	}
	for i := range halves {
		if halves[i] != together[i] {
			t.Errorf("answer %d is %q, without a limit %q", i, halves[i].SQL, together[i].SQL)
		}
	}
}
