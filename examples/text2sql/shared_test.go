package main

import (
	"path/filepath"
	"testing"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
	"github.com/hone-ml/hone/examples/text2sql/internal/report"
)

func TestRealGoldsScoreOne(t *testing.T) {
	dir := sharedData(t, "text2sql-sqlite")
	valid := filepath.Join(dir, "valid.jsonl")
	s := jsonObject(t, ok(t, "score", "-pred", valid, "-data", valid, "-db-dir", filepath.Join(dir, "databases"), "-json"))
	if s["n"] != 768.0 || s["execution_accuracy"] != 1.0 || s["set_accuracy"] != 1.0 || s["errors"] != 0.0 {
		t.Errorf("%v, want all of 768 right", s)
	}
}

func TestRealRowsAndTheGenuineTokenizerTrainASmallModel(t *testing.T) {
	if testing.Short() {
		t.Skip("a vocabulary of 151,936 tokens takes a while")
	}
	dir, tokenizerDir := sharedData(t, "text2sql-sqlite"), sharedData(t, "qwen3-tokenizer")
	rows, err := data.Read(filepath.Join(dir, "train.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	temp := t.TempDir()
	few := filepath.Join(temp, "few.jsonl")
	if err := data.Write(few, rows[:8]); err != nil {
		t.Fatal(err)
	}
	config := write(t, filepath.Join(temp, "config.json"), testConfig(151936, map[string]any{
		"hidden_size": 32, "max_position_embeddings": 4096, "num_hidden_layers": 1, "dtype": "bfloat16", "eos_token_id": 151645}))
	model, run := filepath.Join(temp, "model"), filepath.Join(temp, "run")
	ok(t, "init", "-config", config, "-tokenizer", tokenizerDir, "-out", model)
	ok(t, "train", "-model", model, "-data", few, "-valid", few, "-db-dir", filepath.Join(dir, "databases"), "-out", run,
		"-max-steps", "4", "-batch", "1", "-accum", "1", "-lr", "1e-3", "-max-tokens", "4")
	checkRunDirectory(t, run, 4, 8)
	r, err := report.Load(run)
	if err != nil {
		t.Fatal(err)
	}
	if first, last := r.Steps[0].Loss, r.Steps[3].Loss; last >= first {
		t.Errorf("the loss goes from %g to %g", first, last)
	}
	ok(t, "eval", "-model", run, "-data", few, "-db-dir", filepath.Join(dir, "databases"), "-max-tokens", "4")
}
