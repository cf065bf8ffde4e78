package tokenizer

import "fmt"

// renderZephyr follows the template of zephyr-7b-beta and TinyLlama-Chat.
func renderZephyr(w *chatWriter, messages []Message, o ChatOptions) error {
	if err := noTools("Zephyr", messages, o); err != nil {
		return err
	}
	eos, err := w.special(w.t.config.eos, "eos_token")
	if err != nil {
		return err
	}
	for i, m := range messages {
		if m.Role == RoleTool {
			return fmt.Errorf("message %d: Zephyr has no place for answers of tools", i)
		}
		w.template("<|" + m.Role + "|>\n")
		w.said(m.Role, m.Content, eos)
		w.template("\n")
	}
	if o.AddGenerationPrompt {
		w.template("<|assistant|>\n")
	}
	return nil
}
