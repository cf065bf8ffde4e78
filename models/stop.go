package models

import (
	"strings"

	"github.com/hone-ml/hone/tokenizer"
)

// textStream makes text of tokens as they come, up to the first of some stop strings.
type textStream struct {
	stream *tokenizer.Stream
	stops  []string
	held   string // text that may be the beginning of a stop string
	done   bool   // one has come
}

func newTextStream(t *tokenizer.Tokenizer, stops []string) *textStream {
	return &textStream{stream: t.NewStream(true), stops: stops}
}

// next returns the text that is certain with one token more, and whether a stop string ends it there.
func (s *textStream) next(id int32) (text string, stopped bool) {
	return s.cut(s.stream.Next(id))
}

// flush returns what was held back, for no token follows.
func (s *textStream) flush() string {
	if s.done {
		return ""
	}
	text, stopped := s.cut(s.stream.Flush())
	if stopped {
		return text
	}
	text += s.held
	s.held = ""
	return text
}

// cut returns what of the text is certain with more of it.
func (s *textStream) cut(more string) (text string, stopped bool) {
	s.held += more
	at := -1
	for _, stop := range s.stops {
		if i := strings.Index(s.held, stop); i >= 0 && (at < 0 || i < at) {
			at = i
		}
	}
	if at >= 0 {
		text, s.held, s.done = s.held[:at], "", true
		return text, true
	}
	keep := 0
	for _, stop := range s.stops {
		keep = max(keep, overlap(s.held, stop))
	}
	text, s.held = s.held[:len(s.held)-keep], s.held[len(s.held)-keep:]
	return text, false
}

// overlap is the length of the longest end of text that stop begins with, less than all of stop.
func overlap(text, stop string) int {
	for n := min(len(text), len(stop)-1); n > 0; n-- {
		if strings.HasSuffix(text, stop[:n]) {
			return n
		}
	}
	return 0
}
