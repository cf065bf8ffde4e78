package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/hone-ml/hone/internal/atomicfile"
	"github.com/hone-ml/hone/internal/checkpoint"
	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor/safetensors"
)

// The files of a checkpoint.
const (
	modelFile     = "model.safetensors" // of all of a model, beside its configuration
	optimizerFile = "optimizer.safetensors"
	stateFile     = "trainer.json"
	// stateVersion is that of trainer.json's form.
	stateVersion = 1
)

// state is trainer.json: all of a run that is neither a tensor nor a file of its own.
type state struct {
	Version        int `json:"version"`
	Step           int `json:"step"` // windows done, skipped ones included
	OptimizerSteps int `json:"optimizer_steps"`
	place
	Tokens       int               `json:"tokens"`
	Seconds      float64           `json:"seconds"`
	Skipped      int               `json:"skipped"`
	SkippedInRow int               `json:"skipped_in_row"`
	Spikes       int               `json:"spikes"` // of Skipped
	SpikesInRow  int               `json:"spikes_in_row"`
	Guard        guard             `json:"guard"`
	Good         int               `json:"good"`      // the newest checkpoint from which a step was made that was not skipped, or 0
	Evaluated    int               `json:"evaluated"` // the last step that was evaluated
	Best         *bestScore        `json:"best,omitempty"`
	SinceBest    int               `json:"since_best"` // evaluations
	Config       map[string]string `json:"config"`
}

type bestScore struct {
	Step  int     `json:"step"`
	Score float64 `json:"score"`
}

// checkpoints is the directory of a run's checkpoints.
type checkpoints struct {
	dir       string
	model     models.CausalLM
	optimizer optim.Optimizer
	saveModel func(dir string) error // nil for all of the model, as loadModel
	loadModel func(dir string) error
	extra     func(dir string) error
}

func (c *checkpoints) path(step int) string {
	return filepath.Join(c.dir, fmt.Sprintf("step-%06d", step))
}

var stepName = regexp.MustCompile(`^step-(\d{6,})$`)

// steps lists the steps of the complete checkpoints, ascending.
func (c *checkpoints) steps() ([]int, error) {
	entries, err := os.ReadDir(c.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	var steps []int
	for _, e := range entries {
		m := stepName.FindStringSubmatch(e.Name())
		if m == nil || !e.IsDir() {
			continue
		}
		if _, err := os.Stat(filepath.Join(c.dir, e.Name(), stateFile)); err != nil {
			continue
		}
		if n, err := strconv.Atoi(m[1]); err == nil {
			steps = append(steps, n)
		}
	}
	slices.Sort(steps)
	return steps, nil
}

// clean removes what killed runs left half written or half removed.
func (c *checkpoints) clean() error {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".tmp"); ok && stepName.MatchString(name) {
			if err := os.RemoveAll(filepath.Join(c.dir, e.Name())); err != nil {
				return fmt.Errorf("train: %w", err)
			}
		}
	}
	return nil
}

// save writes the checkpoint of s: into a directory of another name, synced, then renamed. On an error
// nothing of it is left and the others are as they were.
func (c *checkpoints) save(s *state) (err error) {
	path := c.path(s.Step)
	temp := path + ".tmp"
	defer func() {
		if err != nil {
			err = also(fmt.Errorf("train: the checkpoint %s could not be saved: %w", path, err), os.RemoveAll(temp))
		}
	}()
	if err := os.MkdirAll(c.dir, 0o777); err != nil {
		return err
	}
	if err := os.Mkdir(temp, 0o777); err != nil {
		return err
	}
	if err := c.write(temp, s); err != nil {
		return err
	}
	if err := syncDir(temp); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return also(syncDir(c.dir), syncDir(filepath.Dir(c.dir)))
}

// also is err and other in one line; either may be nil.
func also(err, other error) error {
	switch {
	case other == nil:
		return err
	case err == nil:
		return other
	}
	return fmt.Errorf("%w; %w", err, other)
}

// write puts the files of a checkpoint into dir, each synced.
func (c *checkpoints) write(dir string, s *state) error {
	if err := c.writeModel(dir); err != nil {
		return err
	}
	var ts []safetensors.Tensor
	for name, t := range c.optimizer.State() {
		e, ok := checkpoint.Entry(name, t)
		if !ok {
			return fmt.Errorf("train: %s of the optimizer is %s, which a checkpoint cannot hold", name, t.DType())
		}
		ts = append(ts, e)
	}
	if err := safetensors.Write(filepath.Join(dir, optimizerFile), ts, optimizerMetadata(c.optimizer)); err != nil {
		return err
	}
	if c.extra != nil {
		if err := c.extra(dir); err != nil {
			return err
		}
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(dir, stateFile), func(w io.Writer) error {
		_, err := w.Write(append(data, '\n'))
		return err
	})
}

// writeModel puts the model's files into dir.
func (c *checkpoints) writeModel(dir string) error {
	if c.saveModel != nil {
		return c.saveModel(dir)
	}
	if _, ok := c.model.(models.Configured); ok {
		return models.Save(dir, c.model)
	}
	return models.SaveParameters(filepath.Join(dir, modelFile), c.model)
}

// readModel fills the model from them.
func (c *checkpoints) readModel(dir string) error {
	if c.loadModel != nil {
		return c.loadModel(dir)
	}
	return models.LoadParameters(filepath.Join(dir, modelFile), c.model)
}

// optimizerMetadata names the optimizer, where it says what it is, so that another one can be told.
func optimizerMetadata(o optim.Optimizer) map[string]string {
	if s, ok := o.(fmt.Stringer); ok {
		return map[string]string{"optimizer": s.String()}
	}
	return nil
}

// prune removes all but the newest keep checkpoints and those of the steps of also. A checkpoint loses its
// name before it loses its files.
func (c *checkpoints) prune(keep int, also ...int) error {
	steps, err := c.steps()
	if err != nil || keep == 0 || len(steps) <= keep {
		return err
	}
	for _, step := range steps[:len(steps)-keep] {
		if slices.Contains(also, step) {
			continue
		}
		path := c.path(step)
		if err := os.Rename(path, path+".tmp"); err != nil {
			return fmt.Errorf("train: %w", err)
		}
		if err := os.RemoveAll(path + ".tmp"); err != nil {
			return fmt.Errorf("train: %w", err)
		}
	}
	return nil
}

// syncDir makes renames within dir durable, where the system can.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // NTFS journals them, and directories cannot be synced
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil // some network file systems
	}
	return also(err, d.Close())
}

// asMap is settings as trainer.json holds them.
func asMap(settings []setting) map[string]string {
	m := map[string]string{}
	for _, s := range settings {
		m[s.name] = s.value
	}
	return m
}
