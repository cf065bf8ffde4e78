package score

import (
	"errors"
	"strings"
	"testing"
)

func TestTheQueryIsFoundInAModelsOutput(t *testing.T) {
	for output, want := range map[string]string{
		"SELECT 1":                                 "SELECT 1",
		"  select a\nfrom t ;\n":                   "select a\nfrom t",
		"SELECT 1; -- done\n;":                     "SELECT 1",
		"VALUES (1, 2)":                            "VALUES (1, 2)",
		"WITH a AS (SELECT 1) SELECT * FROM a;":    "WITH a AS (SELECT 1) SELECT * FROM a",
		"WITH a(x) AS (SELECT 1)\nSELECT * FROM a": "WITH a(x) AS (SELECT 1)\nSELECT * FROM a",
		"<think>SELECT 2? no</think>\n\nSELECT 1":  "SELECT 1",
		"maybe SELECT 2</think>SELECT 1":           "SELECT 1",
		"SELECT 1<|im_end|>":                       "SELECT 1",
		"SELECT a < b FROM t<|endoftext|> more":    "SELECT a < b FROM t",
		"```sql\nSELECT 1;\n```":                   "SELECT 1",
		"```\nSELECT 1\n```\nThis returns 1.":      "SELECT 1",
		"Here's the query:\n```SQL\r\nSELECT 1\r\n```\nIt returns\n```\n1\n```": "SELECT 1",
		"```sql\nSELECT 1":                                                  "SELECT 1",
		"```sql SELECT 1```":                                                "SELECT 1",
		"The answer is `SELECT name FROM t`.":                               "SELECT name FROM t",
		"Answer: SELECT name FROM t":                                        "SELECT name FROM t",
		"Answer: SELECT name FROM (\nSELECT name FROM t)":                   "SELECT name FROM (\nSELECT name FROM t)",
		"Here's what you want, with care:\n\nSELECT 1;\n\nThis selects 1.":  "SELECT 1",
		"You can use a SELECT statement:\nSELECT 1":                         "SELECT 1",
		"Select the names of all singers:\n\nSELECT name FROM singer":       "SELECT name FROM singer",
		"SELECT a\nFROM t\n\nThis query returns a.":                         "SELECT a\nFROM t",
		"SELECT a\n\nFROM t\n\nWHERE b = 1":                                 "SELECT a\n\nFROM t\n\nWHERE b = 1",
		"SELECT a FROM t\nUNION ALL\nSELECT a FROM u":                       "SELECT a FROM t\nUNION ALL\nSELECT a FROM u",
		"SELECT a FROM t WHERE b IN (\nSELECT c FROM u)":                    "SELECT a FROM t WHERE b IN (\nSELECT c FROM u)",
		"-- select all\nSELECT a FROM t":                                    "SELECT a FROM t",
		"/* select */ SELECT a FROM t /* ; DROP */":                         "SELECT a FROM t",
		"SELECT ';', 'it''s; SELECT', \"a;b\", `c;d`, [e;f] FROM t; thanks": "SELECT ';', 'it''s; SELECT', \"a;b\", `c;d`, [e;f] FROM t",
		"SELECT a -- ; SELECT b\nFROM t; -- SELECT c":                       "SELECT a -- ; SELECT b\nFROM t",
		"SELECT '\n\nDear sir' FROM t":                                      "SELECT '\n\nDear sir' FROM t",
		"SELECT a FROM t WHERE n = 'DROP TABLE t; --'":                      "SELECT a FROM t WHERE n = 'DROP TABLE t; --'",
	} {
		got, err := ExtractSQL(output)
		if err != nil || got != want {
			t.Errorf("%q:\ngot  %q, %v\nwant %q", output, got, err, want)
		}
	}
}

func TestOutputWithoutOneQueryIsRefused(t *testing.T) {
	for output, want := range map[string]error{
		"":                                                 ErrNoQuery,
		"I do not know.":                                   ErrNoQuery,
		"With pleasure! Values (as such)":                  nil, // "Values (" looks like a statement: running it will fail
		"<think>SELECT 1":                                  ErrNoQuery,
		"```python\nprint(1)\n```":                         ErrNoQuery,
		"DROP TABLE t":                                     ErrNoQuery,
		"DROP TABLE t; SELECT 1":                           ErrNoQuery,
		"INSERT INTO t VALUES (1)":                         ErrNoQuery,
		"insert into t select * from u":                    ErrNoQuery,
		"CREATE TABLE t AS SELECT 1":                       ErrNoQuery,
		"EXPLAIN SELECT 1":                                 ErrNoQuery,
		"PRAGMA table_info(t)":                             ErrNoQuery,
		"SELECT 1; SELECT 2":                               ErrManyStatements,
		"SELECT 1;\n-- and\nDELETE FROM t":                 ErrManyStatements,
		"SELECT 1; /* c */ ; DROP TABLE t":                 ErrManyStatements,
		"SELECT 1; WITH a AS (SELECT 2) SELECT * FROM a":   ErrManyStatements,
		"SELECT a FROM t\nSELECT b FROM t":                 ErrManyStatements,
		"SELECT a FROM t\n\nSELECT b FROM t":               ErrManyStatements,
		"```sql\nSELECT 1\n```\nor\n```sql\nSELECT 2\n```": ErrManyStatements,
		"```sql\nSELECT 1; SELECT 2\n```":                  ErrManyStatements,
	} {
		if got, err := ExtractSQL(output); !errors.Is(err, want) {
			t.Errorf("%q: got %q, %v, want %v", output, got, err, want)
		}
	}
}

func TestOnlyATopLevelOrderByOrders(t *testing.T) {
	for sql, want := range map[string]bool{
		"SELECT a FROM t ORDER BY a":                                         true,
		"select a from t order\n /* c */ by a":                               true,
		"WITH x AS (SELECT 1) SELECT * FROM x ORDER BY 1 LIMIT 1":            true,
		"SELECT a FROM t UNION SELECT b FROM u ORDER BY 1":                   true,
		"SELECT a FROM t":                                                    false,
		"SELECT a FROM (SELECT a FROM t ORDER BY a LIMIT 3)":                 false,
		"SELECT rank() OVER (ORDER BY a) FROM t":                             false,
		"SELECT a FROM t WHERE b = ' ORDER BY '":                             false,
		"SELECT a FROM t -- ORDER BY a":                                      false,
		`SELECT "ORDER" by_a FROM t`:                                         false,
		"SELECT a FROM t WHERE b IN (SELECT b FROM u ORDER BY b) ORDER BY a": true,
	} {
		if got := Ordered(sql); got != want {
			t.Errorf("%s: got %v", sql, got)
		}
	}
}

func TestExactMatchSeesThroughSpellingOnly(t *testing.T) {
	const sql = "SELECT a , count(*) FROM t WHERE b <> 'X' AND c = 1.50"
	for _, same := range []string{
		"select A,COUNT( * )\nfrom T where B!='X' and c=1.50 ; ;",
		"SELECT a, /* c */ count(*) FROM t WHERE b <> 'X' AND c == 1.50 -- end",
	} {
		if !ExactMatch(sql, same) {
			t.Errorf("%q is the same", same)
		}
	}
	for _, other := range []string{
		strings.Replace(sql, "'X'", "'x'", 1), strings.Replace(sql, "1.50", "1.5", 1), strings.Replace(sql, "a ,", "b ,", 1), "", "SELECT",
	} {
		if ExactMatch(sql, other) {
			t.Errorf("%q is not the same", other)
		}
	}
}

func FuzzExtractSQL(f *testing.F) {
	for _, s := range []string{"SELECT 1; x", "```sql\nselect '", "<think></think>`SELECT`", "WITH a AS (SELECT [", "select\nselect\n\n/*"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, output string) {
		sql, err := ExtractSQL(output)
		if err == nil && (sql == "" || !strings.Contains(output, sql)) {
			t.Errorf("%q gave %q", output, sql)
		}
		Ordered(output)
		ExactMatch(output, sql)
	})
}
