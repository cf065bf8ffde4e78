package train

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
)

// Metrics is what one step reports, and its line of metrics.jsonl:
//
//	{"step","epoch","tokens","loss","lr","grad_norm","tokens_per_second","seconds"}
//
// A loss or norm that is not finite is null there, and NaN when such a line is read again. A step that was
// skipped has "skipped" as well: "not finite" or "spike".
type Metrics struct {
	// Step counts windows from 1, those that were skipped included.
	Step int
	// Epoch is how many times the data has been gone through: 1.5 is the middle of the second time.
	Epoch float64
	// Tokens is how many the model has processed since the run began: every token of every sample, prompts
	// included. Nothing is padded, so there are no others.
	Tokens int
	// Loss is that of the step's window: Completion + Config.PromptLoss·Prompt. What a models.Auxiliary adds to
	// it is learnt from, but not shown.
	Loss float64
	// LR is Config.LR times the schedule's factor.
	LR float64
	// GradNorm is the Euclidean norm of the gradients before clipping.
	GradNorm float64
	// TokensPerSecond is over the last 20 steps of this session. Their time is that of preparing windows
	// and of learning from them, not of evaluations and checkpoints.
	TokensPerSecond float64
	// Seconds is the time since the run began, all included; a resumed run goes on counting from its
	// checkpoint.
	Seconds float64

	// Skipped says that no step was made: the loss or the norm was not finite or, with Spike, the norm was
	// far above its moving mean, see Config.Spike.
	Skipped, Spike bool

	// The rest is not written.

	// Completion and Prompt are the mean losses of the two kinds of targets; NaN without such targets.
	Completion, Prompt float64
	// Progress tells how much of the run was over when the step began.
	Progress Progress

	limit float64 // of the norm, where it was exceeded
}

// metricsLine is the form of Metrics in metrics.jsonl.
type metricsLine struct {
	Step            int      `json:"step"`
	Epoch           float64  `json:"epoch"`
	Tokens          int      `json:"tokens"`
	Loss            *float64 `json:"loss"`
	LR              float64  `json:"lr"`
	GradNorm        *float64 `json:"grad_norm"`
	TokensPerSecond float64  `json:"tokens_per_second"`
	Seconds         float64  `json:"seconds"`
	Skipped         string   `json:"skipped,omitempty"`
}

// MarshalJSON gives the line of metrics.jsonl.
func (m Metrics) MarshalJSON() ([]byte, error) {
	return json.Marshal(metricsLine{m.Step, m.Epoch, m.Tokens, finiteOrNil(m.Loss), m.LR, finiteOrNil(m.GradNorm), m.TokensPerSecond, m.Seconds, m.skipped()})
}

// skipped is why the step was skipped, "" if it was not.
func (m *Metrics) skipped() string {
	switch {
	case m.Spike:
		return "spike"
	case m.Skipped:
		return "not finite"
	}
	return ""
}

// UnmarshalJSON reads a line of metrics.jsonl.
func (m *Metrics) UnmarshalJSON(data []byte) error {
	var l metricsLine
	if err := json.Unmarshal(data, &l); err != nil {
		return err
	}
	*m = Metrics{Step: l.Step, Epoch: l.Epoch, Tokens: l.Tokens, Loss: orNaN(l.Loss), LR: l.LR, GradNorm: orNaN(l.GradNorm),
		TokensPerSecond: l.TokensPerSecond, Seconds: l.Seconds, Completion: math.NaN(), Prompt: math.NaN(), Skipped: l.Skipped != "" || l.Loss == nil || l.GradNorm == nil,
		Spike: l.Skipped == "spike"}
	return nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

func finiteOrNil(x float64) *float64 {
	if !finite(x) {
		return nil
	}
	return &x
}

func orNaN(x *float64) float64 {
	if x == nil {
		return math.NaN()
	}
	return *x
}

// ReadMetrics reads a metrics.jsonl. A last line without its end, as a killed run may leave it, is left
// out; any other that does not parse is an error that names it.
func ReadMetrics(path string) ([]Metrics, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	defer f.Close()
	var all []Metrics
	r := bufio.NewReader(f)
	for n := 1; ; n++ {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("train: %w", err)
		}
		var m Metrics
		if err := json.Unmarshal(line, &m); err != nil {
			return nil, fmt.Errorf("train: %s: line %d: %w", path, n, err)
		}
		all = append(all, m)
	}
}

// journal is a file of JSON lines, each with a "step".
type journal struct{ file *os.File }

// openJournal opens or makes the journal at path and cuts off everything behind its lines of steps up to
// last: what a run wrote after the checkpoint from which it is resumed.
func openJournal(path string, last int) (*journal, error) {
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("train: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	if err := f.Truncate(int64(upTo(data, last))); err != nil {
		return nil, fmt.Errorf("train: %w", also(err, f.Close()))
	}
	return &journal{f}, nil
}

// upTo is the length of the whole lines at the beginning of data whose step is at most last.
func upTo(data []byte, last int) int {
	n := 0
	for line := range bytes.Lines(data) {
		var l struct {
			Step int `json:"step"`
		}
		if line[len(line)-1] != '\n' || json.Unmarshal(line, &l) != nil || l.Step > last {
			break
		}
		n += len(line)
	}
	return n
}

// add appends a line, with one write. A nil journal takes nothing.
func (j *journal) add(v any) error {
	if j == nil {
		return nil
	}
	line, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("train: %s: %w", j.file.Name(), err)
	}
	if _, err := j.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	return nil
}

// sync makes what was added survive a power cut.
func (j *journal) sync() error {
	if j == nil {
		return nil
	}
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	return nil
}

func (j *journal) close() error {
	if j == nil {
		return nil
	}
	return j.file.Close()
}

// meter measures tokens per second over the last steps.
type meter struct {
	tokens  [20]int
	seconds [20]float64
	steps   int

	allTokens  int
	allSeconds float64
}

func (m *meter) add(tokens int, seconds float64) {
	i := m.steps % len(m.tokens)
	m.tokens[i], m.seconds[i] = tokens, seconds
	m.steps++
	m.allTokens += tokens
	m.allSeconds += seconds
}

// rate is over the steps remembered, mean over all.
func (m *meter) rate() float64 {
	tokens, seconds := 0, 0.0
	for i := range m.tokens {
		tokens += m.tokens[i]
		seconds += m.seconds[i]
	}
	return perSecond(tokens, seconds)
}

func (m *meter) mean() float64 { return perSecond(m.allTokens, m.allSeconds) }

func perSecond(tokens int, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return float64(tokens) / seconds
}
