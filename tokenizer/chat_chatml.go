package tokenizer

// chatMLTemplate is the Jinja text of TemplateChatML, for the files of tokenizers that are trained
// with it.
const chatMLTemplate = "{% for message in messages %}" +
	"{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}" +
	"{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"

// chatML renders ChatML, with a system turn of the given content, if any, where the messages begin with none.
func chatML(system string) func(w *chatWriter, messages []Message, o ChatOptions) error {
	return func(w *chatWriter, messages []Message, o ChatOptions) error {
		if err := noTools("ChatML", messages, o); err != nil {
			return err
		}
		if system != "" && messages[0].Role != RoleSystem {
			w.template(imStart + RoleSystem + "\n" + system + imEnd + "\n")
		}
		for _, m := range messages {
			w.template(imStart + m.Role + "\n")
			w.said(m.Role, m.Content, imEnd)
			w.template("\n")
		}
		if o.AddGenerationPrompt {
			w.template(imStart + RoleAssistant + "\n")
		}
		return nil
	}
}
