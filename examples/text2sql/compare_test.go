package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestCompareTellsABetterRunFromChance(t *testing.T) {
	w, dir := theWorld(t), t.TempDir()
	bad := write(t, filepath.Join(dir, "bad.jsonl"), []byte(`{"id":"v0","sql":"SELECT 1"}`))
	judged := map[string]string{}
	for name, pred := range map[string]string{"a": bad, "b": w.valid} {
		judged[name] = filepath.Join(dir, name+".judged.jsonl")
		ok(t, "score", "-pred", pred, "-data", w.valid, "-db-dir", w.databases, "-out", judged[name])
	}
	byVerdict := jsonObject(t, ok(t, "compare", judged["a"], judged["b"], "-json"))
	if byVerdict["n"] != 4.0 || byVerdict["only_b"] != 4.0 || byVerdict["difference"] != 1.0 || byVerdict["p_value"] != 0.125 {
		t.Errorf("compare printed %v", byVerdict)
	}
	byScore := jsonObject(t, ok(t, "compare", bad, w.valid, "-data", w.valid, "-db-dir", w.databases, "-json"))
	if byScore["only_b"] != 4.0 || byScore["p_value"] != 0.125 {
		t.Errorf("compare of predictions printed %v", byScore)
	}
	if out := ok(t, "compare", judged["a"], judged["b"]); !strings.Contains(out, "may well be chance") {
		t.Errorf("four questions are few: %s", out)
	}
	fails(t, 1, []string{bad, "-data"}, "compare", bad, judged["b"])
	fails(t, 2, []string{"two"}, "compare", bad)
	one := write(t, filepath.Join(dir, "one.jsonl"), []byte(`{"id":"v9","verdict":"correct"}`))
	fails(t, 1, []string{one, `"v0"`}, "compare", judged["a"], one)
	fails(t, 1, []string{"-losses", bad, "no run"}, "compare", bad, bad, "-data", w.valid, "-db-dir", w.databases, "-losses", filepath.Join(dir, "l.svg"))
	fails(t, 2, []string{"-losses", ".svg or .png"}, "compare", bad, bad, "-losses", filepath.Join(dir, "l.pdf"))
}
