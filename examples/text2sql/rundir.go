package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/hone-ml/hone/examples/text2sql/internal/report"
	"github.com/hone-ml/hone/nn/lora"
)

// checkRunDir refuses a directory that a run would spoil. Without resume it must not hold a run.
func checkRunDir(dir string, resume bool, advice string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return nil // it is made later, and what hinders that is said then
	}
	if !info.IsDir() {
		return fmt.Errorf("-out: %s is a file; name a folder to make", dir)
	}
	checkpoints, err := filepath.Glob(filepath.Join(dir, "checkpoints", "step-*", "trainer.json"))
	if err != nil {
		return fmt.Errorf("-out: %w", err)
	}
	metrics, err := os.Stat(filepath.Join(dir, report.MetricsFile))
	begun := err == nil && metrics.Size() > 0
	switch {
	case !resume && (len(checkpoints) > 0 || holdsModel(dir) || begun):
		return fmt.Errorf("-out: %s holds a run or a model already; %s", dir, advice)
	case resume && holdsModel(dir) && len(checkpoints) == 0:
		return fmt.Errorf("-out: %s holds a model, but no checkpoint to resume from; choose another -out", dir)
	}
	return nil
}

// holdsModel reports whether a folder holds a model, in one file or several, or an adapter.
func holdsModel(dir string) bool {
	for _, name := range []string{"model.safetensors", "model.safetensors.index.json"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return lora.Exists(dir)
}

// checkNotModel refuses to write a run over the model that it starts from.
func checkNotModel(out, model string) error {
	a, err := os.Stat(out)
	if err != nil {
		return nil // not there yet
	}
	if b, err := os.Stat(model); err == nil && os.SameFile(a, b) {
		return fmt.Errorf("-out: %s is the folder of -model, which the run would replace; choose another", out)
	}
	return nil
}
