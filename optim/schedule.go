package optim

import "math"

// A Schedule is the factor of the learning rate at a step, counted from 0. The schedules agree with
// transformers' get_*_schedule_with_warmup: the factor rises linearly from 0 over the warm-up, then falls
// (or not) until the last step.
type Schedule func(step int) float64

// Constant keeps the factor at 1 after the warm-up.
func Constant(warmup int) Schedule {
	return func(step int) float64 { return ramp(step, warmup, 1) }
}

// Linear falls in a straight line to 0 at step total.
func Linear(warmup, total int) Schedule {
	return func(step int) float64 {
		return ramp(step, warmup, math.Max(0, float64(total-step)/math.Max(1, float64(total-warmup))))
	}
}

// Cosine falls along half a cosine to 0 at step total. (Loshchilov and Hutter, "SGDR", 2017.)
func Cosine(warmup, total int) Schedule {
	return func(step int) float64 {
		progress := math.Min(1, float64(step-warmup)/math.Max(1, float64(total-warmup)))
		return ramp(step, warmup, math.Max(0, 0.5*(1+math.Cos(math.Pi*progress))))
	}
}

func ramp(step, warmup int, after float64) float64 {
	if step < warmup {
		return float64(step) / float64(warmup)
	}
	return after
}
