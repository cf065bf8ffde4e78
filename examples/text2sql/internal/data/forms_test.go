package data

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/hone-ml/hone/tokenizer"
)

func TestEveryFormIsRecognisedByItsFields(t *testing.T) {
	user := func(text string) tokenizer.Message { return tokenizer.Message{Role: "user", Content: text} }
	assistant := func(text string) tokenizer.Message {
		return tokenizer.Message{Role: "assistant", Content: text}
	}
	for text, want := range map[string]Row{
		`{"question":"q","sql":"SELECT 1","note":"x"}`:                                        {ID: "1", Question: "q", SQL: "SELECT 1"},
		`{"id":"a","prompt":"Say <b> \"hi\".","completion":"hi"}`:                             {ID: "a", Messages: []tokenizer.Message{user(`Say <b> "hi".`), assistant("hi")}},
		`{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}`:     {ID: "1", Messages: []tokenizer.Message{user("q"), assistant("a")}},
		`{"question":"q","sql":"SELECT 1","prompt":null,"completion":"x","messages":null}`:    {ID: "1", Question: "q", SQL: "SELECT 1"},
		`{"db_id":"d","prompt":"p","completion":"c","question":"more","schema":7,"sql":null}`: {ID: "1", DBID: "d", Messages: []tokenizer.Message{user("p"), assistant("c")}},
		`{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":null,"tool_calls":[{"type":"function","function":{"name":"f","arguments":{"x":1}}}]},` +
			`{"role":"tool","content":"2","name":"f"},{"role":"assistant","content":"two","reasoning_content":"so"}],"tools":[{"name":"f"}]}`: {ID: "1", Tools: []json.RawMessage{json.RawMessage(`{"name":"f"}`)},
			Messages: []tokenizer.Message{user("q"), {Role: "assistant", ToolCalls: []tokenizer.ToolCall{{Name: "f", Arguments: json.RawMessage(`{"x":1}`)}}},
				{Role: "tool", Content: "2"}, {Role: "assistant", Content: "two", ReasoningContent: "so"}}},
	} {
		rows, err := readAll(text)
		if err != nil || len(rows) != 1 || !reflect.DeepEqual(rows[0], want) {
			t.Errorf("%s:\ngot  %+v, %v\nwant %+v", text, rows, err, want)
		}
	}
	rows, err := readAs(t, "f.csv", "messages,tools\n\"[{\"\"role\"\":\"\"user\"\",\"\"content\"\":\"\"q\"\"},{\"\"role\"\":\"\"assistant\"\",\"\"content\"\":\"\"a\"\"}]\",\n")
	if err != nil || !reflect.DeepEqual(rows[0].Messages, []tokenizer.Message{user("q"), assistant("a")}) {
		t.Errorf("CSV: %+v, %v", rows, err)
	}
	g := readParquetGolden(t)
	rows, err = Read(g.file(t, "messages"))
	if err != nil || len(rows) != 2 || !rows[1].IsChat() || len(rows[1].Messages) != 5 || !reflect.DeepEqual(rows[1].Messages[4], assistant("2")) {
		t.Errorf("Parquet: %+v, %v", rows, err)
	}
}

func TestRowsOfNoOrTwoFormsAreNamed(t *testing.T) {
	chat := func(messages string) string { return `{"messages":` + messages + `}` }
	const user = `{"role":"user","content":"q"}`
	for text, want := range map[string]string{
		`{"answer":"SELECT 1","context":"x"}`: `the row is of no form that is known, "question" and "sql", "prompt" and "completion", or "messages": it has the fields "answer", "context" (-fields tells what a file calls them)`,
		`{}`:                                  `the row is of no form that is known, "question" and "sql", "prompt" and "completion", or "messages": it has the fields of none (-fields tells what a file calls them)`,
		`{"question":"q","sql":"s","prompt":"p","completion":"c"}`: `the row is both question and SQL and prompt and completion: leave out the fields of one`,
		`{"prompt":"p"}`:                            `field "completion" is missing`,
		`{"prompt":"p","completion":""}`:            `field "completion" is empty`,
		`{"prompt":["p"],"completion":"c"}`:         `field "prompt" is an array, not a string`,
		chat(`{}`):                                  `field "messages" is not an array of objects`,
		chat(`[]`):                                  `field "messages" is empty`,
		chat(`[` + user + `]`):                      `the last message is of the user: from what comes after the last answer nothing is learnt`,
		chat(`[{"role":"User","content":"q"}]`):     `message 1: the role is "User", want system, user, assistant or tool`,
		chat(`[` + user + `,{"role":"assistant"}]`): `message 2: field "content" is missing`,
		chat(`[` + user + `,{"role":"assistant","content":[{"text":"a"}]}]`): `message 2: field "content" is an array, not a string`,
		chat(`[` + user + `,{"role":"assistant","tool_calls":[{}]}]`):        `message 2: field "tool_calls": a tool call has no name`,
	} {
		if rows, err := readAll("\n" + text); err == nil || err.Error() != "f.jsonl:2: "+want {
			t.Errorf("%s:\ngot  %v, %v\nwant f.jsonl:2: %s", text, rows, err, want)
		}
	}
}

func TestMixedFormsInOneFileAreNamedByTheirLine(t *testing.T) {
	const completion = `{"prompt":"p","completion":"c"}`
	for text, want := range map[string]string{
		good + "\n" + completion: `f.jsonl:2: the row is prompt and completion, that of line 1 is question and SQL: all rows of a file are of one form`,
		completion + "\n\n" + completion + "\n" + `{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}`: `f.jsonl:4: the row is chat, that of line 1 is prompt and completion: all rows of a file are of one form`,
	} {
		if _, err := readAll(text); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}
