package tokenizer

import "math"

// splitGPT2 is the splitter of PatternGPT2.
func splitGPT2(s string, i int) int { return splitSpaced(s, i, math.MaxInt) }

// splitSmolLM2 is PatternGPT2 on what lies between digits, each of which stands alone: a step of type Digits with
// individual_digits, then one of type ByteLevel. (The reference's Digits knows 13 digits of Unicode 17 more than its
// patterns do, U+11DE0 to U+11DE9 and U+16FF4 to U+16FF6; here they are what the patterns take them for.)
func splitSmolLM2(s string, i int) int { return splitSpaced(s, i, 1) }

// splitSpaced returns the end of the first piece of s[i:]: a contraction, or letters, up to so many digits, or
// punctuation, each with the one space before them, or other white space. A space before digits that stand alone is
// at the end of its text, and white space there is one piece.
func splitSpaced(s string, i, digits int) int {
	if n := smallContraction(s[i:]); n > 0 {
		return i + n
	}
	class, width := classAt(s, i)
	start := i
	if s[i] == ' ' && i+1 < len(s) {
		next, nextWidth := classAt(s, i+1)
		if next != classSpace && (next != classNumber || digits > 1) {
			class, width, start = next, nextWidth, i+1
		}
	}
	if class == classNumber {
		return skipNumbers(s, start, digits)
	}
	last, end := start, start+width
	for end < len(s) {
		next, nextWidth := classAt(s, end)
		if next != class {
			if class == classSpace && last > i && (next != classNumber || digits > 1) {
				return last // the last white space belongs to what follows
			}
			return end
		}
		last = end
		end += nextWidth
	}
	return end
}

// smallContraction returns the length of the 's, 't, 're, 've, 'm, 'll or 'd that s begins with, or 0.
func smallContraction(s string) int {
	if len(s) < 2 || s[0] != '\'' {
		return 0
	}
	switch s[1] {
	case 's', 't', 'm', 'd':
		return 2
	case 'r', 'v':
		if len(s) > 2 && s[2] == 'e' {
			return 3
		}
	case 'l':
		if len(s) > 2 && s[2] == 'l' {
			return 3
		}
	}
	return 0
}
