package tokenizer

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// chatGolden is a line of testdata/families/chat_*.jsonl (testdata/make_chats.py); the first of a file has the
// fields up to EOS, the others those behind.
type chatGolden struct {
	Template   string
	Vocabulary string
	BOS        string `json:"bos_token"`
	EOS        string `json:"eos_token"`

	chatCase
}

func TestReleasedTemplatesRenderAndEncodeAsTheReference(t *testing.T) {
	for name, want := range map[string]ChatTemplate{"llama3": TemplateLlama3, "llama31": TemplateLlama31, "llama32": TemplateLlama31,
		"llama2": TemplateLlama2, "llama2b": TemplateLlama2, "zephyr": TemplateZephyr,
		"smollm2": TemplateSmolLM2, "qwen2": TemplateQwen2, "qwen25": TemplateQwen25} {
		rows := readLines[chatGolden](t, filepath.Join("testdata", "families", "chat_"+name+".jsonl"))
		first := rows[0]
		if got := knownTemplates[first.Template]; got != want {
			t.Errorf("%s: the template is known as %v, want %v", name, got, want)
		}
		tok := loadTestdata(t, filepath.Join("families", first.Vocabulary))
		tok.config.bos, tok.config.eos = tok.idOf(first.BOS), tok.idOf(first.EOS)
		plain := 0
		for i, c := range rows[1:] {
			o := c.options()
			o.Template = want
			text, err := tok.RenderChat(c.Messages, o)
			if err != nil || text != c.Text {
				t.Errorf("%s, case %d: RenderChat\n got %q, %v\nwant %q", name, i, text, err, c.Text)
				continue
			}
			if got := tok.Encode(text); !slices.Equal(got, c.IDs) {
				t.Errorf("%s, case %d: Encode(%q) = %v, want %v", name, i, text, got, c.IDs)
			}
			got, err := tok.EncodeChat(c.Messages, o)
			if err != nil {
				t.Fatal(err)
			}
			checkAnswers(t, tok, c.Messages, o, got)
			holds := slices.ContainsFunc(c.Messages, func(m Message) bool {
				return slices.ContainsFunc(tok.added, func(a AddedToken) bool { return strings.Contains(m.Content, a.Content) })
			})
			if !holds {
				plain++
				if !slices.Equal(got, c.IDs) {
					t.Errorf("%s, case %d: EncodeChat\n got %v\nwant %v", name, i, got, c.IDs)
				}
			}
		}
		if plain == 0 {
			t.Errorf("%s: every conversation holds control tokens: the ids show nothing", name)
		}
	}
}

// checkAnswers checks the spans that the assistant writes: what was said and the end of the turn, behind the prompt
// that asks for it.
func checkAnswers(t *testing.T, tok *Tokenizer, messages []Message, o ChatOptions, whole []int32) {
	t.Helper()
	ids, answers, err := tok.EncodeChatAnswers(messages, o)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := tok.Decode(ids), tok.Decode(whole); got != want {
		t.Errorf("%v: with answers it says %q, else %q", o.Template, got, want)
	}
	end, err := tok.EndOfTurn(o.Template)
	if err != nil {
		t.Fatal(err)
	}
	o.AddGenerationPrompt = true
	for i, m := range messages {
		if m.Role != RoleAssistant {
			continue
		}
		span := answers[0]
		answers = answers[1:]
		prompt, err := tok.EncodeChat(messages[:i], o)
		if err != nil {
			t.Fatal(err)
		}
		answer := ids[span.Start:span.End]
		// a token may join what ends one answer with what follows it, but nothing joins a prompt and its answer
		if before, want := tok.Decode(ids[:span.Start]), tok.Decode(prompt); before != want {
			t.Errorf("%v, message %d: behind %q, asked for behind %q", o.Template, i, before, want)
		}
		said := tok.Decode(answer[:len(answer)-1])
		if len(m.ToolCalls) > 0 { // they follow what is said
			said, _, _ = strings.Cut(said, "<tool_call>")
		}
		if strip(said) != strip(m.Content) || answer[len(answer)-1] != end {
			t.Errorf("%v, message %d: the answer is %q and %d, want %q and %d", o.Template, i, said, answer[len(answer)-1], m.Content, end)
		}
	}
	if len(answers) > 0 {
		t.Errorf("%v: %d answers too many", o.Template, len(answers))
	}
}

// idOf is the id of a token, nil for "".
func (t *Tokenizer) idOf(token string) *int32 {
	if id, ok := t.ids[token]; ok {
		return &id
	}
	return nil
}

func TestTemplatesAreKnownHoweverTheirLinesEnd(t *testing.T) {
	for _, same := range []string{
		chatMLTemplate,
		chatMLTemplate + "\n",
		strings.ReplaceAll(chatMLTemplate, `\n`, "\n"),
		strings.ReplaceAll(chatMLTemplate, `\n`, "\r\n") + "\r\n",
	} {
		if c, ok := knownTemplates[templateHash(same)]; !ok || c != TemplateChatML {
			t.Errorf("%q is known as %v, %t", same, c, ok)
		}
	}
	for _, other := range []string{"", chatMLTemplate + "\n\n", strings.Replace(chatMLTemplate, "%}{{", `%}\n{{`, 1), strings.Replace(chatMLTemplate, "role", "rôle", 1)} {
		if c, ok := knownTemplates[templateHash(other)]; ok {
			t.Errorf("%q is taken for %v", other, c)
		}
	}
}

func TestTemplateNamesAreParsed(t *testing.T) {
	for _, name := range ChatTemplateNames() {
		if c, err := ParseChatTemplate(name); err != nil || c.String() != name {
			t.Errorf("%s is parsed as %v, %v", name, c, err)
		}
	}
	if _, err := ParseChatTemplate("jinja"); err == nil || !strings.Contains(err.Error(), `no chat template "jinja", only auto, qwen3, chatml`) {
		t.Errorf("error %v", err)
	}
	if s := ChatTemplate(99).String(); s != "ChatTemplate(99)" {
		t.Error(s)
	}
}

func TestAnswersEndWithTheTemplatesToken(t *testing.T) {
	llama3 := loadTestdata(t, "families/llama3")
	if id, err := llama3.EndOfTurn(TemplateAuto); err != nil || llama3.tokens[id] != eotID {
		t.Errorf("%d, %v", id, err)
	}
	llama2 := loadTestdata(t, "families/llama2")
	if _, err := llama2.EndOfTurn(TemplateLlama2); err == nil || !strings.Contains(err.Error(), "names no eos_token") {
		t.Errorf("error %v", err)
	}
	llama2.config.eos = llama2.idOf("</s>")
	if id, err := llama2.EndOfTurn(TemplateZephyr); err != nil || id != 2 {
		t.Errorf("%d, %v", id, err)
	}
	if _, err := llama2.EndOfTurn(TemplateChatML); err == nil || !strings.Contains(err.Error(), "<|im_end|>, which is not a token") {
		t.Errorf("error %v", err)
	}
	if _, err := llama2.EndOfTurn(TemplateAuto); err == nil || !strings.Contains(err.Error(), "-chat-template") {
		t.Errorf("error %v", err)
	}
}

func TestConversationsThatATemplateCannotRenderAreRefused(t *testing.T) {
	llama2, llama3 := loadTestdata(t, "families/llama2"), loadTestdata(t, "families/llama3")
	user, system, tool := Message{Role: RoleUser, Content: "x"}, Message{Role: RoleSystem, Content: "y"}, Message{Role: RoleTool, Content: "z"}
	render := func(tok *Tokenizer, c ChatTemplate, messages ...Message) error {
		_, err := tok.RenderChat(messages, ChatOptions{Template: c})
		return err
	}
	for want, err := range map[string]error{
		"needs the bos_token of tokenizer_config.json":                       render(llama3, TemplateLlama3, user),
		"needs the eos_token of tokenizer_config.json":                       render(llama3, TemplateZephyr, user),
		"message 1: Llama 3.1 has no place for answers of tools":             render(llama3, TemplateLlama31, user, tool),
		"message 0: Zephyr has no place for answers of tools":                render(withEnds(llama2), TemplateZephyr, tool),
		"message 1 is of the user: in Llama 2 user and assistant take turns": render(withEnds(llama2), TemplateLlama2, user, user),
		"message 1 is of the system: in Llama 2":                             render(withEnds(llama2), TemplateLlama2, user, system),
		"there is only a system turn":                                        render(withEnds(llama2), TemplateLlama2, system),
		"Llama 3 has no place for tool calls":                                render(llama3, TemplateLlama3, Message{Role: RoleAssistant, ToolCalls: []ToolCall{{Name: "f"}}}),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want: %s", err, want)
		}
	}
}

func withEnds(tok *Tokenizer) *Tokenizer {
	tok.config.bos, tok.config.eos = tok.idOf("<s>"), tok.idOf("</s>")
	return tok
}
