package progress

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/width"
)

// ofTotal writes "done/total" with done padded to total's width, so that the line does not jitter as it grows.
func ofTotal(done, total int) string {
	if total <= 0 {
		return strconv.Itoa(done)
	}
	t := strconv.Itoa(total)
	return fmt.Sprintf("%*d/%s", len(t), done, t)
}

func formatLoss(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v):
		return "NaN"
	case math.IsInf(v, 0):
		return "Inf"
	case a >= 1000 || a > 0 && a < 0.0001:
		return fmt.Sprintf("%.2e", v)
	case a > 0 && a < 0.01:
		return fmt.Sprintf("%.5f", v)
	default:
		return fmt.Sprintf("%.3f", v)
	}
}

// formatCount writes a speed with three significant digits: 812, 18.2k, 1.24M.
func formatCount(v float64) string {
	unit := ""
	for _, u := range []string{"k", "M", "G"} {
		if v < 999.5 {
			break
		}
		v, unit = v/1000, u
	}
	switch {
	case unit == "" && v >= 10 || v >= 99.95:
		return fmt.Sprintf("%.0f%s", v, unit)
	case v >= 9.995:
		return fmt.Sprintf("%.1f%s", v, unit)
	default:
		return fmt.Sprintf("%.2f%s", v, unit)
	}
}

// formatDuration writes a time to the two units that matter: 45s, 1m12s, 2h03m, 3d04h.
func formatDuration(d time.Duration) string {
	s := int64(d.Round(time.Second) / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 24*3600:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	default:
		return fmt.Sprintf("%dd%02dh", s/(24*3600), s/3600%24)
	}
}

// visible makes text safe to print on a terminal: control characters, which could move the cursor or retitle the
// window, become a replacement character. Line ends and tabs stay.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(s, string(unicode.ReplacementChar)))
}

// oneLine makes text safe for the line itself: visible, and without line ends or runs of spaces.
func oneLine(s string) string { return strings.Join(strings.Fields(visible(s)), " ") }

// columns counts the terminal columns of s.
func columns(s string) int {
	n := 0
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

func runeColumns(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// cut shortens s to at most n columns.
func cut(s string, n int) string {
	for i, r := range s {
		if n -= runeColumns(r); n < 0 {
			return s[:i]
		}
	}
	return s
}
