package tokenizer

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
)

const eotID = "<|eot_id|>"

// renderLlama3 follows the template of Meta-Llama-3-Instruct.
func renderLlama3(w *chatWriter, messages []Message, o ChatOptions) error {
	if err := noTools("Llama 3", messages, o); err != nil {
		return err
	}
	bos, err := w.special(w.t.config.bos, "bos_token")
	if err != nil {
		return err
	}
	w.template(bos)
	w.llama3Turns(messages, o)
	return nil
}

// renderLlama31 follows the templates of Llama 3.1 to 3.3 where there are no tools: a system turn, with the date,
// always comes first.
func renderLlama31(w *chatWriter, messages []Message, o ChatOptions) error {
	if err := noTools("Llama 3.1", messages, o); err != nil {
		return err
	}
	for i, m := range messages {
		if m.Role == RoleTool {
			return fmt.Errorf("message %d: Llama 3.1 has no place for answers of tools without tools", i)
		}
	}
	bos, err := w.special(w.t.config.bos, "bos_token")
	if err != nil {
		return err
	}
	w.template(bos + "<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\nToday Date: ")
	w.content(cmp.Or(o.Date, "26 Jul 2024"))
	w.template("\n\n")
	if messages[0].Role == RoleSystem {
		w.content(strip(messages[0].Content))
		messages = messages[1:]
	}
	w.template(eotID)
	w.llama3Turns(messages, o)
	return nil
}

func (w *chatWriter) llama3Turns(messages []Message, o ChatOptions) {
	header := func(role string) { w.template("<|start_header_id|>" + role + "<|end_header_id|>\n\n") }
	for _, m := range messages {
		header(m.Role)
		w.said(m.Role, strip(m.Content), eotID)
	}
	if o.AddGenerationPrompt {
		header(RoleAssistant)
	}
}

// renderLlama2 follows the template of Llama-2-chat. What begins an answer is part of it: the prompt ends with
// [/INST] in any case.
func renderLlama2(w *chatWriter, messages []Message, o ChatOptions) error {
	if err := noTools("Llama 2", messages, o); err != nil {
		return err
	}
	bos, err := w.special(w.t.config.bos, "bos_token")
	if err != nil {
		return err
	}
	eos, err := w.special(w.t.config.eos, "eos_token")
	if err != nil {
		return err
	}
	var system *Message
	if messages[0].Role == RoleSystem {
		system, messages = &messages[0], messages[1:]
	}
	if system != nil && len(messages) == 0 {
		return errors.New("there is only a system turn, which in Llama 2 is part of the first turn of a user")
	}
	for i, m := range messages {
		switch {
		case m.Role == RoleUser && i%2 == 0:
			w.template(bos + "[INST] ")
			if text := strip(m.Content); i > 0 || system == nil {
				w.content(text)
			} else { // the turn is stripped with the system's in it
				w.template("<<SYS>>\n")
				w.content(system.Content)
				end := "\n<</SYS>>\n\n"
				if text == "" {
					end = strip(end)
					w.template("\n" + end)
				} else {
					w.template(end)
					w.content(strings.TrimRightFunc(m.Content, isPythonSpace))
				}
			}
			w.template(" [/INST]")
		case m.Role == RoleAssistant && i%2 == 1:
			w.answering = true // with the space before it, which the prompt lacks
			w.template(" ")
			w.said(m.Role, strip(m.Content), " "+eos)
		default:
			return fmt.Errorf("message %d is of the %s: in Llama 2 user and assistant take turns, the user first", i, m.Role)
		}
	}
	return nil
}
