package progress

import (
	"math"
	"time"
)

// A rate is a speed smoothed over time: an exponential moving average whose weights depend on the seconds between two
// observations, not on their number, so that quick and slow steps count alike. Its start is bias-corrected as in Adam.
type rate struct {
	started  bool
	at       time.Time
	done     float64
	sum, wgt float64
}

const rateMemory = 20 // seconds after which an observation has lost 63 % of its weight

// observe adds "so much is done at this time". Work that goes backwards starts anew.
func (r *rate) observe(at time.Time, done float64) {
	if !r.started || done < r.done {
		*r = rate{started: true, at: at, done: done}
		return
	}
	dt := at.Sub(r.at).Seconds()
	if dt <= 0 || done == r.done {
		return // nothing happened yet: the time until the next advance belongs to it
	}
	a := -math.Expm1(-dt / rateMemory)
	r.sum += a * ((done-r.done)/dt - r.sum)
	r.wgt += a * (1 - r.wgt)
	r.at, r.done = at, done
}

// perSecond returns the smoothed speed, or 0 before two observations.
func (r *rate) perSecond() float64 {
	if r.wgt == 0 {
		return 0
	}
	return r.sum / r.wgt
}

// left returns the time until total is done, and whether it is known.
func (r *rate) left(total float64) (time.Duration, bool) {
	v := r.perSecond()
	if v <= 0 {
		return 0, false
	}
	const longest = 1000 * 24 * 3600
	return time.Duration(min(max(total-r.done, 0)/v, longest) * float64(time.Second)), true
}
