package tokenizer

import (
	"slices"
	"strings"
)

// The patterns that hone can split text with, as they stand in tokenizer.json. A tokenizer never
// joins characters across a split.
const (
	// PatternQwen2 is the pattern of Qwen2, Qwen2.5 and Qwen3: contractions, words with the one
	// character before them, single digits, punctuation, line ends, other white space.
	PatternQwen2 = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`

	// PatternLlama3 is the pattern of Llama 3: PatternQwen2 with up to three digits together.
	PatternLlama3 = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`

	// PatternGPT2 is the pattern of GPT-2, which a ByteLevel step with use_regex splits by: contractions in small
	// letters; letters, digits and punctuation each with the one space before them; other white space.
	PatternGPT2 = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

	// PatternQwen2Plural is PatternQwen2 with the last s of a word split off ("singers" is
	// "singer", "s"), so that a small vocabulary sees the same word in singular and plural. The
	// Python library runs it from a saved tokenizer.json with the same result.
	PatternQwen2Plural = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+?(?=s(?!\p{L}))|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// A splitter returns the end of the first piece of s[i:]. s is valid UTF-8, i < len(s), and the
// result is above i. It is the hand-written equal of one pattern: RE2 has no look-ahead, and an
// engine that has it is too slow.
type splitter func(s string, i int) int

// splitters holds every pattern that can be loaded; a new family adds its line here.
var splitters = map[string]splitter{
	PatternQwen2:       splitQwen2,
	PatternLlama3:      splitLlama3,
	PatternGPT2:        splitGPT2,
	PatternQwen2Plural: splitQwen2Plural,
}

func knownPatterns() string {
	quoted := make([]string, 0, len(splitters))
	for p := range splitters {
		quoted = append(quoted, "`"+p+"`")
	}
	slices.Sort(quoted)
	return strings.Join(quoted, ", ")
}

func splitQwen2(s string, i int) int {
	end, _ := splitWord(s, i, 1)
	return end
}

func splitLlama3(s string, i int) int {
	end, _ := splitWord(s, i, 3)
	return end
}

func splitQwen2Plural(s string, i int) int {
	end, letters := splitWord(s, i, 1)
	// A word of a single s has no stem to split it from.
	if s[end-1] == 's' && letters >= 0 && end-letters > 1 {
		return end - 1
	}
	return end
}

// splitWord returns the end of the first match of PatternQwen2, but with up to so many digits together, in s[i:]
// and, if the match is a word, the offset of its first letter, else -1.
func splitWord(s string, i, digits int) (end, letters int) {
	c := s[i]
	class, width := classAt(s, i)
	switch class {
	case classLetter:
		return skipLetters(s, i+width), i
	case classNumber:
		return skipNumbers(s, i, digits), -1
	}
	if c == '\'' {
		if n := contraction(s[i+1:]); n > 0 {
			return i + 1 + n, -1
		}
	}
	next := i + width
	if next < len(s) && c != '\r' && c != '\n' {
		nextClass, nextWidth := classAt(s, next)
		if nextClass == classLetter {
			return skipLetters(s, next+nextWidth), next
		}
		if c == ' ' && nextClass == classOther {
			return skipPunctuation(s, next+nextWidth), -1
		}
	}
	if class == classOther {
		return skipPunctuation(s, next), -1
	}
	return skipSpace(s, i), -1
}

// contraction returns the length of the s, t, re, ve, m, ll or d, in either case, that s begins
// with, or 0. Case folding also makes U+017F, the long s, an s.
func contraction(s string) int {
	if s == "" {
		return 0
	}
	switch s[0] | 0x20 {
	case 's', 't', 'm', 'd':
		return 1
	case 'r', 'v':
		if len(s) > 1 && s[1]|0x20 == 'e' {
			return 2
		}
	case 'l':
		if len(s) > 1 && s[1]|0x20 == 'l' {
			return 2
		}
	}
	if strings.HasPrefix(s, "\u017F") {
		return len("\u017F")
	}
	return 0
}

// skipLetters matches \p{L}*.
func skipLetters(s string, i int) int {
	for i < len(s) {
		class, width := classAt(s, i)
		if class != classLetter {
			break
		}
		i += width
	}
	return i
}

// skipNumbers matches \p{N}{0,most}.
func skipNumbers(s string, i, most int) int {
	for ; i < len(s) && most > 0; most-- {
		class, width := classAt(s, i)
		if class != classNumber {
			break
		}
		i += width
	}
	return i
}

// skipPunctuation matches [^\s\p{L}\p{N}]*[\r\n]*.
func skipPunctuation(s string, i int) int {
	for i < len(s) {
		class, width := classAt(s, i)
		if class != classOther {
			break
		}
		i += width
	}
	for i < len(s) && (s[i] == '\r' || s[i] == '\n') {
		i++
	}
	return i
}

// skipSpace matches \s*[\r\n]+|\s+(?!\S)|\s+ where at least one white space stands: the run up to
// its last line end; without one, all of it at the end of the text, else all but its last
// character, which belongs to what follows; but never nothing.
func skipSpace(s string, i int) int {
	start, last, lineEnd := i, i, -1
	for i < len(s) {
		class, width := classAt(s, i)
		if class != classSpace {
			break
		}
		last = i
		i += width
		if c := s[last]; c == '\r' || c == '\n' {
			lineEnd = i
		}
	}
	switch {
	case lineEnd >= 0:
		return lineEnd
	case i == len(s) || last == start:
		return i
	default:
		return last
	}
}
