package train

import (
	"fmt"
	"math"
	"time"
)

// Progress is how far a run is when a step begins.
type Progress struct {
	// Step counts the steps made before; Steps is how many the run will make at most, 0 if unknown.
	Step, Steps int
	// Elapsed is the time since the run began, earlier sessions included; Limit is Config.MaxTime, 0 if
	// there is none.
	Elapsed, Limit time.Duration
}

// Fraction is how much of the run is over, in [0, 1]: the larger of the fractions of steps and of time,
// of those that are limited.
func (p Progress) Fraction() float64 {
	f := 0.0
	if p.Steps > 0 {
		f = float64(p.Step) / float64(p.Steps)
	}
	if p.Limit > 0 {
		f = max(f, p.Elapsed.Seconds()/p.Limit.Seconds())
	}
	return min(f, 1)
}

// A Schedule is the factor of the learning rates at a step. One that looks at Elapsed makes a run that
// cannot be reproduced, for no two runs take the same time.
type Schedule func(Progress) float64

// ScheduleOptions shape a schedule.
type ScheduleOptions struct {
	// Warmup is the steps over which the factor rises linearly from 0.
	Warmup int
	// Floor is the factor at the end, of which the decay stops short: the factor is
	// Floor + (1−Floor)·shape. 0 lets it fall to 0.
	Floor float64
	// FollowTime lets the decay follow the larger of the fraction of steps after the warm-up and the
	// fraction of time, so that the learning rate has fallen when the time is over. Such a run is not
	// reproducible.
	FollowTime bool
}

// NewSchedule is the schedule called "cosine", "linear" or "constant". Without floor and time it agrees
// with package optim's and so with transformers' get_*_schedule_with_warmup.
func NewSchedule(name string, o ScheduleOptions) (Schedule, error) {
	var shape func(fraction float64) float64
	switch name {
	case "cosine":
		shape = func(f float64) float64 { return 0.5 * (1 + math.Cos(math.Pi*f)) }
	case "linear":
		shape = func(f float64) float64 { return 1 - f }
	case "constant":
		shape = func(float64) float64 { return 1 }
	default:
		return nil, fmt.Errorf("train: schedule %q is none of cosine, linear, constant", name)
	}
	if o.Warmup < 0 || !(o.Floor >= 0 && o.Floor <= 1) {
		return nil, fmt.Errorf("train: a schedule with %d steps of warm-up and a floor of %g: want 0 or more, and 0 to 1", o.Warmup, o.Floor)
	}
	return func(p Progress) float64 {
		if p.Step < o.Warmup {
			return float64(p.Step) / float64(o.Warmup)
		}
		f := 0.0
		if p.Steps > 0 {
			f = float64(p.Step-o.Warmup) / max(1, float64(p.Steps-o.Warmup))
		}
		if o.FollowTime && p.Limit > 0 {
			f = max(f, p.Elapsed.Seconds()/p.Limit.Seconds())
		}
		return o.Floor + (1-o.Floor)*shape(min(f, 1))
	}, nil
}
