package optim

import (
	"fmt"
	"math"
	"slices"
)

// A Schedule is the factor of the learning rate at a step, counted from 0; an Optimizer takes it by
// SetFactor. It holds no state, so that a run is resumed by its step alone, and may be used by several
// goroutines. Schedules are composed: Warmup(100, Cosine(0, 900).Above(0.1)) rises for 100 steps, then
// falls for 900 to a tenth.
//
// Where PyTorch has a scheduler of the name, the values are its own, divided by the learning rate.
// Makers panic where numbers make no sense.
type Schedule func(step int) float64

// Constant keeps the factor at 1 after the warm-up. Constant, Linear and Cosine agree with transformers'
// get_*_schedule_with_warmup: the factor rises linearly from 0 over the warm-up steps.
func Constant(warmup int) Schedule {
	wantSteps("Constant", "warmup", warmup, 0)
	return func(step int) float64 { return ramp(step, warmup, 1) }
}

// Linear falls in a straight line to 0 at step total, of which the first warmup steps rise.
func Linear(warmup, total int) Schedule {
	wantSteps("Linear", "warmup", warmup, 0)
	return func(step int) float64 {
		return ramp(step, warmup, math.Max(0, float64(total-step)/math.Max(1, float64(total-warmup))))
	}
}

// Cosine falls along half a cosine to 0 at step total, of which the first warmup steps rise. (Loshchilov
// and Hutter, "SGDR", 2017.)
func Cosine(warmup, total int) Schedule {
	wantSteps("Cosine", "warmup", warmup, 0)
	return func(step int) float64 {
		progress := math.Min(1, float64(step-warmup)/math.Max(1, float64(total-warmup)))
		return ramp(step, warmup, math.Max(0, halfCosine(progress)))
	}
}

func ramp(step, warmup int, after float64) float64 {
	if step < warmup {
		return float64(step) / float64(warmup)
	}
	return after
}

// CosineRestarts falls along half a cosine to 0 and begins at 1 again: first after period steps, then each
// time after growth times as many. (Loshchilov and Hutter, "SGDR", 2017; PyTorch's
// CosineAnnealingWarmRestarts.)
func CosineRestarts(period, growth int) Schedule {
	wantSteps("CosineRestarts", "period", period, 1)
	wantSteps("CosineRestarts", "growth", growth, 1)
	return func(step int) float64 {
		length := period
		if growth == 1 {
			step %= period
		}
		for step >= length {
			step -= length
			length *= growth
		}
		return halfCosine(float64(step) / float64(length))
	}
}

// halfCosine falls from 1 to 0.
func halfCosine(progress float64) float64 { return 0.5 * (1 + math.Cos(math.Pi*progress)) }

// StepDecay multiplies by gamma after every so many steps: gammaⁿ, n = step/every. (PyTorch's StepLR.)
func StepDecay(every int, gamma float64) Schedule {
	wantSteps("StepDecay", "every", every, 1)
	wantGamma("StepDecay", gamma)
	return func(step int) float64 { return math.Pow(gamma, float64(step/every)) }
}

// MultiStep multiplies by gamma at each of the steps, which ascend. (PyTorch's MultiStepLR.)
func MultiStep(gamma float64, steps ...int) Schedule {
	wantGamma("MultiStep", gamma)
	if !slices.IsSorted(steps) {
		panic(fmt.Sprintf("optim: MultiStep: the steps are %v, want them in ascending order", steps))
	}
	steps = slices.Clone(steps)
	return func(step int) float64 {
		passed, _ := slices.BinarySearch(steps, step+1)
		return math.Pow(gamma, float64(passed))
	}
}

// Exponential multiplies by gamma at every step. (PyTorch's ExponentialLR.)
func Exponential(gamma float64) Schedule {
	wantGamma("Exponential", gamma)
	return func(step int) float64 { return math.Pow(gamma, float64(step)) }
}

// OneCycleConfig shapes OneCycle. Zero fields stand for PyTorch's defaults.
type OneCycleConfig struct {
	Rise   float64 // 0.3: the part of the steps in which the factor rises
	Start  float64 // 1/25: the factor of the first step
	End    float64 // Start/10⁴: that of the last one
	Linear bool    // straight lines rather than halves of cosines
}

// OneCycle rises to 1 and falls, over total steps, to far below where it began; it stays there. (Smith and
// Topin, "Super-Convergence", 2018; PyTorch's OneCycleLR, the learning rate being its max_lr and the
// momentum left alone.)
func OneCycle(total int, c OneCycleConfig) Schedule {
	wantSteps("OneCycle", "total", total, 2)
	if c.Rise == 0 {
		c.Rise = 0.3
	}
	if c.Start == 0 {
		c.Start = 1. / 25
	}
	if c.End == 0 {
		c.End = c.Start / 1e4
	}
	if !(c.Rise > 0 && c.Rise < 1 && c.Start > 0 && c.Start <= 1 && c.End >= 0 && c.End <= 1) {
		panic(fmt.Sprintf("optim: OneCycle: rise %g, start %g and end %g; want each between 0 and 1", c.Rise, c.Start, c.End))
	}
	between := func(from, to, progress float64) float64 {
		if c.Linear {
			return from + (to-from)*progress
		}
		return to + (from-to)*halfCosine(progress)
	}
	peak, last := max(0, c.Rise*float64(total)-1), float64(total-1)
	return func(step int) float64 {
		at := min(float64(step), last)
		if at < peak {
			return between(c.Start, 1, at/peak)
		}
		return between(1, c.End, (at-peak)/(last-peak))
	}
}

// Warmup rises linearly from 0 over the given steps and goes on with next, which counts from there.
func Warmup(steps int, next Schedule) Schedule {
	wantSteps("Warmup", "steps", steps, 0)
	return Constant(steps).Then(steps, next)
}

// Then follows s up to the given step and next from there on, which counts from there. (PyTorch's
// SequentialLR.)
func (s Schedule) Then(step int, next Schedule) Schedule {
	wantSteps("Then", "step", step, 0)
	return func(at int) float64 {
		if at < step {
			return s(at)
		}
		return next(at - step)
	}
}

// Above lifts a schedule between 0 and 1 to one between floor and 1: floor + (1−floor)·factor. (Cosine with
// PyTorch's eta_min, relative to the learning rate.)
func (s Schedule) Above(floor float64) Schedule {
	if !(floor >= 0 && floor <= 1) {
		panic(fmt.Sprintf("optim: Above: the floor is %g, want 0 to 1", floor))
	}
	return func(step int) float64 { return floor + (1-floor)*s(step) }
}

func wantSteps(op, name string, got, least int) {
	if got < least {
		panic(fmt.Sprintf("optim: %s: %s is %d, want %d or more", op, name, got, least))
	}
}

func wantGamma(op string, gamma float64) {
	if !(gamma > 0) || math.IsInf(gamma, 0) {
		panic(fmt.Sprintf("optim: %s: gamma is %g, want it positive", op, gamma))
	}
}
