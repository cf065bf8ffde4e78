package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
)

const thinSpace = "\u202f" // narrow and unbreakable: between a number and its unit

// percent writes a fraction with one decimal, as people compare them: 95.1 %.
func percent(v float64) string {
	if math.IsNaN(v) {
		return "–"
	}
	return fmt.Sprintf("%.1f", 100*v) + thinSpace + "%"
}

// interval writes a pair of fractions: 92.0–97.1 %.
func interval(ci [2]float64) string {
	return fmt.Sprintf("%.1f–%.1f", 100*ci[0], 100*ci[1]) + thinSpace + "%"
}

// thousands writes n with commas.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	start := 0
	if n < 0 {
		start = 1
	}
	for i := len(s) - 3; i > start; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// magnitude writes a large count with three digits: 0.92 M, 596 M, 18.2 k.
func magnitude(v float64) string {
	a := math.Abs(v)
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "–"
	case a < 9999.5:
		return thousands(int64(math.Round(v)))
	case a < 99_950:
		return fmt.Sprintf("%.1f", v/1e3) + thinSpace + "k"
	case a < 995_000:
		return fmt.Sprintf("%.2f", v/1e6) + thinSpace + "M"
	case a < 99.5e6:
		return fmt.Sprintf("%.3g", v/1e6) + thinSpace + "M"
	case a < 999.5e6:
		return fmt.Sprintf("%.0f", v/1e6) + thinSpace + "M"
	default:
		return fmt.Sprintf("%.2f", v/1e9) + thinSpace + "B"
	}
}

func byteSize(n int64) string {
	v := float64(n)
	for _, unit := range []string{"B", "KiB", "MiB"} {
		if v < 1000 {
			return fmt.Sprintf("%.0f", v) + thinSpace + unit
		}
		v /= 1024
	}
	return fmt.Sprintf("%.1f", v) + thinSpace + "GiB"
}

// seconds writes a time to its two largest units: 9.4 s, 2 min 10 s, 3 h 05 min.
func seconds(s float64) string {
	n := int64(math.Round(min(s, 1e12)))
	switch {
	case math.IsNaN(s) || s < 0:
		return "–"
	case s < 9.95:
		return fmt.Sprintf("%.1f", s) + thinSpace + "s"
	case n < 60:
		return fmt.Sprintf("%d", n) + thinSpace + "s"
	case n < 3600:
		return fmt.Sprintf("%d%smin %02d%ss", n/60, thinSpace, n%60, thinSpace)
	default:
		return fmt.Sprintf("%d%sh %02d%smin", n/3600, thinSpace, n/60%60, thinSpace)
	}
}

// lossText writes a loss with three or four digits that mean something.
func lossText(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v):
		return "NaN"
	case a != 0 && (a < 0.001 || a >= 1e5):
		return exponent(v)
	case a < 0.1:
		return fmt.Sprintf("%.4f", v)
	default:
		return fmt.Sprintf("%.3f", v)
	}
}

// shown makes text that a model wrote fit to be looked at: valid UTF-8, control characters as their pictures, and no
// characters that reorder what stands around them. Text beyond limit bytes is cut, with a word of how much.
func shown(s string, limit int) string {
	rest := 0
	if len(s) > limit {
		for limit > 0 && s[limit]&0xC0 == 0x80 { // not inside a character
			limit--
		}
		s, rest = s[:limit], len(s)-limit
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r < 0x20:
			return 0x2400 + r
		case r == 0x7F:
			return 0x2421
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r):
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(s, string(unicode.ReplacementChar)))
	if rest > 0 {
		s += fmt.Sprintf("… (%s more bytes)", thousands(int64(rest)))
	}
	return s
}
