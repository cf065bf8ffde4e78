package report

import (
	"math"
	"strconv"
)

// A point of a curve; Y may be NaN, where the curve has a gap.
type point struct{ X, Y float64 }

const (
	maxPoints    = 1200 // of a drawn curve: more than any screen has columns for it
	smoothFrom   = 24   // steps: fewer speak for themselves
	smoothFrac   = 0.02 // of the run, to each side
	logFromRatio = 12   // a curve that falls by more is drawn on a logarithmic axis
)

// pointsOf returns one value of every step, infinities as gaps.
func pointsOf(steps []Step, value func(Step) float64) []point {
	points := make([]point, len(steps))
	for i, s := range steps {
		v := value(s)
		if math.IsInf(v, 0) {
			v = math.NaN()
		}
		points[i] = point{float64(s.Step), v}
	}
	return points
}

// smooth returns the points averaged over a window around each (two passes of a box, which is nearly a triangle):
// unlike a moving average of the past it does not lag. The window shrinks towards the start, so that the first value
// stays what it was.
func smooth(points []point) []point {
	if len(points) < smoothFrom {
		return nil
	}
	half := max(int(float64(len(points))*smoothFrac), 2)
	return box(box(points, half), half)
}

func box(points []point, half int) []point {
	n := len(points)
	sum, count := make([]float64, n+1), make([]int, n+1) // prefix sums: the cost does not depend on the window
	for i, p := range points {
		sum[i+1], count[i+1] = sum[i], count[i]
		if !math.IsNaN(p.Y) {
			sum[i+1] += p.Y
			count[i+1]++
		}
	}
	out := make([]point, n)
	for i, p := range points {
		h := min(half, i)
		from, to := i-h, min(i+h+1, n)
		out[i] = point{p.X, math.NaN()}
		if c := count[to] - count[from]; c > 0 && !math.IsNaN(p.Y) {
			out[i].Y = (sum[to] - sum[from]) / float64(c)
		}
	}
	return out
}

// thin returns at most maxPoints points that look the same: of each stretch, its lowest and its highest.
func thin(points []point) []point {
	if len(points) <= maxPoints {
		return points
	}
	out := make([]point, 0, maxPoints)
	buckets := maxPoints / 2
	for b := range buckets {
		stretch := points[b*len(points)/buckets : (b+1)*len(points)/buckets]
		lo, hi := -1, -1
		for i, p := range stretch {
			if math.IsNaN(p.Y) {
				continue
			}
			if lo < 0 || p.Y < stretch[lo].Y {
				lo = i
			}
			if hi < 0 || p.Y > stretch[hi].Y {
				hi = i
			}
		}
		if lo < 0 {
			out = append(out, stretch[0])
			continue
		}
		out = append(out, stretch[min(lo, hi)])
		if lo != hi {
			out = append(out, stretch[max(lo, hi)])
		}
	}
	return out
}

// An axis maps values to [0, 1].
type axis struct {
	lo, hi float64
	log    bool
	whole  bool // of whole numbers, which no tick may divide
}

// frac returns where v stands on the axis, outside [0, 1] for values beyond it.
func (a axis) frac(v float64) float64 {
	if a.log {
		return (math.Log(v) - math.Log(a.lo)) / (math.Log(a.hi) - math.Log(a.lo))
	}
	return (v - a.lo) / (a.hi - a.lo)
}

// bounds returns the least and the largest Y, and whether there is any.
func bounds(curves ...[]point) (lo, hi float64, ok bool) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, points := range curves {
		for _, p := range points {
			if !math.IsNaN(p.Y) {
				lo, hi, ok = min(lo, p.Y), max(hi, p.Y), true
			}
		}
	}
	return lo, hi, ok
}

// valueAxis returns an axis that holds the values of the curves with a little air, logarithmic where they span much.
func valueAxis(curves ...[]point) axis {
	lo, hi, ok := bounds(curves...)
	switch {
	case !ok:
		return axis{lo: 0, hi: 1}
	case lo > 0 && hi/lo > logFromRatio:
		return axis{lo: lo / 1.15, hi: hi * 1.1, log: true}
	case lo >= 0 && hi > 0:
		return axis{lo: 0, hi: hi * 1.08}
	case lo == hi:
		return axis{lo: lo - 1, hi: hi + 1}
	default:
		air := (hi - lo) * 0.06
		return axis{lo: lo - air, hi: hi + air}
	}
}

// stepAxis returns the axis of the steps, from 0.
func stepAxis(steps []Step, evals []Eval) axis {
	last := 1
	if len(steps) > 0 {
		last = max(last, steps[len(steps)-1].Step)
	}
	if len(evals) > 0 {
		last = max(last, evals[len(evals)-1].Step)
	}
	return axis{lo: 0, hi: float64(last), whole: true}
}

// ticks returns round values on the axis, about n of them.
func (a axis) ticks(n int) []float64 {
	if a.log {
		return logTicks(a, n)
	}
	step := roundStep((a.hi - a.lo) / float64(max(n, 1)))
	if a.whole {
		step = max(step, 1)
	}
	var out []float64
	for k := math.Ceil(a.lo / step); k*step <= a.hi*(1+1e-12) && len(out) <= 4*n; k++ {
		out = append(out, k*step)
	}
	return out
}

// roundStep returns the next step of the kind 1, 2, 5 times a power of ten.
func roundStep(v float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if v <= m*unit*(1+1e-12) {
			return m * unit
		}
	}
	return 10 * unit
}

// logTicks takes 1, 2 and 5 of each decade, or fewer of them where that is too many.
func logTicks(a axis, n int) []float64 {
	var out []float64
	for _, of := range [][]float64{{1, 2, 5}, {1, 3}, {1}} {
		out = out[:0]
		for e := math.Floor(math.Log10(a.lo)); e <= math.Ceil(math.Log10(a.hi)); e++ {
			for _, m := range of {
				if v := m * math.Pow(10, e); v >= a.lo && v <= a.hi {
					out = append(out, v)
				}
			}
		}
		if len(out) <= n+2 {
			break
		}
	}
	for len(out) > 2*n { // dozens of decades
		kept := out[:0]
		for i := 0; i < len(out); i += 2 {
			kept = append(kept, out[i])
		}
		out = kept
	}
	return out
}

// label writes a tick's value as short as it goes.
func label(v float64) string {
	a := math.Abs(v)
	switch {
	case a == 0:
		return "0"
	case a >= 1e6 || a < 1e-3:
		return exponent(v)
	case a >= 1000:
		return thousands(int64(math.Round(v)))
	default:
		return strconv.FormatFloat(math.Round(v*1e6)/1e6, 'f', -1, 64)
	}
}

// exponent writes v as 2e-5, without the zeros of 2e-05.
func exponent(v float64) string {
	e := math.Floor(math.Log10(math.Abs(v)) + 1e-9)
	m := math.Round(v/math.Pow(10, e)*100) / 100
	return strconv.FormatFloat(m, 'f', -1, 64) + "e" + strconv.Itoa(int(e))
}
