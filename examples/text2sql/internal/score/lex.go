package score

import (
	"strings"
	"unicode/utf8"
)

// A tokenKind says what a token of SQL is.
type tokenKind int

const (
	word    tokenKind = iota // keyword or plain identifier
	quoted                   // 'string', "identifier", `identifier` or [identifier]
	number                   // 12, 1.5e3, 0xff
	symbol                   // operator or punctuation
	comment                  // -- to the end of the line, or /* … */
)

// A token is text[start:end] of the text that it was scanned from.
type token struct {
	kind       tokenKind
	start, end int
}

// next scans the token of SQL at or after pos; ok is false at the end of the
// text. What is opened and never closed reaches to the end.
func next(text string, pos int) (t token, ok bool) {
	for pos < len(text) && isSpace(text[pos]) {
		pos++
	}
	if pos >= len(text) {
		return token{start: pos, end: pos}, false
	}
	rest := text[pos:]
	t = token{kind: symbol, start: pos}
	switch c := rest[0]; {
	case strings.HasPrefix(rest, "--"):
		t.kind, t.end = comment, pos+until(rest, "\n", 0)
	case strings.HasPrefix(rest, "/*"):
		t.kind, t.end = comment, pos+until(rest, "*/", 2)
	case c == '\'' || c == '"' || c == '`':
		t.kind, t.end = quoted, pos+closing(rest, c)
	case c == '[':
		t.kind, t.end = quoted, pos+until(rest, "]", 1)
	case isDigit(c) || c == '.' && len(rest) > 1 && isDigit(rest[1]):
		t.kind, t.end = number, pos+numberLength(rest)
	case isWordStart(c):
		n := 1
		for n < len(rest) && (isWordStart(rest[n]) || isDigit(rest[n]) || rest[n] == '$') {
			n++
		}
		t.kind, t.end = word, pos+n
	default:
		t.end = pos + symbolLength(rest)
	}
	return t, true
}

// until returns how long the text is up to and with the end mark, which is
// looked for from offset from.
func until(text, end string, from int) int {
	if i := strings.Index(text[from:], end); i >= 0 {
		return from + i + len(end)
	}
	return len(text)
}

// closing returns the length of a quoted text; a doubled quote stands for one.
func closing(text string, quote byte) int {
	for i := 1; i < len(text); i++ {
		if text[i] != quote {
			continue
		}
		if i+1 == len(text) || text[i+1] != quote {
			return i + 1
		}
		i++
	}
	return len(text)
}

func numberLength(text string) int {
	n := 0
	for n < len(text) {
		c := text[n]
		sign := (c == '+' || c == '-') && n > 0 && (text[n-1] == 'e' || text[n-1] == 'E') && !strings.HasPrefix(text, "0x")
		if !isDigit(c) && c != '.' && !isWordStart(c) && !sign {
			break
		}
		n++
	}
	return n
}

func symbolLength(text string) int {
	for _, s := range []string{"->>", "<=", ">=", "<>", "!=", "==", "||", "->", "::", "<<", ">>"} {
		if strings.HasPrefix(text, s) {
			return len(s)
		}
	}
	_, n := utf8.DecodeRuneInString(text)
	return n
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isWordStart(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= utf8.RuneSelf
}

// Ordered reports whether a query's result has an order of rows: whether ORDER
// BY stands at its top level, outside of parentheses, strings and comments.
func Ordered(sql string) bool {
	depth, afterOrder := 0, false
	for t, ok := next(sql, 0); ok; t, ok = next(sql, t.end) {
		text := sql[t.start:t.end]
		switch {
		case t.kind == comment:
			continue
		case t.kind == symbol && text == "(":
			depth++
		case t.kind == symbol && text == ")":
			depth--
		case t.kind == word && depth == 0 && afterOrder && strings.EqualFold(text, "by"):
			return true
		}
		afterOrder = t.kind == word && depth == 0 && strings.EqualFold(text, "order")
	}
	return false
}

// ExactMatch reports whether two queries are the same text but for the case of
// words, blanks, comments, semicolons at the end, and the spelling of <> and =.
// Strings and quoted identifiers must agree to the letter.
func ExactMatch(gold, pred string) bool { return Normalize(gold) == Normalize(pred) }

// Normalize writes a query's tokens in one spelling, each on its own line: the
// same text for queries that ExactMatch takes for the same.
func Normalize(sql string) string {
	var b strings.Builder
	for t, ok := next(sql, 0); ok; t, ok = next(sql, t.end) {
		text := sql[t.start:t.end]
		switch {
		case t.kind == comment:
			continue
		case t.kind == word, t.kind == number:
			text = strings.ToLower(text)
		case text == "<>":
			text = "!="
		case text == "==":
			text = "="
		}
		b.WriteString(text)
		b.WriteByte('\n')
	}
	out := b.String()
	for strings.HasSuffix(out, "\n;\n") {
		out = strings.TrimSuffix(out, ";\n")
	}
	return out
}
