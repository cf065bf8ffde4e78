package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hone-ml/hone/tensor"
)

func TestATraceAndAProfileOfTrainingAreWritten(t *testing.T) {
	w, dir := theWorld(t), t.TempDir()
	trace, profile := filepath.Join(dir, "trace.json"), filepath.Join(dir, "cpu.pprof")
	o := cli(t, trainArgs(w, filepath.Join(dir, "run"), "-max-steps", "2", "-trace", trace, "-cpuprofile", profile, "-detect-nan")...)
	if o.code != 0 {
		t.Fatalf("exit code %d: %s", o.code, o.stderr)
	}
	var file struct{ TraceEvents []struct{ Name, Cat string } }
	if err := json.Unmarshal(read(t, trace), &file); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, e := range file.TraceEvents {
		seen[e.Cat+": "+e.Name] = true
	}
	for _, want := range []string{"Linear: MatMul", "Linear (backward): MatMul", "Attention: Attention", "AdamW: AdamW"} {
		if !seen[want] {
			t.Errorf("the trace has no %s", want)
		}
	}
	if !strings.Contains(o.stderr, "Linear (backward): MatMul") || !strings.Contains(o.stderr, trace) {
		t.Errorf("where the time went is not shown: %s", o.stderr)
	}
	if !bytes.HasPrefix(read(t, profile), []byte{0x1f, 0x8b}) {
		t.Error("the profile is not what pprof writes")
	}
	// Everything is as before: a trace can be started again.
	if err := tensor.CPU().StartTrace(new(bytes.Buffer)).Stop(); err != nil {
		t.Error(err)
	}
}

func TestATraceThatCannotBeWrittenFailsBeforeTheWork(t *testing.T) {
	w, dir := theWorld(t), t.TempDir()
	out := filepath.Join(dir, "run")
	for _, name := range []string{"-trace", "-cpuprofile"} {
		fails(t, 1, []string{name, "no such file or directory"}, trainArgs(w, out, name, filepath.Join(dir, "missing", "file"))...)
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s: the run has begun", name)
		}
	}
}
