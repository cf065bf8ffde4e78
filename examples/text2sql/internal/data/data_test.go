package data

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
)

const good = `{"id":"1","db_id":"d","schema":"CREATE TABLE t (a)","question":"q","sql":"SELECT a FROM t","dialect":"sqlite"}`

// with returns the good line with one field's value replaced by JSON text.
func with(field, value string) string {
	var o map[string]json.RawMessage
	if err := json.Unmarshal([]byte(good), &o); err != nil {
		panic(err)
	}
	if value == "" {
		delete(o, field)
	} else {
		o[field] = json.RawMessage(value)
	}
	b, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func readAll(text string) (rows []Row, err error) {
	for row, err := range Rows(strings.NewReader(text), "f.jsonl") {
		if err != nil {
			return rows, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func TestRowsComeBackAsTheyWereWritten(t *testing.T) {
	rows := []Row{
		{ID: "a", DBID: "db", Schema: "CREATE TABLE \"t\" (\n\"x\" int\n);", Question: "Größer als <5> & \"7\"?", SQL: "SELECT 'it''s'", Dialect: "sqlite"},
		{ID: "b", DBID: "db2", Schema: "s", Question: "日本", SQL: "SELECT 1", Dialect: "postgres", Golds: []string{"SELECT 1.0", "VALUES (1)"}},
	}
	path := filepath.Join(t.TempDir(), "rows.jsonl")
	if err := Write(path, rows); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil || !reflect.DeepEqual(got, rows) {
		t.Errorf("got %v, %v", got, err)
	}
	if text, _ := os.ReadFile(path); bytes.Contains(text, []byte(`\u003c`)) {
		t.Errorf("%s escapes <", text)
	}
	if err := Write(filepath.Join(path, "nowhere"), rows); err == nil {
		t.Error("writing below a file gave no error")
	}
}

func TestHarmlessOddityIsTaken(t *testing.T) {
	second := with("id", `"2"`)
	for name, text := range map[string]string{
		"plain":                good + "\n" + second + "\n",
		"no newline at end":    good + "\n" + second,
		"CRLF":                 good + "\r\n" + second + "\r\n",
		"byte order mark":      "\ufeff" + good + "\n" + second,
		"blank lines":          "\n" + good + "\n  \n\n" + second + "\n\n",
		"more fields":          with("extra", `{"a":[1]}`) + "\n" + second,
		"fields in other case": with("SQL", `"DROP TABLE t"`) + "\n" + second,
	} {
		rows, err := readAll(text)
		if err != nil || len(rows) != 2 || rows[0].SQL != "SELECT a FROM t" || rows[1].ID != "2" {
			t.Errorf("%s: %v, %v", name, rows, err)
		}
	}
	if rows, err := readAll(""); err != nil || len(rows) != 0 {
		t.Errorf("empty: %v, %v", rows, err)
	}
}

func TestErrorsNameFileLineAndField(t *testing.T) {
	for text, want := range map[string]string{
		good + "\n" + with("sql", ""):                "f.jsonl:2: field \"sql\" is missing",
		"\n\n" + with("question", "7"):               "f.jsonl:3: field \"question\" is a number, not a string",
		with("question", "null"):                     "f.jsonl:1: field \"question\" is null, not a string",
		with("db_id", `["a"]`):                       "f.jsonl:1: field \"db_id\" is an array, not a string",
		with("dialect", `{}`):                        "f.jsonl:1: field \"dialect\" is an object, not a string",
		with("id", "true"):                           "f.jsonl:1: field \"id\" is a boolean, not a string",
		with("sql", `" "`):                           "f.jsonl:1: field \"sql\" is empty",
		good + "\n" + good:                           "f.jsonl:2: id \"1\" is on line 1 already",
		good[:40]:                                    "f.jsonl:1: not a JSON object: unexpected end of JSON input at byte 40",
		good + good:                                  "f.jsonl:1: not a JSON object: invalid character '{' after top-level value at byte 111",
		"[" + good + "]":                             "f.jsonl:1: not a JSON object but an array: write one object a line (JSON Lines), or name the file .json",
		"null":                                       "f.jsonl:1: not a JSON object: \"null\"",
		"id,sql\n1,2":                                "f.jsonl:1: not a JSON object: invalid character 'i' looking for beginning of value at byte 1",
		strings.Replace(good, "q\"", "\xff\"", 1):    "f.jsonl:1: the line is not valid UTF-8",
		"\xff\xfe{\x00\"\x00":                        "f.jsonl:1: the file is in UTF-16; save it as UTF-8",
		good + "\n" + strings.Repeat(" ", maxLine+1): "f.jsonl:2: the line is longer than 16 MiB",
	} {
		rows, err := readAll(text)
		if err == nil || err.Error() != want {
			t.Errorf("%.60q:\ngot  %v\nwant %s", text, err, want)
		}
		if strings.HasPrefix(text, good+"\n") && len(rows) != 1 {
			t.Errorf("%.60q: %d rows before the error, want 1", text, len(rows))
		}
	}
}

// endless is a file of one line without end.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	e.read += len(p)
	return len(p), nil
}

func TestAnEndlessLineIsNotReadToItsEnd(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	in := &endless{}
	for _, err := range Rows(in, "f.jsonl") {
		if err == nil {
			t.Fatal("it parsed")
		}
	}
	runtime.ReadMemStats(&after)
	if in.read > maxLine+1<<20 {
		t.Errorf("%d bytes were read", in.read)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 8*maxLine {
		t.Errorf("%d bytes were allocated", grown)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestAReadErrorIsReported(t *testing.T) {
	for _, err := range Rows(failing{}, "f.jsonl") {
		if err == nil || !strings.Contains(err.Error(), "unexpected EOF") {
			t.Errorf("got %v", err)
		}
	}
	if _, err := Read(filepath.Join(t.TempDir(), "absent.jsonl")); !os.IsNotExist(err) {
		t.Errorf("absent file: %v", err)
	}
}

func TestPredictionsMayBeEmptyButMustBeThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.jsonl")
	want := []Prediction{{"1", "SELECT 1"}, {"2", ""}}
	if err := Write(path, want); err != nil {
		t.Fatal(err)
	}
	got, err := ReadPredictions(path)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	for text, want := range map[string]string{
		`{"id":"1"}`:          `p:1: field "sql" is missing`,
		`{"id":"","sql":"x"}`: `p:1: field "id" is missing or empty`,
		`{"id":"1","sql":""}{"id":"1","sql":null}`:                  "after top-level value",
		"{\"id\":\"1\",\"sql\":\"\"}\n{\"id\":\"1\",\"sql\":\"x\"}": `p:2: id "1" is on line 1 already`,
	} {
		var last error
		for _, err := range Predictions(strings.NewReader(text), "p") {
			last = err
		}
		if last == nil || !strings.Contains(last.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, last, want)
		}
	}
}

// shared returns the folder of shared data, or skips the test.
func shared(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("HONE_SHARED")
	if dir == "" {
		root, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for !exists(filepath.Join(root, "go.mod")) && root != filepath.Dir(root) {
			root = filepath.Dir(root)
		}
		dir = filepath.Join(root, "..", "shared")
	}
	dir = filepath.Join(dir, "data", "text2sql-sqlite")
	if !exists(dir) {
		t.Skipf("%s is not there", dir)
	}
	return dir
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestTheRealDataSetReads(t *testing.T) {
	dir := shared(t)
	for file, want := range map[string]int{"train.jsonl": 5432, "valid.jsonl": 768} {
		rows, err := Read(filepath.Join(dir, file))
		if err != nil || len(rows) != want {
			t.Errorf("%s: %d rows, %v", file, len(rows), err)
		}
	}
}

func FuzzRows(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("\ufeff" + good + "\r\n{}"))
	f.Add([]byte(`{"id":1,"id":"\ud800"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		for row, err := range Rows(bytes.NewReader(text), "f") {
			if err == nil && (row.ID == "" || row.SQL == "") {
				t.Errorf("%q gave %v", text, fmt.Sprint(row))
			}
		}
	})
}
