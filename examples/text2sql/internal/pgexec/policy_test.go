package pgexec

import (
	"errors"
	"strings"
	"testing"

	"github.com/hone-ml/hone/examples/text2sql/internal/sqlexec"
)

// volatile stands for a server's catalogue.
var volatile = set("set_config pg_read_file pg_sleep lo_create nextval random clock_timestamp")

func TestCallsAreSeenWhereverTheServerSeesThem(t *testing.T) {
	for _, sql := range []string{
		"SELECT set_config('a', 'b', false)",
		"SELECT SET_CONFIG ('a', 'b', false)",
		"SELECT pg_catalog.set_config('a', 'b', false)",
		`SELECT "set_config"('a', 'b', false)`,
		"SELECT set_config/* a /* nested ( */ comment */('a', 'b', false)",
		"SELECT set_config -- (\n('a', 'b', false)",
		"SELECT '\\', set_config('a', 'b', false), '\\'",                  // no escapes in a plain string
		"SELECT E'\\'', set_config('a', 'b', false)",                      // an escaped quote in E''
		"SELECT e'a'\n'\\'', set_config('a', 'b', false)",                 // the string goes on on the next line
		"SELECT E'a' -- '\n -- x\n'\\'', set_config('a', 'b', false) --'", // nor do comments end it
		"SELECT E'a' /* \n */ '\\', set_config('a', 'b', false), '\\'",    // but these do
		"SELECT 'a' '', set_config('a', 'b', false)",                      // and not on the same one
		"SELECT $$'$$, set_config('a', 'b', false)",                       // a quote in dollars
		"SELECT $a$ $b$ ' $a$, set_config('a', 'b', false) -- $b$",        // of the tag that began it
		"SELECT a$b$c, set_config('a', 'b', false) FROM t -- $b$",         // dollars within a name are none
		"SELECT \"'\", set_config('a', 'b', false)",                       // a quote in a name
		"SELECT \"a\"\"'\", set_config('a', 'b', false)",                  // a doubled one
		"SELECT /* /* */ ' */ 1, set_config('a', 'b', false) /* ' */",     // a quote in nested comments
		"SELECT 1e5set_config('a', 'b', false)",
		"SELECT U&'\\0061', set_config('a', 'b', false)",
		"WITH a AS (SELECT 1) SELECT * FROM nextval('s')",
		"VALUES (pg_sleep(1))",
		`SELECT U&"set\005fconfig"('a', 'b', false)`,
		"SELECT * FROM crosstab('SELECT 1')",
	} {
		err := check(sql, volatile)
		if !errors.Is(err, sqlexec.ErrForbidden) {
			t.Errorf("%q: %v", sql, err)
		}
	}
}

func TestTextThatOnlyLooksLikeACallIsAllowed(t *testing.T) {
	for _, sql := range []string{
		"SELECT 'set_config(1)'", "SELECT $$ pg_sleep(1) $$", "SELECT 1 -- pg_sleep(1)", "SELECT 1 /* pg_sleep(1) /* pg_sleep(2) */ pg_sleep(3) */",
		"SELECT E'it\\'s pg_sleep(1)'", "SELECT set_config FROM t", "SELECT random(), clock_timestamp()", "SELECT upper('x')", "SELECT a FROM t WHERE b IN (1, 2)",
		"(SELECT 1)", " ;; SELECT 1;; ", "SELECT 'pg_sleep' '\n'", "SELECT 'a'\n'pg_sleep(1)'", "SELECT \"pg_sleep(1)\" FROM t", "WITH a(b) AS (VALUES (1)) SELECT * FROM a",
	} {
		if err := check(sql, volatile); err != nil {
			t.Errorf("%q: %v", sql, err)
		}
	}
}

func TestOnlyTheStatementItselfGoesToTheServer(t *testing.T) {
	for sql, want := range map[string]string{
		" ; /* a */ SELECT 1 ;; -- b": "SELECT 1",
		"SELECT ';' ;":                "SELECT ';'",
		"(SELECT 1)":                  "(SELECT 1)",
		"SELECT 1 /* c */ + 1":        "SELECT 1 /* c */ + 1",
	} {
		if got := withoutSemicolons(sql); got != want {
			t.Errorf("%q: got %q, want %q", sql, got, want)
		}
	}
}

func FuzzSplitAndCheckEnd(f *testing.F) {
	for _, s := range []string{"CREATE TABLE t (a int);\nCOPY t FROM stdin;\n1\n\\.\n", "SELECT E'\\", "$a$", "/*/*", `U&"`, "1.e+", "'a'\n'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if steps, err := split(text); err == nil {
			for _, s := range steps {
				if s.sql == "" || !strings.Contains(text, s.sql) {
					t.Errorf("%q gave the step %q", text, s.sql)
				}
			}
		}
		if check(text, volatile) == nil && !strings.Contains(text, withoutSemicolons(text)) {
			t.Errorf("%q became %q", text, withoutSemicolons(text))
		}
	})
}
