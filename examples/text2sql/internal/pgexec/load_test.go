package pgexec

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hone-ml/hone/examples/text2sql/internal/pgexec/pgtest"
	"github.com/hone-ml/hone/examples/text2sql/internal/sqlexec"
)

func TestPostgresLoadingAgainChangesNothingAndReplacesWhatChanged(t *testing.T) {
	dsn, dir := pgtest.Database(t), t.TempDir()
	writeScript(t, dir, "music", music)
	writeScript(t, dir, `odd "Name"`, "CREATE TABLE t (a int);")
	load := func() Loaded {
		t.Helper()
		l, err := Load(t.Context(), dsn, dir, func(int, int) {})
		if err != nil {
			t.Fatal(err)
		}
		return *l
	}
	if got := load(); got != (Loaded{Schemas: 2, Tables: 3, Rows: 3}) {
		t.Errorf("first: %+v", got)
	}
	oid := func() string {
		return fmt.Sprint(pgtest.Exec(t, dsn, "SELECT oid FROM pg_class WHERE relname IN ('singer', 't') ORDER BY relname"))
	}
	before := oid()
	if got := load(); got != (Loaded{Schemas: 2, Unchanged: 2}) || oid() != before {
		t.Errorf("again: %+v", got)
	}
	writeScript(t, dir, "music", "CREATE TABLE singer (id int);\nINSERT INTO singer VALUES (9);\n")
	if got := load(); got != (Loaded{Schemas: 2, Unchanged: 1, Tables: 1}) {
		t.Errorf("changed: %+v", got)
	}
	p := open(t, dsn, sqlexec.Limits{})
	if res, err := p.Query(t.Context(), "music", "SELECT id FROM singer"); err != nil || fmt.Sprint(res.Rows) != "[[9]]" {
		t.Errorf("the new script's rows: %v, %v", res, err)
	}
	if _, err := p.Query(t.Context(), `odd "Name"`, "SELECT a FROM t"); err != nil {
		t.Error(err)
	}
}

func TestPostgresLoadingLeavesOthersSchemasAlone(t *testing.T) {
	dsn, dir := pgtest.Database(t), t.TempDir()
	pgtest.Exec(t, dsn, "CREATE SCHEMA shop; CREATE TABLE shop.mine AS SELECT 1 AS a")
	writeScript(t, dir, "shop", "CREATE TABLE t (a int);")
	if _, err := Load(t.Context(), dsn, dir, func(int, int) {}); err == nil || !strings.Contains(err.Error(), `schema "shop" that text2sql did not make`) {
		t.Errorf("got %v", err)
	}
	if rows := pgtest.Exec(t, dsn, "SELECT a FROM shop.mine"); len(rows) != 1 {
		t.Error("the table is gone")
	}
	if err := Grant(t.Context(), dsn, "shop"); err != nil {
		t.Fatal(err)
	}
	if res, err := open(t, dsn, sqlexec.Limits{}).Query(t.Context(), "shop", "SELECT a FROM mine"); err != nil || len(res.Rows) != 1 {
		t.Errorf("after Grant: %v, %v", res, err)
	}
	if err := Grant(t.Context(), dsn, "nowhere"); err == nil || !strings.Contains(err.Error(), `"nowhere"`) {
		t.Errorf("Grant on a schema that is not there: %v", err)
	}
}

func TestPostgresLoadingErrorsNameFileAndLine(t *testing.T) {
	for script, want := range map[string]string{
		"CREATE TABLE t (\n  a int\n);\n\nCREATE TABLE u (\n  b nonsense\n);":  `6: type "nonsense" does not exist`,
		"CREATE TABLE t (a int);\nCOPY t FROM stdin;\n1\n2\nx\n\\.\n":          `5: invalid input syntax for type integer: "x"`,
		"CREATE TABLE t (a int, b int);\nCOPY t FROM stdin;\n1\t1\n2\n\\.\n":   "4: missing data for column",
		"CREATE TABLE t (a int PRIMARY KEY);\nCOPY t FROM stdin;\n1\n1\n\\.\n": "4: duplicate key",
		"CREATE TABLE t (a int);\nCOPY t FROM stdin;\n1\n":                     `2: the rows of COPY do not end`,
		"CREATE TABLE t (a int);\n\nDROP TABLE t;":                             "3: DROP TABLE is not allowed",
		"CREATE TABLE t (a int);\nCOPY t FROM PROGRAM 'id';":                   "2: COPY may only read",
		"CREATE TABLE t (a text);\nCOPY t TO '/tmp/x';":                        "2: COPY may only read",
		"-- a remark\nDO $$ BEGIN END $$;":                                     "2: DO is not allowed",
		"CREATE FUNCTION f() RETURNS int AS 'SELECT 1' LANGUAGE sql;":          "1: CREATE FUNCTION is not allowed",
		"CREATE TABLE t (a text);\n\nINSERT INTO t VALUES ('x":                 "never closed",
		"CREATE TABLE t (a text);\n\nINSERT INTO t VALUES ('x')":               "semicolon is missing",
	} {
		dsn, dir := pgtest.Database(t), t.TempDir()
		writeScript(t, dir, "db", script)
		_, err := Load(t.Context(), dsn, dir, func(int, int) {})
		if err == nil || !strings.Contains(err.Error(), "db.sql:") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q:\ngot  %v\nwant %s", script, err, want)
		}
		if rows := pgtest.Exec(t, dsn, "SELECT 1 FROM pg_namespace WHERE nspname = 'db'"); len(rows) > 0 {
			t.Errorf("%q: half of it stays", script)
		}
	}
	if _, err := Load(t.Context(), pgtest.Database(t), t.TempDir(), nil); err == nil || !strings.Contains(err.Error(), "no .sql file") {
		t.Errorf("an empty folder: %v", err)
	}
}
