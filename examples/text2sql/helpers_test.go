package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
	"github.com/hone-ml/hone/tokenizer"
)

// outcome is what a command left behind.
type outcome struct {
	code           int
	stdout, stderr string
}

// cli runs the program as a shell would.
func cli(t *testing.T, args ...string) outcome {
	t.Helper()
	return cliContext(t.Context(), args...)
}

func cliContext(ctx context.Context, args ...string) outcome {
	if slices.Contains(args, "-memory") {
		return process(ctx, args...)
	}
	var stdout, stderr bytes.Buffer
	p := &program{stdout: &stdout, stderr: &stderr}
	code := p.main(ctx, args)
	return outcome{code, stdout.String(), stderr.String()}
}

// process runs the program in a process of its own: a limit of memory counts all that a process has taken.
func process(ctx context.Context, args ...string) outcome {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), childVariable+"=1")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		return outcome{-1, "", err.Error()}
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// ok runs a command that must succeed and returns its standard output.
func ok(t *testing.T, args ...string) string {
	t.Helper()
	o := cli(t, args...)
	if o.code != 0 {
		t.Fatalf("%s: exit code %d\n%s", strings.Join(args, " "), o.code, o.stderr)
	}
	return o.stdout
}

// fails runs a command that must end with the code and say all of the parts in its one last line.
func fails(t *testing.T, code int, parts []string, args ...string) {
	t.Helper()
	o := cli(t, args...)
	lines := strings.Split(strings.TrimSuffix(o.stderr, "\n"), "\n")
	last := lines[len(lines)-1]
	if o.code != code || !strings.HasPrefix(last, "text2sql: ") {
		t.Errorf("%s: exit code %d, want %d with one line that says why\n%s", strings.Join(args, " "), o.code, code, o.stderr)
	}
	for _, part := range parts {
		if !strings.Contains(last, part) {
			t.Errorf("%s: the error lacks %q: %s", strings.Join(args, " "), part, last)
		}
	}
	if o.stdout != "" {
		t.Errorf("%s: failed, but wrote to standard output: %q", strings.Join(args, " "), o.stdout)
	}
}

const shopSchema = `CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, city TEXT);
CREATE TABLE purchase (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customer(id), amount REAL);`

const zooSchema = `CREATE TABLE animal (id INTEGER PRIMARY KEY, name TEXT, kind TEXT, weight REAL);`

// trainRows are eight questions about one database, validRows two about it and two about another.
var trainRows, validRows = func() ([]data.Row, []data.Row) {
	row := func(id, db, question, query string) data.Row {
		return data.Row{ID: id, DBID: db, Schema: map[string]string{"shop": shopSchema, "zoo": zooSchema}[db], Question: question, SQL: query, Dialect: "sqlite"}
	}
	return []data.Row{
			row("t0", "shop", "How many customers are there?", "SELECT count(*) FROM customer"),
			row("t1", "shop", "Who lives in Oslo?", "SELECT name FROM customer WHERE city = 'Oslo'"),
			row("t2", "shop", "Which cities do we sell to?", "SELECT DISTINCT city FROM customer"),
			row("t3", "shop", "What did we earn in all?", "SELECT sum(amount) FROM purchase"),
			row("t4", "shop", "What is the largest purchase?", "SELECT max(amount) FROM purchase"),
			row("t5", "shop", "Who has bought nothing?", "SELECT name FROM customer WHERE id NOT IN (SELECT customer_id FROM purchase)"),
			row("t6", "shop", "How much has each customer spent?", "SELECT name, sum(amount) FROM customer JOIN purchase ON customer.id = customer_id GROUP BY name"),
			row("t7", "shop", "Name the customers by name.", "SELECT name FROM customer ORDER BY name"),
		}, []data.Row{
			row("v0", "shop", "Who lives in Rome?", "SELECT name FROM customer WHERE city = 'Rome'"),
			row("v1", "zoo", "How many animals are there?", "SELECT count(*) FROM animal"),
			row("v2", "shop", "What is the smallest purchase?", "SELECT min(amount) FROM purchase"),
			row("v3", "zoo", "Which animal is the heaviest?", "SELECT name FROM animal ORDER BY weight DESC LIMIT 1"),
		}
}()

// world is what the tests work on, made once: databases, data sets and a small model with a tokenizer of
// its own, in the chat form.
type world struct {
	databases, train, valid, config, tokenizer, model string
}

var (
	worldDir  string
	makeWorld = sync.OnceValues(newWorld)
)

// childVariable makes the test binary the program itself, for tests that need a process.
const childVariable = "HONE_TEXT2SQL_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		main()
	}
	var err error
	if worldDir, err = os.MkdirTemp("", "text2sql-test-"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(worldDir)
	os.Exit(code)
}

func theWorld(t *testing.T) world {
	t.Helper()
	w, err := makeWorld()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func newWorld() (world, error) {
	at := func(name string) string { return filepath.Join(worldDir, name) }
	w := world{at("databases"), at("train.jsonl"), at("valid.jsonl"), at("config.json"), at("tokenizer"), at("model")}
	for _, dir := range []string{w.databases, w.tokenizer} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return w, err
		}
	}
	for name, script := range map[string]string{
		"shop": shopSchema + `INSERT INTO customer VALUES (1, 'Ada', 'Oslo'), (2, 'Ben', 'Rome'), (3, 'Cy', 'Oslo'), (4, 'Di', NULL);
			INSERT INTO purchase VALUES (1, 1, 10.5), (2, 1, 3), (3, 2, 7.25);`,
		"zoo": zooSchema + `INSERT INTO animal VALUES (1, 'Leo', 'lion', 190), (2, 'Kai', 'penguin', 4.5);`,
	} {
		if err := makeDatabase(filepath.Join(w.databases, name+".sqlite"), script); err != nil {
			return w, err
		}
	}
	if err := data.Write(w.train, trainRows); err != nil {
		return w, err
	}
	if err := data.Write(w.valid, validRows); err != nil {
		return w, err
	}
	tok, err := testTokenizer(400)
	if err != nil {
		return w, err
	}
	if err := tok.Save(w.tokenizer); err != nil {
		return w, err
	}
	if err := os.WriteFile(w.config, testConfig(tok.VocabSize(), nil), 0o644); err != nil {
		return w, err
	}
	if o := cliContext(context.Background(), "init", "-config", w.config, "-tokenizer", w.tokenizer, "-out", w.model); o.code != 0 {
		return w, fmt.Errorf("init: %s", o.stderr)
	}
	return w, nil
}

func makeDatabase(path, script string) error {
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.Exec(script)
	return err
}

// testTokenizer learns a vocabulary from the rows.
func testTokenizer(size int) (*tokenizer.Tokenizer, error) {
	var texts []string
	for _, r := range append(slices.Clone(trainRows), validRows...) {
		texts = append(texts, r.Schema, r.Question, r.SQL, "Write one SQLite query that answers the question.\n\nSchema:\n\n\nQuestion: ")
	}
	return tokenizer.Train(slices.Values(texts), tokenizer.TrainOptions{
		VocabSize: size, MinFrequency: 2, EOS: "<|im_end|>", Pad: "<|endoftext|>", ChatTemplate: tokenizer.TemplateChatML,
		AddedTokens: tokenizer.ControlTokens("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
	})
}

// testConfig is a small model's config.json, with changes.
func testConfig(vocab int, changes map[string]any) []byte {
	c := map[string]any{
		"model_type": "qwen3", "vocab_size": vocab, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
		"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32, "max_position_embeddings": 1024, "rms_norm_eps": 1e-6,
		"rope_theta": 10000.0, "tie_word_embeddings": true, "dtype": "float32", "eos_token_id": 2,
	}
	maps.Copy(c, changes)
	raw, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	return raw
}

// jsonObject is the one object that a command printed.
func jsonObject(t *testing.T, text string) map[string]any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	var object map[string]any
	if err := d.Decode(&object); err != nil {
		t.Fatalf("not one JSON object: %v\n%s", err, text)
	}
	if d.More() {
		t.Fatalf("more than one JSON object:\n%s", text)
	}
	return object
}

func wantKeys(t *testing.T, what string, object map[string]any, keys ...string) {
	t.Helper()
	for _, k := range keys {
		if _, ok := object[k]; !ok {
			t.Errorf("%s has no %q", what, k)
		}
	}
}

// scoreKeys are what score and eval print, no more and no less.
var scoreKeys = []string{"n", "execution_accuracy", "ci95", "set_accuracy", "exact_match", "valid_sql", "errors", "timeouts", "empty_golds", "seconds"}

func write(t *testing.T, path string, content []byte) string {
	t.Helper()
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// sharedData is a folder of data that does not come with the module; the test is skipped without it.
func sharedData(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("HONE_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	dir = filepath.Join(dir, "data", name)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("needs %s (set HONE_SHARED)", dir)
	}
	return dir
}
