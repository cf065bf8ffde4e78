package optim_test

import (
	"math"
	"testing"

	"github.com/hone-ml/hone/optim"
)

func TestSchedulesEqualPyTorch(t *testing.T) {
	g := openBreadth(t)
	for name, s := range map[string]optim.Schedule{
		"cosine":          optim.Cosine(0, 50).Above(0.1),
		"restarts":        optim.CosineRestarts(7, 1),
		"restarts.longer": optim.CosineRestarts(5, 2).Above(0.2),
		"step":            optim.StepDecay(7, 0.5),
		"multistep":       optim.MultiStep(0.3, 4, 9, 30),
		"exponential":     optim.Exponential(0.93),
		"onecycle":        optim.OneCycle(50, optim.OneCycleConfig{}),
		"onecycle.linear": optim.OneCycle(50, optim.OneCycleConfig{Rise: 0.45, Start: 0.1, End: 0.005, Linear: true}),
		"sequential":      optim.Exponential(0.9).Then(12, optim.StepDecay(8, 0.5)),
	} {
		want := g.floats("schedule." + name)
		if len(want) != 50 {
			t.Fatalf("%s: %d goldens", name, len(want))
		}
		for step, w := range want {
			if got := s(step); math.Abs(got-w) > 1e-14 {
				t.Errorf("%s(%d) is %g, want %g", name, step, got, w)
			}
		}
	}
}

func TestWarmupBeforeAScheduleIsTheScheduleWithWarmup(t *testing.T) {
	for step := range 60 {
		for name, c := range map[string][2]float64{
			"cosine":   {optim.Warmup(5, optim.Cosine(0, 45))(step), optim.Cosine(5, 50)(step)},
			"linear":   {optim.Warmup(5, optim.Linear(0, 45))(step), optim.Linear(5, 50)(step)},
			"constant": {optim.Warmup(5, optim.Constant(0))(step), optim.Constant(5)(step)},
			"nothing":  {optim.Warmup(0, optim.Cosine(0, 45))(step), optim.Cosine(0, 45)(step)},
		} {
			if c[0] != c[1] {
				t.Errorf("%s at step %d: %g, want %g", name, step, c[0], c[1])
			}
		}
	}
}

func TestSchedulesBehindTheirEndStayThere(t *testing.T) {
	cycle := optim.OneCycle(10, optim.OneCycleConfig{End: 0.01})
	for _, step := range []int{9, 10, 1000} {
		if got := cycle(step); math.Abs(got-0.01) > 1e-15 {
			t.Errorf("OneCycle(%d) is %g, want the end", step, got)
		}
	}
	for name, s := range map[string]optim.Schedule{
		"one step up": optim.OneCycle(3, optim.OneCycleConfig{}), "two steps": optim.OneCycle(2, optim.OneCycleConfig{}),
		"restarts": optim.CosineRestarts(3, 3), "decay": optim.StepDecay(1, 0.5),
	} {
		for step := range 1000 {
			if f := s(step); !(f >= 0 && f <= 1) {
				t.Errorf("%s: the factor at step %d is %g", name, step, f)
			}
		}
	}
}

func TestMisuseOfSchedulesPanicsAndSaysWhat(t *testing.T) {
	wantPanic(t, func() { optim.Constant(-1) }, "optim: Constant: warmup is -1, want 0 or more")
	wantPanic(t, func() { optim.Linear(-1, 2) }, "optim: Linear: warmup is -1")
	wantPanic(t, func() { optim.Cosine(-1, 2) }, "optim: Cosine: warmup is -1")
	wantPanic(t, func() { optim.CosineRestarts(0, 1) }, "optim: CosineRestarts: period is 0, want 1 or more")
	wantPanic(t, func() { optim.CosineRestarts(1, 0) }, "optim: CosineRestarts: growth is 0, want 1 or more")
	wantPanic(t, func() { optim.StepDecay(0, 1) }, "optim: StepDecay: every is 0, want 1 or more")
	wantPanic(t, func() { optim.StepDecay(1, 0) }, "optim: StepDecay: gamma is 0, want it positive")
	wantPanic(t, func() { optim.MultiStep(0.5, 3, 2) }, "optim: MultiStep: the steps are [3 2], want them in ascending order")
	wantPanic(t, func() { optim.Exponential(math.NaN()) }, "optim: Exponential: gamma is NaN, want it positive")
	wantPanic(t, func() { optim.OneCycle(1, optim.OneCycleConfig{}) }, "optim: OneCycle: total is 1, want 2 or more")
	wantPanic(t, func() { optim.OneCycle(9, optim.OneCycleConfig{Rise: 1.5}) }, "optim: OneCycle: rise 1.5")
	wantPanic(t, func() { optim.Warmup(-2, optim.Constant(0)) }, "optim: Warmup: steps is -2, want 0 or more")
	wantPanic(t, func() { optim.Constant(0).Then(-1, nil) }, "optim: Then: step is -1")
	wantPanic(t, func() { optim.Constant(0).Above(2) }, "optim: Above: the floor is 2, want 0 to 1")
}
