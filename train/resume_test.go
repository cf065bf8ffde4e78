package train

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
)

// wantError fails unless err says all of parts, in one line.
func wantError(t testing.TB, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q has several lines", err)
	}
}

// withDropout is a model that draws random numbers in training.
func withDropout(t testing.TB, dtype string) *wrapped {
	return &wrapped{Model: tinyModel(t, dtype), change: func(_ int, h *tensor.Tensor) *tensor.Tensor { return tensor.Dropout(h, 0.1) }}
}

// scored is an evaluation whose score is best at step 6.
func scored(_ context.Context, step int) (Evaluation, error) {
	return Evaluation{Score: -float64((step - 6) * (step - 6)), Values: map[string]float64{"step": float64(step)}}, nil
}

// uninterrupted is a run without any interruption.
func uninterrupted(t testing.TB, m models.CausalLM, opt optim.Optimizer, change func(*Config)) (dir string, tensors map[string][]byte, r *Result) {
	t.Helper()
	c := tinyRunConfig(t.TempDir())
	c.EvalEvery, c.KeepBest = 3, true
	if change != nil {
		change(&c)
	}
	r = mustRun(t, Options{Model: m, Optimizer: opt, Data: tinyData(31), Config: c, Evaluate: scored})
	return c.OutDir, tensorsOf(m, opt), r
}

func TestInterruptedAndResumedEqualsUninterruptedToTheBit(t *testing.T) {
	for _, test := range []struct {
		dtype     string
		optimizer func(models.CausalLM) optim.Optimizer
		// Two forward passes make a window: 9 gives up the fifth in its middle, 22 the eleventh at its end.
		calls [][]int // of each session but the last, the forward pass in which it is interrupted
	}{
		{"float32", adamW, [][]int{{1, 4}, {9}, {2, 5, 7}, {22}}},
		{"bfloat16", adamW, [][]int{{2, 5, 7}}},
		{"float32", muonAndAdamW, [][]int{{11}}},
		{"bfloat16", muonAndAdamW, [][]int{{2, 5, 7}}},
	} {
		whole := withDropout(t, test.dtype)
		dir, want, wantResult := uninterrupted(t, whole, test.optimizer(whole), nil)
		lines := metricsWithoutTimes(t, dir)
		if len(lines) != 12 {
			t.Fatalf("%d lines of metrics, want 12", len(lines))
		}
		for _, calls := range test.calls {
			t.Run(fmt.Sprintf("%s %T %v", test.dtype, test.optimizer(whole), calls), func(t *testing.T) {
				c := tinyRunConfig(t.TempDir())
				c.EvalEvery, c.KeepBest, c.Resume = 3, true, true
				for session := 0; ; session++ {
					// each session starts from a model and an optimizer that know nothing
					m := withDropout(t, test.dtype)
					m.Init(tensor.NewRand(99))
					if session == 0 || mustSteps(t, c) == 0 {
						initialise(m.Model)
					}
					opt := test.optimizer(m)
					ctx, cancel := context.WithCancel(t.Context())
					dropout := m.change
					m.change = func(call int, h *tensor.Tensor) *tensor.Tensor {
						if session < len(calls) && call == calls[session] {
							cancel()
						}
						return dropout(call, h)
					}
					r, err := Run(ctx, Options{Model: m, Optimizer: opt, Data: tinyData(31), Config: c, Evaluate: scored})
					cancel()
					if session < len(calls) {
						if !errors.Is(err, context.Canceled) || r == nil || !r.Interrupted || r.Stopped != StopInterrupted {
							t.Fatalf("session %d: %+v, %v", session, r, err)
						}
						wantError(t, err, "interrupted after step")
						continue
					}
					if err != nil {
						t.Fatal(err)
					}
					wantSameTensors(t, tensorsOf(m, opt), want)
					if got := metricsWithoutTimes(t, c.OutDir); !slices.Equal(got, lines) {
						t.Errorf("metrics\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(lines, "\n"))
					}
					if r.Best.Step != wantResult.Best.Step || r.Best.Score != wantResult.Best.Score || r.Tokens != wantResult.Tokens ||
						r.Epoch != wantResult.Epoch || r.Step != 12 {
						t.Errorf("result %+v, want %+v", r, wantResult)
					}
					break
				}
			})
		}
	}
}

// mustSteps is the newest checkpoint's step, 0 if there is none.
func mustSteps(t testing.TB, c Config) int {
	t.Helper()
	k := &checkpoints{dir: filepath.Join(c.OutDir, "checkpoints")}
	steps, err := k.steps()
	if err != nil {
		t.Fatal(err)
	}
	if len(steps) == 0 {
		return 0
	}
	return steps[len(steps)-1]
}

func TestInterruptionDuringEvaluationRepeatsTheEvaluation(t *testing.T) {
	c := tinyRunConfig(t.TempDir())
	c.EvalEvery, c.SaveEvery = 3, 0
	m := tinyModel(t, "float32")
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Run(ctx, Options{Model: m, Optimizer: adamW(m), Data: tinyData(31), Config: c,
		Evaluate: func(ctx context.Context, step int) (Evaluation, error) {
			cancel()
			return Evaluation{}, fmt.Errorf("generation was stopped: %w", ctx.Err())
		}})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	var evaluated []int
	c.Resume = true
	mustRun(t, Options{Model: m, Optimizer: adamW(m), Data: tinyData(31), Config: c,
		Evaluate: func(_ context.Context, step int) (Evaluation, error) {
			evaluated = append(evaluated, step)
			return Evaluation{Score: 1}, nil
		}})
	if !slices.Equal(evaluated, []int{3, 6, 9, 12}) {
		t.Errorf("evaluated after %v", evaluated)
	}
}

func TestRunThatIsOverResumesToItsResult(t *testing.T) {
	m := tinyModel(t, "float32")
	opt := adamW(m)
	dir, want, first := uninterrupted(t, m, opt, nil)
	m.Init(tensor.NewRand(1))
	c := tinyRunConfig(dir)
	c.EvalEvery, c.KeepBest, c.Resume = 3, true, true
	r := mustRun(t, Options{Model: m, Optimizer: opt, Data: tinyData(31), Config: c, Evaluate: scored})
	wantSameTensors(t, tensorsOf(m, opt), want)
	if r.Step != first.Step || r.ResumedFrom != 12 || r.Stopped != StopSteps || r.Last.Step != 0 {
		t.Errorf("%+v", r)
	}
	if got := metricsWithoutTimes(t, dir); len(got) != 12 {
		t.Errorf("%d lines of metrics, want 12", len(got))
	}
}

func TestMetricsAfterResumeHaveEachStepOnce(t *testing.T) {
	m := tinyModel(t, "float32")
	dir, _, _ := uninterrupted(t, m, adamW(m), nil)
	want := metricsWithoutTimes(t, dir)
	path := filepath.Join(dir, "metrics.jsonl")
	// as if the run had been killed while it wrote the line of step 11, step 8 being the last checkpoint
	if err := os.RemoveAll(filepath.Join(dir, "checkpoints", "step-000012")); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(data), "\n")
	if err := os.WriteFile(path, []byte(strings.Join(lines[:10], "")+lines[10][:20]), 0o666); err != nil {
		t.Fatal(err)
	}
	c := tinyRunConfig(dir)
	c.EvalEvery, c.KeepBest, c.Resume = 3, true, true
	fresh := tinyModel(t, "float32")
	r := mustRun(t, Options{Model: fresh, Optimizer: adamW(fresh), Data: tinyData(31), Config: c, Evaluate: scored})
	if r.ResumedFrom != 8 {
		t.Errorf("resumed from step %d", r.ResumedFrom)
	}
	if got := metricsWithoutTimes(t, dir); !slices.Equal(got, want) {
		t.Errorf("metrics\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	data, err = os.ReadFile(filepath.Join(dir, "evaluations.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(data), "\n"); n != 4 {
		t.Errorf("%d evaluations, want 4:\n%s", n, data)
	}
}

func TestResumeWithAnotherConfigurationNamesTheDifference(t *testing.T) {
	m := tinyModel(t, "float32")
	opt := adamW(m)
	dir, want, _ := uninterrupted(t, m, opt, nil)
	for _, test := range []struct {
		name   string
		change func(*Options)
		parts  []string
	}{
		{"batch", func(o *Options) { o.Config.Batch = 4 }, []string{"batch was 3, now it is 4", "step-000012"}},
		{"seed", func(o *Options) { o.Config.Seed = 6 }, []string{"seed was 5, now it is 6"}},
		{"gradients", func(o *Options) { o.Config.Gradients = tensor.BF16 }, []string{"gradients was f32, now it is bf16"}},
		{"prompt loss", func(o *Options) { o.Config.PromptLoss = 0 }, []string{"prompt loss was 0.5, now it is 0"}},
		{"total of a cosine", func(o *Options) { o.Config.MaxSteps = 20 }, []string{"number of steps was 12, now it is 20"}},
		{"data", func(o *Options) { o.Data = tinyData(30) }, []string{"number of samples was 31, now it is 30"}},
		{"optimizer", func(o *Options) { o.Optimizer = muonAndAdamW(o.Model) }, []string{"optimizer.safetensors", "the optimizer was AdamW with f32 moments, now it is Muon with f32 moments, AdamW with f32 moments"}},
		{"moments", func(o *Options) { o.Optimizer = adamWWith(optim.Moments8Bit)(o.Model) }, []string{"the optimizer was AdamW with f32 moments, now it is AdamW with 8bit moments", "use the same"}},
		{"an optimizer that does not say what it is", func(o *Options) { o.Optimizer = struct{ optim.Optimizer }{muonAndAdamW(o.Model)} }, []string{"optimizer.safetensors", "0.0.0.momentum is missing", "another optimizer"}},
		{"model", func(o *Options) {
			config := tinyConfig("float32")
			config.HiddenSize = 40
			other := tinyModelOf(t, config)
			o.Model, o.Optimizer = other, adamW(other)
		}, []string{"model.safetensors", "shape"}},
	} {
		c := tinyRunConfig(dir)
		c.Resume = true
		o := Options{Model: m, Optimizer: opt, Data: tinyData(31), Config: c}
		test.change(&o)
		_, err := Run(t.Context(), o)
		wantError(t, err, append(test.parts, "cannot resume from")...)
	}
	wantSameTensors(t, tensorsOf(m, opt), want)

	c := tinyRunConfig(dir)
	_, err := Run(t.Context(), Options{Model: m, Optimizer: opt, Data: tinyData(31), Config: c})
	wantError(t, err, dir, "holds a run already, up to step 12")
}

func TestRunWithAConstantScheduleCanBeExtended(t *testing.T) {
	m := tinyModel(t, "float32")
	opt := adamW(m)
	_, want, _ := uninterrupted(t, m, opt, func(c *Config) { c.Schedule, c.MaxSteps = "constant", 14 })
	first := tinyModel(t, "float32")
	dir, _, _ := uninterrupted(t, first, adamW(first), func(c *Config) { c.Schedule = "constant" })
	second := tinyModel(t, "float32")
	opt = adamW(second)
	_, got, r := uninterrupted(t, second, opt, func(c *Config) {
		c.Schedule, c.MaxSteps, c.OutDir, c.Resume, c.SaveEvery = "constant", 14, dir, true, 5
	})
	if r.ResumedFrom != 12 {
		t.Errorf("resumed from step %d", r.ResumedFrom)
	}
	wantSameTensors(t, got, want)
}

func TestResumeNoticesOtherDataOfTheSameSize(t *testing.T) {
	m := tinyModel(t, "float32")
	c := tinyRunConfig(t.TempDir())
	c.Epochs, c.MaxSteps = 1, 0
	mustRun(t, Options{Model: m, Optimizer: adamW(m), Data: tinyData(31), Config: c})
	data := tinyData(31)
	data[17].Tokens = slices.Clone(data[17].Tokens)
	data[17].Tokens[3]++
	c.Resume = true
	_, err := Run(t.Context(), Options{Model: m, Optimizer: adamW(m), Data: data, Config: c})
	wantError(t, err, "data was", "now it is")
}

func TestDamagedCheckpointIsAnErrorThatNamesTheFile(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"model.safetensors":     func(p string) error { return os.Truncate(p, 1000) },
		"optimizer.safetensors": func(p string) error { return os.Truncate(p, 5000) },
		"trainer.json":          func(p string) error { return os.WriteFile(p, []byte(`{"version":1,"step":"x"}`), 0o666) },
	} {
		m := tinyModel(t, "float32")
		dir, _, _ := uninterrupted(t, m, adamW(m), nil)
		if err := damage(filepath.Join(dir, "checkpoints", "step-000012", name)); err != nil {
			t.Fatal(err)
		}
		c := tinyRunConfig(dir)
		c.Resume = true
		_, err := Run(t.Context(), Options{Model: m, Optimizer: adamW(m), Data: tinyData(31), Config: c})
		wantError(t, err, "step-000012", name)
	}
}

func TestPatienceAndSkippedStepsAreCountedAcrossSessions(t *testing.T) {
	for _, test := range []struct {
		name    string
		from    int // every step from here on yields NaN
		step    int // the last one
		stopped Stop
	}{{"patience", 1000, 14, StopPatience}, {"skipped", 3, 12, StopFailed}} {
		t.Run(test.name, func(t *testing.T) {
			c := tinyRunConfig(t.TempDir())
			c.MaxSteps, c.Accum, c.EvalEvery, c.Patience, c.SaveEvery, c.Resume = 30, 1, 2, 4, 1, true
			for {
				m := tinyModel(t, "float32")
				resumed := mustSteps(t, c)
				bad := poisoned(t, func(call int) bool { return resumed+call >= test.from })
				bad.Model = m
				ctx, cancel := context.WithCancel(t.Context())
				r, err := Run(ctx, Options{Model: bad, Optimizer: adamW(m), Data: tinyData(31), Config: c, Evaluate: scored,
					OnStep: func(s Metrics) {
						if s.Step-resumed == 2 { // sessions of two steps
							cancel()
						}
					}})
				cancel()
				if r == nil {
					t.Fatal(err)
				}
				if r.Interrupted && r.Step < 30 {
					continue
				}
				if r.Stopped != test.stopped || r.Step != test.step {
					t.Errorf("%+v, %v; want %q at step %d", r, err, test.stopped, test.step)
				}
				break
			}
		})
	}
}

func TestInterruptionWithoutADirectorySaysThatNothingWasSaved(t *testing.T) {
	m := tinyModel(t, "float32")
	ctx, cancel := context.WithCancel(t.Context())
	r, err := Run(ctx, Options{Model: m, Optimizer: adamW(m), Data: tinyData(31), Config: tinyRunConfig(""),
		OnStep: func(Metrics) { cancel() }})
	wantError(t, err, "interrupted after step 1; nothing was saved")
	if !errors.Is(err, context.Canceled) || !r.Interrupted || r.Checkpoint != "" {
		t.Errorf("%+v, %v", r, err)
	}
}
