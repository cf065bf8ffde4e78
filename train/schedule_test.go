package train

import (
	"math"
	"testing"
	"time"

	"github.com/hone-ml/hone/optim"
)

func TestSchedulesAreThoseOfPackageOptim(t *testing.T) {
	const warmup, total = 7, 40
	for name, want := range map[string]optim.Schedule{
		"cosine": optim.Cosine(warmup, total), "linear": optim.Linear(warmup, total), "constant": optim.Constant(warmup),
	} {
		s, err := NewSchedule(name, ScheduleOptions{Warmup: warmup})
		if err != nil {
			t.Fatal(err)
		}
		for step := range total + 5 {
			if got := s(Progress{Step: step, Steps: total}); math.Abs(got-want(step)) > 1e-12 {
				t.Errorf("%s at step %d: %g, want %g", name, step, got, want(step))
			}
		}
	}
}

func TestScheduleFollowsTheLargerOfStepsAndTime(t *testing.T) {
	s, err := NewSchedule("linear", ScheduleOptions{Warmup: 60, Floor: 0.02, FollowTime: true})
	if err != nil {
		t.Fatal(err)
	}
	at := func(step int, elapsed time.Duration) float64 {
		return s(Progress{Step: step, Steps: 2060, Elapsed: elapsed, Limit: 100 * time.Second})
	}
	for _, test := range []struct {
		step    int
		seconds float64
		want    float64
	}{
		{0, 0, 0}, {30, 99, 0.5}, {60, 0, 1},
		{1060, 20, 0.02 + 0.98*0.5}, // steps are ahead
		{1060, 75, 0.02 + 0.98*0.25},
		{1060, 100, 0.02}, {1060, 130, 0.02}, {2060, 50, 0.02}, {3000, 0, 0.02},
	} {
		if got := at(test.step, time.Duration(test.seconds*float64(time.Second))); math.Abs(got-test.want) > 1e-12 {
			t.Errorf("step %d after %g s: %g, want %g", test.step, test.seconds, got, test.want)
		}
	}
	// steps unknown: only the time counts
	if got := s(Progress{Step: 500, Elapsed: 25 * time.Second, Limit: 100 * time.Second}); math.Abs(got-(0.02+0.98*0.75)) > 1e-12 {
		t.Errorf("without steps: %g", got)
	}
	steady, err := NewSchedule("linear", ScheduleOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := steady(Progress{Step: 10, Steps: 100, Elapsed: 99 * time.Second, Limit: 100 * time.Second}); got != 0.9 {
		t.Errorf("a schedule of steps looks at the clock: %g", got)
	}
}

func TestScheduleWithoutEndIsAnError(t *testing.T) {
	base := Config{Batch: 1, Accum: 1, MaxTime: time.Second}
	for name, test := range map[string]struct {
		change func(*Config)
		says   string
	}{
		"decay":    {func(c *Config) { c.Schedule = "cosine" }, "needs a known end"},
		"fraction": {func(c *Config) { c.Schedule, c.Warmup = "constant", 0.1 }, "warm-up that is a fraction"},
		"name":     {func(c *Config) { c.Schedule = "polynomial" }, "needs a known end"},
		"unknown":  {func(c *Config) { c.Schedule, c.MaxSteps = "polynomial", 3 }, `schedule "polynomial" is none of`},
		"floor":    {func(c *Config) { c.Schedule, c.Floor = "constant", 2 }, "floor of 2"},
	} {
		c := base
		test.change(&c)
		m := tinyModel(t, "float32")
		_, err := Run(t.Context(), Options{Model: m, Optimizer: adamW(m), Data: tinyData(3), Config: c})
		t.Run(name, func(t *testing.T) { wantError(t, err, test.says) })
	}
}

func TestFractionIsOfWhatIsLimited(t *testing.T) {
	for _, test := range []struct {
		p    Progress
		want float64
	}{
		{Progress{Step: 5}, 0}, {Progress{Step: 5, Steps: 10}, 0.5},
		{Progress{Step: 5, Steps: 10, Elapsed: 3 * time.Second, Limit: 4 * time.Second}, 0.75},
		{Progress{Elapsed: 9 * time.Second, Limit: 4 * time.Second}, 1},
	} {
		if got := test.p.Fraction(); got != test.want {
			t.Errorf("%+v: %g, want %g", test.p, got, test.want)
		}
	}
}
