package tokenizer

import "errors"

// chatMLTemplate is the Jinja text of TemplateChatML, for the files of tokenizers that are trained
// with it.
const chatMLTemplate = "{% for message in messages %}" +
	"{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}" +
	"{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"

func renderChatML(w *chatWriter, messages []Message, o ChatOptions) error {
	if len(o.Tools) > 0 {
		return errors.New("ChatML has no place for tools")
	}
	for _, m := range messages {
		if len(m.ToolCalls) > 0 {
			return errors.New("ChatML has no place for tool calls")
		}
		w.template(imStart + m.Role + "\n")
		w.answering = m.Role == RoleAssistant
		w.content(m.Content)
		w.template(imEnd)
		w.answering = false
		w.template("\n")
	}
	if o.AddGenerationPrompt {
		w.template(imStart + RoleAssistant + "\n")
	}
	return nil
}
