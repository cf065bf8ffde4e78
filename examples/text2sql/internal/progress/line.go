// Package progress shows how far a long run is: one live line on a terminal, plain lines everywhere else.
//
// The live line is redrawn in place at most ten times a second, is never wider than the terminal, and keeps moving
// between updates, so that a step of half a minute does not look like a hang. A log file, a pipe or TERM=dumb gets a
// whole line every few seconds instead, without a single control sequence.
package progress

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	redrawInterval = 100 * time.Millisecond // at most ten redraws a second
	tickInterval   = 500 * time.Millisecond // how often the line moves by itself, with no update
	plainInterval  = 10 * time.Second
)

// A Mode says whether the line is redrawn in place.
type Mode int

const (
	Auto  Mode = iota // live when the writer is a terminal that can move its cursor
	Live              // always redrawn in place
	Plain             // always whole lines
)

// Options adjusts a Line. The zero value is right for standard error.
type Options struct {
	Mode       Mode
	Every      time.Duration       // plain: the least time between two lines; 0 means 10 s
	EverySteps int                 // plain: a line every so many steps instead, whatever the time; 0 means by time
	Width      func() int          // columns, asked at every redraw; nil asks the terminal
	Getenv     func(string) string // TERM, NO_COLOR, LANG and the like; nil means os.Getenv
	Now        func() time.Time    // the clock; nil means time.Now
}

// A Line is one line of progress. It may be used by several goroutines. After Done the next Update or Count begins a
// new line, so that one Line serves all phases of a run.
type Line struct {
	mu       sync.Mutex
	w        io.Writer
	o        Options
	term     terminal
	work     tracker
	active   bool          // something was shown since New or Done
	pending  bool          // the state is newer than what is shown
	shown    int           // columns of the live line on the screen
	drawn    time.Time     // of the last redraw or plain line
	drawnPos int           // step or count in the last plain line
	quit     chan struct{} // closed to stop the ticker; nil when none runs
}

// New returns a line that writes to w, commonly os.Stderr. Errors of w are ignored: progress is never worth a run.
func New(w io.Writer, o Options) *Line {
	if o.Every <= 0 {
		o.Every = plainInterval
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Width == nil {
		o.Width = widthOf(w)
	}
	return &Line{w: w, o: o, term: detect(w, o.Mode, o.Getenv)}
}

// Update shows a training run's state. It costs little when nothing is due to be drawn.
func (l *Line) Update(s State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.o.Now()
	if l.active && l.work.counting {
		l.end(now) // another kind of work: its last line stays
	}
	l.work.update(now, s)
	l.show(now)
}

// Count shows how many pieces of a job are done. A new label ends the line of the one before.
func (l *Line) Count(c Count) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.o.Now()
	c.Label = oneLine(c.Label)
	if l.active && (!l.work.counting || l.work.count.Label != c.Label) {
		l.end(now)
	}
	l.work.updateCount(now, c)
	l.show(now)
}

// Log prints a permanent line; a live line stays below it. Control characters in the text are made visible, for it
// may quote what a model wrote.
func (l *Line) Log(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := strings.TrimRight(visible(fmt.Sprintf(format, args...)), "\n") + "\n"
	if !l.term.live || !l.active {
		io.WriteString(l.w, text)
		return
	}
	erase := l.erase()
	l.draw(l.o.Now(), erase+text)
}

// Done shows the last state and leaves it standing on a line of its own.
func (l *Line) Done() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end(l.o.Now())
}

// show draws the new state if it is due. The mutex is held.
func (l *Line) show(now time.Time) {
	first := !l.active
	l.active, l.pending = true, true
	if l.term.live {
		if first || now.Sub(l.drawn) >= redrawInterval {
			l.draw(now, "")
		}
		l.startTicker()
		return
	}
	due := now.Sub(l.drawn) >= l.o.Every
	if l.o.EverySteps > 0 {
		gone := l.work.position() - l.drawnPos
		due = gone >= l.o.EverySteps || gone < 0
	}
	if first || due || l.work.finished() && l.work.position() != l.drawnPos {
		l.print(now)
	}
}

// print writes the state as a plain line. The mutex is held.
func (l *Line) print(now time.Time) {
	io.WriteString(l.w, l.work.view(now).plain()+"\n")
	l.drawn, l.drawnPos, l.pending = now, l.work.position(), false
}

// draw writes the live line after the prefix, in one write so that nothing tears. The mutex is held.
func (l *Line) draw(now time.Time, prefix string) {
	// The last column stays free: a cursor standing there makes some terminals wrap.
	text, shown := l.work.view(now).fit(max(l.o.Width()-1, 1), l.term)
	var b strings.Builder
	b.WriteString(prefix)
	b.WriteByte('\r')
	b.WriteString(text)
	if l.term.ansi {
		b.WriteString("\x1b[K")
	} else if pad := l.shown - shown; pad > 0 {
		b.WriteString(strings.Repeat(" ", pad))
	}
	io.WriteString(l.w, b.String())
	l.drawn, l.shown, l.pending = now, shown, false
}

// erase returns what clears the live line. The mutex is held.
func (l *Line) erase() string {
	if l.term.ansi {
		return "\r\x1b[K"
	}
	s := "\r" + strings.Repeat(" ", l.shown) + "\r"
	l.shown = 0
	return s
}

// end finishes the current line, if there is one. The mutex is held.
func (l *Line) end(now time.Time) {
	if l.quit != nil {
		close(l.quit)
		l.quit = nil
	}
	if !l.active {
		return
	}
	if l.term.live {
		l.draw(now, "")
		io.WriteString(l.w, "\n")
	} else if l.pending {
		l.print(now)
	}
	l.active, l.pending, l.shown, l.work = false, false, 0, tracker{}
}

// startTicker lets the live line move between updates. The mutex is held.
func (l *Line) startTicker() {
	if l.quit != nil {
		return
	}
	quit := make(chan struct{})
	l.quit = quit
	go func() {
		ticker := time.NewTicker(tickInterval)
		defer ticker.Stop()
		for {
			select {
			case <-quit:
				return
			case <-ticker.C:
				l.tick(quit)
			}
		}
	}()
}

// tick redraws the live line for the ticker that owns quit, unless that one was stopped meanwhile.
func (l *Line) tick(quit chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.o.Now()
	if l.quit == quit && l.active && now.Sub(l.drawn) >= redrawInterval {
		l.draw(now, "")
	}
}
