package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
)

// What the templates of Qwen2.5 and Qwen3 have in common: how they write tools, their calls and their answers.

const (
	qwenToolsIntro = "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n" +
		"You are provided with function signatures within <tools></tools> XML tags:\n<tools>"
	qwenToolsOutro = "\n</tools>\n\nFor each function call, return a json object with function name and arguments within " +
		"<tool_call></tool_call> XML tags:\n<tool_call>\n{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call>" +
		imEnd + "\n"
)

// qwenTools writes what tools there are, to the end of the system turn.
func (w *chatWriter) qwenTools(tools []json.RawMessage) error {
	w.template(qwenToolsIntro)
	for i, tool := range tools {
		text, err := pythonJSON(tool)
		if err != nil {
			return fmt.Errorf("tool %d: %w", i, err)
		}
		w.template("\n")
		w.content(text)
	}
	w.template(qwenToolsOutro)
	return nil
}

// qwenToolAnswer writes the answer of a tool, message i: several in a row are one turn of the user.
func (w *chatWriter) qwenToolAnswer(messages []Message, i int) {
	if i == 0 || messages[i-1].Role != RoleTool {
		w.template(imStart + RoleUser)
	}
	w.template("\n" + responseStart + "\n")
	w.content(messages[i].Content)
	w.template("\n" + responseEnd)
	if i == len(messages)-1 || messages[i+1].Role != RoleTool {
		w.template(imEnd + "\n")
	}
}

// qwenToolCalls writes the calls behind an assistant's content.
func (w *chatWriter) qwenToolCalls(calls []ToolCall, content string, arguments func(ToolCall) (string, error)) error {
	for i, call := range calls {
		text, err := arguments(call)
		if err != nil {
			return fmt.Errorf("tool call %d: %w", i, err)
		}
		if i > 0 || content != "" {
			w.template("\n")
		}
		w.template("<tool_call>\n{\"name\": \"")
		w.content(call.Name)
		w.template("\", \"arguments\": ")
		w.content(text)
		w.template("}\n</tool_call>")
	}
	return nil
}

// arguments returns the arguments as Qwen3's template writes them: a text as it is.
func (c ToolCall) arguments() (string, error) {
	if len(c.Arguments) > 0 && c.Arguments[0] == '"' {
		var text string
		err := json.Unmarshal(c.Arguments, &text)
		return text, err
	}
	return c.jsonArguments()
}

// jsonArguments returns the arguments as Qwen2.5's template writes them: JSON.
func (c ToolCall) jsonArguments() (string, error) {
	if len(c.Arguments) == 0 {
		return "", errors.New("the arguments are missing")
	}
	return pythonJSON(c.Arguments)
}
