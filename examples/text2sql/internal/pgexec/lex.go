package pgexec

import (
	"strings"
	"unicode/utf8"
)

// A kind says what a token of PostgreSQL's SQL is.
type kind int

const (
	name    kind = iota // keyword or identifier, folded to lower case
	quoted              // "identifier", text is what it names
	literal             // string, bit string, number or parameter
	symbol              // one character of an operator or of punctuation
)

// A token is a lexeme; text is its name or symbol, empty for a literal.
type token struct {
	kind  kind
	text  string
	start int // byte offsets in the statement
	end   int
}

// A lexer scans SQL as PostgreSQL does (src/backend/parser/scan.l, with
// standard_conforming_strings on): nested comments, dollar quotes, E” strings
// and their continuation on the next line. It must not see a string where the
// server sees code, since the policy on functions rests on it.
type lexer struct {
	text string
	pos  int
	open bool // a quote or comment was never closed
}

// next returns the next token that is no comment; ok is false at the end.
func (l *lexer) next() (t token, ok bool) {
	l.skipBlank()
	if l.pos >= len(l.text) {
		return token{start: l.pos, end: l.pos}, false
	}
	t.start = l.pos
	rest := l.text[l.pos:]
	switch c := rest[0]; {
	case c == '\'':
		t.kind = literal
		l.str(false)
	case (c == 'e' || c == 'E') && strings.HasPrefix(rest[1:], "'"):
		t.kind = literal
		l.pos++
		l.str(true)
	case strings.ContainsRune("bBxXnN", rune(c)) && strings.HasPrefix(rest[1:], "'"):
		t.kind = literal
		l.pos++
		l.str(false)
	case (c == 'u' || c == 'U') && strings.HasPrefix(rest[1:], "&'"):
		t.kind = literal
		l.pos += 2
		l.str(false)
	case (c == 'u' || c == 'U') && strings.HasPrefix(rest[1:], `&"`):
		l.pos += 2
		t.kind, t.text = quoted, `U&"`+l.ident() // escapes: no name of a function begins so
	case c == '"':
		t.kind, t.text = quoted, l.ident()
	case c == '$' && l.dollarQuote():
		t.kind = literal
	case c == '$' && len(rest) > 1 && isDigit(rest[1]):
		t.kind = literal
		l.pos += 1 + span(rest[1:], isDigit)
	case isDigit(c) || c == '.' && len(rest) > 1 && isDigit(rest[1]):
		t.kind = literal
		l.number(rest)
	case isNameStart(c):
		n := span(rest, isNamePart)
		l.pos += n
		t.kind, t.text = name, strings.ToLower(rest[:n])
	default:
		_, n := utf8.DecodeRuneInString(rest)
		l.pos += n
		t.kind, t.text = symbol, rest[:n]
	}
	t.end = l.pos
	return t, true
}

// skipBlank passes white space and comments.
func (l *lexer) skipBlank() {
	for l.pos < len(l.text) {
		rest := l.text[l.pos:]
		switch {
		case isSpace(rest[0]):
			l.pos++
		case strings.HasPrefix(rest, "--"):
			if i := strings.IndexAny(rest, "\r\n"); i >= 0 {
				l.pos += i
			} else {
				l.pos = len(l.text)
			}
		case strings.HasPrefix(rest, "/*"):
			l.blockComment()
		default:
			return
		}
	}
}

// blockComment passes a comment and those nested in it.
func (l *lexer) blockComment() {
	depth := 0
	for l.pos < len(l.text) {
		switch rest := l.text[l.pos:]; {
		case strings.HasPrefix(rest, "/*"):
			depth++
			l.pos += 2
		case strings.HasPrefix(rest, "*/"):
			depth--
			l.pos += 2
			if depth == 0 {
				return
			}
		default:
			l.pos++
		}
	}
	l.open = true
}

// str passes a string from its opening quote, and the parts that continue it
// after white space with a line end in it; comments up to a line's end are
// white space there, others are not.
func (l *lexer) str(escapes bool) {
	for {
		l.quote(escapes)
		after := l.pos
		for after < len(l.text) {
			if strings.HasPrefix(l.text[after:], "--") {
				after += len("--") + span(l.text[after+len("--"):], func(c byte) bool { return c != '\n' && c != '\r' })
			} else if isSpace(l.text[after]) {
				after++
			} else {
				break
			}
		}
		if after >= len(l.text) || l.text[after] != '\'' || !strings.ContainsAny(l.text[l.pos:after], "\r\n") {
			return
		}
		l.pos = after
	}
}

// quote passes one '…'; a doubled quote stands for one.
func (l *lexer) quote(escapes bool) {
	for l.pos++; l.pos < len(l.text); l.pos++ {
		switch c := l.text[l.pos]; {
		case c == '\\' && escapes:
			l.pos++
		case c != '\'':
		case strings.HasPrefix(l.text[l.pos+1:], "'"):
			l.pos++
		default:
			l.pos++
			return
		}
	}
	l.pos, l.open = len(l.text), true
}

// ident passes "…" and returns what it names.
func (l *lexer) ident() string {
	var b strings.Builder
	for l.pos++; l.pos < len(l.text); l.pos++ {
		if l.text[l.pos] == '"' {
			if !strings.HasPrefix(l.text[l.pos+1:], `"`) {
				l.pos++
				return b.String()
			}
			l.pos++
		}
		b.WriteByte(l.text[l.pos])
	}
	l.pos, l.open = len(l.text), true
	return b.String()
}

// dollarQuote passes $tag$…$tag$ if one begins here.
func (l *lexer) dollarQuote() bool {
	rest := l.text[l.pos:]
	n := 1
	if n < len(rest) && isNameStart(rest[n]) {
		n += span(rest[n:], func(c byte) bool { return isNamePart(c) && c != '$' })
	}
	if n >= len(rest) || rest[n] != '$' {
		return false
	}
	mark := rest[:n+1]
	i := strings.Index(rest[n+1:], mark)
	if i < 0 {
		l.pos, l.open = len(l.text), true
		return true
	}
	l.pos += n + 1 + i + len(mark)
	return true
}

// number passes digits, a fraction and an exponent. What follows at once, as
// in 1foo, is a token of its own, as it was before PostgreSQL 15.
func (l *lexer) number(rest string) {
	n := span(rest, isDigit)
	if n < len(rest) && rest[n] == '.' && !strings.HasPrefix(rest[n:], "..") {
		n++
		n += span(rest[n:], isDigit)
	}
	if n < len(rest) && (rest[n] == 'e' || rest[n] == 'E') {
		m := n + 1
		if m < len(rest) && (rest[m] == '+' || rest[m] == '-') {
			m++
		}
		if digits := span(rest[m:], isDigit); digits > 0 {
			n = m + digits
		}
	}
	l.pos += n
}

// span returns how many bytes at the start of s are of a kind.
func span(s string, is func(byte) bool) int {
	n := 0
	for n < len(s) && is(s[n]) {
		n++
	}
	return n
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isNameStart(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= utf8.RuneSelf
}
func isNamePart(c byte) bool { return isNameStart(c) || isDigit(c) || c == '$' }
