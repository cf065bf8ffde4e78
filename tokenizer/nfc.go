package tokenizer

import (
	"cmp"
	"slices"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// nfc returns the Normalization Form C of s, which must be valid UTF-8, as the reference
// implementation computes it. It differs from x/text's in two ways, so x/text gives the properties
// of single characters and the quick check, but not the algorithm:
//
//   - the reference knows an older Unicode: newer marks neither reorder nor compose. This also
//     keeps token ids the same when a new release of Go brings new tables;
//   - x/text puts a U+034F into any run of more than 30 combining marks (Stream-Safe Text Format).
func nfc(s string) string {
	if !hasUnstable(s) || norm.NFC.IsNormalString(s) {
		return s
	}
	n := nfcBuffer{out: make([]byte, 0, len(s)+len(s)/8)}
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			n.flush()
			n.runes = append(n.runes, rune(c))
			i++
			continue
		}
		r, width := decodeRune(s, i)
		n.add(r)
		i += width
	}
	n.flush()
	return string(n.out)
}

// hasUnstable reports whether s holds a character that NFC may act upon. It is the whole of NFC for
// most texts, and several times as fast as x/text's own check.
func hasUnstable(s string) bool {
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, width := decodeRune(s, i)
		if runeClasses[r]&nfcUnstable != 0 {
			return true
		}
		i += width
	}
	return false
}

const (
	hangulBase  = 0xAC00
	hangulCount = 11172
	jamoL       = 0x1100
	jamoV       = 0x1161
	jamoT       = 0x11A7 // one before the first trailing consonant
	jamoLCount  = 19
	jamoVCount  = 21
	jamoTCount  = 28
)

// nfcBuffer collects decomposed characters up to the next one that nothing before it can act upon.
type nfcBuffer struct {
	out   []byte
	runes []rune
}

// add decomposes r into the buffer.
func (n *nfcBuffer) add(r rune) {
	switch {
	case runeClasses[r]&(nfcUnstable|nfcComposed) == 0:
		n.flush()
		n.runes = append(n.runes, r)
	case hangulBase <= r && r < hangulBase+hangulCount:
		n.flush()
		l, v, t := splitHangul(r)
		n.runes = append(n.runes, l, v)
		if t != jamoT {
			n.runes = append(n.runes, t)
		}
	default:
		if decomposed := properties(r).Decomposition(); decomposed != nil {
			n.runes = append(n.runes, []rune(string(decomposed))...)
		} else {
			n.runes = append(n.runes, r)
		}
	}
}

// flush reorders, composes and writes what the buffer holds.
func (n *nfcBuffer) flush() {
	if len(n.runes) > 1 {
		n.runes = compose(reorder(n.runes))
	}
	for _, r := range n.runes {
		n.out = utf8.AppendRune(n.out, r)
	}
	n.runes = n.runes[:0]
}

// reorder sorts each run of marks by combining class, keeping the order within a class.
func reorder(runes []rune) []rune {
	for i := 0; i < len(runes); i++ {
		if combiningClass(runes[i]) == 0 {
			continue
		}
		end := i + 1
		for end < len(runes) && combiningClass(runes[end]) != 0 {
			end++
		}
		slices.SortStableFunc(runes[i:end], func(a, b rune) int {
			return cmp.Compare(combiningClass(a), combiningClass(b))
		})
		i = end
	}
	return runes
}

// compose applies the canonical composition algorithm (Unicode Standard, D117) in place.
func compose(runes []rune) []rune {
	starter := -1       // index in out of the last starter
	var lastClass uint8 // combining class of the character before the one at hand
	out := runes[:0]
	for _, r := range runes {
		class := combiningClass(r)
		if starter >= 0 && (starter == len(out)-1 || lastClass < class) {
			if c, ok := composePair(out[starter], r); ok {
				out[starter] = c
				continue
			}
		}
		out = append(out, r)
		lastClass = class
		if class == 0 {
			starter = len(out) - 1
		}
	}
	return out
}

func composePair(a, b rune) (rune, bool) {
	if jamoL <= a && a < jamoL+jamoLCount && jamoV <= b && b < jamoV+jamoVCount {
		return hangulBase + ((a-jamoL)*jamoVCount+b-jamoV)*jamoTCount, true
	}
	isLV := hangulBase <= a && a < hangulBase+hangulCount && (a-hangulBase)%jamoTCount == 0
	if isLV && jamoT < b && b < jamoT+jamoTCount {
		return a + b - jamoT, true
	}
	if runeClasses[b]&nfcUnstable == 0 {
		return 0, false
	}
	var in, out [2 * utf8.UTFMax]byte
	pair := norm.NFC.Append(out[:0], utf8.AppendRune(utf8.AppendRune(in[:0], a), b)...)
	c, width := utf8.DecodeRune(pair)
	if width != len(pair) || runeClasses[c]&(nfcUnstable|nfcComposed) == 0 {
		return 0, false
	}
	return c, true
}

func splitHangul(r rune) (l, v, t rune) {
	s := r - hangulBase
	return jamoL + s/(jamoVCount*jamoTCount), jamoV + s%(jamoVCount*jamoTCount)/jamoTCount, jamoT + s%jamoTCount
}

func combiningClass(r rune) uint8 {
	if runeClasses[r]&nfcUnstable == 0 {
		return 0
	}
	return properties(r).CCC()
}

func properties(r rune) norm.Properties {
	var buf [utf8.UTFMax]byte
	return norm.NFC.Properties(utf8.AppendRune(buf[:0], r))
}
