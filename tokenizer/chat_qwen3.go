package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
)

const (
	imStart       = "<|im_start|>"
	imEnd         = "<|im_end|>"
	thinkStart    = "<think>"
	thinkEnd      = "</think>"
	responseStart = "<tool_response>"
	responseEnd   = "</tool_response>"
)

// renderQwen3 follows the chat_template.jinja of Qwen3, branch by branch.
func renderQwen3(w *chatWriter, messages []Message, o ChatOptions) error {
	if err := qwen3System(w, messages[0], o.Tools); err != nil {
		return err
	}
	query := qwen3LastQuery(messages)
	for i, m := range messages {
		last := i == len(messages)-1
		switch {
		case m.Role == RoleUser || m.Role == RoleSystem && i > 0:
			w.template(imStart + m.Role + "\n")
			w.content(m.Content)
			w.template(imEnd + "\n")
		case m.Role == RoleAssistant:
			if err := qwen3Assistant(w, m, i > query, last); err != nil {
				return fmt.Errorf("message %d: %w", i, err)
			}
		case m.Role == RoleTool:
			w.qwenToolAnswer(messages, i)
		}
	}
	if o.AddGenerationPrompt {
		w.template(imStart + RoleAssistant + "\n")
		if o.Thinking == ThinkingOff {
			w.template(thinkStart + "\n\n" + thinkEnd + "\n\n")
		}
	}
	return nil
}

// qwen3System writes the system turn: the first message, if it is one, and the tools.
func qwen3System(w *chatWriter, first Message, tools []json.RawMessage) error {
	if len(tools) == 0 {
		if first.Role == RoleSystem {
			w.template(imStart + RoleSystem + "\n")
			w.content(first.Content)
			w.template(imEnd + "\n")
		}
		return nil
	}
	w.template(imStart + RoleSystem + "\n")
	if first.Role == RoleSystem {
		w.content(first.Content)
		w.template("\n\n")
	}
	return w.qwenTools(tools)
}

// qwen3LastQuery returns the index of the last message that a user wrote, tool responses apart:
// thoughts of answers before it are left out.
func qwen3LastQuery(messages []Message) int {
	for i := len(messages) - 1; i >= 0; i-- {
		m := messages[i]
		isResponse := strings.HasPrefix(m.Content, responseStart) && strings.HasSuffix(m.Content, responseEnd)
		if m.Role == RoleUser && !isResponse {
			return i
		}
	}
	return len(messages) - 1
}

func qwen3Assistant(w *chatWriter, m Message, afterQuery, last bool) error {
	content, reasoning := m.Content, m.ReasoningContent
	if reasoning == "" && strings.Contains(content, thinkEnd) {
		before, _, _ := strings.Cut(content, thinkEnd)
		before = strings.TrimRight(before, "\n")
		reasoning = strings.TrimLeft(before[afterLast(before, thinkStart):], "\n")
		content = strings.TrimLeft(content[afterLast(content, thinkEnd):], "\n")
	}
	w.template(imStart + RoleAssistant + "\n")
	if afterQuery && (last || reasoning != "") {
		thoughts := strings.Trim(reasoning, "\n")
		w.answering = thoughts != "" // none are a prompt's, see ThinkingOff
		w.template(thinkStart + "\n")
		w.content(thoughts)
		w.template("\n" + thinkEnd + "\n\n")
		w.answering = true
		w.content(strings.TrimLeft(content, "\n"))
	} else {
		w.answering = true
		w.content(content)
	}
	if err := w.qwenToolCalls(m.ToolCalls, content, ToolCall.arguments); err != nil {
		return err
	}
	w.template(imEnd)
	w.answering = false
	w.template("\n")
	return nil
}

// afterLast returns the offset in s after the last sep, 0 if there is none.
func afterLast(s, sep string) int {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return i + len(sep)
	}
	return 0
}
