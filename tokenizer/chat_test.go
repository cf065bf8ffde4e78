package tokenizer

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

type chatCase struct {
	ID                  int
	Messages            []Message
	Tools               []json.RawMessage
	AddGenerationPrompt bool  `json:"add_generation_prompt"`
	EnableThinking      *bool `json:"enable_thinking"`
	Text                string
	IDs                 []int32
}

func (c chatCase) options() ChatOptions {
	o := ChatOptions{Tools: c.Tools, AddGenerationPrompt: c.AddGenerationPrompt}
	if c.EnableThinking != nil {
		o.Thinking = ThinkingOff
		if *c.EnableThinking {
			o.Thinking = ThinkingOn
		}
	}
	return o
}

// holdsAdded reports whether a message or tool holds the text of an added token outside the thoughts that the
// template parses.
func (c chatCase) holdsAdded(tok *Tokenizer) bool {
	parts, err := tok.renderChat(c.Messages, c.options())
	if err != nil {
		return false
	}
	for _, p := range parts {
		for _, a := range tok.added {
			if p.content && strings.Contains(p.text, a.Content) {
				return true
			}
		}
	}
	return false
}

func TestQwen3ChatsRenderAndEncodeAsTheReference(t *testing.T) {
	tok := qwen3(t)
	checkChats(t, tok, goldens[chatCase](t, "chat_public.jsonl"))
}

// checkChats checks text and ids of conversations. Where the content holds no added token EncodeChat must give the
// reference's ids, otherwise others for the same text.
func checkChats(t *testing.T, tok *Tokenizer, rows []chatCase) {
	t.Helper()
	plain, holding := 0, 0
	for _, c := range rows {
		text, err := tok.RenderChat(c.Messages, c.options())
		if err != nil {
			t.Errorf("case %d: %v", c.ID, err)
			continue
		}
		if text != c.Text {
			t.Errorf("case %d: RenderChat\n got %q\nwant %q", c.ID, text, c.Text)
		}
		if got := tok.Encode(text); !slices.Equal(got, c.IDs) {
			t.Errorf("case %d: Encode(RenderChat) = %v, want %v", c.ID, got, c.IDs)
		}
		got, err := tok.EncodeChat(c.Messages, c.options())
		if err != nil {
			t.Errorf("case %d: %v", c.ID, err)
		}
		if c.holdsAdded(tok) {
			holding++
			if slices.Equal(got, c.IDs) {
				t.Errorf("case %d: EncodeChat makes control tokens of the content", c.ID)
			}
			if back := tok.Decode(got); back != nfc(text) {
				t.Errorf("case %d: EncodeChat decodes to %q, want %q", c.ID, back, text)
			}
			continue
		}
		plain++
		if !slices.Equal(got, c.IDs) {
			t.Errorf("case %d: EncodeChat\n got %v\nwant %v", c.ID, got, c.IDs)
		}
	}
	if plain == 0 || holding == 0 {
		t.Errorf("%d conversations without and %d with control tokens in their content: want some of both", plain, holding)
	}
}
