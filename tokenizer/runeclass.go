package tokenizer

import "unicode/utf8"

//go:generate go run gen_unicode.go

// The low two bits of a rune's class say what the split patterns ask of it, the others what NFC
// does with it.
const (
	classOther  = 0
	classLetter = 1 // \p{L}
	classNumber = 2 // \p{N}
	classSpace  = 3 // \s
	classMask   = 3

	nfcUnstable = 4 // absent from a text, the text is its own NFC
	nfcComposed = 8 // NFC takes it apart and puts it together again
)

type runeRange struct{ lo, hi rune }

// runeClasses is flat, because a text touches only a few of its cache lines.
//
// The classes are those of the reference implementation, not of package unicode: the two follow
// different versions of Unicode, and a token boundary must not move with the Go release.
var runeClasses [utf8.MaxRune + 1]uint8

func init() {
	for class, ranges := range map[uint8][]runeRange{
		classLetter: letterRanges,
		classNumber: numberRanges,
		classSpace:  spaceRanges,
		nfcUnstable: nfcUnstableRanges,
		nfcComposed: nfcComposedRanges,
	} {
		for _, r := range ranges {
			for c := r.lo; c <= r.hi; c++ {
				runeClasses[c] |= class
			}
		}
	}
}

// classAt returns the split class and the width of the rune at s[i:]. s must be valid UTF-8.
func classAt(s string, i int) (class uint8, width int) {
	if c := s[i]; c < utf8.RuneSelf {
		return runeClasses[c] & classMask, 1
	}
	r, width := decodeRune(s, i)
	return runeClasses[r] & classMask, width
}

// decodeRune decodes the multi-byte rune at s[i:] of valid UTF-8 without checking it again.
func decodeRune(s string, i int) (r rune, width int) {
	switch c := s[i]; {
	case c < 0xE0:
		return rune(c&0x1F)<<6 | rune(s[i+1]&0x3F), 2
	case c < 0xF0:
		_ = s[i+2]
		return rune(c&0x0F)<<12 | rune(s[i+1]&0x3F)<<6 | rune(s[i+2]&0x3F), 3
	default:
		_ = s[i+3]
		return rune(c&0x07)<<18 | rune(s[i+1]&0x3F)<<12 | rune(s[i+2]&0x3F)<<6 | rune(s[i+3]&0x3F), 4
	}
}
