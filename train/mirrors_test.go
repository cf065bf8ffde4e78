package train

import (
	"context"
	"encoding/csv"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/hone-ml/hone/train/internal/tfevents/tfeventstest"
)

func TestCSVAndTensorBoardTellWhatMetricsTellAlsoOfAResumedRun(t *testing.T) {
	c := tinyRunConfig(t.TempDir())
	c.Accum, c.EvalEvery, c.SaveEvery, c.Resume = 1, 3, 0, true
	for session := range 10 {
		resumed := mustSteps(t, c)
		m := poisoned(t, func(call int) bool { return resumed+call == 7 })
		ctx, cancel := context.WithCancel(t.Context())
		_, err := Run(ctx, Options{Model: m, Optimizer: adamW(m), Data: tinyData(31), Config: c, Evaluate: scored, OnStep: func(s Metrics) {
			if session < 3 && s.Step == resumed+1+session {
				cancel()
			}
		}})
		cancel()
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if session == 1 { // as if it had been killed before it saved: the steps since are made again
			if err := os.RemoveAll(filepath.Join(c.OutDir, "checkpoints", "step-000003")); err != nil {
				t.Fatal(err)
			}
		}
	}
	steps, err := ReadMetrics(filepath.Join(c.OutDir, "metrics.jsonl"))
	if err != nil || len(steps) != 12 {
		t.Fatalf("%d steps, %v", len(steps), err)
	}

	f, err := os.Open(filepath.Join(c.OutDir, "metrics.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) != 13 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if want := []string{"step", "epoch", "tokens", "loss", "lr", "grad_norm", "tokens_per_second", "seconds", "skipped"}; !slices.Equal(rows[0], want) {
		t.Errorf("columns %q", rows[0])
	}
	for i, s := range steps {
		row := rows[i+1]
		loss, err := strconv.ParseFloat(row[3], 64)
		if row[0] != strconv.Itoa(s.Step) || (s.Step == 7) != (row[3] == "") || s.Step != 7 && (err != nil || loss != s.Loss) || (row[8] == "not finite") != s.Skipped {
			t.Errorf("%q, want %+v", row, s)
		}
	}

	tags, err := tfeventstest.ReadDir(filepath.Join(c.OutDir, "tensorboard"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range steps {
		if s.Step != 7 && tags["train/loss"][s.Step] != float32(s.Loss) || tags["train/lr"][s.Step] != float32(s.LR) {
			t.Errorf("step %d: loss %g, want %g", s.Step, tags["train/loss"][s.Step], s.Loss)
		}
	}
	if len(tags["train/loss"]) != 12 || len(tags["train/skipped"]) != 1 || tags["train/skipped"][7] != 1 {
		t.Errorf("%d losses, skipped %v", len(tags["train/loss"]), tags["train/skipped"])
	}
	if got := tags["eval/score"]; len(got) != 4 || got[6] != 0 || got[3] != -9 || tags["eval/step"][12] != 12 {
		t.Errorf("evaluations %v", tags)
	}
}
