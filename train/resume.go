package train

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/safetensors"
)

// restore fills model and optimizer from the checkpoint of a step and gives its state. A checkpoint of a
// run with other settings is an error that names the first difference, and changes nothing.
func (c *checkpoints) restore(step int, settings []setting) (*state, error) {
	dir := c.path(step)
	s, err := readState(filepath.Join(dir, stateFile))
	if err != nil {
		return nil, err
	}
	if s.Step != step {
		return nil, fmt.Errorf("train: %s says that it is of step %d: the directory was renamed", dir, s.Step)
	}
	for _, now := range settings {
		if then, ok := s.Config[now.name]; ok && then != now.value {
			return nil, fmt.Errorf("train: cannot resume from %s: %s was %s, now it is %s; use the same, or begin a new run in another directory", dir, now.name, then, now.value)
		}
	}
	if err := c.readModel(dir); err != nil {
		return nil, fmt.Errorf("train: cannot resume from %s: %w", dir, err)
	}
	if err := loadState(filepath.Join(dir, optimizerFile), c.optimizer); err != nil {
		return nil, fmt.Errorf("train: cannot resume from %s: %w", dir, err)
	}
	c.optimizer.SetSteps(s.OptimizerSteps)
	c.optimizer.Sync()
	return s, nil
}

func readState(path string) (*state, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	var s state
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("train: %s: %w", path, err)
	}
	if s.Version != stateVersion {
		return nil, fmt.Errorf("train: %s has version %d; this program reads version %d", path, s.Version, stateVersion)
	}
	if s.Step < 0 || s.OptimizerSteps < 0 || s.Epoch < 0 || s.Position < 0 || !finite(s.Seconds) {
		return nil, fmt.Errorf("train: %s: its counts make no sense; remove this checkpoint to resume from the one before", path)
	}
	return &s, nil
}

// loadState fills an optimizer's state from a file, which must hold exactly its tensors.
func loadState(path string, o optim.Optimizer) error {
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for key, now := range optimizerMetadata(o) {
		if then := f.Metadata()[key]; then != "" && then != now {
			return fmt.Errorf("%s: the optimizer was %s, now it is %s; use the same, or begin a new run in another directory", path, then, now)
		}
	}
	targets := map[string]*tensor.Tensor{}
	for name, t := range o.State() {
		info, ok := f.Info(name)
		switch {
		case !ok:
			return fmt.Errorf("%s: tensor %s is missing: the run had another optimizer", path, name)
		case !slices.Equal(info.Shape, t.Shape()) || !strings.EqualFold(string(info.DType), t.DType().String()):
			return fmt.Errorf("%s: tensor %s is %s%v, the optimizer wants %s%v", path, name, info.DType, info.Shape, t.DType(), t.Shape())
		}
		targets[name] = t
	}
	for _, name := range f.Names() {
		if targets[name] == nil {
			return fmt.Errorf("%s: tensor %s is not of this optimizer: the run had another", path, name)
		}
	}
	return tensor.Try(func() {
		for name, t := range targets {
			tensor.CopyFromBytes(t, t.DType(), f.Bytes(name))
		}
	})
}
