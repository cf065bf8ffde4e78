package data

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hone-ml/hone/tokenizer"
)

// A form is how a row says what is to be learnt. All rows of a file have one.
type form struct {
	name   string
	fields []string // that it is known by
	parse  func(o object, row *Row) error
}

// forms are those that a row may have.
var forms = []form{
	{"question and SQL", []string{"question", "sql"}, parseQuestion},
	{"prompt and completion", []string{"prompt", "completion"}, parseCompletion},
	{"chat", []string{"messages"}, parseChat},
}

// needs reports whether the record is of no form because it lacks the field.
func needs(o object, field string) bool {
	has := func(name string) bool { _, ok := o[name]; return ok }
	missing := false
	for _, f := range forms {
		if !slices.ContainsFunc(f.fields, func(name string) bool { return !has(name) }) {
			return false
		}
		missing = missing || slices.Contains(f.fields, field) && !has(field)
	}
	return missing
}

// FieldNames are those of all that a row can have.
func FieldNames() []string {
	return []string{"id", "db_id", "schema", "question", "sql", "golds", "dialect", "prompt", "completion", "messages", "tools"}
}

// formOf recognises a row by its fields.
func formOf(o object) (*form, error) {
	var whole, part *form
	for i := range forms {
		f := &forms[i]
		n := 0
		for _, field := range f.fields {
			if o.has(field) {
				n++
			}
		}
		switch {
		case n == len(f.fields) && whole != nil:
			return nil, fmt.Errorf("the row is both %s and %s: leave out the fields of one", whole.name, f.name)
		case n == len(f.fields):
			whole = f
		case n > 0 && part == nil:
			part = f
		}
	}
	if f := cmp.Or(whole, part); f != nil {
		return f, nil // of a part, parsing says what is missing
	}
	return nil, fmt.Errorf(`the row is of no form that is known, "question" and "sql", "prompt" and "completion", or "messages": it has the fields %s (-fields tells what a file calls them)`, names(o))
}

// names are the fields of an object, for people.
func names(o object) string {
	if len(o) == 0 {
		return "of none"
	}
	var quoted []string
	for _, name := range slices.Sorted(maps.Keys(o)) {
		quoted = append(quoted, strconv.Quote(name))
	}
	return strings.Join(quoted, ", ")
}

// parseRow parses a row of any form. Where it has no id, it is called name.
func parseRow(o object, name string) (row Row, f *form, err error) {
	if f, err = formOf(o); err != nil {
		return row, nil, err
	}
	err = cmp.Or(o.name("id", &row.ID), o.optional("db_id", &row.DBID), f.parse(o, &row))
	if row.ID == "" {
		row.ID = name
	}
	return row, f, err
}

func parseQuestion(o object, row *Row) error {
	err := cmp.Or(o.optional("schema", &row.Schema), o.text("question", &row.Question), o.text("sql", &row.SQL),
		o.optional("dialect", &row.Dialect), o.texts("golds", &row.Golds))
	if d := row.Dialect; err == nil && d != "" && d != "sqlite" && d != "postgres" {
		err = fmt.Errorf(`the dialect is %q, want "sqlite" or "postgres"`, d)
	}
	return err
}

func parseCompletion(o object, row *Row) error {
	var prompt, completion string
	err := cmp.Or(o.text("prompt", &prompt), o.text("completion", &completion))
	row.Messages = []tokenizer.Message{{Role: tokenizer.RoleUser, Content: prompt}, {Role: tokenizer.RoleAssistant, Content: completion}}
	return err
}

func parseChat(o object, row *Row) error {
	var messages []object
	if err := json.Unmarshal(o["messages"], &messages); err != nil {
		return fmt.Errorf(`field "messages" is not an array of objects`)
	}
	for i, m := range messages {
		var parsed tokenizer.Message
		if err := parseMessage(m, &parsed); err != nil {
			return fmt.Errorf("message %d: %w", i+1, err)
		}
		row.Messages = append(row.Messages, parsed)
	}
	if o.has("tools") {
		if err := json.Unmarshal(o["tools"], &row.Tools); err != nil {
			return fmt.Errorf(`field "tools" is not an array`)
		}
	}
	switch n := len(row.Messages); {
	case n == 0:
		return fmt.Errorf(`field "messages" is empty`)
	case row.Messages[n-1].Role != tokenizer.RoleAssistant:
		return fmt.Errorf("the last message is of the %s: from what comes after the last answer nothing is learnt", row.Messages[n-1].Role)
	}
	return nil
}

// parseMessage parses one message in the form of the chat APIs.
func parseMessage(o object, m *tokenizer.Message) error {
	if err := cmp.Or(o.text("role", &m.Role), o.optional("content", &m.Content), o.optional("reasoning_content", &m.ReasoningContent)); err != nil {
		return err
	}
	if o.has("tool_calls") {
		if err := json.Unmarshal(o["tool_calls"], &m.ToolCalls); err != nil {
			return fmt.Errorf(`field "tool_calls": %w`, err)
		}
	}
	switch m.Role {
	case tokenizer.RoleSystem, tokenizer.RoleUser, tokenizer.RoleAssistant, tokenizer.RoleTool:
	default:
		return fmt.Errorf("the role is %q, want system, user, assistant or tool", m.Role)
	}
	if !o.has("content") && len(m.ToolCalls) == 0 {
		return fmt.Errorf(`field "content" is missing`)
	}
	return nil
}
