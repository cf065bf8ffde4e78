package tokenizer

import "fmt"

// renderQwen25 follows the template of Qwen2.5-Instruct: a system turn always comes first, and there are no thoughts.
func renderQwen25(w *chatWriter, messages []Message, o ChatOptions) error {
	w.template(imStart + RoleSystem + "\n")
	if messages[0].Role == RoleSystem {
		w.content(messages[0].Content)
	} else {
		w.template("You are Qwen, created by Alibaba Cloud. You are a helpful assistant.")
	}
	if len(o.Tools) > 0 {
		w.template("\n\n")
		if err := w.qwenTools(o.Tools); err != nil {
			return err
		}
	} else {
		w.template(imEnd + "\n")
	}
	for i, m := range messages {
		switch {
		case m.Role == RoleUser || m.Role == RoleSystem && i > 0:
			w.template(imStart + m.Role + "\n")
			w.content(m.Content)
			w.template(imEnd + "\n")
		case m.Role == RoleAssistant:
			w.template(imStart + RoleAssistant + "\n")
			w.answering = true
			w.content(m.Content)
			if err := w.qwenToolCalls(m.ToolCalls, m.Content, ToolCall.jsonArguments); err != nil {
				return fmt.Errorf("message %d: %w", i, err)
			}
			w.template(imEnd)
			w.answering = false
			w.template("\n")
		case m.Role == RoleTool:
			w.qwenToolAnswer(messages, i)
		}
	}
	if o.AddGenerationPrompt {
		w.template(imStart + RoleAssistant + "\n")
	}
	return nil
}
