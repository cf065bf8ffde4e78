package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/tensor"
)

func TestTrainingLearns(t *testing.T) {
	for _, dtype := range []string{"float32", "bfloat16"} {
		m := tinyModel(t, dtype)
		c := Config{MaxSteps: 80, Batch: 4, Accum: 1, MaxLength: 32, Packing: true, LR: 3e-3, Schedule: "linear", WarmupSteps: 5, Clip: 1}
		data := tinyData(8)
		before, err := Loss(t.Context(), m, data, c)
		if err != nil {
			t.Fatal(err)
		}
		r := mustRun(t, Options{Model: m, Optimizer: adamW(m), Data: data, Config: c})
		after, err := Loss(t.Context(), m, data, c)
		if err != nil {
			t.Fatal(err)
		}
		if !(after.Completion < before.Completion/4) || r.Last.Step != 80 || r.Stopped != StopSteps {
			t.Errorf("%s: loss %g before, %g after; %+v", dtype, before.Completion, after.Completion, r)
		}
	}
}

func TestTrainingIsTheSameToTheBitForAnyGOMAXPROCS(t *testing.T) {
	for _, dtype := range []string{"float32", "bfloat16"} {
		var want map[string][]byte
		for _, procs := range []int{1, 2, 3} {
			previous := runtime.GOMAXPROCS(procs)
			m := withDropout(t, dtype)
			opt := muonAndAdamW(m)
			c := tinyRunConfig("")
			c.MaxSteps, c.Batch = 3, 12
			mustRun(t, Options{Model: m, Optimizer: opt, Data: tinyData(80), Config: c})
			runtime.GOMAXPROCS(previous)
			if got := tensorsOf(m, opt); want == nil {
				want = got
			} else {
				wantSameTensors(t, got, want)
			}
		}
	}
}

func TestMetricsFileHasExactlyTheContractsFields(t *testing.T) {
	m := tinyModel(t, "float32")
	c := tinyRunConfig(t.TempDir())
	c.Epochs, c.MaxSteps, c.LR = 2, 0, 0.25
	var seen []Metrics
	data := tinyData(31)
	r := mustRun(t, Options{Model: m, Optimizer: adamW(m), Data: data, Config: c, OnStep: func(m Metrics) { seen = append(seen, m) }})
	path := filepath.Join(c.OutDir, "metrics.jsonl")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	d := json.NewDecoder(strings.NewReader(first))
	var keys []string
	for key := true; ; key = !key {
		token, err := d.Token()
		if err != nil {
			break
		}
		if s, ok := token.(string); ok {
			keys = append(keys, s)
		}
	}
	if want := []string{"step", "epoch", "tokens", "loss", "lr", "grad_norm", "tokens_per_second", "seconds"}; !slices.Equal(keys, want) {
		t.Errorf("keys %q, want %q", keys, want)
	}
	read, err := ReadMetrics(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(read) != len(seen) || len(read) != r.Steps || r.Step != r.Steps {
		t.Fatalf("%d lines, %d calls of OnStep, %d planned steps, %d made", len(read), len(seen), r.Steps, r.Step)
	}
	tokens := 0
	for _, s := range data {
		tokens += len(s.Tokens)
	}
	last := read[len(read)-1]
	if last.Tokens != 2*tokens || last.Epoch != 2 || r.Epoch != 2 || r.Tokens != 2*tokens {
		t.Errorf("the last line %+v, want %d tokens and 2 epochs", last, 2*tokens)
	}
	for i, m := range read {
		s := seen[i]
		if m.Step != i+1 || m.Loss != s.Loss || m.LR != s.LR || m.GradNorm != s.GradNorm || m.Tokens != s.Tokens || m.Seconds != s.Seconds ||
			!(m.TokensPerSecond > 0) || math.Abs(s.Loss-(s.Completion+0.5*s.Prompt)) > 1e-12 {
			t.Errorf("line %d: %+v, step %+v", i+1, m, s)
		}
	}
	if read[0].LR != 0 || math.Abs(read[1].LR-0.25/3) > 1e-12 || read[3].LR != 0.25 {
		t.Errorf("learning rates %g %g %g", read[0].LR, read[1].LR, read[3].LR)
	}
}

// poisoned is a model that yields NaN in the forward passes that bad says, one a step.
func poisoned(t testing.TB, bad func(call int) bool) *wrapped {
	return &wrapped{Model: tinyModel(t, "float32"), change: func(call int, h *tensor.Tensor) *tensor.Tensor {
		if bad(call) {
			return h.MulScalar(math.NaN())
		}
		return h
	}}
}

func TestStepThatIsNotFiniteIsSkippedAndCounted(t *testing.T) {
	m := poisoned(t, func(call int) bool { return call == 3 || call == 5 })
	opt := adamW(m)
	c := tinyRunConfig(t.TempDir())
	c.Accum = 1
	var messages []string
	before := map[int]map[string][]byte{}
	r := mustRun(t, Options{Model: m, Optimizer: opt, Data: tinyData(31), Config: c,
		OnStep: func(s Metrics) { before[s.Step] = tensorsOf(m, opt) }, Log: func(s string) { messages = append(messages, s) }})
	if r.Skipped != 2 || r.Step != 12 || opt.Steps() != 10 {
		t.Errorf("%d skipped, %d steps, %d of the optimizer", r.Skipped, r.Step, opt.Steps())
	}
	wantSameTensors(t, before[3], before[2])
	wantSameTensors(t, before[5], before[4])
	if slices.Equal(before[4]["model.norm.weight"], before[3]["model.norm.weight"]) {
		t.Error("the step after a skipped one changes nothing")
	}
	if !slices.Contains(messages, "step 3 is skipped: loss NaN, gradient norm NaN") {
		t.Errorf("messages %q", messages)
	}
	read, err := ReadMetrics(filepath.Join(c.OutDir, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range read {
		if bad := i == 2 || i == 4; line.Skipped != bad || math.IsNaN(line.Loss) != bad {
			t.Errorf("line %d: %+v", i+1, line)
		}
	}
}

func TestTenStepsInARowThatAreNotFiniteAreAnError(t *testing.T) {
	m := poisoned(t, func(call int) bool { return call > 6 })
	opt := adamW(m)
	c := tinyRunConfig(t.TempDir())
	c.Accum, c.MaxSteps = 1, 100
	var good map[string][]byte
	r, err := Run(t.Context(), Options{Model: m, Optimizer: opt, Data: tinyData(31), Config: c,
		OnStep: func(s Metrics) {
			if s.Step == 6 {
				good = tensorsOf(m, opt)
			}
		}})
	wantError(t, err, "not finite in 10 steps in a row, steps 7 to 16", "lower learning rate")
	if r.Stopped != StopFailed || r.Skipped != 10 || r.Step != 16 {
		t.Errorf("%+v", r)
	}
	wantSameTensors(t, tensorsOf(m, opt), good)
	saved := tinyModel(t, "float32")
	if err := models.LoadParameters(filepath.Join(r.Checkpoint, "model.safetensors"), saved); err != nil {
		t.Fatal(err)
	}
	for name, p := range saved.Parameters() {
		if !slices.Equal(p.Bytes(), good[name]) {
			t.Fatalf("%s of the checkpoint is not that of the last good step", name)
		}
	}
}

func TestPatienceStopsAndTheBestCheckpointStays(t *testing.T) {
	m := tinyModel(t, "float32")
	opt := adamW(m)
	c := tinyRunConfig(t.TempDir())
	c.MaxSteps, c.EvalEvery, c.SaveEvery, c.Patience, c.Keep = 100, 2, 3, 4, 1
	var best map[string][]byte
	r := mustRun(t, Options{Model: m, Optimizer: opt, Data: tinyData(31), Config: c,
		Evaluate: func(ctx context.Context, step int) (Evaluation, error) {
			if step == 6 {
				best = tensorsOf(m, opt)
			}
			return scored(ctx, step)
		}})
	if r.Stopped != StopPatience || r.Step != 14 || r.Best.Step != 6 || r.Best.Score != 0 {
		t.Fatalf("%+v, best %+v", r, r.Best)
	}
	wantCheckpoints(t, c.OutDir, 6, 14)
	saved := tinyModel(t, "float32")
	if err := models.LoadParameters(r.Best.Checkpoint, saved); err != nil {
		t.Fatal(err)
	}
	for name, p := range saved.Parameters() {
		if !slices.Equal(p.Bytes(), best[name]) {
			t.Fatalf("%s of the best checkpoint is another", name)
		}
	}
	data, err := os.ReadFile(filepath.Join(c.OutDir, "evaluations.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(data), `{"step":2,"score":-16,"seconds":`) || strings.Count(string(data), "\n") != 7 {
		t.Errorf("evaluations\n%s", data)
	}
}

func wantCheckpoints(t testing.TB, dir string, steps ...int) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "checkpoints"))
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	for _, s := range steps {
		want = append(want, fmt.Sprintf("step-%06d", s))
	}
	if !slices.Equal(got, want) {
		t.Errorf("checkpoints %v, want %v", got, want)
	}
}

func TestKeepLeavesTheNewestCheckpoints(t *testing.T) {
	for _, test := range []struct {
		keep int
		want []int
	}{{0, []int{3, 6, 9, 11}}, {1, []int{11}}, {2, []int{9, 11}}, {9, []int{3, 6, 9, 11}}} {
		m := tinyModel(t, "float32")
		c := tinyRunConfig(t.TempDir())
		c.MaxSteps, c.SaveEvery, c.Keep = 11, 3, test.keep
		r := mustRun(t, Options{Model: m, Optimizer: adamW(m), Data: tinyData(31), Config: c})
		wantCheckpoints(t, c.OutDir, test.want...)
		if filepath.Base(r.Checkpoint) != "step-000011" {
			t.Errorf("the result's checkpoint is %s", r.Checkpoint)
		}
	}
}

func TestCheckpointIsADirectoryThatModelsLoads(t *testing.T) {
	m := tinyModel(t, "bfloat16")
	c := tinyRunConfig(t.TempDir())
	r := mustRun(t, Options{Model: m, Optimizer: adamW(m), Data: tinyData(31), Config: c,
		SaveExtra: func(dir string) error { return os.WriteFile(filepath.Join(dir, "tokenizer.json"), []byte("{}"), 0o666) }})
	loaded, err := models.Load(r.Checkpoint, models.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]*tensor.Tensor{}
	for name, p := range m.Parameters() {
		want[name] = p
	}
	for name, p := range loaded.Parameters() {
		if !slices.Equal(p.Bytes(), want[name].Bytes()) {
			t.Errorf("%s differs", name)
		}
	}
	if _, err := os.Stat(filepath.Join(r.Checkpoint, "tokenizer.json")); err != nil {
		t.Error(err)
	}
}

func TestMaxTimeStopsAndItsScheduleReachesTheFloor(t *testing.T) {
	m := tinyModel(t, "float32")
	clock := time.Unix(1000, 0)
	c := tinyRunConfig(t.TempDir())
	c.MaxSteps, c.MaxTime, c.Schedule, c.WarmupSteps, c.FollowTime, c.Floor, c.LR = 0, 10*time.Second, "linear", 2, true, 0.02, 1
	var rates []float64
	o := Options{Model: m, Optimizer: adamW(m), Data: tinyData(31), Config: c,
		OnStep: func(m Metrics) {
			rates = append(rates, m.LR)
			clock = clock.Add(time.Second)
		}, now: func() time.Time { return clock }}
	r := mustRun(t, o)
	if r.Stopped != StopTime || r.Step != 10 || r.Seconds != 10 || r.Steps != 0 {
		t.Errorf("%+v", r)
	}
	for i, rate := range rates {
		want := 0.02 + 0.98*(1-float64(i)/10)
		if i < 2 {
			want = float64(i) / 2
		}
		if math.Abs(rate-want) > 1e-12 {
			t.Errorf("step %d: rate %g, want %g", i+1, rate, want)
		}
	}
	// the time of earlier sessions counts
	o.Config.Resume, o.Config.MaxTime = true, 15*time.Second
	clock = clock.Add(time.Hour)
	if r = mustRun(t, o); r.Step != 15 || r.Seconds != 15 || r.ResumedFrom != 10 {
		t.Errorf("resumed: %+v", r)
	}
}

func TestThroughputIsOfTrainingAlone(t *testing.T) {
	clock := time.Unix(0, 0)
	m := &wrapped{Model: tinyModel(t, "float32"), change: func(_ int, h *tensor.Tensor) *tensor.Tensor {
		clock = clock.Add(time.Second)
		return h
	}}
	c := Config{MaxSteps: 3, Batch: 2, Accum: 1, Schedule: "constant", EvalEvery: 1, Sequential: true}
	r := mustRun(t, Options{Model: m, Optimizer: adamW(m), Data: sized(10, 10, 20, 20, 30, 30), Config: c,
		Evaluate: func(context.Context, int) (Evaluation, error) {
			clock = clock.Add(time.Minute)
			return Evaluation{}, nil
		}, now: func() time.Time { return clock }})
	if r.TokensPerSecond != 40 || r.Last.TokensPerSecond != 40 || r.Seconds != 183 {
		t.Errorf("%+v", r)
	}
}

func TestLongSamplesAreCountedAndReported(t *testing.T) {
	data := tinyData(31)
	long := 0
	for _, s := range data {
		if len(s.Tokens) > 16 {
			long++
		}
	}
	for _, policy := range []LongSamples{DropLong, TruncateLong} {
		for _, epochs := range []int{3, 0} { // looked at beforehand, and not
			m := tinyModel(t, "float32")
			var messages []string
			c := tinyRunConfig("")
			c.MaxLength, c.Long, c.Epochs, c.MaxSteps = 16, policy, epochs, 20
			r := mustRun(t, Options{Model: m, Optimizer: adamW(m), Data: data, Config: c, Log: func(s string) { messages = append(messages, s) }})
			if (policy == DropLong && (r.Dropped != long || r.Truncated != 0)) || (policy == TruncateLong && (r.Truncated != long || r.Dropped != 0)) {
				t.Errorf("%v: %d dropped, %d truncated, want %d", policy, r.Dropped, r.Truncated, long)
			}
			if epochs > 0 && !strings.Contains(strings.Join(messages, "\n"), fmt.Sprintf("%d samples are longer than 16 tokens", long)) {
				t.Errorf("messages %q", messages)
			}
		}
	}
}

func TestWrongConfigurationsAreErrors(t *testing.T) {
	m := tinyModel(t, "float32")
	for name, test := range map[string]struct {
		change func(*Options)
		says   string
	}{
		"no end":          {func(o *Options) { o.Config.MaxSteps = 0 }, "never end"},
		"batch":           {func(o *Options) { o.Config.Batch = 0 }, "batch 0"},
		"accumulation":    {func(o *Options) { o.Config.Accum = -1 }, "accumulation -1"},
		"packing":         {func(o *Options) { o.Config.MaxLength = 0 }, "packing needs a maximum length"},
		"positions":       {func(o *Options) { o.Config.MaxLength = 65 }, "exceeds the 64 positions"},
		"negative":        {func(o *Options) { o.Config.SaveEvery = -1 }, "save every is -1"},
		"nan":             {func(o *Options) { o.Config.PromptLoss = math.NaN() }, "prompt loss is NaN"},
		"patience":        {func(o *Options) { o.Config.Patience = 1 }, "patience needs evaluations"},
		"warm-up":         {func(o *Options) { o.Config.Warmup = 1.5 }, "warm-up is 1.5"},
		"evaluation":      {func(o *Options) { o.Config.EvalEvery = 1 }, "Evaluate is nil"},
		"no model":        {func(o *Options) { o.Model = nil }, "need Model"},
		"no data":         {func(o *Options) { o.Data = Samples{} }, "no samples"},
		"rate of NaN":     {func(o *Options) { o.Schedule = func(Progress) float64 { return math.NaN() } }, "schedule gives NaN"},
		"score of NaN":    {func(o *Options) { o.Config.EvalEvery, o.Evaluate = 1, nanScore }, "the score is NaN"},
		"directory taken": {func(o *Options) { o.Config.OutDir = os.DevNull }, os.DevNull},
	} {
		t.Run(name, func(t *testing.T) {
			c := tinyRunConfig("")
			o := Options{Model: m, Optimizer: adamW(m), Data: tinyData(5), Config: c}
			test.change(&o)
			_, err := Run(t.Context(), o)
			wantError(t, err, "train: ", test.says)
		})
	}
}

func nanScore(context.Context, int) (Evaluation, error) { return Evaluation{Score: math.NaN()}, nil }

func TestFailedEvaluationLosesNothing(t *testing.T) {
	m := tinyModel(t, "float32")
	opt := adamW(m)
	c := tinyRunConfig(t.TempDir())
	c.EvalEvery, c.SaveEvery = 5, 0
	cause := errors.New("the database is gone")
	o := Options{Model: m, Optimizer: opt, Data: tinyData(31), Config: c,
		Evaluate: func(_ context.Context, step int) (Evaluation, error) { return Evaluation{Score: 1}, cause }}
	r, err := Run(t.Context(), o)
	if !errors.Is(err, cause) || r.Stopped != StopFailed || r.Interrupted {
		t.Fatalf("%+v, %v", r, err)
	}
	wantError(t, err, "evaluation after step 5")
	wantCheckpoints(t, c.OutDir, 5)
}

// failing is Data of which one sample cannot be read.
type failing struct {
	Samples
	bad int
}

func (f failing) Sample(i int) (Sample, error) {
	if i == f.bad {
		return Sample{}, errors.New("line 18 does not parse")
	}
	return f.Samples.Sample(i)
}

func TestSampleThatCannotBeReadIsAnErrorThatNamesIt(t *testing.T) {
	m := tinyModel(t, "float32")
	for _, epochs := range []int{0, 1} {
		c := tinyRunConfig("")
		c.Epochs = epochs
		_, err := Run(t.Context(), Options{Model: m, Optimizer: adamW(m), Data: failing{tinyData(31), 17}, Config: c})
		wantError(t, err, "sample 17: line 18 does not parse")
	}
}

func TestTooLittleMemoryIsAnErrorNotAPanic(t *testing.T) {
	m := tinyModel(t, "float32")
	opt := adamW(m)
	dev := tensor.CPU()
	limit := dev.Memory().Limit
	defer dev.SetMemoryLimit(limit)
	c := Config{MaxSteps: 1, Batch: 4000, Accum: 1, Schedule: "constant"}
	data := tinyData(4000)
	dev.TrimCache()
	dev.SetMemoryLimit(dev.Memory().Reserved + 4<<20)
	_, err := Run(t.Context(), Options{Model: m, Optimizer: opt, Data: data, Config: c})
	wantError(t, err, "out of memory", "smaller batch")
	if _, ok := errors.AsType[*tensor.OOMError](err); !ok {
		t.Errorf("%T is no *tensor.OOMError", err)
	}
	dev.SetMemoryLimit(limit)
	mustRun(t, Options{Model: m, Optimizer: opt, Data: data[:40], Config: c})
}
