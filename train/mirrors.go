package train

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/hone-ml/hone/train/internal/tfevents"
)

// The mirrors of metrics.jsonl and evaluations.jsonl for other programs: a CSV file and TensorBoard's events.
const (
	csvFile   = "metrics.csv"
	eventsDir = "tensorboard"
)

// mirrors are what a step's metrics are written to beside metrics.jsonl. Those of nil take nothing.
type mirrors struct {
	file   *os.File
	csv    *csv.Writer
	events *tfevents.Writer
	now    func() time.Time
}

// openMirrors makes the mirrors of the run in dir after its step last. The CSV file is made anew of the steps
// that metrics.jsonl has; of TensorBoard's files a new one says that later steps of the others are void.
func openMirrors(dir string, last int, now func() time.Time) (m *mirrors, err error) {
	steps, err := ReadMetrics(filepath.Join(dir, "metrics.jsonl"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	m = &mirrors{now: now}
	if m.file, err = os.Create(filepath.Join(dir, csvFile)); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	m.csv = csv.NewWriter(m.file)
	rows := [][]string{{"step", "epoch", "tokens", "loss", "lr", "grad_norm", "tokens_per_second", "seconds", "skipped"}}
	for i := range steps {
		rows = append(rows, steps[i].row())
	}
	err = m.csv.WriteAll(rows)
	if err == nil {
		m.events, err = tfevents.Create(filepath.Join(dir, eventsDir), now(), last+1)
	}
	if err != nil {
		return nil, also(fmt.Errorf("train: %w", err), m.file.Close())
	}
	return m, nil
}

// row is the step's line of metrics.csv; what is not finite is empty, as pandas and R read a missing number.
func (m *Metrics) row() []string {
	number := func(x float64) string {
		if !finite(x) {
			return ""
		}
		return strconv.FormatFloat(x, 'g', -1, 64)
	}
	return []string{strconv.Itoa(m.Step), number(m.Epoch), strconv.Itoa(m.Tokens), number(m.Loss), number(m.LR), number(m.GradNorm),
		number(m.TokensPerSecond), number(m.Seconds), m.skipped()}
}

// step adds a step.
func (m *mirrors) step(s *Metrics) error {
	if m == nil {
		return nil
	}
	scalars := []tfevents.Scalar{{Tag: "train/loss", Value: s.Loss}, {Tag: "train/lr", Value: s.LR}, {Tag: "train/grad_norm", Value: s.GradNorm},
		{Tag: "train/tokens_per_second", Value: s.TokensPerSecond}, {Tag: "train/epoch", Value: s.Epoch}}
	if s.Skipped {
		scalars = append(scalars, tfevents.Scalar{Tag: "train/skipped", Value: 1})
	}
	err := m.csv.Write(s.row())
	m.csv.Flush()
	if err == nil {
		err = m.csv.Error()
	}
	if err == nil {
		err = m.events.Scalars(m.now(), s.Step, scalars...)
	}
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	return nil
}

// evaluation adds an evaluation, to TensorBoard's events.
func (m *mirrors) evaluation(step int, e *Evaluation) error {
	if m == nil {
		return nil
	}
	scalars := []tfevents.Scalar{{Tag: "eval/score", Value: e.Score}}
	for _, name := range slices.Sorted(maps.Keys(e.Values)) {
		scalars = append(scalars, tfevents.Scalar{Tag: "eval/" + name, Value: e.Values[name]})
	}
	if err := m.events.Scalars(m.now(), step, scalars...); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	return nil
}

func (m *mirrors) close() error {
	if m == nil {
		return nil
	}
	return also(m.file.Close(), m.events.Close())
}
