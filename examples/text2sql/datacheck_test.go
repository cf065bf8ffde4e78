package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
)

func TestDataCheckOfARightFileFindsNoMistake(t *testing.T) {
	w := theWorld(t)
	o := jsonObject(t, ok(t, "data", "check", "-data", w.train, "-db-dir", w.databases, "-against", w.valid, "-tokenizer", w.tokenizer, "-json"))
	for key, want := range map[string]float64{"n": 8, "databases": 1, "bad_rows": 0, "executed": 8, "failed_golds": 0, "empty_golds": 0, "wrong_dialect": 0, "repeated": 0} {
		if o[key] != want {
			t.Errorf("%s is %v, want %v", key, o[key], want)
		}
	}
	overlap := o["overlap"].(map[string]any)
	if overlap["same_schema"] != 8.0 || overlap["same_question"] != 0.0 || overlap["same_sql"] != 0.0 {
		t.Errorf("overlap %v: the files share the schema of shop alone", overlap)
	}
	tokens := o["tokens"].(map[string]any)
	if total, loss := tokens["total"].(float64), tokens["with_loss"].(float64); loss < 8 || loss >= total {
		t.Errorf("tokens %v", tokens)
	}
}

func TestDataCheckNamesEveryMistakeByItsLine(t *testing.T) {
	w, dir := theWorld(t), t.TempDir()
	rows := slices.Clone(validRows)
	rows[1].SQL = "SELECT a FROM nowhere"
	rows[2].Dialect = "postgres"
	rows[3].Golds = []string{"SELECT broken"}
	file := filepath.Join(dir, "bad.jsonl")
	if err := data.Write(file, rows); err != nil {
		t.Fatal(err)
	}
	first, rest, _ := strings.Cut(string(read(t, file)), "\n")
	write(t, file, []byte("{\"id\":\"half\n"+first+"\n"+first+"\n"+rest)) // lines 1 and 3 are bad
	o := cli(t, "data", "check", "-data", file, "-db-dir", w.databases)
	if o.code != 1 || !strings.Contains(o.stderr, "5 mistakes") {
		t.Errorf("exit code %d: %s", o.code, o.stderr)
	}
	for _, want := range []string{
		file + ":1: not a JSON object", file + ":3: row v0: id \"v0\" is on line 2 already", file + ":4: row v1: the gold query on \"zoo\": no such table: nowhere",
		file + `:5: row v2: the dialect is "postgres", the databases speak "sqlite"`, file + ":6: row v3: the gold query", "2 bad lines", "1 postgres, 3 sqlite", "3 executed, 2 fail",
	} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("the report lacks %q:\n%s", want, o.stdout)
		}
	}
}

func TestDataCheckFindsWhatAnotherSplitGivesAway(t *testing.T) {
	w, dir := theWorld(t), t.TempDir()
	rows := slices.Clone(validRows)
	rows[0].Question = "  who LIVES in Rome " // the same in other spelling
	rows[1].Question, rows[1].SQL = "Count them.", "select COUNT(*)\nfrom animal;"
	rows[2].Schema, rows[2].Question, rows[2].SQL = "CREATE TABLE other (x INT);", "Something else?", "SELECT 9"
	rows = append(rows, rows[0])
	rows[4].ID = "again"
	file := filepath.Join(dir, "train.jsonl")
	if err := data.Write(file, rows[:5]); err != nil {
		t.Fatal(err)
	}
	o := jsonObject(t, ok(t, "data", "check", "-data", file, "-against", w.valid, "-json"))
	overlap := o["overlap"].(map[string]any)
	for key, want := range map[string]float64{"same_question": 3, "same_sql": 4, "same_schema": 4, "same_question_schema": 3} {
		if overlap[key] != want {
			t.Errorf("%s is %v, want %v", key, overlap[key], want)
		}
	}
	if o["repeated"] != 1.0 || o["executed"] != 0.0 {
		t.Errorf("%v", o)
	}
	if examples := overlap["examples"].([]any); len(examples) != 3 || examples[0] != "v0" {
		t.Errorf("examples %v", examples)
	}
}

func TestDataCheckShowsExactlyTheTokensThatCarryLoss(t *testing.T) {
	w := theWorld(t)
	plain := ok(t, "data", "check", "-data", w.valid, "-tokenizer", w.tokenizer)
	_, shown, found := strings.Cut(plain, "⟦")
	inside, after, closed := strings.Cut(shown, "⟧")
	if !found || !closed || strings.ReplaceAll(inside, "│", "") != validRows[0].SQL+"<|im_end|>" || strings.TrimSpace(after) != "" {
		t.Errorf("the tokens with loss are %q and then %q", inside, after)
	}
	if !strings.Contains(plain, "Question: "+validRows[0].Question) {
		t.Errorf("the prompt is not shown: %s", plain)
	}
	painted := ok(t, "data", "check", "-data", w.valid, "-tokenizer", w.tokenizer, "-color", "always", "-preview", "2")
	var loss strings.Builder
	for _, part := range strings.Split(painted, ansiLoss)[1:] {
		text, _, _ := strings.Cut(strings.TrimPrefix(part, ansiUnder), ansiReset)
		loss.WriteString(text)
	}
	if want := validRows[0].SQL + "<|im_end|>" + validRows[1].SQL + "<|im_end|>"; loss.String() != want {
		t.Errorf("in the colour of loss stand %q, want %q", loss.String(), want)
	}
}
