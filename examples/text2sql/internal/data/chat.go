package data

import (
	"strings"

	"github.com/hone-ml/hone/tokenizer"
)

// IsChat reports whether the row is a conversation.
func (r Row) IsChat() bool { return len(r.Messages) > 0 }

// IsChat reports whether the rows of a file are conversations, as its first row
// that can be read says.
func (r Reader) IsChat(path string) bool {
	for l, err := range r.Lines(path) {
		if err == nil {
			return l.IsChat()
		}
	}
	return false
}

// Asked is the question or, of a conversation, the messages before the last
// answer, with their roles unless there is only one.
func (r Row) Asked() string {
	if !r.IsChat() {
		return r.Question
	}
	before := r.Messages[:len(r.Messages)-1]
	if len(before) == 1 && before[0].Role == tokenizer.RoleUser {
		return before[0].Content
	}
	var b strings.Builder
	for i, m := range before {
		if i > 0 {
			b.WriteString("\n\n")
		}
		b.WriteString(m.Role + ": " + m.Content)
	}
	return b.String()
}

// Answer is the gold query or the content of a conversation's last answer.
func (r Row) Answer() string {
	if !r.IsChat() {
		return r.SQL
	}
	return r.Messages[len(r.Messages)-1].Content
}
