package progress

import (
	"fmt"
	"math"
	"time"
)

// A State is where a training run stands. Of the three limits (Steps, MaxTokens, MaxTime) any may be zero, for none;
// the run is as far as the limit that it is nearest to.
type State struct {
	Step, Steps       int
	Tokens, MaxTokens int64
	Elapsed, MaxTime  time.Duration
	Loss              float64 // not shown at step 0; NaN is shown, for it is news
	TokensPerSecond   float64 // 0: worked out from Tokens
	Note              string  // a word or two at the end, such as "saving"
}

// A Count is where a job of so many equal pieces stands: questions to answer, rows to encode.
type Count struct {
	Label           string // what is counted, such as "held-out"
	Done, Total     int    // Total 0: not known
	Judged, Correct int    // Judged 0: no accuracy is shown
	Note            string
}

// A view is one state, ready to be laid out in any width: the fields in the order of the line, each with the rank at
// which it is dropped when the line is too narrow (0 never, then the highest first).
type view struct {
	fraction float64 // 0 to 1, or NaN when there is no limit
	fields   []field
}

type field struct {
	text  string
	style style
	drop  int
	bar   bool // the bar stands here
}

// tracker remembers what a State or Count needs beyond itself: its rates, and when it came.
type tracker struct {
	at            time.Time
	state         State
	count         Count
	counting      bool
	steps, tokens rate
}

func (t *tracker) update(now time.Time, s State) {
	if t.counting || s.Step < t.state.Step {
		*t = tracker{}
	}
	t.at, t.state = now, s
	t.steps.observe(now, float64(s.Step))
	t.tokens.observe(now, float64(s.Tokens))
}

func (t *tracker) updateCount(now time.Time, c Count) {
	if !t.counting || c.Label != t.count.Label || c.Done < t.count.Done {
		*t = tracker{counting: true}
	}
	t.at, t.count = now, c
	t.steps.observe(now, float64(c.Done))
}

// finished reports whether the work is complete.
func (t *tracker) finished() bool {
	if t.counting {
		return t.count.Total > 0 && t.count.Done >= t.count.Total
	}
	return t.state.Steps > 0 && t.state.Step >= t.state.Steps
}

func (t *tracker) position() int {
	if t.counting {
		return t.count.Done
	}
	return t.state.Step
}

func (t *tracker) view(now time.Time) view {
	if t.counting {
		return t.viewCount(now)
	}
	return t.viewState(now)
}

func (t *tracker) viewState(now time.Time) view {
	s, since := t.state, now.Sub(t.at)
	v := view{fraction: math.NaN()}
	reach := func(done, total float64) {
		if total > 0 {
			v.fraction = fmax(v.fraction, min(max(done/total, 0), 1))
		}
	}
	reach(float64(s.Step), float64(s.Steps))
	reach(float64(s.Tokens), float64(s.MaxTokens))
	reach(float64(s.Elapsed+since), float64(s.MaxTime))

	left, known := time.Duration(math.MaxInt64), false
	limit := func(d time.Duration, ok bool) {
		if ok {
			left, known = min(left, max(d, 0)), true
		}
	}
	if s.Steps > 0 {
		d, ok := t.steps.left(float64(s.Steps))
		limit(d-since, ok)
	}
	if s.MaxTokens > 0 {
		d, ok := t.tokens.left(float64(s.MaxTokens))
		limit(d-since, ok)
	}
	if s.MaxTime > 0 {
		limit(s.MaxTime-s.Elapsed-since, true)
	}

	v.fields = append(v.fields, field{text: "step " + ofTotal(s.Step, s.Steps)}, field{bar: true, drop: 1})
	if s.Step > 0 {
		look := strong
		if math.IsNaN(s.Loss) || math.IsInf(s.Loss, 0) {
			look = alarm
		}
		v.fields = append(v.fields, field{text: "loss " + formatLoss(s.Loss), style: look, drop: 2})
	}
	speed := s.TokensPerSecond
	if speed == 0 {
		speed = t.tokens.perSecond()
	}
	if speed > 0 {
		v.fields = append(v.fields, field{text: formatCount(speed) + " tok/s", drop: 4})
	}
	v.addTail(left, known && !t.finished(), s.Elapsed+since, s.Elapsed > 0, s.Note)
	return v
}

func (t *tracker) viewCount(now time.Time) view {
	c := t.count
	v := view{fraction: math.NaN()}
	head := ofTotal(c.Done, c.Total)
	if c.Label != "" {
		head = c.Label + " " + head
	}
	v.fields = append(v.fields, field{text: head}, field{bar: true, drop: 1})
	if c.Judged > 0 {
		right := 100 * float64(c.Correct) / float64(c.Judged)
		v.fields = append(v.fields, field{text: fmt.Sprintf("%.1f %% right", right), style: strong, drop: 2})
	}
	left, known := time.Duration(0), false
	if c.Total > 0 {
		v.fraction = min(max(float64(c.Done)/float64(c.Total), 0), 1)
		left, known = t.steps.left(float64(c.Total))
		left = max(left-now.Sub(t.at), 0)
	}
	v.addTail(left, known && !t.finished(), 0, false, c.Note)
	return v
}

// addTail ends the line with the time left or, where nobody knows it, the time spent; then the note.
func (v *view) addTail(left time.Duration, leftKnown bool, spent time.Duration, spentKnown bool, note string) {
	switch {
	case leftKnown:
		v.fields = append(v.fields, field{text: formatDuration(left) + " left", style: faint, drop: 3})
	case spentKnown:
		v.fields = append(v.fields, field{text: formatDuration(spent), style: faint, drop: 3})
	}
	if note != "" {
		v.fields = append(v.fields, field{text: oneLine(note), style: faint, drop: 5})
	}
}

// fmax is the larger of a and b, where NaN stands for "none".
func fmax(a, b float64) float64 {
	if math.IsNaN(a) {
		return b
	}
	return max(a, b)
}
