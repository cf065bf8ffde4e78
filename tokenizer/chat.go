package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// The roles of a Message.
const (
	RoleSystem    = "system"
	RoleUser      = "user"
	RoleAssistant = "assistant"
	RoleTool      = "tool" // the answer to a tool call
)

// Message is one turn of a conversation. Its JSON is that of the chat APIs and of transformers'
// apply_chat_template.
type Message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
	// ReasoningContent is what an assistant thought before it answered. Where it is empty,
	// which counts as absent, Qwen3's template looks for <think>…</think> in Content.
	ReasoningContent string     `json:"reasoning_content,omitempty"`
	ToolCalls        []ToolCall `json:"tool_calls,omitempty"` // of an assistant
}

// ToolCall is an assistant's call of a function.
type ToolCall struct {
	Name string
	// Arguments is JSON, as a rule an object. A JSON string is written as the text that it holds,
	// for some APIs send the arguments as text.
	Arguments json.RawMessage
}

type toolFunction struct {
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"`
}

// UnmarshalJSON takes {"type": "function", "function": {"name": …, "arguments": …}} and the inner
// object alone.
func (c *ToolCall) UnmarshalJSON(data []byte) error {
	var call struct {
		Function *toolFunction `json:"function"`
		toolFunction
	}
	if err := json.Unmarshal(data, &call); err != nil {
		return err
	}
	f := call.toolFunction
	if call.Function != nil {
		f = *call.Function
	}
	if f.Name == "" {
		return errors.New("a tool call has no name")
	}
	*c = ToolCall(f)
	return nil
}

// MarshalJSON writes the nested form.
func (c ToolCall) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"type": "function", "function": toolFunction(c)})
}

// Thinking says what the prompt asks of a model that can think before it answers.
type Thinking int

const (
	ThinkingUnset Thinking = iota // say nothing of it, which for Qwen3 means on
	ThinkingOn                    // think before the answer
	ThinkingOff                   // Qwen3: the answer's thoughts are given, and empty
)

// ChatTemplate names one of the chat templates that hone has in Go. Jinja templates that come with
// a model are compared with these and never run.
type ChatTemplate int

const (
	// TemplateAuto takes the template of the tokenizer's files, if it is one that hone knows; for a
	// tokenizer without a template, the one that its control tokens belong to.
	TemplateAuto ChatTemplate = iota
	// TemplateQwen3 is the template of the Qwen3 models as first released, with tools and thinking.
	TemplateQwen3
	// TemplateChatML is <|im_start|>role, the content, <|im_end|>, and no more. It knows no tools
	// and no thinking; nor do those that follow, but for the tools of Qwen2.5.
	TemplateChatML
	// TemplateQwen2 is ChatML with a system turn of its own where the messages begin with none: Qwen2.
	TemplateQwen2
	// TemplateQwen25 is that of Qwen2.5, with tools, and a system turn of its own likewise.
	TemplateQwen25
	// TemplateSmolLM2 is TemplateQwen2 with the system turn of SmolLM2.
	TemplateSmolLM2
	// TemplateLlama3 has the role between <|start_header_id|> and <|end_header_id|>, and <|eot_id|> at
	// the end of a turn.
	TemplateLlama3
	// TemplateLlama31 is that of Llama 3.1 to 3.3, which says the date before everything else.
	TemplateLlama31
	// TemplateLlama2 has [INST] and [/INST] around what the user says, whose first turn holds the
	// system's. User and assistant take turns.
	TemplateLlama2
	// TemplateZephyr has <|user|>, <|system|> and <|assistant|> on lines of their own, and the end
	// token after each turn: Zephyr and TinyLlama.
	TemplateZephyr
)

// ChatOptions says how a conversation is rendered. The zero value renders it as training text:
// whole, with no prompt for an answer.
type ChatOptions struct {
	Template            ChatTemplate
	Tools               []json.RawMessage // the functions that the model may call, each a JSON object
	AddGenerationPrompt bool              // end with the beginning of the assistant's answer
	Thinking            Thinking
	Date                string // of today, which TemplateLlama31 says; "26 Jul 2024" if empty, as in the reference
}

// RenderChat returns the text of a conversation, equal to the byte to what the Jinja template gives
// in transformers. Roles that the template would pass over in silence, malformed JSON of tools, and
// an unknown template are errors.
//
// Encode(text) reads control tokens wherever they stand in it, also where a user wrote them.
// EncodeChat does not, and is what to feed a model with.
func (t *Tokenizer) RenderChat(messages []Message, o ChatOptions) (string, error) {
	parts, err := t.renderChat(messages, o)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(p.text)
	}
	return b.String(), nil
}

// EncodeChat returns the ids of a conversation in which only the template writes control tokens:
// what messages and tools hold is encoded as by EncodeOrdinary, so that no <|im_end|> in a question
// can end it. For conversations that hold no added token the ids are those of
// Encode(RenderChat(…)), to which no token of EncodePrompt is to be added: templates begin with it.
func (t *Tokenizer) EncodeChat(messages []Message, o ChatOptions) ([]int32, error) {
	parts, err := t.renderChat(messages, o)
	if err != nil {
		return nil, err
	}
	for i := range parts {
		parts[i].answer = false
	}
	ids, _ := t.encodeChat(parts)
	return ids, nil
}

// ChatSpan is the ids [Start, End) of an encoded conversation.
type ChatSpan struct{ Start, End int }

// EncodeChatAnswers returns the ids of a conversation to learn from and the spans in them that the
// assistant has to write, one for each of its messages, ascending: its thoughts if it has any, its content,
// its tool calls and the token that ends the turn. An empty <think> block, which the template itself writes,
// is not among them.
//
// A token never spans the beginning of an answer, because a model that is asked begins a new one there.
// Otherwise the ids are those of EncodeChat; they differ only for answers whose first characters the
// tokenizer would join with the line ends before them, such as blank lines.
func (t *Tokenizer) EncodeChatAnswers(messages []Message, o ChatOptions) (ids []int32, answers []ChatSpan, err error) {
	parts, err := t.renderChat(messages, o)
	if err != nil {
		return nil, nil, err
	}
	ids, answers = t.encodeChat(parts)
	return ids, answers, nil
}

// encodeChat encodes a rendered conversation and finds its answers.
func (t *Tokenizer) encodeChat(parts []chatPart) (ids []int32, answers []ChatSpan) {
	ids = t.encode(func(e *encoder, dst []int32) []int32 {
		// What stands between two control tokens is one text, whoever wrote it: a word may begin in
		// the template and end in the content.
		var run strings.Builder
		at := atStart
		flush := func() {
			dst = e.append(dst, t.spaced(t.normalized(toValidUTF8(run.String()), at), at))
			if run.Len() > 0 {
				at = inText
			}
			run.Reset()
		}
		answering := false
		for _, p := range parts {
			if p.answer != answering {
				flush()
				if answering = p.answer; answering {
					answers = append(answers, ChatSpan{Start: len(dst)})
				} else {
					answers[len(answers)-1].End = len(dst)
				}
			}
			if p.content {
				run.WriteString(p.text)
				continue
			}
			t.templateMatcher.split(p.text, func(text string) { run.WriteString(text) }, func(a *AddedToken) {
				flush()
				dst, at = append(dst, a.ID), behindToken
			})
		}
		flush()
		if answering {
			answers[len(answers)-1].End = len(dst)
		}
		return dst
	})
	return ids, answers
}

// chatPart is a stretch of a rendered conversation.
type chatPart struct {
	text    string
	content bool // from a message or tool, not from the template
	answer  bool // what the assistant writes
}

// chatWriter collects a rendered conversation.
type chatWriter struct {
	t         *Tokenizer
	parts     []chatPart
	answering bool // what is written now is the assistant's
}

func (w *chatWriter) template(text string) {
	w.parts = append(w.parts, chatPart{text, false, w.answering})
}
func (w *chatWriter) content(text string) {
	w.parts = append(w.parts, chatPart{text, true, w.answering})
}

// said writes what somebody says and what ends it. If it is the assistant, all of that is the answer.
func (w *chatWriter) said(role, text, end string) {
	w.answering = role == RoleAssistant
	w.content(text)
	w.template(end)
	w.answering = false
}

func (t *Tokenizer) renderChat(messages []Message, o ChatOptions) ([]chatPart, error) {
	if len(messages) == 0 {
		return nil, errors.New("tokenizer: chat: there are no messages")
	}
	for i, m := range messages {
		switch m.Role {
		case RoleSystem, RoleUser, RoleAssistant, RoleTool:
		default:
			return nil, fmt.Errorf("tokenizer: chat: message %d has the role %q, must be system, user, assistant or tool", i, m.Role)
		}
		if len(m.ToolCalls) > 0 && m.Role != RoleAssistant {
			return nil, fmt.Errorf("tokenizer: chat: message %d calls tools, but its role is %s", i, m.Role)
		}
	}
	template, err := t.chosen(o.Template)
	if err != nil {
		return nil, err
	}
	w := chatWriter{t: t}
	if err := template.render(&w, messages, o); err != nil {
		return nil, fmt.Errorf("tokenizer: chat: %w", err)
	}
	return w.parts, nil
}

// EndOfTurn is the token with which an answer ends in a template: what a model is to learn behind it, and where
// generation stops.
func (t *Tokenizer) EndOfTurn(c ChatTemplate) (int32, error) {
	template, err := t.chosen(c)
	if err != nil {
		return 0, err
	}
	if template.end == "" {
		if id, ok := t.EOS(); ok {
			return id, nil
		}
		return 0, fmt.Errorf("tokenizer: chat: the template %s ends an answer with the end token, and %s names no eos_token", template.name, configFile)
	}
	id, ok := t.ids[template.end]
	if !ok {
		return 0, fmt.Errorf("tokenizer: chat: the template %s ends an answer with %s, which is not a token", template.name, template.end)
	}
	return id, nil
}

// chosen is the template that c means for this tokenizer.
func (t *Tokenizer) chosen(c ChatTemplate) (*chatTemplate, error) {
	if c == TemplateAuto {
		var err error
		if c, err = t.ChatTemplate(); err != nil {
			return nil, err
		}
	}
	if c < 0 || int(c) >= len(chatTemplates) {
		return nil, fmt.Errorf("tokenizer: chat: there is no template %d", c)
	}
	return &chatTemplates[c], nil
}
