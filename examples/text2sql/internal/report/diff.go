package report

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A span is a stretch of SQL, marked where it stands in one query only.
type span struct {
	Text string
	Mark bool
}

const maxDiffTokens = 600 // a side; longer ones are shown without marks

// diffSQL marks what differs between two queries, by the longest common subsequence of their tokens. Space and the
// case of letters outside quotes do not count.
func diffSQL(gold, predicted string) (a, b []span) {
	x, y := splitSQL(gold), splitSQL(predicted)
	if len(x) > maxDiffTokens || len(y) > maxDiffTokens {
		return []span{{Text: gold}}, []span{{Text: predicted}}
	}
	// common[i][j] is the length of the longest common subsequence of x[i:] and y[j:].
	common := make([][]int, len(x)+1)
	for i := range common {
		common[i] = make([]int, len(y)+1)
	}
	for i := len(x) - 1; i >= 0; i-- {
		for j := len(y) - 1; j >= 0; j-- {
			if x[i].key == y[j].key {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(x) || j < len(y) {
		switch {
		case i < len(x) && j < len(y) && x[i].key == y[j].key:
			a, b = addSpan(a, x[i], false), addSpan(b, y[j], false)
			i, j = i+1, j+1
		case j == len(y) || i < len(x) && common[i+1][j] >= common[i][j+1]:
			a = addSpan(a, x[i], true)
			i++
		default:
			b = addSpan(b, y[j], true)
			j++
		}
	}
	return a, b
}

// addSpan appends a token. The space before it is marked only between two marked ones.
func addSpan(spans []span, t token, mark bool) []span {
	afterMark := len(spans) > 0 && spans[len(spans)-1].Mark
	return addText(addText(spans, t.space, mark && afterMark), t.text, mark)
}

func addText(spans []span, text string, mark bool) []span {
	if text == "" {
		return spans
	}
	if n := len(spans); n > 0 && spans[n-1].Mark == mark {
		spans[n-1].Text += text
		return spans
	}
	return append(spans, span{text, mark})
}

// A token is a word, number, quoted text or sign of SQL, with the space before it.
type token struct{ space, text, key string }

// splitSQL cuts a query into tokens. It never fails: what it does not know is a sign of its own.
func splitSQL(s string) []token {
	var tokens []token
	for s != "" {
		body := strings.TrimLeftFunc(s, unicode.IsSpace)
		space := s[:len(s)-len(body)]
		if body == "" {
			return append(tokens, token{space: space})
		}
		n := tokenLen(body)
		t := token{space: space, text: body[:n], key: body[:n]}
		if q := body[0]; q != '\'' && q != '"' && q != '`' {
			t.key = strings.ToLower(t.text)
		}
		tokens, s = append(tokens, t), body[n:]
	}
	return tokens
}

func tokenLen(s string) int {
	if q := s[0]; q == '\'' || q == '"' || q == '`' {
		if end := strings.IndexByte(s[1:], q); end >= 0 {
			return end + 2
		}
		return len(s)
	}
	n := 0
	for n < len(s) {
		r, size := utf8.DecodeRuneInString(s[n:])
		if r != '_' && r != '.' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			if n == 0 {
				return size // a sign
			}
			break
		}
		n += size
	}
	return n
}
