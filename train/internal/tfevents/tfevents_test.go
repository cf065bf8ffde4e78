package tfevents_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hone-ml/hone/train/internal/tfevents"
	"github.com/hone-ml/hone/train/internal/tfevents/tfeventstest"
)

// write makes the events of scripts/goldens/tfevents.py.
func write(t *testing.T) (path string) {
	t.Helper()
	dir, began := t.TempDir(), time.UnixMicro(1_700_000_000_250_000)
	w, err := tfevents.Create(dir, began, 41)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []struct {
		step int
		loss float64
	}{{41, 2.5}, {300, math.NaN()}, {70000, -1e-7}} {
		if err := w.Scalars(began.Add(1250*time.Millisecond), s.step, tfevents.Scalar{Tag: "train/loss", Value: s.loss}, tfevents.Scalar{Tag: "train/lr", Value: 0.1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "events.out.tfevents.1700000000.hone.0")
}

func TestEventsAreTheBytesThatTensorBoardsWriterMakes(t *testing.T) {
	got, err := os.ReadFile(write(t))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct{ Hex string }
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	want, err := hex.DecodeString(golden.Hex)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%q\nwant\n%q", got, want)
	}
}

func TestEventsAreReadBackAndDamageIsNoticed(t *testing.T) {
	path := write(t)
	events, err := tfeventstest.Read(path)
	if err != nil || len(events) != 5 {
		t.Fatalf("%+v, %v", events, err)
	}
	if e := events[0]; e.FileVersion != "brain.Event:2" || e.WallTime != 1700000000.25 {
		t.Errorf("%+v", e)
	}
	if e := events[1]; !e.Start || e.Step != 41 {
		t.Errorf("%+v", e)
	}
	if e := events[4]; e.Step != 70000 || e.Scalars["train/loss"] != -1e-7 || e.Scalars["train/lr"] != 0.1 || len(e.Scalars) != 2 {
		t.Errorf("%+v", e)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range data {
		broken := bytes.Clone(data)
		broken[i] ^= 0x10
		if err := os.WriteFile(path, broken, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := tfeventstest.Read(path); err == nil {
			t.Fatalf("byte %d is another, and nothing notices", i)
		}
	}
}

func TestSessionsWithinOneSecondHaveFilesOfTheirOwn(t *testing.T) {
	dir, now := t.TempDir(), time.Unix(1_700_000_000, 0)
	for range 3 {
		w, err := tfevents.Create(dir, now, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if files, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(files) != 3 {
		t.Errorf("%q, %v", files, err)
	}
}
