package pgexec

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

	"github.com/hone-ml/hone/examples/text2sql/internal/pgexec/pgtest"
	"github.com/hone-ml/hone/examples/text2sql/internal/sqlexec"
)

const music = `CREATE TABLE singer (
  id bigint,
  name text,
  born date,
  score numeric(4,2),
  PRIMARY KEY (id)
);
COPY singer FROM stdin;
1	Anna	1990-01-02	1.50
2	Ben	\N	2.00
3		1985-05-05	\N
\.

CREATE TABLE number (n bigint);
INSERT INTO number SELECT i FROM generate_series(1, 1000) AS s(i);
`

// loaded returns the DSN of a database that Load has made of the scripts.
func loaded(t *testing.T, scripts map[string]string) string {
	t.Helper()
	dsn, dir := pgtest.Database(t), t.TempDir()
	for name, script := range scripts {
		writeScript(t, dir, name, script)
	}
	if _, err := Load(t.Context(), dsn, dir, func(int, int) {}); err != nil {
		t.Fatal(err)
	}
	return dsn
}

func writeScript(t *testing.T, dir, name, script string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name+".sql"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, dsn string, limits sqlexec.Limits) *Postgres {
	t.Helper()
	p, err := Open(t.Context(), dsn, limits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func TestPostgresCellsCompareAsTheServersEqualsDoes(t *testing.T) {
	p := open(t, loaded(t, map[string]string{"music": music}), sqlexec.Limits{})
	for sql, want := range map[string]any{
		"1::smallint": int64(1), "2::bigint": int64(2), "sum(n)": int64(500500), "avg(n)": 500.5, "round(avg(n))": int64(501),
		"1.5::real": 1.5, "0.1::float8": 0.1, "12345678901234567890::numeric": 12345678901234567890.0, "1234.5::money": 1234.5,
		"true": true, "1 = 2": false, "NULL::text": nil, "''": "", "NULL::bigint": nil, `'\x00ff'::bytea`: "[]byte{0x0, 0xff}",
		"date '2020-01-02'": "2020-01-02", "timestamp '2020-01-02'": "2020-01-02", "timestamptz '2020-01-02 02:00+02'": "2020-01-02",
		"timestamp '2020-01-02 03:04:05.60'": "2020-01-02 03:04:05.6", "timestamptz '2020-01-02 03:04:05+01'": "2020-01-02 02:04:05",
		"time '03:04'": "03:04:00", "interval '36 hours'": "1 day 12:00:00", "interval '1 day 24 hours'": "2 days", "interval '1 month'": "1 mon",
		"interval '-25 hours'": "-1 days -01:00:00", "interval '1 day -25 hours'": "1 day -25:00:00",
		"'ab'::char(5)": "ab", "array[1.50, 2, NULL]": "{1.5,2,NULL}", "array[1, 2]": "{1,2}", "array['a b', 'NULL', NULL]": `{"a b","NULL",NULL}`,
		"array[true, false]": "{true,false}", "array[timestamp '2020-01-02', NULL]": "{2020-01-02,NULL}",
		"'NaN'::float8": "NaN", "'Infinity'::numeric": "+Inf", "'{\"a\": 1}'::jsonb": `{"a": 1}`, "row(1, 'x')": "(1,x)",
	} {
		res, err := p.Query(t.Context(), "music", "SELECT "+sql+" FROM number")
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		got := res.Rows[0][0]
		if text, ok := want.(string); ok && (strings.HasPrefix(text, "[]byte") || text == "NaN" || text == "+Inf") {
			got = strings.ReplaceAll(fmt.Sprintf("%#v", got), "uint8", "byte")
		}
		if got != want {
			t.Errorf("%s: got %#v, want %#v", sql, got, want)
		}
	}
}

func TestPostgresOrdinaryQueriesRun(t *testing.T) {
	p := open(t, loaded(t, map[string]string{"music": music}), sqlexec.Limits{})
	for sql, want := range map[string]string{
		"/* a /* nested */ one */ ; select count(*) from singer ;; -- end":                                    "[[3]]",
		"(SELECT 1) UNION ALL (SELECT 2) ORDER BY 1":                                                          "[[1] [2]]",
		"VALUES (1, 'a'), (2, 'b')":                                                                           "[[1 a] [2 b]]",
		"SELECT 1 WHERE 1 = 0":                                                                                "[]",
		"SELECT ';' || $$;$$ || E'\\';' || U&'d\\0061'":                                                       "[[;;';da]]",
		"SELECT count(*) FROM singer WHERE random() < 2":                                                      "[[3]]",
		"SELECT upper(name) FROM singer WHERE born = '1990-01-02'":                                            "[[ANNA]]",
		`SELECT extract(year FROM "born") FROM singer WHERE id = 1`:                                           "[[1990]]",
		"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 1000) SELECT sum(n) FROM c": "[[500500]]",
		"SELECT name FROM singer ORDER BY id LIMIT 1":                                                         "[[Anna]]",
	} {
		res, err := p.Query(t.Context(), "music", sql)
		if err != nil {
			t.Errorf("%s: %v", sql, err)
		} else if got := fmt.Sprint(res.Rows); got != want {
			t.Errorf("%s: got %s, want %s", sql, got, want)
		}
	}
}

func TestPostgresErrorsKeepTheServersWords(t *testing.T) {
	p := open(t, loaded(t, map[string]string{"music": music, "empty": "CREATE TABLE t (a int);"}), sqlexec.Limits{})
	for sql, want := range map[string]string{
		"SELECT age FROM singer": `column "age" does not exist`,
		"SELECT * FROM singers":  `relation "singers" does not exist`,
		"SELECT nope(1)":         "function nope(integer) does not exist",
		"SELECT 1 +":             "syntax error at end of input",
		"SELECT 1/0":             "division by zero",
	} {
		if _, err := p.Query(t.Context(), "music", sql); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", sql, err, want)
		}
	}
	for db, want := range map[string]string{"": "empty", "nowhere": `no schema "nowhere"`, "mu\x00sic": "zero byte"} {
		if _, err := p.Query(t.Context(), db, "SELECT 1"); !errors.Is(err, sqlexec.ErrNoDatabase) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", db, err)
		}
	}
	if _, err := p.Query(t.Context(), "empty", "SELECT * FROM singer"); err == nil {
		t.Error("a table of another schema was found without its name")
	}
}

func TestPostgresLimitsHold(t *testing.T) {
	p := open(t, loaded(t, map[string]string{"music": music}), sqlexec.Limits{Time: 200 * time.Millisecond, Rows: 1000, Bytes: 1 << 20, Value: 64 << 10})
	for sql, want := range map[string]error{
		"SELECT n FROM number":                                                           nil,
		"SELECT a.n FROM number a, number b":                                             sqlexec.ErrTooLarge,
		"SELECT repeat('x', 65537)":                                                      sqlexec.ErrTooLarge,
		"SELECT repeat('x', 60000) FROM number":                                          sqlexec.ErrTooLarge,
		"SELECT repeat('x', 5000000)":                                                    sqlexec.ErrTooLarge,
		"SELECT repeat('x', 2000000000)":                                                 sqlexec.ErrTooLarge,
		"SELECT '" + strings.Repeat("x", maxSQL) + "'":                                   sqlexec.ErrTooLarge,
		"SELECT count(*) FROM number a, number b, number c, number d":                    sqlexec.ErrTimeout,
		"SELECT 1 UNION ALL SELECT count(*) FROM number a, number b, number c, number d": sqlexec.ErrTimeout,
	} {
		start := time.Now()
		if _, err := p.Query(t.Context(), "music", sql); !errors.Is(err, want) {
			t.Errorf("%.60s: got %v, want %v", sql, err, want)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%.60s: took %v", sql, took)
		}
	}
	const endless = "SELECT count(*) FROM number a, number b, number c, number d"
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := p.Query(ctx, "music", endless); !errors.Is(err, sqlexec.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("deadline: got %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := p.Query(ctx, "music", endless); !errors.Is(err, context.Canceled) || errors.Is(err, sqlexec.ErrTimeout) {
		t.Errorf("cancel: got %v", err)
	}
}

func TestPostgresRunsAsTheReaderOrNotAtAll(t *testing.T) {
	dsn := loaded(t, map[string]string{"music": music})
	res, err := open(t, dsn, sqlexec.Limits{}).Query(t.Context(), "music", "SELECT current_user, session_user, current_setting('transaction_read_only'), current_setting('temp_file_limit')")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(res.Rows[0]); got != "["+Reader+" "+Reader+" on 1GB]" {
		t.Errorf("a superuser's session runs as %s", got)
	}
	role := fmt.Sprintf("hone_owner_%d", os.Getpid())
	pgtest.Exec(t, dsn, "CREATE ROLE "+role+" LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA music TO "+role+"; GRANT USAGE ON SCHEMA music TO "+role)
	t.Cleanup(func() { pgtest.Exec(t, dsn, "DROP OWNED BY "+role+" CASCADE; DROP ROLE "+role) })
	plain := open(t, dsn+" user="+role, sqlexec.Limits{})
	if res, err = plain.Query(t.Context(), "music", "SELECT current_user, count(*) FROM singer"); err != nil || fmt.Sprint(res.Rows[0]) != "["+role+" 3]" {
		t.Errorf("a role that may only SELECT: %v, %v", res, err)
	}
	pgtest.Exec(t, dsn, "GRANT pg_read_server_files TO "+role)
	if _, err := Open(t.Context(), dsn+" user="+role, sqlexec.Limits{}); err == nil || !strings.Contains(err.Error(), "data load") {
		t.Errorf("a role that may read files: %v", err)
	}
	pgtest.Exec(t, dsn, "GRANT "+Reader+" TO "+role)
	member := open(t, dsn+" user="+role, sqlexec.Limits{})
	if res, err = member.Query(t.Context(), "music", "SELECT current_user"); err != nil || res.Rows[0][0] != Reader {
		t.Errorf("a member of %s runs as %v, %v", Reader, res, err)
	}
	if _, err := member.Query(t.Context(), "music", "SELECT pg_read_file('/etc/passwd')"); !errors.Is(err, sqlexec.ErrForbidden) {
		t.Errorf("pg_read_file: %v", err)
	}
}

func TestPostgresErrorsDoNotShowThePassword(t *testing.T) {
	for _, dsn := range []string{"postgres://u:sesame@/x?host=/nowhere&port=1&connect_timeout=1", "postgres://u:sesame@h:notaport/x", "nonsense sesame"} {
		_, err := Open(t.Context(), dsn, sqlexec.Limits{})
		if err == nil || dsn[0] == 'p' && strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: %v", dsn, err)
		}
	}
}

func TestPostgresOutlivesALostConnectionAndNamesALostServer(t *testing.T) {
	line, dsn := pgtest.NewRelay(t, loaded(t, map[string]string{"music": music}))
	p := open(t, dsn, sqlexec.Limits{})
	count := func() error {
		_, err := p.Query(t.Context(), "music", "SELECT count(*) FROM singer")
		return err
	}
	if err := count(); err != nil {
		t.Fatal(err)
	}
	line.Cut()
	if err := count(); err != nil {
		t.Errorf("after the connections were cut: %v", err)
	}
	time.AfterFunc(100*time.Millisecond, line.Stop)
	_, err := p.Query(t.Context(), "music", "SELECT count(*) FROM number a, number b, number c")
	if !errors.Is(err, sqlexec.ErrUnavailable) {
		t.Errorf("while the server went away: %v, want ErrUnavailable", err)
	}
	line.Resume()
	if err := count(); err != nil {
		t.Errorf("after the server came back: %v", err)
	}
}

func TestPostgresManyGoroutinesShareAnExecutor(t *testing.T) {
	p := open(t, loaded(t, map[string]string{"music": music, "other": "CREATE TABLE t (a int); INSERT INTO t VALUES (7);"}), sqlexec.Limits{})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 20 {
				db, sql, want := "music", fmt.Sprintf("SELECT sum(n) FROM number WHERE n <= %d", i+1), int64((i+1)*(i+2)/2)
				if g%2 == 0 {
					db, sql, want = "other", "SELECT a FROM t", 7
				}
				res, err := p.Query(t.Context(), db, sql)
				if err != nil || res.Rows[0][0] != want {
					t.Errorf("%s: %v, %v", sql, res, err)
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(p.Close(), p.Close()); err != nil {
		t.Error(err)
	}
	if _, err := p.Query(t.Context(), "music", "SELECT 1"); err == nil {
		t.Error("a query ran after Close")
	}
}

func TestPostgresSchemaIsInTheFormOfTheDataSets(t *testing.T) {
	const ddl = "CREATE TABLE singer (\n  id bigint,\n  \"Full Name\" character varying(20),\n  PRIMARY KEY (id)\n);\n" +
		"CREATE TABLE song (\n  id bigint,\n  singer_id bigint,\n  PRIMARY KEY (id),\n  FOREIGN KEY (singer_id) REFERENCES singer(id)\n);"
	p := open(t, loaded(t, map[string]string{"db": ddl}), sqlexec.Limits{})
	if got, err := p.Schema(t.Context(), "db"); err != nil || got != ddl {
		t.Errorf("got %s, %v\nwant %s", got, err, ddl)
	}
	if got, err := p.Schema(t.Context(), "public"); err != nil || got != "" {
		t.Errorf("an empty schema: %q, %v", got, err)
	}
}
