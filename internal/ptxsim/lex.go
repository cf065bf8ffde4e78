package ptxsim

import (
	"fmt"
	"strings"
)

// A token is a word (an identifier, opcode with its modifiers, directive or number), a string in quotes, or one
// character of punctuation. PTX ISA 4.2–4.5: words may hold letters, digits, _, $, % and, here, dots.
type token struct {
	text       string
	line       int
	start, end int // bytes of the source
}

// SyntaxError says where a PTX source was not understood.
type SyntaxError struct {
	Line   int    // 1 is the first line of the source
	Text   string // the statement or token in question
	Reason string
}

func (e *SyntaxError) Error() string {
	if e.Text == "" {
		return fmt.Sprintf("ptx line %d: %s", e.Line, e.Reason)
	}
	return fmt.Sprintf("ptx line %d: %s: %q", e.Line, e.Reason, e.Text)
}

func isWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '_' || c == '$' || c == '%' || c == '.'
}

// lex splits a source into tokens, without comments and white space.
func lex(source string) ([]token, error) {
	var tokens []token
	line := 1
	for i := 0; i < len(source); {
		c := source[i]
		switch {
		case c == '\n':
			line++
			i++
		case c == ' ' || c == '\t' || c == '\r':
			i++
		case strings.HasPrefix(source[i:], "//"):
			if n := strings.IndexByte(source[i:], '\n'); n >= 0 {
				i += n
			} else {
				i = len(source)
			}
		case strings.HasPrefix(source[i:], "/*"):
			n := strings.Index(source[i+2:], "*/")
			if n < 0 {
				return nil, &SyntaxError{Line: line, Reason: "a comment does not end"}
			}
			line += strings.Count(source[i:i+n+4], "\n")
			i += n + 4
		case c == '"':
			n := strings.IndexByte(source[i+1:], '"')
			if n < 0 {
				return nil, &SyntaxError{Line: line, Reason: "a string does not end"}
			}
			tokens = append(tokens, token{source[i : i+n+2], line, i, i + n + 2})
			i += n + 2
		case isWordByte(c):
			j := i
			for j < len(source) && (isWordByte(source[j]) || strings.HasPrefix(source[j:], "::")) {
				if source[j] == ':' {
					j++ // modifiers such as .shared::cta and .L2::128B
				}
				j++
			}
			tokens = append(tokens, token{source[i:j], line, i, j})
			i = j
		case strings.IndexByte("{}[]()<>;:,@!|+-=*", c) >= 0:
			tokens = append(tokens, token{source[i : i+1], line, i, i + 1})
			i++
		default:
			return nil, &SyntaxError{Line: line, Text: string(rune(c)), Reason: "a character that PTX does not have"}
		}
	}
	return tokens, nil
}
