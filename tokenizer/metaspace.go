package tokenizer

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// metaRune stands for a space in the vocabularies of SentencePiece.
const metaRune = "▁"

// metaspace is BPE of characters, as SentencePiece has it and Llama 2 uses it: ▁ stands for a space, one more of
// it may be put before the text, and characters that the vocabulary lacks are spelled in bytes.
//
// The whole text is one word to the reference. But no token of such a vocabulary has a ▁ behind anything else, so
// that nothing merges across the beginning of a ▁, and the pieces from there to the next give the same ids. Where a
// vocabulary has such a token, nothing is cut.
type metaspace struct {
	prepend prepend
	late    bool // by the pre-tokenizer, which does not see added tokens; otherwise by the normalizer, which does
	cut     bool // at the beginnings of ▁
	keep    bool // a space that a decoded text begins with, for none was put there
}

// prepend says when a text gets a ▁ before it.
type prepend int

const (
	prependNever   prepend = iota
	prependAlways          // whatever it begins with
	prependMissing         // unless it begins with one
	prependFirst           // so, and only at the beginning of all, not behind an added token
)

// textPlace is where a stretch of text stands.
type textPlace int

const (
	atStart     textPlace = iota
	behindToken           // an added one
	inText                // behind more of the same text, from which it was cut
)

// apply makes ▁ of the spaces of a stretch of text between added tokens.
func (m *metaspace) apply(text string, at textPlace) string {
	if text == "" {
		return ""
	}
	text = strings.ReplaceAll(text, " ", metaRune)
	missing := !strings.HasPrefix(text, metaRune)
	switch {
	case at == inText:
		return text
	case m.prepend == prependAlways, m.prepend == prependMissing && missing, m.prepend == prependFirst && missing && at == atStart:
		return metaRune + text
	}
	return text
}

// split is a splitter of text that was applied.
func (m *metaspace) split(s string, i int) int {
	if !m.cut {
		return len(s)
	}
	for strings.HasPrefix(s[i:], metaRune) {
		i += len(metaRune)
	}
	if n := strings.Index(s[i:], metaRune); n >= 0 {
		return i + n
	}
	return len(s)
}

// cuttable reports whether no token has a ▁ behind another character.
func cuttable(vocab map[string]int32) bool {
	for token := range vocab {
		if strings.Contains(strings.TrimLeft(token, metaRune), metaRune) {
			return false
		}
	}
	return true
}

// byteToken is the token that spells a byte.
func byteToken(c byte) string { return fmt.Sprintf("<0x%02X>", c) }

// byteOf is the byte that a token spells, if it spells one.
func byteOf(token string) (c byte, ok bool) {
	if len(token) != len("<0x00>") || !strings.HasPrefix(token, "<0x") || token[5] != '>' {
		return 0, false
	}
	for _, d := range []byte(token[3:5]) {
		switch {
		case '0' <= d && d <= '9':
			c = c<<4 | (d - '0')
		case 'a' <= d|0x20 && d|0x20 <= 'f':
			c = c<<4 | (d | 0x20 - 'a' + 10)
		default:
			return 0, false
		}
	}
	return c, true
}

// fallback decodes tokens of a metaspace vocabulary: characters as they are, and runs of bytes, which are a text if
// all of the run is UTF-8 and else U+FFFD for each byte. One space at the beginning of the text is not part of it, unless
// the vocabulary keeps it.
type fallback struct {
	run     []byte
	started bool
}

// newFallback is the decoder of one text.
func (t *Tokenizer) newFallback() fallback {
	return fallback{started: t.space != nil && t.space.keep}
}

// next takes a token, "" for none, and returns the text that is certain by now: that of a run only when it has
// ended.
func (f *fallback) next(token string) string {
	if token == "" {
		return ""
	}
	if c, ok := byteOf(token); ok {
		f.run = append(f.run, c)
		return ""
	}
	return f.flush() + f.strip(strings.ReplaceAll(token, metaRune, " "))
}

// flush returns the text of the run that ends here.
func (f *fallback) flush() string {
	text := string(f.run)
	if !utf8.ValidString(text) {
		text = strings.Repeat("\uFFFD", len(text))
	}
	f.run = f.run[:0]
	return f.strip(text)
}

func (f *fallback) strip(text string) string {
	if !f.started && text != "" {
		f.started = true
		return strings.TrimPrefix(text, " ")
	}
	return text
}
