package sqlexec

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

const script = `
CREATE TABLE singer (id INTEGER PRIMARY KEY, name TEXT, born DATE, score REAL, photo BLOB);
INSERT INTO singer VALUES (1, 'Anna', '1990-01-02', 1.5, x'00ff'), (2, 'Ben', NULL, 2, x''), (3, 'Cleo', 'unknown', NULL, NULL);
CREATE TABLE number (n INTEGER);
INSERT INTO number WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 1000) SELECT n FROM c;
CREATE VIEW famous AS SELECT name FROM singer WHERE score > 1;
CREATE VIRTUAL TABLE notes USING fts5(body);
INSERT INTO notes VALUES ('hello');`

// open returns an executor with the script as database "music" in memory.
func open(t *testing.T, limits Limits) *SQLite {
	t.Helper()
	ex, err := OpenSQLite("", limits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ex.Close() })
	if err := ex.AddScript("music", script); err != nil {
		t.Fatal(err)
	}
	return ex
}

// writeFile makes the script's database as a file and returns its folder.
func writeFile(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	c, err := openConn(":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if err := c.exec(script + ";VACUUM INTO '" + filepath.Join(dir, name) + "'"); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestCellsKeepTheTypesOfTheDatabase(t *testing.T) {
	ex := open(t, Limits{})
	res, err := ex.Query(t.Context(), "music", "SELECT * FROM singer ORDER BY id; -- all of them")
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%q %#v", res.Columns, res.Rows)
	want := `["id" "name" "born" "score" "photo"] [][]interface {}{` +
		`[]interface {}{1, "Anna", "1990-01-02", 1.5, []uint8{0x0, 0xff}}, ` +
		`[]interface {}{2, "Ben", interface {}(nil), 2, []uint8{}}, ` +
		`[]interface {}{3, "Cleo", "unknown", interface {}(nil), interface {}(nil)}}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestOrdinaryQueriesRun(t *testing.T) {
	ex := open(t, Limits{})
	for sql, want := range map[string]string{
		`/* c */ ; select count(*) from singer ;;`: "[[3]]",
		`SELECT "Anna"`: "[[Anna]]",
		`SELECT singer. name FROM singer WHERE id = 2`:                                                        "[[Ben]]",
		`SELECT name FROM famous ORDER BY 1`:                                                                  "[[Anna] [Ben]]",
		`VALUES (1, 'a'), (2, 'b')`:                                                                           "[[1 a] [2 b]]",
		`SELECT 1 WHERE 1 = 0`:                                                                                "[]",
		`SELECT json_extract('{"a":3}', '$.a'), value FROM json_each('[7]')`:                                  "[[3 7]]",
		`SELECT strftime('%Y', born), upper(name) FROM singer WHERE name LIKE 'a%'`:                           "[[1990 ANNA]]",
		`SELECT n, rank() OVER (ORDER BY n DESC) FROM number ORDER BY n LIMIT 1`:                              "[[1 1000]]",
		`WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 1000) SELECT sum(n) FROM c`: "[[500500]]",
		`SELECT name FROM sqlite_schema WHERE type = 'view'`:                                                  "[[famous]]",
	} {
		res, err := ex.Query(t.Context(), "music", sql)
		if err != nil {
			t.Errorf("%s: %v", sql, err)
		} else if got := fmt.Sprint(res.Rows); got != want {
			t.Errorf("%s: got %s, want %s", sql, got, want)
		}
	}
}

func TestForbiddenStatementsAreRefusedAndChangeNothing(t *testing.T) {
	dir := writeFile(t, "music.sqlite")
	path := filepath.Join(dir, "music.sqlite")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	files, err := OpenSQLite(dir, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	executors := map[string]*SQLite{"file": files, "memory": open(t, Limits{})}
	out := filepath.Join(dir, "out")
	for _, sql := range []string{
		"INSERT INTO singer (name) VALUES ('x')",
		"INSERT INTO singer (name) VALUES ('x') RETURNING id",
		"REPLACE INTO singer (id) VALUES (1)",
		"UPDATE singer SET name = 'x'",
		"DELETE FROM singer",
		"WITH a AS (SELECT 1) DELETE FROM singer RETURNING *",
		"DROP TABLE singer",
		"DROP VIEW famous",
		"CREATE TABLE t (a)",
		"CREATE TEMP TABLE t AS SELECT 1",
		"CREATE TRIGGER r AFTER INSERT ON singer BEGIN SELECT 1; END",
		"CREATE VIRTUAL TABLE v USING fts5(a)",
		"ALTER TABLE singer ADD COLUMN x",
		"REINDEX", "ANALYZE", "VACUUM",
		"VACUUM INTO '" + out + "'",
		"ATTACH '" + out + "' AS x",
		"ATTACH ':memory:' AS x",
		"DETACH main",
		"BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT s",
		"PRAGMA query_only = 0",
		"PRAGMA query_only",
		"PRAGMA writable_schema = ON",
		"PRAGMA table_info(singer)",
		"PRAGMA database_list",
		"PRAGMA temp_store_directory = '/'",
		"PRAGMA journal_mode = DELETE",
		"SELECT * FROM pragma_database_list",
		"SELECT * FROM pragma_table_info('singer')",
		"SELECT count(*) FROM pragma_database_list",
		"SELECT * FROM dbstat", "SELECT count(*) FROM dbstat",
		"SELECT * FROM sqlite_dbpage", "SELECT count(*) FROM sqlite_dbpage",
		"SELECT count(*) FROM notes",
		"SELECT * FROM notes",
		"SELECT * FROM notes WHERE notes MATCH 'hello'",
		"SELECT * FROM notes_content_x, fts5vocab",
		"SELECT load_extension('x')",
		"SELECT randomblob(10)", "SELECT zeroblob(10)",
		"SELECT sqlite_version()", "SELECT sqlite_source_id()", "SELECT last_insert_rowid()",
		"SELECT fts5(1)",
		"EXPLAIN SELECT 1",
		"EXPLAIN QUERY PLAN SELECT 1",
		"SELECT 1; SELECT 2",
		"SELECT 1; DROP TABLE singer",
		"SELECT 1; /* c */ nonsense",
		"SELECT ?", "SELECT :name",
		"", " ; ", "-- nothing", "SELECT 1\x00; DROP TABLE singer",
	} {
		for kind, ex := range executors {
			res, err := ex.Query(t.Context(), "music", sql)
			if err == nil {
				t.Errorf("%s: %q ran and returned %v", kind, sql, res.Rows)
			} else if !errors.Is(err, ErrForbidden) && !strings.Contains(err.Error(), "no such") &&
				!strings.Contains(err.Error(), "variable") {
				t.Errorf("%s: %q: %v is not ErrForbidden", kind, sql, err)
			}
		}
	}
	// These functions do not exist in this build at all.
	for _, sql := range []string{"SELECT readfile('/etc/passwd')", "SELECT writefile('" + out + "', 'x')", "SELECT edit('x')",
		"SELECT fts3_tokenizer('simple')", "SELECT * FROM generate_series(1, 9)"} {
		if res, err := executors["file"].Query(t.Context(), "music", sql); err == nil {
			t.Errorf("%q ran and returned %v", sql, res.Rows)
		}
	}
	after, err := os.ReadFile(path)
	if err != nil || string(after) != string(before) {
		t.Errorf("the file changed (%v)", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("files were made beside the database: %v", entries)
	}
	for kind, ex := range executors {
		if res, err := ex.Query(t.Context(), "music", "SELECT count(*) FROM singer"); err != nil || res.Rows[0][0] != int64(3) {
			t.Errorf("%s: afterwards: %v, %v", kind, res, err)
		}
	}
}

func TestEndlessQueriesEndAtTheTimeLimit(t *testing.T) {
	limit := 100 * time.Millisecond
	ex := open(t, Limits{Time: limit})
	for _, sql := range []string{
		"SELECT count(*) FROM number a, number b, number c, number d",
		// The first row comes at once, the second never.
		"SELECT 1 UNION ALL SELECT count(*) FROM number a, number b, number c, number d",
		"SELECT a.n FROM number a, number b, number c WHERE a.n + b.n + c.n = 0",
		"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c",
		"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c WHERE n < 0",
		"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n FROM c) SELECT max(n) FROM c ORDER BY 1",
		"WITH RECURSIVE c(n) AS (SELECT 1 UNION SELECT n + 1 FROM c) SELECT 1 FROM c ORDER BY random() LIMIT 1",
		"SELECT a.n FROM number a, number b, number c, number d GROUP BY a.n, b.n, c.n, d.n HAVING count(*) > 1",
	} {
		start := time.Now()
		_, err := ex.Query(t.Context(), "music", sql)
		if !errors.Is(err, ErrTimeout) {
			t.Errorf("%s: got %v, want ErrTimeout", sql, err)
		}
		if took := time.Since(start); took > limit+2*time.Second {
			t.Errorf("%s: ran for %v, the limit is %v", sql, took, limit)
		}
	}
}

func TestBombsOfMemoryAreTooLarge(t *testing.T) {
	ex := open(t, Limits{Time: time.Minute, Rows: 50_000, Bytes: 4 << 20, Value: 64 << 10})
	deep := strings.Repeat("(", 5000) + "1" + strings.Repeat(")", 5000)
	for _, sql := range []string{
		"SELECT printf('%*d', 1000000000, 1)",
		"SELECT printf('%.*c', 2000000, 'x')",
		"SELECT hex(printf('%*d', 200000, 1))",
		"SELECT replace(printf('%*d', 10000, 1), ' ', printf('%*d', 10000, 1))",
		"SELECT group_concat(hex(a.n)) FROM number a, number b",
		"SELECT json_group_array(a.n) FROM number a, number b",
		"WITH RECURSIVE c(s) AS (SELECT 'x' UNION ALL SELECT s || s FROM c) SELECT s FROM c",
		"SELECT a.n FROM number a, number b",
		"SELECT printf('%*d', 1000, a.n) FROM number a, number b",
		"SELECT '" + strings.Repeat("x", maxSQL) + "'",
	} {
		if _, err := ex.Query(t.Context(), "music", sql); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%.80s: got %v, want ErrTooLarge", sql, err)
		}
	}
	for _, sql := range []string{
		"SELECT " + deep,
		"SELECT 'x' LIKE '" + strings.Repeat("%a", 2000) + "'",
		"SELECT 1" + strings.Repeat(" UNION SELECT 1", 200),
		"SELECT 1" + strings.Repeat("+1", 1000),
		"SELECT max(1" + strings.Repeat(",1", 500) + ")",
		"SELECT 1" + strings.Repeat(",1", 1000),
	} {
		if _, err := ex.Query(t.Context(), "music", sql); err == nil {
			t.Errorf("%.80s ran", sql)
		}
	}
}

func TestSortingAMountainIsBoundedInMemory(t *testing.T) {
	ex := open(t, Limits{Time: 20 * time.Second})
	tls := libc.NewTLS()
	defer tls.Close()
	sqlite3.Xsqlite3_hard_heap_limit64(tls, 64<<20)
	defer sqlite3.Xsqlite3_hard_heap_limit64(tls, maxHeap)
	_, err := ex.Query(t.Context(), "music",
		"SELECT count(*) FROM (SELECT printf('%*d', 100000, a.n * b.n) AS s FROM number a, number b ORDER BY s LIMIT 1000000)")
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
	if _, err := ex.Query(t.Context(), "music", "SELECT name FROM singer ORDER BY name"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestOneSlowFunctionCallStaysShort(t *testing.T) {
	// The clock is looked at between instructions, so a single call must be
	// bounded by the limits on its arguments.
	ex := open(t, Limits{Time: 100 * time.Millisecond})
	for _, sql := range []string{
		"SELECT instr(replace(printf('%*d', 250000, 1), ' ', 'a'), replace(printf('%*d', 125000, 1), ' ', 'a') || 'b')",
		"SELECT replace(printf('%*d', 250000, 1), printf('%*d', 125000, 12), 'b')",
		"SELECT printf('%*d', 250000, 1) LIKE '" + strings.Repeat("% ", 200) + "x%'",
		"SELECT printf('%*d', 250000, 1) GLOB '" + strings.Repeat("* ", 200) + "x*'",
	} {
		start := time.Now()
		_, err := ex.Query(t.Context(), "music", sql)
		if took := time.Since(start); took > 4*time.Second {
			t.Errorf("%.60s…: took %v (%v)", sql, took, err)
		}
	}
}

func TestDeadlineOfTheContextIsATimeoutAndCancellingIsNot(t *testing.T) {
	ex := open(t, Limits{})
	const endless = "SELECT count(*) FROM number a, number b, number c, number d"
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := ex.Query(ctx, "music", endless); !errors.Is(err, ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("deadline: got %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := ex.Query(ctx, "music", endless); !errors.Is(err, context.Canceled) || errors.Is(err, ErrTimeout) {
		t.Errorf("cancel: got %v", err)
	}
}

func TestErrorsInTheSQLKeepSQLitesWords(t *testing.T) {
	ex := open(t, Limits{})
	for sql, want := range map[string]string{
		"SELECT age FROM singer": "no such column: age",
		"SELECT * FROM singers":  "no such table: singers",
		"SELEC 1":                `near "SELEC": syntax error`,
		"SELECT foo(1)":          "no such function: foo",
	} {
		if _, err := ex.Query(t.Context(), "music", sql); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", sql, err, want)
		}
	}
}

func TestNamesOfDatabasesStayInTheFolder(t *testing.T) {
	dir := writeFile(t, "music.sqlite")
	if err := os.WriteFile(filepath.Join(dir, "text.sqlite"), []byte(strings.Repeat("not a database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder.sqlite"), 0o700); err != nil {
		t.Fatal(err)
	}
	ex, err := OpenSQLite(filepath.Join(dir), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer ex.Close()
	base := filepath.Base(dir)
	for _, id := range []string{"", ".", "..", "../" + base + "/music", "a/../music", `..\music`, "/etc/passwd", "C:music", "music\x00", "absent", "folder"} {
		if _, err := ex.Query(t.Context(), id, "SELECT 1"); !errors.Is(err, ErrNoDatabase) {
			t.Errorf("%q: got %v, want ErrNoDatabase", id, err)
		}
	}
	if _, err := ex.Query(t.Context(), "absent", "SELECT 1"); !strings.Contains(err.Error(), filepath.Join(dir, "absent.sqlite")) {
		t.Errorf("%v does not name the file", err)
	}
	if _, err := ex.Query(t.Context(), "text", "SELECT 1"); err == nil || !strings.Contains(err.Error(), "not a database") ||
		!strings.Contains(err.Error(), "text.sqlite") {
		t.Errorf("a text file: %v", err)
	}
	if _, err := OpenSQLite(filepath.Join(dir, "nowhere"), Limits{}); err == nil {
		t.Error("a folder that is not there was opened")
	}
	if err := ex.AddFile("other name", filepath.Join(dir, "music.sqlite")); err != nil {
		t.Fatal(err)
	}
	if res, err := ex.Query(t.Context(), "other name", "SELECT count(*) FROM singer"); err != nil || res.Rows[0][0] != int64(3) {
		t.Errorf("AddFile: %v, %v", res, err)
	}
}

func TestFileNamesWithOddCharactersOpen(t *testing.T) {
	dir := writeFile(t, "a b%20?c#d&é.sqlite")
	ex, err := OpenSQLite(dir, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer ex.Close()
	if _, err := ex.Query(t.Context(), "a b%20?c#d&é", "SELECT name FROM singer"); err != nil {
		t.Error(err)
	}
}

func TestManyGoroutinesShareAnExecutor(t *testing.T) {
	ex := open(t, Limits{})
	if err := ex.AddScript("other", "CREATE TABLE t (a); INSERT INTO t VALUES (7)"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 30 {
				db, sql, want := "music", fmt.Sprintf("SELECT sum(n) FROM number WHERE n <= %d", i), int64(i*(i+1)/2)
				if i == 0 || g%2 == 0 {
					db, sql, want = "other", "SELECT a FROM t", 7
				}
				res, err := ex.Query(t.Context(), db, sql)
				if err != nil || res.Rows[0][0] != want {
					t.Errorf("%s: %v, %v", sql, res, err)
				}
			}
		})
	}
	wg.Wait()
	if err := ex.Close(); err != nil {
		t.Error(err)
	}
	if err := ex.Close(); err != nil {
		t.Error(err)
	}
	if _, err := ex.Query(t.Context(), "music", "SELECT 1"); err == nil {
		t.Error("a query ran after Close")
	}
}

func TestSchemaIsTheTextThatMadeIt(t *testing.T) {
	ex, err := OpenSQLite("", Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer ex.Close()
	const ddl = "CREATE TABLE a (x INTEGER PRIMARY KEY);\nCREATE VIEW b AS SELECT x FROM a;\n"
	if err := ex.AddScript("db", ddl+"INSERT INTO a VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	if got, err := ex.Schema(t.Context(), "db"); err != nil || got != ddl {
		t.Errorf("got %q, %v", got, err)
	}
	if err := ex.AddScript("db", ""); err == nil {
		t.Error("a second database took the name of the first")
	}
	if err := ex.AddScript("broken", "CREATE TABLE"); err == nil || !strings.Contains(err.Error(), `"broken"`) {
		t.Errorf("a broken script: %v", err)
	}
}
