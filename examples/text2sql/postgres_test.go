package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
	"github.com/hone-ml/hone/examples/text2sql/internal/pgexec/pgtest"
)

// postgresWorld is the world's databases on a PostgreSQL server, and its valid rows for them.
func postgresWorld(t *testing.T) (dsn, valid string) {
	t.Helper()
	dsn, dir := pgtest.Database(t), t.TempDir()
	scripts := map[string]string{
		"shop": "CREATE TABLE customer (id bigint, name text, city text);\nCREATE TABLE purchase (id bigint, customer_id bigint, amount double precision);\n" +
			"INSERT INTO customer VALUES (1, 'Ada', 'Oslo'), (2, 'Ben', 'Rome'), (3, 'Cy', 'Oslo'), (4, 'Di', NULL);\nINSERT INTO purchase VALUES (1, 1, 10.5), (2, 1, 3), (3, 2, 7.25);\n",
		"zoo": "CREATE TABLE animal (id bigint, name text, kind text, weight double precision);\nINSERT INTO animal VALUES (1, 'Leo', 'lion', 190), (2, 'Kai', 'penguin', 4.5);\n",
	}
	for name, script := range scripts {
		write(t, filepath.Join(dir, name+".sql"), []byte(script))
	}
	if out := ok(t, "data", "load", "-db-dir", dir, "-dsn", dsn); !strings.HasPrefix(out, "2 schemas, 0 of them unchanged; 3 tables") {
		t.Errorf("data load printed %s", out)
	}
	rows := append([]data.Row(nil), validRows...)
	for i := range rows {
		rows[i].Dialect = "postgres"
	}
	valid = filepath.Join(dir, "valid.jsonl")
	if err := data.Write(valid, rows); err != nil {
		t.Fatal(err)
	}
	return dsn, valid
}

func TestPostgresIsWhereEveryCommandCanExecute(t *testing.T) {
	w := theWorld(t)
	dsn, valid := postgresWorld(t)
	if s := jsonObject(t, ok(t, "score", "-pred", valid, "-data", valid, "-dsn", dsn, "-json")); s["execution_accuracy"] != 1.0 || s["n"] != 4.0 {
		t.Errorf("score of the golds: %v", s)
	}
	if s := jsonObject(t, ok(t, "eval", "-model", w.model, "-data", valid, "-dsn", dsn, "-max-tokens", "4", "-json")); s["n"] != 4.0 {
		t.Errorf("eval: %v", s)
	}
	run := filepath.Join(t.TempDir(), "run")
	ok(t, "train", "-model", w.model, "-data", w.train, "-valid", valid, "-dsn", dsn, "-out", run, "-max-steps", "1", "-max-tokens", "4")
	r := jsonObject(t, string(read(t, filepath.Join(run, "results.json"))))
	wantKeys(t, "results.json", r, "before", "after")
	// Whatever an untrained model answers, the schema was read and the query was tried.
	o := cli(t, "ask", "-model", w.model, "-dsn", "postgres://"+strings.TrimPrefix(urlOf(t, dsn), "postgres://"), "-db-id", "shop", "-max-tokens", "4", "How many customers are there?")
	if o.code != 0 && !strings.Contains(o.stderr, "query") {
		t.Errorf("ask: %s", o.stderr)
	}
	fails(t, 1, []string{`"nowhere"`, "data load"}, "ask", "-model", w.model, "-db", urlOf(t, dsn), "-db-id", "nowhere", "Who?")
	fails(t, 1, []string{valid, `"v0"`, `"postgres"`, `"sqlite"`}, "eval", "-model", w.model, "-data", valid, "-db-dir", w.databases)
	fails(t, 1, []string{w.valid, `"v0"`, `"sqlite"`, `"postgres"`}, "eval", "-model", w.model, "-data", w.valid, "-dsn", dsn)
}

// urlOf writes a DSN of words as a URL.
func urlOf(t *testing.T, words string) string {
	t.Helper()
	v := map[string]string{}
	for word := range strings.FieldsSeq(words) {
		k, value, _ := strings.Cut(word, "=")
		v[k] = strings.Trim(value, "'")
	}
	return fmt.Sprintf("postgres://%s@/%s?host=%s&port=%s", v["user"], v["dbname"], v["host"], v["port"])
}

func TestPostgresRealGoldsScoreOneInTime(t *testing.T) {
	dir := sharedData(t, "text2sql-postgres")
	dsn, valid := pgtest.Database(t), filepath.Join(dir, "valid.jsonl")
	if out := ok(t, "data", "load", "-db-dir", filepath.Join(dir, "databases"), "-dsn", dsn); !strings.HasPrefix(out, "122 schemas, 0 of them unchanged; 639 tables") {
		t.Errorf("data load printed %s", out)
	}
	score := func(pred string) map[string]any {
		t.Helper()
		return jsonObject(t, ok(t, "score", "-pred", pred, "-data", valid, "-dsn", dsn, "-json"))
	}
	start := time.Now()
	s := score(valid)
	if s["n"] != 706.0 || s["execution_accuracy"] != 1.0 || s["set_accuracy"] != 1.0 || s["errors"] != 0.0 {
		t.Errorf("%v, want all of 706 right", s)
	}
	if took := time.Since(start); took > 5*time.Second && !testing.Short() {
		t.Errorf("scoring 706 golds took %v, the target is 5 s", took)
	}
	chance, plain := mutants(t, valid)
	if s := score(chance); s["execution_accuracy"].(float64) > 0.05 || s["execution_accuracy"] == 0.0 {
		t.Errorf("another question's gold of the same database is right for %v of the questions, want about 0.02", s["execution_accuracy"])
	}
	if s := score(plain); !(s["execution_accuracy"].(float64) < s["set_accuracy"].(float64)) {
		t.Errorf("golds without DISTINCT: strict %v, set %v; want less under strict", s["execution_accuracy"], s["set_accuracy"])
	}
}

func TestPostgresThatGoesAwayInMidEvaluationIsSaidAndTheRunGoesOn(t *testing.T) {
	dsn, valid := postgresWorld(t)
	line, dsn := pgtest.NewRelay(t, dsn)
	dir := t.TempDir()
	pred := filepath.Join(dir, "pred.jsonl")
	preds := make([]data.Prediction, len(validRows))
	for i, r := range validRows {
		preds[i] = data.Prediction{ID: r.ID, SQL: r.SQL}
	}
	preds[3].SQL = "SELECT count(*) FROM generate_series(1, 40000000)" // still running when the server goes
	if err := data.Write(pred, preds); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "judged.jsonl")
	args := []string{"score", "-pred", pred, "-data", valid, "-dsn", dsn, "-out", out, "-json"}
	time.AfterFunc(500*time.Millisecond, line.Stop)
	fails(t, 1, []string{`row "v3"`, "cannot be reached", out + ".part", "goes on"}, args...)
	if kept := strings.Count(string(read(t, out+".part")), "\n"); kept != 3 {
		t.Errorf("%d judged answers are kept, want 3", kept)
	}
	line.Resume()
	if s := jsonObject(t, ok(t, args...)); s["n"] != 4.0 || s["execution_accuracy"] != 0.75 {
		t.Errorf("after the server came back: %v", s)
	}
}

// mutants are two files of wrong answers: another question's gold of the same database, and golds without DISTINCT.
func mutants(t *testing.T, valid string) (chance, plain string) {
	t.Helper()
	rows, err := data.Read(valid)
	if err != nil {
		t.Fatal(err)
	}
	of := map[string][]data.Row{}
	for _, r := range rows {
		of[r.DBID] = append(of[r.DBID], r)
	}
	var others, plains []data.Prediction
	for _, group := range of {
		for i, r := range group {
			other := group[(i+2)%len(group)] // the next one often asks the same in other words
			others = append(others, data.Prediction{ID: r.ID, SQL: other.SQL})
			plain := strings.NewReplacer("DISTINCT ", "", "distinct ", "", "Distinct ", "").Replace(r.SQL)
			plains = append(plains, data.Prediction{ID: r.ID, SQL: plain})
		}
	}
	dir := t.TempDir()
	chance, plain = filepath.Join(dir, "chance.jsonl"), filepath.Join(dir, "plain.jsonl")
	if err := data.Write(chance, others); err != nil {
		t.Fatal(err)
	}
	if err := data.Write(plain, plains); err != nil {
		t.Fatal(err)
	}
	return chance, plain
}
