package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
)

func TestScoreOfTheGoldsIsOneWithExactlyTheKeysOfTheContract(t *testing.T) {
	w := theWorld(t)
	o := cli(t, "score", "-pred", w.valid, "-data", w.valid, "-db-dir", w.databases, "-json")
	if o.code != 0 || o.stderr != "" {
		t.Fatalf("exit code %d: %s", o.code, o.stderr)
	}
	s := jsonObject(t, o.stdout)
	if got, want := slices.Sorted(maps.Keys(s)), slices.Sorted(slices.Values(scoreKeys)); !slices.Equal(got, want) {
		t.Errorf("keys %v, want %v", got, want)
	}
	for _, k := range []string{"execution_accuracy", "set_accuracy", "exact_match", "valid_sql"} {
		if s[k] != 1.0 {
			t.Errorf("%s is %v, want 1", k, s[k])
		}
	}
	if out := ok(t, "score", "-pred", w.valid, "-data", w.valid, "-db-dir", w.databases); !strings.Contains(out, "execution accuracy  100.0 %") {
		t.Errorf("printed %s", out)
	}
}

func TestScoreCountsMissingAndWrongPredictions(t *testing.T) {
	w, dir := theWorld(t), t.TempDir()
	pred := write(t, dir+"/pred.jsonl", []byte(`{"id":"v0","sql":"SELECT name FROM customer WHERE city = 'Rome'"}
{"id":"v1","sql":"SELECT 17"}
{"id":"v2","sql":"SELECT x FROM y"}
`))
	judged := filepath.Join(dir, "judged.jsonl")
	s := jsonObject(t, ok(t, "score", "-pred", pred, "-data", w.valid, "-db-dir", w.databases, "-json", "-out", judged))
	if s["n"] != 4.0 || s["execution_accuracy"] != 0.25 || s["valid_sql"] != 0.5 || s["errors"] != 1.0 {
		t.Errorf("%v, want one of four right, two valid, one error", s)
	}
	var verdicts []string
	for line := range bytes.Lines(read(t, judged)) {
		var l map[string]any
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatal(err)
		}
		wantKeys(t, "a judged answer", l, "id", "question", "gold", "predicted", "verdict", "error")
		verdicts = append(verdicts, l["verdict"].(string))
	}
	if want := []string{"correct", "wrong", "error", "missing"}; !slices.Equal(verdicts, want) {
		t.Errorf("verdicts %v, want %v", verdicts, want)
	}
}

func TestScoreRefusesUnknownAndDoubledIDs(t *testing.T) {
	w := theWorld(t)
	for content, part := range map[string]string{
		`{"id":"v9","sql":"SELECT 1"}`:                                 `"v9"`,
		"{\"id\":\"v0\",\"sql\":\"x\"}\n{\"id\":\"v0\",\"sql\":\"x\"}": `pred.jsonl:2: id "v0"`,
		`{"id":"v0"}`: `pred.jsonl:1: field "sql" is missing`,
	} {
		pred := write(t, t.TempDir()+"/pred.jsonl", []byte(content))
		fails(t, 1, []string{pred, part}, "score", "-pred", pred, "-data", w.valid, "-db-dir", w.databases)
	}
}

func TestEvalPrintsOneObjectAndItsProgressElsewhere(t *testing.T) {
	w := theWorld(t)
	out := filepath.Join(t.TempDir(), "answers.jsonl")
	o := cli(t, "eval", "-model", w.model, "-data", w.valid, "-db-dir", w.databases, "-max-tokens", "8", "-limit", "3", "-json", "-out", out)
	if o.code != 0 || !strings.Contains(o.stderr, "answering") {
		t.Fatalf("exit code %d: %s", o.code, o.stderr)
	}
	s := jsonObject(t, o.stdout)
	wantKeys(t, "eval", s, scoreKeys...)
	if s["n"] != 3.0 || bytes.Count(read(t, out), []byte("\n")) != 3 {
		t.Errorf("n is %v, want 3, and as many lines in %s", s["n"], out)
	}
}

func TestQuestionsLongerThanTheModelCountAsWrong(t *testing.T) {
	w, dir := theWorld(t), t.TempDir()
	rows := slices.Clone(validRows)
	rows[1].Schema += "\n" + strings.Repeat("-- a very long remark\n", 500)
	long := filepath.Join(dir, "long.jsonl")
	if err := data.Write(long, rows); err != nil {
		t.Fatal(err)
	}
	o := cli(t, "eval", "-model", w.model, "-data", long, "-db-dir", w.databases, "-max-tokens", "4", "-json")
	if o.code != 0 || !strings.Contains(o.stderr, "1 question") || !strings.Contains(o.stderr, "too long") {
		t.Fatalf("exit code %d: %s", o.code, o.stderr)
	}
	if s := jsonObject(t, o.stdout); s["n"] != 4.0 {
		t.Errorf("n is %v, want 4", s["n"])
	}
}

func TestDatabasesThatAreNotThereAreNamedBeforeAnyAnswer(t *testing.T) {
	w, dir := theWorld(t), t.TempDir()
	eval := func(dbDir, file string) []string {
		return []string{"eval", "-model", w.model, "-data", file, "-db-dir", dbDir}
	}
	none := filepath.Join(dir, "none")
	fails(t, 1, []string{none}, eval(none, w.valid)...)
	fails(t, 1, []string{w.valid, "not a folder"}, eval(w.valid, w.valid)...)
	fails(t, 1, []string{w.valid, `row "v0"`, filepath.Join(dir, "shop.sqlite")}, eval(dir, w.valid)...)
	if os.Getuid() > 0 {
		locked := filepath.Join(dir, "locked")
		if err := os.Mkdir(locked, 0); err != nil {
			t.Fatal(err)
		}
		fails(t, 1, []string{"permission denied"}, eval(locked, w.valid)...)
	}
	write(t, dir+"/shop.sqlite", []byte("this is no database, but long enough to look like a file that might be one"))
	fails(t, 1, []string{filepath.Join(dir, "shop.sqlite"), "not a database"}, eval(dir, w.valid)...)
	rows := slices.Clone(validRows)
	rows[2].Dialect = "postgres"
	foreign := filepath.Join(dir, "foreign.jsonl")
	if err := data.Write(foreign, rows); err != nil {
		t.Fatal(err)
	}
	fails(t, 1, []string{foreign, `"v2"`, `"postgres"`, `"sqlite"`}, eval(w.databases, foreign)...)
	rows[2].Dialect, rows[2].SQL = "sqlite", "SELECT id FROM nowhere"
	broken := filepath.Join(dir, "broken.jsonl")
	if err := data.Write(broken, rows); err != nil {
		t.Fatal(err)
	}
	fails(t, 1, []string{broken, `gold query of row "v2"`, "nowhere"}, eval(w.databases, broken)...)
}

func TestAskPrintsTheQueryThenTheRows(t *testing.T) {
	w := overfitted(t)
	shop := filepath.Join(w.databases, "shop.sqlite")
	out := ok(t, "ask", "-model", w.model, "-db", shop, "Who", "lives", "in", "Oslo?")
	if want := "SELECT name FROM customer WHERE city = 'Oslo'\n\nname\nAda\nCy\n"; out != want {
		t.Errorf("printed %q, want %q", out, want)
	}
	object := jsonObject(t, ok(t, "ask", "-model", w.model, "-db", shop, "-json", "How many customers are there?"))
	wantKeys(t, "ask", object, "sql", "columns", "rows")
	if rows := object["rows"].([]any); len(rows) != 1 || rows[0].([]any)[0] != 4.0 {
		t.Errorf("rows %v, want one with 4", rows)
	}
	fails(t, 1, []string{"no-such.sqlite"}, "ask", "-model", w.model, "-db", "no-such.sqlite", "Who?")
	empty := filepath.Join(t.TempDir(), "empty.sqlite")
	if err := makeDatabase(empty, "CREATE TABLE x (a); DROP TABLE x"); err != nil {
		t.Fatal(err)
	}
	fails(t, 1, []string{empty, "no tables"}, "ask", "-model", w.model, "-db", empty, "Who?")
}
