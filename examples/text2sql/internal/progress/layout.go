package progress

import (
	"math"
	"slices"
	"strings"
)

// A style is an SGR parameter list (ECMA-48, 8.3.117), empty for the terminal's own look.
type style string

const (
	strong style = "1"
	faint  style = "2"
	alarm  style = "1;31"
	accent style = "36"
)

const (
	gap       = "  "
	widestBar = 28 // columns: more says nothing more
	slimmest  = 6  // columns: less says nothing
)

// plain lays the view out as a whole line of a log: every field, no bar, no styles.
func (v view) plain() string {
	var texts []string
	for _, f := range v.fields {
		if !f.bar {
			texts = append(texts, strings.TrimSpace(f.text))
		}
	}
	return strings.Join(texts, gap)
}

// fit lays the view out in at most width columns: first the bar shrinks, then fields go by their rank, and at last
// what remains is cut. It returns the text and its columns.
func (v view) fit(width int, t terminal) (text string, used int) {
	fields := slices.Clone(v.fields)
	if math.IsNaN(v.fraction) {
		fields = slices.DeleteFunc(fields, func(f field) bool { return f.bar })
	}
	for {
		room := width - fixedColumns(fields)
		bar := slices.ContainsFunc(fields, func(f field) bool { return f.bar })
		if room >= slimmest || !bar && room >= 0 {
			return paint(fields, v.fraction, min(room, widestBar), width, t)
		}
		i := nextToDrop(fields)
		if i < 0 {
			return paint(fields, v.fraction, 0, width, t)
		}
		fields = slices.Delete(fields, i, i+1)
	}
}

// fixedColumns counts the columns of everything but the bar, gaps included.
func fixedColumns(fields []field) int {
	n := len(gap) * max(len(fields)-1, 0)
	for _, f := range fields {
		n += columns(f.text)
	}
	return n
}

// nextToDrop returns the index of the field of the highest rank, or -1 if none may go.
func nextToDrop(fields []field) int {
	best := -1
	for i, f := range fields {
		if f.drop > 0 && (best < 0 || f.drop > fields[best].drop) {
			best = i
		}
	}
	return best
}

func paint(fields []field, fraction float64, bar, width int, t terminal) (text string, used int) {
	var b strings.Builder
	for i, f := range fields {
		if i > 0 {
			b.WriteString(gap)
			used += len(gap)
		}
		if f.bar {
			done, rest := drawBar(fraction, bar, t.unicode)
			t.write(&b, done, accent)
			t.write(&b, rest, faint)
			used += bar
			continue
		}
		text := cut(f.text, max(width-used, 0))
		t.write(&b, text, f.style)
		used += columns(text)
	}
	return b.String(), used
}

func (t terminal) write(b *strings.Builder, text string, s style) {
	if s == "" || !t.colour || text == "" {
		b.WriteString(text)
		return
	}
	b.WriteString("\x1b[" + string(s) + "m" + text + "\x1b[0m")
}

// drawBar returns the two parts of a bar of n columns. With Unicode its head advances by eighths of a column.
func drawBar(fraction float64, n int, unicode bool) (done, rest string) {
	if !unicode {
		k := int(fraction * float64(n))
		return strings.Repeat("#", k), strings.Repeat("-", n-k)
	}
	eighths := int(fraction * float64(8*n))
	done = strings.Repeat("█", eighths/8)
	k := eighths / 8
	if head := eighths % 8; head > 0 {
		done += string([]rune("▏▎▍▌▋▊▉")[head-1])
		k++
	}
	return done, strings.Repeat("─", n-k)
}
