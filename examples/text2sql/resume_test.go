package main

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"
)

func TestEvalGoesOnWithTheAnswersThatItKept(t *testing.T) {
	w := theWorld(t)
	answers := filepath.Join(t.TempDir(), "answers.jsonl")
	args := []string{"eval", "-model", w.model, "-data", w.valid, "-db-dir", w.databases, "-max-tokens", "6", "-json", "-answers", answers}
	want := jsonObject(t, ok(t, args...))
	lines := bytes.SplitAfter(read(t, answers), []byte("\n"))
	if len(lines) != 5 { // the last is empty
		t.Fatalf("%d lines", len(lines)-1)
	}
	write(t, answers, bytes.Join([][]byte{lines[0], lines[2], lines[1][:9]}, nil))
	got := jsonObject(t, ok(t, args...))
	again := bytes.SplitAfter(read(t, answers), []byte("\n"))
	if !bytes.Equal(again[0], lines[0]) || !bytes.Equal(again[1], lines[2]) || len(again) != 5 {
		t.Errorf("the answers that were kept were not taken:\n%s", bytes.Join(again, nil))
	}
	for _, k := range []string{"n", "execution_accuracy", "valid_sql", "errors"} {
		if got[k] != want[k] {
			t.Errorf("%s is %v after going on, %v at once", k, got[k], want[k])
		}
	}
	fails(t, 1, []string{answers, "another model"}, "eval", "-model", w.model, "-data", w.valid, "-db-dir", w.databases, "-max-tokens", "7", "-answers", answers)
	fails(t, 1, []string{w.train, `"of"`}, "eval", "-model", w.model, "-data", w.valid, "-db-dir", w.databases, "-answers", w.train)
}

func TestScoreGoesOnWithWhatWasJudged(t *testing.T) {
	w, dir := theWorld(t), t.TempDir()
	out := filepath.Join(dir, "judged.jsonl")
	args := []string{"score", "-pred", w.valid, "-data", w.valid, "-db-dir", w.databases, "-out", out, "-json"}
	ok(t, args...)
	want := read(t, out)
	// A verdict that no execution would give shows that it was taken from the file; one of other databases is not.
	on := digest([]byte(w.databases), nil)
	kept := `{"id":"v0","question":"Who lives in Rome?","gold":"` + validRows[0].SQL + `","predicted":"` + validRows[0].SQL + `","verdict":"timeout","error":"kept","on":"` + on + `"}` + "\n"
	foreign := strings.NewReplacer(`"v0"`, `"v1"`, on, "x").Replace(kept)
	write(t, out+".part", []byte(kept+foreign+`{"id":"v2"`))
	if s := jsonObject(t, ok(t, args...)); s["timeouts"] != 1.0 || s["execution_accuracy"] != 0.75 {
		t.Errorf("after going on: %v", s)
	}
	ok(t, args...)
	if got := read(t, out); !bytes.Equal(got, want) {
		t.Errorf("a new run after a finished one: %s", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if o := cliContext(ctx, args...); o.code != 1 || !strings.Contains(o.stderr, "interrupted") {
		t.Errorf("interrupted: %+v", o)
	}
}
