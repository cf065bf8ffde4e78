package train

import (
	"math"
	"slices"
)

// The constants of the guard against spikes. Decay and warm-up are ZClip's.
const (
	guardDecay  = 0.97
	guardWarmup = 25
	// guardSpread is the least deviation, in parts of the mean: where gradients hardly vary, as at the end of
	// a run that has learned its data by heart, a few per cent more are no spike.
	guardSpread = 0.5
	// madToDeviation makes a standard deviation of the median absolute deviation of a normal distribution.
	madToDeviation = 1.4826
)

// guard tells gradient norms that stand out: those with a z-score against an exponential moving mean and
// variance above a threshold, as ZClip tells them (Kumar et al., "ZClip: Adaptive Spike Mitigation for LLM
// Pre-Training", 2025). ZClip scales such gradients down; here their step is skipped, as the
// SkipStepOptimizer of OLMo-core does, for a batch is cheap and one that goes so far out has seldom anything
// to teach.
//
// It is part of trainer.json: a resumed run skips what an uninterrupted one skips.
type guard struct {
	First    []float64 `json:"first,omitempty"` // the norms so far, until they are guardWarmup
	Mean     float64   `json:"mean"`            // 0 until then
	Variance float64   `json:"variance"`
}

// limit is the largest norm that is no spike: infinite before the guard has seen enough, or if threshold is 0.
func (g *guard) limit(threshold float64) float64 {
	if threshold == 0 || g.Mean == 0 {
		return math.Inf(1)
	}
	return g.Mean + threshold*g.deviation()
}

func (g *guard) deviation() float64 { return max(math.Sqrt(g.Variance), guardSpread*g.Mean) }

// observe takes a finite norm in and reports whether it is a spike. Of a spike the statistics take ZClip's
// reciprocal, the nearer to the mean the further out the norm is: a few slight spikes in a row are a new
// level that is soon accepted, and enormous ones stay spikes, until Config.MaxSkipped ends the run.
func (g *guard) observe(norm, threshold float64) (spike bool) {
	switch {
	case threshold == 0:
		return false
	case g.Mean == 0:
		g.begin(norm)
		return false
	}
	if spike = norm > g.limit(threshold); spike {
		z := (norm - g.Mean) / g.deviation()
		norm = g.Mean + threshold*threshold/z*g.deviation()
	}
	g.Mean = guardDecay*g.Mean + (1-guardDecay)*norm
	d := norm - g.Mean
	g.Variance = guardDecay*g.Variance + (1-guardDecay)*d*d
	return spike
}

// begin gathers the first norms. Their median and median absolute deviation begin the statistics, which a
// spike among them does not move.
func (g *guard) begin(norm float64) {
	g.First = append(g.First, norm)
	if len(g.First) < guardWarmup {
		return
	}
	slices.Sort(g.First)
	g.Mean = g.First[guardWarmup/2]
	for i, x := range g.First {
		g.First[i] = math.Abs(x - g.Mean)
	}
	slices.Sort(g.First)
	deviation := madToDeviation * g.First[guardWarmup/2]
	g.Variance, g.First = deviation*deviation, nil
}
