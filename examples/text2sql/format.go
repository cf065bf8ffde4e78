package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the schema of the compact form is read from SQLite itself

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
	"github.com/hone-ml/hone/tokenizer"
	"github.com/hone-ml/hone/train"
)

// A format says how a question stands before the model. Training and inference use the same prompts, to
// the byte.
type format interface {
	// prompt is the tokens up to where the answer begins.
	prompt(row data.Row) ([]int32, error)
	// completion is the tokens of an answer, its end token included.
	completion(sql string) []int32
	// repair is the tokens that ask for a better answer than one that failed, with the complaint about it.
	repair(row data.Row, answer, complaint string) ([]int32, error)
	// conversation is a row of messages to learn from.
	conversation(row data.Row) (train.Sample, error)
	// stop are the tokens that end an answer.
	stop() []int32
}

// formatOf is the form that a tokenizer's control tokens belong to: the compact one, or else a chat template.
func formatOf(t *tokenizer.Tokenizer, template tokenizer.ChatTemplate) (format, error) {
	if c, ok := newCompact(t); ok && template == tokenizer.TemplateAuto {
		return c, nil
	}
	return newChat(t, template)
}

// sample is a row to learn from.
func sample(f format, row data.Row) (train.Sample, error) {
	if row.IsChat() {
		s, err := f.conversation(row)
		if err != nil {
			err = fmt.Errorf("row %s: %w", row.ID, err)
		}
		s.ID = row.ID
		return s, err
	}
	prompt, err := f.prompt(row)
	if err != nil {
		return train.Sample{}, fmt.Errorf("row %s: %w", row.ID, err)
	}
	tokens := append(prompt, f.completion(row.SQL)...)
	return train.Sample{ID: row.ID, Tokens: tokens, Completion: []train.Span{{Start: len(prompt), End: len(tokens)}}}, nil
}

// chat is a chat template, by default the model's own, thinking off.
type chat struct {
	t        *tokenizer.Tokenizer
	template tokenizer.ChatTemplate
	end      int32
}

func newChat(t *tokenizer.Tokenizer, template tokenizer.ChatTemplate) (format, error) {
	end, err := t.EndOfTurn(template)
	if err != nil {
		return nil, err
	}
	c := &chat{t, template, end}
	_, err = c.prompt(data.Row{Schema: "x", Question: "x", Dialect: "sqlite"})
	return c, err
}

// promptText is a question as a chat model is asked it.
func promptText(row data.Row) string {
	dialect := "SQLite"
	if row.Dialect == "postgres" {
		dialect = "PostgreSQL"
	}
	return fmt.Sprintf("Write one %s query that answers the question.\n\nSchema:\n%s\n\nQuestion: %s", dialect, strings.TrimSpace(row.Schema), row.Question)
}

// promptMessages is what stands before the answer.
func promptMessages(row data.Row) []tokenizer.Message {
	if row.IsChat() {
		return row.Messages[:len(row.Messages)-1]
	}
	return []tokenizer.Message{{Role: tokenizer.RoleUser, Content: promptText(row)}}
}

func (c *chat) prompt(row data.Row) ([]int32, error) {
	o := tokenizer.ChatOptions{Template: c.template, AddGenerationPrompt: true, Thinking: tokenizer.ThinkingOff, Tools: row.Tools}
	if row.IsChat() && thinks(row.Messages[len(row.Messages)-1]) {
		o.Thinking = tokenizer.ThinkingOn
	}
	return c.t.EncodeChat(promptMessages(row), o)
}

// thinks reports whether an answer has thoughts before it.
func thinks(m tokenizer.Message) bool {
	thoughts, _, ok := strings.Cut(m.Content, "</think>")
	return strings.TrimSpace(m.ReasoningContent) != "" || ok && strings.TrimSpace(strings.Replace(thoughts, "<think>", "", 1)) != ""
}

// conversation is the whole conversation in the template. What the assistant has to write carries the loss, in
// every turn; nothing comes after the last.
func (c *chat) conversation(row data.Row) (train.Sample, error) {
	tokens, answers, err := c.t.EncodeChatAnswers(row.Messages, tokenizer.ChatOptions{Template: c.template, Tools: row.Tools})
	if err != nil {
		return train.Sample{}, err
	}
	s := train.Sample{Tokens: tokens[:answers[len(answers)-1].End]}
	for _, a := range answers {
		s.Completion = append(s.Completion, train.Span(a))
	}
	return s, nil
}

func (c *chat) completion(sql string) []int32 { return append(c.t.EncodeOrdinary(sql), c.end) }
func (c *chat) stop() []int32 {
	stop := []int32{c.end}
	for _, token := range []string{"<|endoftext|>", "<|end_of_text|>", "</s>"} {
		if id, ok := c.t.TokenToID(token); ok && c.t.IsSpecial(id) && id != c.end {
			stop = append(stop, id)
		}
	}
	return stop
}

// The control tokens of the compact form.
const (
	tokenEnd      = "<|end|>"
	tokenQuestion = "<|question|>"
	tokenAnswer   = "<|answer|>"
)

// compact is the demo's form: a line for each table, the question, the query, in a few tokens that are
// easy to copy.
type compact struct {
	t                     *tokenizer.Tokenizer
	end, question, answer int32
}

func newCompact(t *tokenizer.Tokenizer) (*compact, bool) {
	c := &compact{t: t}
	var ok [3]bool
	c.end, ok[0] = t.TokenToID(tokenEnd)
	c.question, ok[1] = t.TokenToID(tokenQuestion)
	c.answer, ok[2] = t.TokenToID(tokenAnswer)
	return c, ok == [3]bool{true, true, true}
}

func (c *compact) conversation(data.Row) (train.Sample, error) {
	return train.Sample{}, errors.New("the demo's model has a form for questions and SQL only")
}

func (c *compact) prompt(row data.Row) ([]int32, error) {
	if row.IsChat() {
		_, err := c.conversation(row)
		return nil, err
	}
	lines, err := compactSchema(row.Schema)
	if err != nil {
		return nil, err
	}
	return c.ask(c.t.EncodeOrdinary(lines), row.Question), nil
}

// ask appends a question to what stands before it.
func (c *compact) ask(before []int32, question string) []int32 {
	before = append(before, c.question)
	before = append(before, c.t.EncodeOrdinary(" "+question)...)
	return append(before, c.answer)
}

func (c *compact) completion(sql string) []int32 {
	return append(c.t.EncodeOrdinary(" "+sql), c.end)
}

func (c *compact) stop() []int32 { return []int32{c.end} }

// compactSchema writes CREATE TABLE text as a line " table: column column" for each table. Text that is
// in this form already stays as it is.
func compactSchema(ddl string) (string, error) {
	if !strings.Contains(strings.ToUpper(ddl), "CREATE TABLE") {
		return ddl, nil
	}
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return "", err
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // every connection has a memory of its own
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for statement := range strings.SplitSeq(ddl, ";") {
		// a schema comes from outside: whatever is not a CREATE, such as ATTACH, is not run
		if word, _, _ := strings.Cut(strings.TrimSpace(statement), " "); !strings.EqualFold(word, "CREATE") {
			continue
		}
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return "", fmt.Errorf("the schema does not run: %w", err)
		}
	}
	rows, err := db.QueryContext(ctx, `SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' ORDER BY m.rowid, c.cid`)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var b strings.Builder
	last := ""
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			return "", err
		}
		if table != last {
			if last != "" {
				b.WriteByte('\n')
			}
			b.WriteString(" " + table + ":")
			last = table
		}
		b.WriteString(" " + column)
	}
	b.WriteByte('\n')
	return b.String(), rows.Err()
}
