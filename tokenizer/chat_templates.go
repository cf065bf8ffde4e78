package tokenizer

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
)

// chatTemplate is a chat template in Go.
type chatTemplate struct {
	name   string
	end    string // the token that ends an answer, "" for the tokenizer's end token
	render func(w *chatWriter, messages []Message, o ChatOptions) error
}

var chatTemplates = [...]chatTemplate{
	TemplateAuto:    {name: "auto"},
	TemplateQwen3:   {"qwen3", imEnd, renderQwen3},
	TemplateChatML:  {"chatml", imEnd, chatML("")},
	TemplateQwen2:   {"qwen2", imEnd, chatML("You are a helpful assistant.")},
	TemplateQwen25:  {"qwen2.5", imEnd, renderQwen25},
	TemplateSmolLM2: {"smollm2", imEnd, chatML("You are a helpful AI assistant named SmolLM, trained by Hugging Face")},
	TemplateLlama3:  {"llama3", eotID, renderLlama3},
	TemplateLlama31: {"llama3.1", eotID, renderLlama31},
	TemplateLlama2:  {"llama2", "", renderLlama2},
	TemplateZephyr:  {"zephyr", "", renderZephyr},
}

// ChatTemplateNames are the names that ParseChatTemplate takes.
func ChatTemplateNames() []string {
	var names []string
	for _, t := range chatTemplates {
		names = append(names, t.name)
	}
	return names
}

// ParseChatTemplate is the template of a name: auto, qwen3, chatml, qwen2, qwen2.5, smollm2, llama3, llama3.1, llama2 or
// zephyr.
func ParseChatTemplate(name string) (ChatTemplate, error) {
	for c, t := range chatTemplates {
		if t.name == name {
			return ChatTemplate(c), nil
		}
	}
	return TemplateAuto, fmt.Errorf("there is no chat template %q, only %s", name, strings.Join(ChatTemplateNames(), ", "))
}

// String is the name of a template.
func (c ChatTemplate) String() string {
	if c < 0 || int(c) >= len(chatTemplates) {
		return fmt.Sprintf("ChatTemplate(%d)", int(c))
	}
	return chatTemplates[c].name
}

// knownTemplates holds the Jinja texts, by the SHA-256 of their normal form, that hone renders in Go. What any of
// them renders differently, its renderer refuses.
var knownTemplates = map[string]ChatTemplate{
	"2df317a15cbc983d9602cc391d33be17237d47ec7eb11ead80fae277143958aa": TemplateQwen3,
	// The same, but for contents that are no strings.
	"edcd73b0e30a780c1d6f3e060c07396def3c3fa55a2c55197b10f99d1dde83e1": TemplateQwen3,

	templateHash(chatMLTemplate):                                       TemplateChatML,
	"153280e3ff55d19da1398bdb3914ee2a51b80429bfaedde11d7d216c39db80f3": TemplateChatML, // the same without two spaces
	"793202280c0910ab26bc6eb57c8212c2417324c6d8c4efd0d10d59092ab3e3eb": TemplateQwen2,
	"a18cc698dd45623eb707279d08e66f7bb8d76afc89ead84016b88487b395b5cc": TemplateQwen25,
	"872be49dbb638044ad01b60388f48d469ff2980e5f0dccdc22ec907db54d0788": TemplateSmolLM2,
	"ba03a121d097859c7b5b9cd03af99aafe95275210d2876f642ad9929a150f122": TemplateLlama3,
	"99799a835a31e1d33c4a9c7ee8a0de3923b291a95155ed6dc8efcbd0fe1d0238": TemplateLlama31,
	"0cac23ffd2b33ff7b039e17ee143a080053318146fdc788f1d49ed4745aa8683": TemplateLlama31, // 3.2 and 3.3, which ask for the date of today
	"9780fae5bfea3cfd7be37d328c6edfd296a8869be8131495bbe7eb37e780c88c": TemplateLlama2,
	"5e53c989e0be846d15684f709272441562fff0321d7d47693d54c0f0ed9f4822": TemplateLlama2, // with a branch for a late system turn
	"66291cf0045c2425a3a667cf3cbb7af2b11f09e025c02f97245323ab79119362": TemplateZephyr,
}

// templateHash is the SHA-256 of a template's normal form.
func templateHash(jinja string) string {
	sum := sha256.Sum256([]byte(normalTemplate(jinja)))
	return hex.EncodeToString(sum[:])
}

// normalTemplate undoes differences between texts of one template that Jinja does not see: how lines end, whether the
// last one does, and whether line ends in strings are escaped.
func normalTemplate(jinja string) string {
	jinja = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(jinja)
	jinja = strings.TrimSuffix(jinja, "\n")
	var b strings.Builder
	for {
		before, rest, found := cutTag(jinja)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		end := strings.Index(rest, "}}")
		if i := strings.Index(rest, "%}"); end < 0 || i >= 0 && i < end {
			end = i
		}
		if end < 0 {
			end = len(rest)
		}
		b.WriteString(strings.ReplaceAll(rest[:end], `\n`, "\n"))
		jinja = rest[end:]
	}
}

// cutTag cuts a template where {{ or {% begins.
func cutTag(jinja string) (before, rest string, found bool) {
	at := strings.Index(jinja, "{{")
	if i := strings.Index(jinja, "{%"); at < 0 || i >= 0 && i < at {
		at = i
	}
	if at < 0 {
		return jinja, "", false
	}
	return jinja[:at], jinja[at:], true
}

// noTools is an error if a conversation has what only the templates of Qwen2.5 and Qwen3 have a place for.
func noTools(name string, messages []Message, o ChatOptions) error {
	if len(o.Tools) > 0 {
		return fmt.Errorf("%s has no place for tools", name)
	}
	for _, m := range messages {
		if len(m.ToolCalls) > 0 {
			return fmt.Errorf("%s has no place for tool calls", name)
		}
	}
	return nil
}

// special is a token that tokenizer_config.json names.
func (w *chatWriter) special(id *int32, field string) (string, error) {
	if id == nil {
		return "", fmt.Errorf("the template needs the %s of %s", field, configFile)
	}
	return w.t.tokens[*id], nil
}

// isPythonSpace reports what Python's str.strip takes away.
func isPythonSpace(r rune) bool { return unicode.IsSpace(r) || 0x1C <= r && r <= 0x1F }

func strip(s string) string { return strings.TrimFunc(s, isPythonSpace) }
