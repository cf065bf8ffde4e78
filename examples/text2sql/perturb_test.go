package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
)

func TestPerturbedCopiesFindAnswersThatAreRightByLuck(t *testing.T) {
	w, dir := theWorld(t), t.TempDir()
	lucky := filepath.Join(dir, "lucky.jsonl")
	if err := data.Write(lucky, []data.Prediction{
		{ID: "v0", SQL: "SELECT name FROM customer WHERE city = 'Rome'"},
		{ID: "v1", SQL: "SELECT 2"},                // there are two animals
		{ID: "v2", SQL: "SELECT 3"},                // so much is the smallest purchase
		{ID: "v3", SQL: "SELECT kind FROM animal"}, // wrong anyway
	}); err != nil {
		t.Fatal(err)
	}
	args := []string{"score", "-data", w.valid, "-db-dir", w.databases, "-perturb", "8"}
	s := jsonObject(t, ok(t, append(args, "-pred", lucky, "-json")...))
	if s["execution_accuracy"] != 0.75 || s["robust_accuracy"] != 0.25 {
		t.Errorf("%v, want three of four right and one of them not by luck", s)
	}
	if out := ok(t, append(args, "-pred", w.valid)...); !strings.Contains(out, "robust accuracy     100.0 %") {
		t.Errorf("the golds: %s", out)
	}
	fails(t, 2, []string{"-perturb", "SQLite"}, "score", "-data", w.valid, "-pred", lucky, "-dsn", "postgres://x", "-perturb", "5")
	fails(t, 2, []string{"-perturb is -1"}, "score", "-data", w.valid, "-pred", lucky, "-db-dir", w.databases, "-perturb", "-1")
}

func TestRealGoldsAreRobustAndOtherQuestionsGoldsAreNot(t *testing.T) {
	dir := sharedData(t, "text2sql-sqlite")
	valid := filepath.Join(dir, "valid.jsonl")
	score := func(pred string) map[string]any {
		t.Helper()
		return jsonObject(t, ok(t, "score", "-pred", pred, "-data", valid, "-db-dir", filepath.Join(dir, "databases"), "-perturb", "5", "-json"))
	}
	if s := score(valid); s["robust_accuracy"] != 1.0 {
		t.Errorf("the golds: %v", s)
	}
	chance, plain := mutants(t, valid)
	if s := score(chance); !(s["robust_accuracy"].(float64) < s["execution_accuracy"].(float64)/2) {
		t.Errorf("another question's gold: %v, want most of what is right by chance found out", s)
	}
	if s := score(plain); !(s["robust_accuracy"].(float64) < s["execution_accuracy"].(float64) && s["execution_accuracy"].(float64) < s["set_accuracy"].(float64)) {
		t.Errorf("golds without DISTINCT: %v, want robust below strict below set", s)
	}
}
