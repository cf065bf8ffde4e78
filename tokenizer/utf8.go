package tokenizer

import (
	"strings"
	"unicode/utf8"
)

const replacement = "\uFFFD"

// toValidUTF8 replaces what is not UTF-8 as the WHATWG Encoding Standard does, and with it every
// browser, Python's errors="replace" and Rust's from_utf8_lossy: one U+FFFD for each maximal prefix
// of a well-formed sequence, or for a single byte that starts none. Go's own conversions replace
// byte by byte (range, []rune) or run by run (strings.ToValidUTF8).
func toValidUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			n = invalidPrefix(s[i:])
			b.WriteString(replacement)
		} else {
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

// invalidPrefix returns how many bytes of s, which does not begin with a whole rune, stand for one
// replacement character.
func invalidPrefix(s string) int {
	need, lo, hi := sequence(s[0])
	n := 1
	for n < need && n < len(s) && lo <= s[n] && s[n] <= hi {
		n++
		lo, hi = 0x80, 0xBF
	}
	return n
}

// sequence returns the length of the UTF-8 sequence that c begins, and the range of its second
// byte; the length is 1 if c begins no longer sequence.
func sequence(c byte) (length int, lo, hi byte) {
	switch {
	case c < 0xC2:
		return 1, 0, 0
	case c < 0xE0:
		return 2, 0x80, 0xBF
	case c == 0xE0:
		return 3, 0xA0, 0xBF
	case c == 0xED:
		return 3, 0x80, 0x9F
	case c < 0xF0:
		return 3, 0x80, 0xBF
	case c == 0xF0:
		return 4, 0x90, 0xBF
	case c < 0xF4:
		return 4, 0x80, 0xBF
	case c == 0xF4:
		return 4, 0x80, 0x8F
	}
	return 1, 0, 0
}

// incompleteTail returns the length of the unfinished but so far well-formed sequence that b ends
// with.
func incompleteTail(b []byte) int {
	for n := 1; n <= min(3, len(b)); n++ {
		c := b[len(b)-n]
		if c&0xC0 == 0x80 {
			continue
		}
		need, _, _ := sequence(c)
		if need > n && invalidPrefix(string(b[len(b)-n:])) == n {
			return n
		}
		return 0
	}
	return 0
}
