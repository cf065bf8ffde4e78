package train

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/tensor"
)

// LongSamples says what becomes of samples longer than Config.MaxLength.
type LongSamples int

const (
	// DropLong leaves them out.
	DropLong LongSamples = iota
	// TruncateLong keeps their first MaxLength tokens; the end of the completion, its end token included,
	// is then not learned.
	TruncateLong
)

// String is "drop" or "truncate".
func (l LongSamples) String() string {
	if l == TruncateLong {
		return "truncate"
	}
	return "drop"
}

// Config is the knobs of a run. The zero value of a knob means off, or none; Defaults gives usual values.
type Config struct {
	// The run ends with the first of these that is reached. 0 means no such limit; one must be set.
	Epochs   int
	MaxSteps int
	MaxTime  time.Duration // as Metrics.Seconds counts it; the step that crosses it is finished

	// Batch is the samples of a micro-batch, or, with Packing, its rows of up to MaxLength tokens.
	Batch int
	// Accum is the micro-batches of a step.
	Accum int
	// MaxLength is the most tokens of a sample, or of a packed row; 0, without Packing, means no limit.
	MaxLength int
	// Packing fills rows with several samples: each goes to the first row that has room, in the order of
	// the data; the first that fits in none begins the next micro-batch. Samples are never split.
	Packing bool
	// Long says what becomes of longer samples.
	Long LongSamples
	// Sequential takes the samples in the order of Data rather than shuffled anew for each epoch.
	Sequential bool
	// PromptLoss weighs the mean loss of the prompt's tokens; 0 leaves them out.
	PromptLoss float64

	// LR is the learning rate that Metrics.LR reports, times the schedule's factor. The rates that act
	// are those of the optimizer's groups.
	LR float64
	// Schedule is "cosine", "linear" or "constant"; see NewSchedule and Options.Schedule.
	Schedule string
	// WarmupSteps is the length of the warm-up; 0 stands for Warmup, a fraction of all steps, rounded up.
	WarmupSteps int
	Warmup      float64
	// Floor and FollowTime: see ScheduleOptions. FollowTime makes a run that is not reproducible.
	Floor      float64
	FollowTime bool
	// Clip is the largest norm of the gradients, see tensor.Grads.Clip; 0 means no clipping.
	Clip float64
	// Spike skips a step whose gradient norm, before clipping, is so many standard deviations above its moving
	// mean; the deviation counts as half the mean at least, and the first 25 steps are only observed. 0 means
	// that only a loss or a norm that is not finite is skipped. Parameters, moments and the optimizer's count
	// of steps stay as they are; the data goes on.
	Spike float64
	// MaxSkipped ends the run when so many steps in a row were skipped; 0 stands for 10.
	MaxSkipped int
	// Gradients is the dtype of the gradients of F32, BF16 and F16 parameters: F32, or BF16, which takes half
	// the memory and rounds each sum, once for each micro-batch and use of a parameter.
	Gradients tensor.DType

	// EvalEvery calls Options.Evaluate after every so many steps; 0 means never.
	EvalEvery int
	// SaveEvery writes a checkpoint after every so many steps and at the end. With 0 there is one only
	// of an interrupted or failed run, and of the best step.
	SaveEvery int
	// Keep is how many of the newest checkpoints stay, and with them the best; 0 keeps all. The disk needs
	// room for one more than stay.
	Keep int
	// KeepBest saves and keeps a checkpoint of the step with the highest score, and evaluates the last
	// step, too. Patience implies it.
	KeepBest bool
	// Patience stops the run when so many evaluations in a row brought no higher score; 0 means never.
	Patience int

	// Seed determines the order of the data and what the model draws in training.
	Seed uint64
	// OutDir is the run's directory, made if need be. Empty means that nothing is written.
	OutDir string
	// Resume goes on from the newest checkpoint in OutDir, or from the start if there is none. Without it
	// an OutDir that has checkpoints is an error.
	Resume bool
}

// Defaults are the values of the text2sql example: 3 epochs, batches of 8 packed rows of 1,024 tokens, 2
// of them a step, cosine schedule with 3 % of warm-up from 2e-5, clipping at 1, steps with 6 deviations too
// large a gradient skipped, 2 checkpoints, seed 42.
func Defaults() Config {
	return Config{
		Epochs: 3, Batch: 8, Accum: 2, MaxLength: 1024, Packing: true,
		LR: 2e-5, Schedule: "cosine", Warmup: 0.03, Clip: 1, Spike: 6, Keep: 2, Seed: 42,
	}
}

// check reports a configuration that makes no sense for the model.
func (c *Config) check(m models.CausalLM) error {
	for _, n := range []struct {
		name  string
		value int
	}{
		{"epochs", c.Epochs}, {"max steps", c.MaxSteps}, {"max length", c.MaxLength}, {"warm-up steps", c.WarmupSteps},
		{"eval every", c.EvalEvery}, {"save every", c.SaveEvery}, {"keep", c.Keep}, {"patience", c.Patience}, {"max skipped", c.MaxSkipped},
	} {
		if n.value < 0 {
			return fmt.Errorf("train: %s is %d, want 0 or more", n.name, n.value)
		}
	}
	for _, x := range []struct {
		name  string
		value float64
	}{{"prompt loss", c.PromptLoss}, {"clip", c.Clip}, {"spike", c.Spike}, {"learning rate", c.LR}, {"max time", float64(c.MaxTime)}} {
		if !(x.value >= 0) || math.IsInf(x.value, 0) {
			return fmt.Errorf("train: %s is %g, want 0 or more", x.name, x.value)
		}
	}
	switch {
	case c.Gradients != tensor.F32 && c.Gradients != tensor.BF16:
		return fmt.Errorf("train: gradients of %s, want f32 or bf16", c.Gradients)
	case c.Batch < 1 || c.Accum < 1:
		return fmt.Errorf("train: batch %d and accumulation %d must be 1 or more", c.Batch, c.Accum)
	case c.Packing && c.MaxLength == 0:
		return errors.New("train: packing needs a maximum length: that of a row")
	case c.Epochs == 0 && c.MaxSteps == 0 && c.MaxTime == 0:
		return errors.New("train: the run would never end: set epochs, max steps or max time")
	case !(c.Warmup >= 0 && c.Warmup <= 1):
		return fmt.Errorf("train: the warm-up is %g of the steps, want 0 to 1", c.Warmup)
	case c.Patience > 0 && c.EvalEvery == 0:
		return errors.New("train: patience needs evaluations: set eval every")
	}
	if l, ok := m.(models.ContextLimited); ok && c.MaxLength > l.MaxPositions() {
		return fmt.Errorf("train: the maximum length of %d tokens exceeds the %d positions that the model was made for", c.MaxLength, l.MaxPositions())
	}
	return nil
}

// maxSkipped is how many steps in a row may be skipped.
func (c *Config) maxSkipped() int {
	if c.MaxSkipped == 0 {
		return 10
	}
	return c.MaxSkipped
}

func (c *Config) keepBest() bool { return c.KeepBest || c.Patience > 0 }

// schedule makes the schedule for a run of steps, 0 if their number is unknown.
func (c *Config) schedule(steps int) (Schedule, error) {
	o := ScheduleOptions{Warmup: c.WarmupSteps, Floor: c.Floor, FollowTime: c.FollowTime}
	if o.Warmup == 0 && c.Warmup > 0 {
		if steps == 0 {
			return nil, errors.New("train: a warm-up that is a fraction needs a known number of steps: set warm-up steps, max steps or epochs")
		}
		o.Warmup = int(math.Ceil(c.Warmup * float64(steps)))
	}
	if c.decays() && steps == 0 && !(c.FollowTime && c.MaxTime > 0) {
		return nil, fmt.Errorf("train: a %s schedule needs a known end: set max steps or epochs, or let it follow the time", c.Schedule)
	}
	return NewSchedule(c.Schedule, o)
}

func (c *Config) decays() bool { return c.Schedule != "constant" }

// setting is one thing that must be equal for a run to be resumed.
type setting struct{ name, value string }

// settings are what the course of a run depends on. The data's fingerprint is "" where nobody read it all.
func (c *Config) settings(samples int, data string, steps int, custom bool) []setting {
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
	s := []setting{
		{"batch", strconv.Itoa(c.Batch)}, {"accumulation", strconv.Itoa(c.Accum)},
		{"max length", strconv.Itoa(c.MaxLength)}, {"packing", strconv.FormatBool(c.Packing)},
		{"long samples", c.Long.String()}, {"sequential", strconv.FormatBool(c.Sequential)},
		{"prompt loss", number(c.PromptLoss)}, {"learning rate", number(c.LR)}, {"clip", number(c.Clip)}, {"spike", number(c.Spike)}, {"gradients", c.Gradients.String()},
		{"seed", strconv.FormatUint(c.Seed, 10)}, {"number of samples", strconv.Itoa(samples)},
	}
	if data != "" {
		s = append(s, setting{"data", data})
	}
	if custom {
		return append(s, setting{"schedule", "custom"})
	}
	s = append(s, setting{"schedule", c.Schedule}, setting{"warm-up steps", strconv.Itoa(c.WarmupSteps)},
		setting{"warm-up", number(c.Warmup)}, setting{"floor", number(c.Floor)}, setting{"follow time", strconv.FormatBool(c.FollowTime)})
	if c.decays() || c.WarmupSteps == 0 && c.Warmup > 0 {
		s = append(s, setting{"number of steps", strconv.Itoa(steps)}) // the schedule depends on it
	}
	return s
}
