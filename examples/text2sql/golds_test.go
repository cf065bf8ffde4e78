package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
	"github.com/hone-ml/hone/examples/text2sql/internal/report"
)

func TestEveryGoldThatFailsIsNamedOrLeftOut(t *testing.T) {
	w, dir := theWorld(t), t.TempDir()
	rows := slices.Clone(validRows)
	rows[1].SQL = "SELECT a FROM nowhere"
	rows[3].Golds = []string{"SELECT b FROM animal"}
	file := filepath.Join(dir, "valid.jsonl")
	if err := data.Write(file, rows); err != nil {
		t.Fatal(err)
	}
	score := []string{"score", "-pred", w.valid, "-data", file, "-db-dir", w.databases}
	eval := []string{"eval", "-model", w.model, "-data", file, "-db-dir", w.databases, "-max-tokens", "4"}
	train := trainArgs(w, filepath.Join(dir, "run"), "-valid", file, "-db-dir", w.databases, "-max-steps", "1")
	for _, args := range [][]string{score, eval, train} {
		fails(t, 1, []string{file, "2 rows", `row "v1" (database "zoo"): no such table: nowhere; row "v3"`, "no such column: b", "-skip-failing-golds"}, args...)
	}
	judged := filepath.Join(dir, "judged.jsonl")
	s := jsonObject(t, ok(t, append(score, "-skip-failing-golds", "-perturb", "1", "-out", judged, "-json")...))
	if s["n"] != 2.0 || s["execution_accuracy"] != 1.0 || s["skipped_golds"] != 2.0 || strings.Count(string(read(t, judged)), "\n") != 2 {
		t.Errorf("score: %v", s)
	}
	o := cli(t, append(eval, "-skip-failing-golds")...)
	if o.code != 0 || !strings.Contains(o.stderr, "2 questions left out") || !strings.Contains(o.stdout, "left out            2 questions") {
		t.Errorf("eval: exit code %d, %s%s", o.code, o.stderr, o.stdout)
	}
	ok(t, append(train, "-skip-failing-golds")...)
	results := jsonObject(t, string(read(t, filepath.Join(dir, "run", report.ResultsFile))))
	if after := results["after"].(map[string]any); after["n"] != 2.0 || after["skipped_golds"] != 2.0 {
		t.Errorf("train: %v", after)
	}
	unknown := write(t, filepath.Join(dir, "unknown.jsonl"), []byte(`{"id":"v9","sql":"x"}`))
	fails(t, 1, []string{`"v9"`}, "score", "-pred", unknown, "-data", file, "-db-dir", w.databases, "-skip-failing-golds")
	for i := range rows {
		rows[i].SQL = "SELECT a FROM nowhere"
	}
	if err := data.Write(file, rows); err != nil {
		t.Fatal(err)
	}
	fails(t, 1, []string{file, "4 rows"}, append(score, "-skip-failing-golds")...)
}

func TestOfManyFailingGoldsTenAreNamedAndTheRestCounted(t *testing.T) {
	w, dir := theWorld(t), t.TempDir()
	var rows []data.Row
	for i := range 26 {
		r := validRows[0]
		r.ID, r.SQL = fmt.Sprint("w", i), fmt.Sprint("SELECT a FROM nowhere", max(0, i-3)) // the first four in the same way
		rows = append(rows, r)
	}
	file := filepath.Join(dir, "valid.jsonl")
	if err := data.Write(file, rows); err != nil {
		t.Fatal(err)
	}
	o := cli(t, "eval", "-model", w.model, "-data", file, "-db-dir", w.databases)
	if o.code != 1 || !strings.Contains(o.stderr, "26 rows") || strings.Count(o.stderr, "nowhere") != 10 || !strings.Contains(o.stderr, `row "w0" and 3 more (`) ||
		!strings.Contains(o.stderr, `row "w12" (`) || !strings.Contains(o.stderr, "; and 13 more") {
		t.Errorf("exit code %d: %s", o.code, o.stderr)
	}
}
