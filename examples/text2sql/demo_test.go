package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestDemoLeavesARunAndItsReport(t *testing.T) {
	if testing.Short() {
		t.Skip("makes all of the demo's data")
	}
	out := filepath.Join(t.TempDir(), "run")
	o := cli(t, "-max-steps", "3", "-eval-limit", "4", "-out", out) // the demo is what runs without a command
	if o.code != 0 {
		t.Fatalf("exit code %d: %s", o.code, o.stderr)
	}
	for _, want := range []string{"held-out questions on seen schemas", "questions on unseen schemas", "before training", "nearest question", "after training", filepath.Join(out, "report.html")} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("the demo did not print %q: %s", want, o.stdout)
		}
	}
	checkRunDirectory(t, out, 3, 8)
	results := jsonObject(t, string(read(t, filepath.Join(out, "results.json"))))
	wantKeys(t, "results.json", results, "baseline", "before_unseen", "after_unseen", "baseline_unseen")
	fails(t, 1, []string{out, "holds a run"}, "demo", "-out", out)
	fails(t, 1, []string{"f32"}, "demo", "-dtype", "bf16", "-out", out+"2")
}
