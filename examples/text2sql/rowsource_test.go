package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
	"github.com/hone-ml/hone/examples/text2sql/internal/pgexec"
)

// without writes rows as JSON Lines that lack fields.
func without(t *testing.T, rows []data.Row, fields ...string) string {
	t.Helper()
	var b bytes.Buffer
	for _, r := range rows {
		raw, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var o map[string]any
		if err := json.Unmarshal(raw, &o); err != nil {
			t.Fatal(err)
		}
		for _, f := range fields {
			delete(o, f)
		}
		if raw, err = json.Marshal(o); err != nil {
			t.Fatal(err)
		}
		b.Write(append(raw, '\n'))
	}
	return write(t, filepath.Join(t.TempDir(), "rows.jsonl"), b.Bytes())
}

// prompts are the questions of a file as the model sees them.
func prompts(t *testing.T, w world, file string, args ...string) string {
	t.Helper()
	return ok(t, append([]string{"data", "check", "-data", file, "-tokenizer", w.tokenizer, "-preview", "100", "-max-length", "10000"}, args...)...)
}

func TestASchemaThatRowsLackIsReadFromTheirDatabase(t *testing.T) {
	w := theWorld(t)
	bare := without(t, validRows, "schema", "dialect")
	shown := prompts(t, w, bare, "-db-dir", w.databases)
	for _, want := range []string{"Write one SQLite query", strings.Split(shopSchema, "\n")[0], strings.Split(shopSchema, "\n")[1], zooSchema} {
		if !strings.Contains(shown, want) {
			t.Errorf("the prompts lack %q:\n%s", want, shown)
		}
	}
	out := filepath.Join(t.TempDir(), "run")
	ok(t, "train", "-model", w.model, "-data", bare, "-valid", bare, "-db-dir", w.databases, "-out", out, "-max-steps", "1", "-max-tokens", "4")
	ok(t, "train", "-model", w.model, "-data", bare, "-db-dir", w.databases, "-out", out+"2", "-max-steps", "1")
	ok(t, "eval", "-model", w.model, "-data", bare, "-db-dir", w.databases, "-max-tokens", "4")
	ok(t, "score", "-pred", w.valid, "-data", bare, "-db-dir", w.databases)
	fails(t, 2, []string{"-db-dir", "-valid", "neither"}, "train", "-model", w.model, "-data", w.train, "-db-dir", w.databases, "-out", out+"3", "-max-steps", "1")

	fails(t, 1, []string{bare + ":1: ", `"dialect" is missing`, "-dialect"}, "train", "-model", w.model, "-data", bare, "-out", out+"4")
	fails(t, 1, []string{bare + ":1: ", `"schema" is missing`, "-schema", "-db-dir"}, "train", "-model", w.model, "-data", bare, "-dialect", "sqlite", "-out", out+"4")
	nameless := without(t, validRows, "db_id")
	fails(t, 1, []string{nameless + ":1: ", `"db_id" is missing`, "-db-id"}, "eval", "-model", w.model, "-data", nameless, "-db-dir", w.databases)
	fails(t, 2, []string{"-dialect", "mysql"}, "eval", "-model", w.model, "-data", bare, "-db-dir", w.databases, "-dialect", "mysql")
	empty := t.TempDir()
	if err := makeDatabase(filepath.Join(empty, "shop.sqlite"), "CREATE TABLE x (a); DROP TABLE x"); err != nil {
		t.Fatal(err)
	}
	fails(t, 1, []string{bare + ":1: ", `"shop" no tables`}, "eval", "-model", w.model, "-data", bare, "-db-dir", empty)
}

func TestASchemaThatRowsLackIsReadFromAScript(t *testing.T) {
	w, dir := theWorld(t), t.TempDir()
	shop := write(t, filepath.Join(dir, "shop.sql"), []byte("-- a dump\nINSERT INTO customer VALUES (1, 'a;b');\n"+shopSchema))
	bare := without(t, trainRows, "schema", "dialect", "db_id")
	shown := prompts(t, w, bare, "-schema", shop, "-dialect", "postgres", "-db-id", "shop")
	if !strings.Contains(shown, "Write one PostgreSQL query") || !strings.Contains(shown, strings.Split(shopSchema, "\n")[1]) || strings.Contains(shown, "INSERT") {
		t.Errorf("the prompts are\n%s", shown)
	}
	two := without(t, validRows, "schema")
	o := cli(t, "data", "check", "-data", two, "-tokenizer", w.tokenizer, "-schema", shop)
	if o.code != 1 || !strings.Contains(o.stdout, two+`:2: row v1: -schema `+shop+` is one schema, but rows without any are about "shop" and "zoo"`) || !strings.Contains(o.stdout, "2 bad lines") {
		t.Errorf("exit code %d: %s", o.code, o.stdout)
	}
	fails(t, 1, []string{two + ":2: ", "zoo.sql"}, "train", "-model", w.model, "-data", two, "-schema", dir, "-out", dir+"/run")
	write(t, filepath.Join(dir, "zoo.sql"), []byte(zooSchema))
	if shown := prompts(t, w, two, "-schema", dir); !strings.Contains(shown, zooSchema) || !strings.Contains(shown, strings.Split(shopSchema, "\n")[0]) {
		t.Errorf("the prompts are\n%s", shown)
	}
	none := write(t, filepath.Join(dir, "none.sql"), []byte("SELECT 1;"))
	fails(t, 1, []string{bare + ":1: ", none, "no CREATE TABLE"}, "train", "-model", w.model, "-data", bare, "-schema", none, "-dialect", "sqlite", "-out", dir+"/run")
	open := write(t, filepath.Join(dir, "open.sql"), []byte("CREATE TABLE a (b);\nCREATE TABLE c (\n"))
	fails(t, 1, []string{open + ":2: ", "semicolon"}, "train", "-model", w.model, "-data", bare, "-schema", open, "-dialect", "sqlite", "-out", dir+"/run")
}

func TestPostgresTellsTheSchemaThatRowsLack(t *testing.T) {
	w := theWorld(t)
	dsn, valid := postgresWorld(t)
	rows, err := data.Read(valid)
	if err != nil {
		t.Fatal(err)
	}
	shown := prompts(t, w, without(t, rows, "schema", "dialect"), "-dsn", dsn)
	for _, want := range []string{"Write one PostgreSQL query", "CREATE TABLE customer (\n  id bigint,\n  name text,\n  city text\n);", "CREATE TABLE animal (\n  id bigint,\n  name text,\n  kind text,\n  weight double precision\n);"} {
		if !strings.Contains(shown, want) {
			t.Errorf("the prompts lack %q:\n%s", want, shown)
		}
	}
}

func TestTheSchemaOfADumpIsItsTablesAndKeys(t *testing.T) {
	dump := `--
-- PostgreSQL database dump
--
\restrict abc
SET statement_timeout = 0;
CREATE FUNCTION public.f() RETURNS void LANGUAGE sql AS $$ CREATE TABLE no (a int); $$;
CREATE TYPE public.mood AS ENUM ('sad', 'ok; CREATE TABLE no (a int);');
CREATE TABLE public.a (
    id integer NOT NULL, -- the key; of all
    feeling public.mood
);
ALTER TABLE public.a OWNER TO me;
CREATE UNLOGGED TABLE "b;c" ("x y" text DEFAULT ';');
CREATE MATERIALIZED VIEW v AS SELECT id FROM public.a;
COPY public.a (id, feeling) FROM stdin;
1	ok
2	'; CREATE TABLE no (a int);
\.
INSERT INTO "b;c" VALUES ('CREATE TABLE no (a int);');
CREATE INDEX i ON public.a (id);
ALTER TABLE ONLY public.a
    ADD CONSTRAINT a_pkey PRIMARY KEY (id);
\unrestrict abc
`
	text, err := pgexec.TablesOf(dump)
	if err != nil {
		t.Fatal(err)
	}
	var first []string
	for statement := range strings.SplitSeq(text, ";\n") {
		line, _, _ := strings.Cut(statement, "\n")
		first = append(first, line)
	}
	want := []string{"CREATE TYPE public.mood AS ENUM ('sad', 'ok; CREATE TABLE no (a int);')", "CREATE TABLE public.a (",
		`CREATE UNLOGGED TABLE "b;c" ("x y" text DEFAULT ';')`, "CREATE MATERIALIZED VIEW v AS SELECT id FROM public.a", "ALTER TABLE ONLY public.a", ""}
	if !slices.Equal(first, want) {
		t.Errorf("statements %q,\nwant %q", first, want)
	}
	dir := filepath.Join(sharedData(t, "text2sql-postgres"), "databases")
	scripts, err := filepath.Glob(filepath.Join(dir, "*.sql"))
	if err != nil || len(scripts) < 100 {
		t.Fatalf("%d scripts, %v", len(scripts), err)
	}
	for _, path := range scripts {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := pgexec.TablesOf(string(raw))
		if err != nil || strings.Count(text, "CREATE TABLE") != strings.Count(string(raw), "\nCREATE TABLE")+strings.Count(string(raw[:12]), "CREATE TABLE") {
			t.Errorf("%s: %v, %d tables", path, err, strings.Count(text, "CREATE TABLE"))
		}
	}
}

func TestFieldsOfOtherNamesAreTakenByEveryCommandThatReads(t *testing.T) {
	w, dir := theWorld(t), t.TempDir()
	file := write(t, filepath.Join(dir, "alpaca.csv"), []byte("instruction,output,topic\nWhich city?,Oslo,a\nWho?,Ada,b\n"))
	const fields = "prompt=instruction,completion=output"
	if shown := prompts(t, w, file, "-fields", fields); !strings.Contains(shown, "Which city?<|im_end|>") {
		t.Errorf("the prompts are\n%s", shown)
	}
	run := filepath.Join(dir, "run")
	ok(t, "train", "-model", w.model, "-data", file, "-valid", file, "-fields", fields, "-out", run, "-max-steps", "1", "-max-tokens", "4")
	ok(t, "eval", "-model", run, "-data", file, "-fields", fields, "-max-tokens", "4")
	ok(t, "data", "split", "-data", file, "-fields", fields, "-by", "topic", "-valid", "0.5", "-out-dir", filepath.Join(dir, "parts"))
	ok(t, "data", "check", "-data", filepath.Join(dir, "parts", "train.jsonl"))
	fails(t, 1, []string{file + ":2: ", "of no form", `"instruction", "output", "topic"`}, "train", "-model", w.model, "-data", file, "-out", run+"2")
	for _, bad := range []string{"prompt", "prompt=", "prompt=a,prompt=b", ","} {
		fails(t, 2, []string{"-fields", "pairs such as"}, "data", "check", "-data", file, "-fields", bad)
	}
	fails(t, 2, []string{"-fields", `"instruction"`, "prompt"}, "data", "check", "-data", file, "-fields", "instruction=prompt")
}

func TestNothingIsCalledUnseenWhenTrainingDoesNotSayItsDatabases(t *testing.T) {
	w, dir := theWorld(t), t.TempDir()
	out := filepath.Join(dir, "run")
	ok(t, trainArgs(w, out, "-data", without(t, trainRows, "db_id"), "-valid", w.valid, "-db-dir", w.databases, "-max-steps", "1")...)
	r := jsonObject(t, string(read(t, filepath.Join(out, "results.json"))))
	if _, there := r["after_unseen"]; there || r["after"] == nil {
		t.Errorf("results.json: %v", r)
	}
}

func TestRowsWithoutASchemaOverlapByTheirDatabase(t *testing.T) {
	bare := without(t, validRows, "schema")
	o := jsonObject(t, ok(t, "data", "check", "-data", bare, "-against", bare, "-json"))
	if overlap := o["overlap"].(map[string]any); overlap["same_schema"] != 4.0 || overlap["same_question_schema"] != 4.0 {
		t.Errorf("%v", overlap)
	}
}

func TestSpiderIsTakenAsItIsDownloaded(t *testing.T) {
	w, dir := theWorld(t), t.TempDir()
	for _, name := range []string{"shop", "zoo"} {
		if err := os.MkdirAll(filepath.Join(dir, "database", name), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "database", name, name+".sqlite"), read(t, filepath.Join(w.databases, name+".sqlite")))
	}
	var rows []map[string]any
	for _, r := range validRows { // as in dev.json
		rows = append(rows, map[string]any{"db_id": r.DBID, "question": r.Question, "query": r.SQL, "query_toks": strings.Fields(r.SQL), "sql": map[string]any{"except": nil, "from": []any{}}})
	}
	raw, err := json.MarshalIndent(rows, "", "    ")
	if err != nil {
		t.Fatal(err)
	}
	dev := write(t, filepath.Join(dir, "dev.json"), raw)
	spider := []string{"-data", dev, "-fields", "sql=query", "-db-dir", filepath.Join(dir, "database")}
	if out := ok(t, append([]string{"data", "check", "-tokenizer", w.tokenizer}, spider...)...); !strings.Contains(out, "4 executed, 0 fail") || !strings.Contains(out, "CREATE TABLE customer") {
		t.Errorf("data check printed %s", out)
	}
	ok(t, append([]string{"eval", "-model", w.model, "-max-tokens", "4", "-perturb", "1"}, spider...)...)
	fails(t, 1, []string{dev + ":2: ", `field "sql" is an object`}, append([]string{"eval", "-model", w.model}, append(spider, "-fields", "")...)...)
}
