package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
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

// holdsAdded reports whether a message or tool holds the text of an added token outside the
// thoughts that the template parses.
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

// checkChats checks text and ids of conversations. Where the content holds no added token
// EncodeChat must give the reference's ids, otherwise others for the same text.
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

func TestMalformedChatsAreRefused(t *testing.T) {
	tok := loadTestdata(t, "small")
	user := Message{Role: RoleUser, Content: "x"}
	call := func(arguments string) []Message {
		return []Message{user, {Role: RoleAssistant, ToolCalls: []ToolCall{{Name: "f", Arguments: json.RawMessage(arguments)}}}}
	}
	for _, c := range []struct {
		messages []Message
		o        ChatOptions
		want     string
	}{
		{nil, ChatOptions{}, "there are no messages"},
		{[]Message{user, {Role: "User"}}, ChatOptions{}, `message 1 has the role "User", must be system, user, assistant or tool`},
		{[]Message{{Role: RoleUser, ToolCalls: []ToolCall{{}}}}, ChatOptions{}, "message 0 calls tools, but its role is user"},
		{call(""), ChatOptions{}, "message 1: tool call 0: the arguments are missing"},
		{call("{"), ChatOptions{}, "message 1: tool call 0: malformed JSON"},
		{call(`"\x"`), ChatOptions{}, "message 1: tool call 0"},
		{[]Message{user}, ChatOptions{Tools: []json.RawMessage{json.RawMessage(`{}`), json.RawMessage(`{"a": nil}`)}}, "tool 1: malformed JSON: a: line 1"},
		{[]Message{user}, ChatOptions{Template: 99}, "there is no template 99"},
		{[]Message{user}, ChatOptions{Template: TemplateChatML, Tools: []json.RawMessage{json.RawMessage(`{}`)}}, "ChatML has no place for tools"},
		{call("{}"), ChatOptions{Template: TemplateChatML}, "ChatML has no place for tool calls"},
	} {
		_, err := tok.RenderChat(c.messages, c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("RenderChat(%+v, %+v): %v, want: %s", c.messages, c.o, err, c.want)
		}
		if _, err2 := tok.EncodeChat(c.messages, c.o); err2 == nil || err2.Error() != err.Error() {
			t.Errorf("EncodeChat: %v, RenderChat: %v", err2, err)
		}
	}
}

func TestTheTemplateIsFoundFromTheFilesElseFromTheTokens(t *testing.T) {
	config := func(template string) string {
		text, err := json.Marshal(map[string]string{"chat_template": template})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	chatML := strings.Replace(tinyJSON, `{"id": 3,`, `{"id": 4, "content": "<|im_start|>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
	{"id": 5, "content": "<|im_end|>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}, {"id": 3,`, 1)
	for _, c := range []struct {
		name, tokenizer, config, jinja string
		want                           ChatTemplate
		reason                         string
	}{
		{"no template, no tokens", tinyJSON, "", "", TemplateAuto, "the files hold no chat template"},
		{"no template, ChatML's tokens", chatML, "{}", "", TemplateChatML, ""},
		{"no template, Qwen3's tokens", readText(t, "testdata/small/tokenizer.json"), "", "", TemplateQwen3, ""},
		{"ChatML in the config", tinyJSON, config(chatMLTemplate), "", TemplateChatML, ""},
		{"ChatML among several", tinyJSON, `{"chat_template": [{"name": "rag", "template": "x"}, {"name": "default", "template": ` + strings.TrimPrefix(strings.TrimSuffix(config(chatMLTemplate), "}"), `{"chat_template":`) + `}]}`, "", TemplateChatML, ""},
		{"unknown in the config", chatML, config("{{ messages }}"), "", TemplateAuto, "is not one that hone knows"},
		{"a file beats the config", chatML, config(chatMLTemplate), "{{ messages }}", TemplateAuto, "is not one that hone knows"},
		{"ChatML in a file", tinyJSON, "", chatMLTemplate, TemplateChatML, ""},
	} {
		dir := filepath.Dir(writeTokenizer(t, c.tokenizer))
		for file, text := range map[string]string{"tokenizer_config.json": c.config, "chat_template.jinja": c.jinja} {
			if text != "" {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
		tok, err := Load(dir)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		got, err := tok.ChatTemplate()
		if got != c.want || (err != nil) != (c.reason != "") || err != nil && !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %v, %v, want %v: %s", c.name, got, err, c.want, c.reason)
		}
	}
}

func TestTheTemplateOfQwen3sFilesIsKnown(t *testing.T) {
	if got, err := qwen3(t).ChatTemplate(); err != nil || got != TemplateQwen3 {
		t.Errorf("ChatTemplate = %v, %v", got, err)
	}
}

func TestToolCallsAreReadInBothForms(t *testing.T) {
	for _, text := range []string{
		`{"type": "function", "function": {"name": "f", "arguments": {"a": 1}}}`,
		`{"name": "f", "arguments": {"a": 1}}`,
	} {
		var c ToolCall
		if err := json.Unmarshal([]byte(text), &c); err != nil || c.Name != "f" || string(c.Arguments) != `{"a": 1}` {
			t.Errorf("%s is read as %+v, %v", text, c, err)
		}
		out, err := json.Marshal(c)
		var again ToolCall
		if err != nil || json.Unmarshal(out, &again) != nil || again.Name != "f" {
			t.Errorf("%+v is written as %s, %v", c, out, err)
		}
	}
	var c ToolCall
	for _, text := range []string{`{}`, `{"function": {"arguments": {}}}`, `3`} {
		if err := json.Unmarshal([]byte(text), &c); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}
