package tokenizer

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// AddedToken is a token that is found in the text as it stands, before the text is split: a control
// token such as <|im_end|>. The JSON names are those of tokenizer.json.
type AddedToken struct {
	ID      int32  `json:"id"`
	Content string `json:"content"`
	// SingleWord: not found inside a word.
	SingleWord bool `json:"single_word"`
	// LStrip and RStrip: takes the white space before or after it along.
	LStrip bool `json:"lstrip"`
	RStrip bool `json:"rstrip"`
	// Normalized: looked for in normalized text, in its own normal form.
	Normalized bool `json:"normalized"`
	// Special: left out by DecodeSkipSpecial.
	Special bool `json:"special"`
}

// addedMatcher finds added tokens in a text, of several at one place the longest.
type addedMatcher struct {
	tokens []AddedToken
	nodes  []trieNode // nodes[0] is the root
	first  [256]bool  // bytes that a token begins with
}

type trieNode struct {
	token int32 // index in tokens, -1 if no token ends here
	edges []trieEdge
}

type trieEdge struct {
	c    byte
	node int32
}

// newAddedMatcher returns nil for no tokens. Each token is found by its text in texts.
func newAddedMatcher(tokens []AddedToken, texts []string) *addedMatcher {
	if len(tokens) == 0 {
		return nil
	}
	m := &addedMatcher{tokens: tokens, nodes: []trieNode{{token: -1}}}
	for i, text := range texts {
		m.first[text[0]] = true
		at := int32(0)
		for _, c := range []byte(text) {
			next := m.child(at, c)
			if next < 0 {
				next = int32(len(m.nodes))
				m.nodes = append(m.nodes, trieNode{token: -1})
				m.nodes[at].edges = append(m.nodes[at].edges, trieEdge{c, next})
			}
			at = next
		}
		m.nodes[at].token = int32(i)
	}
	return m
}

func (m *addedMatcher) child(at int32, c byte) int32 {
	for _, e := range m.nodes[at].edges {
		if e.c == c {
			return e.node
		}
	}
	return -1
}

// longest returns the longest token that s[i:] begins with, and its end.
func (m *addedMatcher) longest(s string, i int) (token *AddedToken, end int) {
	at := int32(0)
	for ; i < len(s); i++ {
		if at = m.child(at, s[i]); at < 0 {
			break
		}
		if t := m.nodes[at].token; t >= 0 {
			token, end = &m.tokens[t], i+1
		}
	}
	return token, end
}

// split calls text for what lies between tokens and found for each token, in order. A nil matcher
// finds nothing.
func (m *addedMatcher) split(s string, text func(string), found func(*AddedToken)) {
	done := 0
	for i := 0; m != nil && i < len(s); {
		if !m.first[s[i]] {
			i++
			continue
		}
		token, matchEnd := m.longest(s, i)
		if token == nil {
			i++
			continue
		}
		start, end := i, matchEnd
		i = matchEnd
		if token.SingleWord && (endsWithWord(s[:start]) || startsWithWord(s[end:])) {
			continue
		}
		if token.LStrip {
			start = max(done, len(strings.TrimRightFunc(s[:start], isSpace)))
		}
		if token.RStrip {
			end = len(s) - len(strings.TrimLeftFunc(s[end:], isSpace))
		}
		if done < start {
			text(s[done:start])
		}
		found(token)
		done = end
	}
	if done < len(s) {
		text(s[done:])
	}
}

func endsWithWord(s string) bool {
	r, n := utf8.DecodeLastRuneInString(s)
	return n > 0 && isWordRune(r)
}

func startsWithWord(s string) bool {
	r, n := utf8.DecodeRuneInString(s)
	return n > 0 && isWordRune(r)
}

func isSpace(r rune) bool { return runeClasses[r]&classMask == classSpace }

// isWordRune reports whether r is \w as UTS #18 defines it.
func isWordRune(r rune) bool {
	return runeClasses[r]&classMask == classLetter || r == '\u200C' || r == '\u200D' ||
		unicode.In(r, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic)
}

// sortAdded orders tokens by id, as tokenizer.json lists them.
func sortAdded(tokens []AddedToken) {
	slices.SortFunc(tokens, func(a, b AddedToken) int { return int(a.ID - b.ID) })
}
