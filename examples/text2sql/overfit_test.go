package main

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/hone-ml/hone/examples/text2sql/internal/report"
)

// overfitted is the world with a model that has learned the training rows by heart.
func overfitted(t *testing.T) world {
	t.Helper()
	w := theWorld(t)
	w.model = filepath.Join(worldDir, "overfitted")
	overfitOnce.Do(func() {
		ok(t, "train", "-model", theWorld(t).model, "-data", w.train, "-valid", w.train, "-db-dir", w.databases, "-out", w.model,
			"-max-steps", "250", "-batch", "1", "-accum", "1", "-max-length", "256", "-lr", "5e-3", "-weight-decay", "0", "-recompute", "none", "-max-tokens", "60")
	})
	return w
}

var overfitOnce sync.Once

func TestASmallModelLearnsEightRowsByHeart(t *testing.T) {
	w := overfitted(t)
	run, err := report.Load(w.model)
	if err != nil {
		t.Fatal(err)
	}
	if last := run.Steps[len(run.Steps)-1].Loss; last > 0.05 {
		t.Errorf("the loss is %g, want at most 0.05", last)
	}
	s := jsonObject(t, ok(t, "eval", "-model", w.model, "-data", w.train, "-db-dir", w.databases, "-json"))
	if acc := s["execution_accuracy"].(float64); acc < 0.9 || acc != run.Splits[0].After.ExecutionAccuracy {
		t.Errorf("eval finds an accuracy of %g, the run %g; want at least 0.9 from both", acc, run.Splits[0].After.ExecutionAccuracy)
	}
	if before := run.Splits[0].Before.ExecutionAccuracy; before > 0.3 {
		t.Errorf("the accuracy before training is %g: it learned nothing", before)
	}
}
