package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
)

// loud is a model whose gradients are far too large, but finite, in the forward passes that say so.
func loud(t testing.TB, when func(call int) bool) *wrapped {
	return &wrapped{Model: tinyModel(t, "float32"), change: func(call int, h *tensor.Tensor) *tensor.Tensor {
		if when(call) {
			return h.MulScalar(1000)
		}
		return h
	}}
}

func guarded(dir string, steps int) Config {
	c := tinyRunConfig(dir)
	c.Accum, c.MaxSteps, c.SaveEvery, c.Spike = 1, steps, 0, 6
	return c
}

func TestSpikeIsSkippedCountedAndNamed(t *testing.T) {
	// the guard only observes the first 25 steps, and a spike among them does not blind it
	m := loud(t, func(call int) bool { return call == 10 || call == 33 || call == 34 })
	opt := adamW(m)
	c := guarded(t.TempDir(), 40)
	var messages []string
	after := map[int]map[string][]byte{}
	r := mustRun(t, Options{Model: m, Optimizer: opt, Data: tinyData(31), Config: c,
		OnStep: func(s Metrics) { after[s.Step] = tensorsOf(m, opt) }, Log: func(s string) { messages = append(messages, s) }})
	if r.Skipped != 2 || r.Spikes != 2 || r.Step != 40 || opt.Steps() != 38 {
		t.Errorf("%d skipped, %d spikes, %d steps, %d of the optimizer", r.Skipped, r.Spikes, r.Step, opt.Steps())
	}
	wantSameTensors(t, after[34], after[32])
	if slices.Equal(after[35]["model.norm.weight"], after[34]["model.norm.weight"]) {
		t.Error("the step after a skipped one changes nothing")
	}
	if said := strings.Join(messages, "\n"); !strings.Contains(said, "step 33 is skipped: loss ") || !strings.Contains(said, ", above ") {
		t.Errorf("messages %q", messages)
	}
	read, err := ReadMetrics(filepath.Join(c.OutDir, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range read {
		if spike := line.Step == 33 || line.Step == 34; line.Spike != spike || line.Skipped != spike || !finite(line.GradNorm) {
			t.Errorf("%+v", line)
		}
	}
}

func TestGuardThatIsOffSkipsNoFiniteStep(t *testing.T) {
	m := loud(t, func(call int) bool { return call == 33 })
	c := guarded("", 40)
	c.Spike = 0
	if r := mustRun(t, Options{Model: m, Optimizer: adamW(m), Data: tinyData(31), Config: c}); r.Skipped != 0 {
		t.Errorf("%d skipped", r.Skipped)
	}
}

func TestGuardTellsSpikesFromNoiseAndFromANewLevel(t *testing.T) {
	const threshold = 6
	rng := tensor.NewRand(3)
	noise := tensor.Zeros(tensor.CPU(), tensor.F64, 5000)
	noise.FillRandn(rng, 0, 0.4)
	var g guard
	spikes := 0
	for _, x := range noise.Float64s() { // log-normal, as gradient norms are
		if g.observe(math.Exp(x), threshold) {
			spikes++
		}
	}
	if spikes > 2 {
		t.Errorf("%d of 5000 norms of a heavy-tailed noise are called spikes", spikes)
	}
	for i := range 50 {
		if !g.observe(100, threshold) {
			t.Fatalf("the norm became a hundredfold, and after %d times that is no spike any more", i)
		}
	}
	for i := 0; g.observe(6, threshold); i++ {
		if i == 5 {
			t.Fatal("the norms rose to the sixfold and stayed there, and were not accepted")
		}
	}
	g = guard{}
	for i := range 100 {
		g.observe(1+0.001*float64(i%2), threshold)
	}
	if g.observe(1.5, threshold) {
		t.Error("half as much again as norms that hardly varied is called a spike")
	}
	if !g.observe(5, threshold) {
		t.Error("five times as much as norms that hardly varied is not called a spike")
	}
}

func TestResumedRunSkipsTheSpikesThatAnUninterruptedOneSkips(t *testing.T) {
	config := func(dir string) Config {
		c := guarded(dir, 100)
		c.Batch, c.Spike, c.MaxSkipped, c.Resume = 1, 0.2, 100, true // from 1.1 times the mean on: some in any run
		return c
	}
	slow := func(m models.CausalLM) optim.Optimizer { // the norms stay as they begin
		return optim.NewAdamW(optim.Split(m.Parameters(), 1e-5, 0), optim.AdamWConfig{})
	}
	m := tinyModel(t, "float32")
	opt := slow(m)
	whole := config(t.TempDir())
	want := mustRun(t, Options{Model: m, Optimizer: opt, Data: tinyData(31), Config: whole})
	if want.Spikes < 3 || want.Spikes > 60 {
		t.Fatalf("%d spikes: the test shows nothing", want.Spikes)
	}
	c := config(t.TempDir())
	for session := range 200 {
		fresh := tinyModel(t, "float32")
		freshOpt := slow(fresh)
		ctx, cancel := context.WithCancel(t.Context())
		steps := 0
		r, err := Run(ctx, Options{Model: fresh, Optimizer: freshOpt, Data: tinyData(31), Config: c, OnStep: func(Metrics) {
			if steps++; steps == 1+session%5 {
				cancel()
			}
		}})
		cancel()
		if errors.Is(err, context.Canceled) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if session < 10 || r.Spikes != want.Spikes || r.Skipped != want.Skipped {
			t.Errorf("%d sessions, %d spikes, want %d", session+1, r.Spikes, want.Spikes)
		}
		wantSameTensors(t, tensorsOf(fresh, freshOpt), tensorsOf(m, opt))
		if got, want := metricsWithoutTimes(t, c.OutDir), metricsWithoutTimes(t, whole.OutDir); !slices.Equal(got, want) {
			t.Errorf("metrics\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		return
	}
	t.Fatal("two hundred sessions were not enough")
}

func TestRunThatCannotGoOnKeepsAndNamesTheLastGoodCheckpoint(t *testing.T) {
	for _, test := range []struct {
		name  string
		model func(testing.TB, func(int) bool) *wrapped
		says  string
	}{
		{"not finite", poisoned, "the loss or the gradients were not finite in 4 steps in a row, steps 31 to 34"},
		{"spikes", loud, "the gradients were far larger than before in 4 steps in a row, steps 31 to 34"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := test.model(t, func(call int) bool { return call > 30 })
			c := guarded(t.TempDir(), 100)
			c.SaveEvery, c.Keep, c.MaxSkipped = 2, 2, 4
			opt := adamW(m)
			at := map[int][]byte{}
			r, err := Run(t.Context(), Options{Model: m, Optimizer: opt, Data: tinyData(31), Config: c,
				OnStep: func(s Metrics) { at[s.Step] = tensorsOf(m, opt)["model.norm.weight"] }})
			// step 31 is the first that nothing could be made from: what 30 left may be broken, what 28 left is not
			good := filepath.Join(c.OutDir, "checkpoints", "step-000028")
			wantError(t, err, test.says, "as step 30 left them", good, "lower learning rate")
			if r.Stopped != StopFailed || r.Step != 34 || r.Skipped != 4 {
				t.Errorf("%+v", r)
			}
			saved := tinyModel(t, "float32")
			if err := models.LoadParameters(filepath.Join(good, "model.safetensors"), saved); err != nil {
				t.Fatal(err)
			}
			for name, p := range saved.Parameters() {
				if name == "model.norm.weight" && !slices.Equal(p.Bytes(), at[28]) {
					t.Error("it is not what step 28 left")
				}
			}
			c.Resume = true
			_, again := Run(t.Context(), Options{Model: m, Optimizer: opt, Data: tinyData(31), Config: c})
			if fmt.Sprint(again) != fmt.Sprint(err) && !strings.Contains(fmt.Sprint(again), good) {
				t.Errorf("resumed, it says %v, not %v", again, err)
			}
		})
	}
}
