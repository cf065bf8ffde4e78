package progress

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"
)

// clock is a clock that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Unix(1_700_000_000, 0)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

var xterm = env("TERM", "xterm-256color", "LANG", "en_US.UTF-8")

func liveLine(w *bytes.Buffer, c *clock, width int, getenv func(string) string) *Line {
	return New(w, Options{Mode: Live, Now: c.Now, Getenv: getenv, Width: func() int { return width }})
}

// screen plays what was written on a terminal of the given width, which wraps, and returns its rows.
func screen(t *testing.T, written string, width int) []string {
	t.Helper()
	rows, x := [][]rune{nil}, 0
	in := []rune(written)
	for i := 0; i < len(in); i++ {
		last := len(rows) - 1
		switch r := in[i]; r {
		case '\r':
			x = 0
		case '\n':
			rows, x = append(rows, nil), 0
		case '\x1b':
			j := i + 2
			for j < len(in) && (in[j] < '@' || in[j] > '~') {
				j++
			}
			switch in[j] {
			case 'K':
				rows[last] = rows[last][:min(x, len(rows[last]))]
			case 'm':
			default:
				t.Fatalf("unexpected escape sequence %q", string(in[i:j+1]))
			}
			i = j
		default:
			if x >= width {
				rows, x = append(rows, nil), 0
				last++
			}
			for len(rows[last]) <= x {
				rows[last] = append(rows[last], ' ')
			}
			rows[last][x] = r
			x++
		}
	}
	out := make([]string, len(rows))
	for i, row := range rows {
		out[i] = strings.TrimRight(string(row), " ")
	}
	return out
}

func lastRow(t *testing.T, w *bytes.Buffer, width int) string {
	t.Helper()
	rows := screen(t, w.String(), width)
	return rows[len(rows)-1]
}

func TestLiveLineShowsStepBarLossSpeedAndTimeLeft(t *testing.T) {
	var w bytes.Buffer
	c := newClock()
	l := liveLine(&w, c, 80, xterm)
	defer l.Done()
	l.Update(State{Step: 412, Steps: 2200, Loss: 0.5, TokensPerSecond: 18150})
	c.advance(40 * time.Second)
	l.Update(State{Step: 812, Steps: 2200, Loss: 0.214, TokensPerSecond: 18150})
	want := "step  812/2200  █████████▌────────────────  loss 0.214  18.1k tok/s  2m19s left"
	if got := lastRow(t, &w, 80); got != want {
		t.Errorf("live line:\n got %q\nwant %q", got, want)
	}
}

func TestLiveLineNeverWraps(t *testing.T) {
	for width := 1; width <= 130; width++ {
		for _, getenv := range []func(string) string{xterm, env("TERM", "xterm", "NO_COLOR", "1"), env()} {
			var w bytes.Buffer
			c := newClock()
			l := liveLine(&w, c, width, getenv)
			for step := range 30 {
				c.advance(time.Second)
				l.Update(State{Step: 100 * step, Steps: 3000, Loss: 12.5, TokensPerSecond: 1.5e6, Note: "saving checkpoint"})
			}
			l.Count(Count{Label: "質問に答える", Done: 3, Total: 9, Judged: 3, Correct: 2})
			l.Done()
			if rows := screen(t, w.String(), width); len(rows) != 3 {
				t.Fatalf("width %d: %d rows, want 2 and an empty one:\n%s", width, len(rows), strings.Join(rows, "\n"))
			}
		}
	}
}

func TestNarrowLineKeepsWhatMattersMost(t *testing.T) {
	v := view{fraction: 0.5, fields: []field{
		{text: "step 5/10"}, {bar: true, drop: 1}, {text: "loss 0.100", drop: 2},
		{text: "18.2k tok/s", drop: 4}, {text: "5s left", drop: 3}, {text: "saving", drop: 5},
	}}
	for _, test := range []struct {
		width int
		want  string
	}{
		{200, "step 5/10  ##############--------------  loss 0.100  18.2k tok/s  5s left  saving"},
		{69, "step 5/10  ########--------  loss 0.100  18.2k tok/s  5s left  saving"},
		{59, "step 5/10  ###---  loss 0.100  18.2k tok/s  5s left  saving"},
		{58, "step 5/10  ######-------  loss 0.100  18.2k tok/s  5s left"},
		{40, "step 5/10  ####----  loss 0.100  5s left"},
		{30, "step 5/10  ###----  loss 0.100"},
		{18, "step 5/10  ###----"},
		{9, "step 5/10"},
		{6, "step 5"},
	} {
		got, used := v.fit(test.width, terminal{live: true})
		if got != test.want || used != len(test.want) {
			t.Errorf("width %d:\n got %q (%d columns)\nwant %q", test.width, got, used, test.want)
		}
	}
}

func TestRedrawsAtMostTenTimesASecond(t *testing.T) {
	var w bytes.Buffer
	c := newClock()
	l := liveLine(&w, c, 80, xterm)
	for step := range 1000 {
		l.Update(State{Step: step, Steps: 1000})
		c.advance(time.Millisecond)
	}
	if n := strings.Count(w.String(), "\r"); n < 9 || n > 10 {
		t.Errorf("1,000 updates in a second redrew the line %d times, want 9 or 10", n)
	}
	l.Done()
	if rows := screen(t, w.String(), 80); !strings.HasPrefix(rows[0], "step  999/1000") {
		t.Errorf("Done left %q standing, want the last state", rows[0])
	}
}

func TestLineMovesBetweenUpdates(t *testing.T) {
	var w bytes.Buffer
	c := newClock()
	l := liveLine(&w, c, 80, xterm)
	defer l.Done()
	l.Update(State{Step: 1, Steps: 9, Loss: 1, Elapsed: 30 * time.Second, MaxTime: time.Minute})
	c.advance(5 * time.Second)
	l.mu.Lock()
	quit := l.quit
	l.mu.Unlock()
	l.tick(quit)
	if got := lastRow(t, &w, 80); !strings.HasSuffix(got, "25s left") {
		t.Errorf("five seconds later the line reads %q, want 25s left", got)
	}
}

func TestTickOfAStoppedTickerDrawsNothing(t *testing.T) {
	var w bytes.Buffer
	c := newClock()
	l := liveLine(&w, c, 80, xterm)
	l.Update(State{Step: 1, Steps: 9})
	old := l.quit
	l.Done()
	l.Update(State{Step: 1, Steps: 9})
	defer l.Done()
	c.advance(time.Second)
	before := w.Len()
	l.tick(old)
	if w.Len() != before {
		t.Errorf("a stopped ticker wrote %q", w.String()[before:])
	}
}

func TestLogStandsAboveTheLiveLine(t *testing.T) {
	for name, getenv := range map[string]func(string) string{"escape sequences": xterm, "spaces": env()} {
		var w bytes.Buffer
		c := newClock()
		l := liveLine(&w, c, 80, getenv)
		l.Update(State{Step: 10, Steps: 100, Loss: 1})
		l.Log("saved %s", "step-000010")
		l.Update(State{Step: 11, Steps: 100, Loss: 1})
		l.Done()
		rows := screen(t, w.String(), 80)
		if len(rows) != 3 || rows[0] != "saved step-000010" || !strings.HasPrefix(rows[1], "step  11/100") {
			t.Errorf("erasing by %s: %q", name, rows)
		}
	}
}

func TestLogDisarmsControlSequences(t *testing.T) {
	var w bytes.Buffer
	l := New(&w, Options{Mode: Plain})
	l.Log("predicted %s", "SELECT 1\x1b]0;owned\x07\xff")
	if got, want := w.String(), "predicted SELECT 1\ufffd]0;owned\ufffd\ufffd\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPlainLinesComeByTimeAndAtTheEnd(t *testing.T) {
	var w bytes.Buffer
	c := newClock()
	l := New(&w, Options{Now: c.Now, Getenv: xterm, Every: 10 * time.Second})
	for step := 1; step <= 35; step++ {
		l.Update(State{Step: step, Steps: 35, Loss: 1, TokensPerSecond: 500})
		c.advance(time.Second)
	}
	l.Done()
	want := `step  1/35  loss 1.000  500 tok/s
step 11/35  loss 1.000  500 tok/s  24s left
step 21/35  loss 1.000  500 tok/s  14s left
step 31/35  loss 1.000  500 tok/s  4s left
step 35/35  loss 1.000  500 tok/s
`
	if got := w.String(); got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}

func TestPlainLinesComeBySteps(t *testing.T) {
	var w bytes.Buffer
	c := newClock()
	l := New(&w, Options{Now: c.Now, Getenv: xterm, EverySteps: 4})
	for step := range 11 {
		l.Update(State{Step: step})
		c.advance(time.Hour)
	}
	l.Done()
	if got, want := w.String(), "step 0\nstep 4  loss 0.000\nstep 8  loss 0.000\nstep 10  loss 0.000\n"; got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}

func TestCountShowsAccuracySoFar(t *testing.T) {
	var w bytes.Buffer
	c := newClock()
	l := New(&w, Options{Now: c.Now, Getenv: xterm, EverySteps: 100})
	l.Count(Count{Label: "held-out", Total: 240})
	c.advance(10 * time.Second)
	l.Count(Count{Label: "held-out", Done: 120, Total: 240, Judged: 120, Correct: 114})
	l.Count(Count{Label: "unseen", Done: 1, Total: 2})
	l.Done()
	want := "held-out   0/240\nheld-out 120/240  95.0 % right  10s left\nunseen 1/2\n"
	if got := w.String(); got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}

func TestTimeLeftIsOfTheLimitReachedFirst(t *testing.T) {
	var w tracker
	start := time.Unix(0, 0)
	s := State{Step: 0, Steps: 1000, MaxTokens: 400, MaxTime: time.Hour}
	w.update(start, s)
	s.Step, s.Tokens, s.Elapsed = 10, 100, 10*time.Second
	w.update(start.Add(10*time.Second), s)
	v := w.view(start.Add(10 * time.Second))
	if got := v.fields[len(v.fields)-1].text; got != "30s left" {
		t.Errorf("300 of 400 tokens to go at 10 a second: %q, want 30s left", got)
	}
	if v.fraction != 0.25 {
		t.Errorf("fraction %g, want that of the tokens, 0.25", v.fraction)
	}
	s.MaxTime = 25 * time.Second
	w.update(start.Add(10*time.Second), s)
	v = w.view(start.Add(12 * time.Second))
	if got := v.fields[len(v.fields)-1].text; got != "13s left" {
		t.Errorf("12 of 25 seconds gone: %q, want 13s left", got)
	}
}

func TestRateForgetsASlowStart(t *testing.T) {
	var r rate
	at, done := time.Unix(0, 0), 0.0
	r.observe(at, done)
	for range 10 { // one a second
		at, done = at.Add(time.Second), done+1
		r.observe(at, done)
	}
	if v := r.perSecond(); math.Abs(v-1) > 1e-9 {
		t.Errorf("a constant rate of 1 is smoothed to %g", v)
	}
	for range 1000 { // ten a second
		at, done = at.Add(100*time.Millisecond), done+1
		r.observe(at, done)
	}
	if v := r.perSecond(); v < 9.5 || v > 10 {
		t.Errorf("after 100 s at 10 a second the rate is %g", v)
	}
}

func TestDetectFollowsTheEnvironment(t *testing.T) {
	for _, test := range []struct {
		name string
		mode Mode
		env  []string
		want terminal
	}{
		{"a modern terminal", Live, []string{"TERM", "xterm", "LANG", "C.UTF-8"}, terminal{live: true, ansi: true, colour: true, unicode: true}},
		{"NO_COLOR", Live, []string{"TERM", "xterm", "NO_COLOR", "1", "LANG", "C.UTF-8"}, terminal{live: true, ansi: true}},
		{"a dumb terminal", Live, []string{"TERM", "dumb"}, terminal{live: true}},
		{"a buffer", Auto, []string{"TERM", "xterm", "LC_ALL", "C.UTF-8"}, terminal{ansi: true, unicode: true}},
	} {
		if got := detect(new(bytes.Buffer), test.mode, env(test.env...)); got != test.want {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
}

func TestNumbersAreShortAndAligned(t *testing.T) {
	for v, want := range map[float64]string{0.5: "0.50", 9.87: "9.87", 812: "812", 999.6: "1.00k", 18150: "18.1k", 99960: "100k", 1.24e6: "1.24M"} {
		if got := formatCount(v); got != want {
			t.Errorf("formatCount(%g) = %q, want %q", v, got, want)
		}
	}
	for v, want := range map[float64]string{6.93147: "6.931", 0.214: "0.214", 0.00421: "0.00421", 3e-6: "3.00e-06", 12345: "1.23e+04", 0: "0.000", math.NaN(): "NaN", math.Inf(1): "Inf"} {
		if got := formatLoss(v); got != want {
			t.Errorf("formatLoss(%g) = %q, want %q", v, got, want)
		}
	}
	for d, want := range map[time.Duration]string{45 * time.Second: "45s", 72 * time.Second: "1m12s", 2*time.Hour + 3*time.Minute: "2h03m", 76 * time.Hour: "3d04h"} {
		if got := formatDuration(d); got != want {
			t.Errorf("formatDuration(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestSeveralGoroutinesShareALine(t *testing.T) {
	var w bytes.Buffer
	l := New(&w, Options{Mode: Live, Getenv: xterm, Width: func() int { return 80 }})
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 50 {
				l.Update(State{Step: i, Steps: 50})
				l.Log("worker %d", g)
			}
		})
	}
	wg.Wait()
	l.Done()
	logs := 0
	for _, row := range screen(t, w.String(), 80) {
		var g int
		if n, _ := fmt.Sscanf(row, "worker %d", &g); n == 1 {
			logs++
		}
	}
	if logs != 200 {
		t.Errorf("%d of 200 logged lines are whole", logs)
	}
}
