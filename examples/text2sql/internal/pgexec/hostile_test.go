package pgexec

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hone-ml/hone/examples/text2sql/internal/pgexec/pgtest"
	"github.com/hone-ml/hone/examples/text2sql/internal/sqlexec"
)

// hostile are statements as no question needs them. %s is a path that must not
// come to be.
var hostile = []string{
	// They write.
	"INSERT INTO singer VALUES (9)", "INSERT INTO singer (id) VALUES (9) RETURNING id", "UPDATE singer SET name = 'x'", "DELETE FROM singer",
	"TRUNCATE singer", "DROP TABLE singer", "DROP SCHEMA music CASCADE", "DROP DATABASE postgres", "CREATE TABLE evil (a int)",
	"CREATE TABLE evil AS SELECT 1 AS a", "CREATE TEMP TABLE evil (a int)", "CREATE TEMP TABLE evil AS SELECT 1 AS a", "SELECT 1 AS a INTO evil", "SELECT 1 AS a INTO TEMP evil",
	"CREATE VIEW evil AS SELECT 1 AS a", "CREATE FUNCTION evil() RETURNS int LANGUAGE sql AS 'SELECT 1'", "CREATE EXTENSION dblink", "CREATE ROLE evil SUPERUSER",
	"ALTER TABLE singer ADD COLUMN x int", "ALTER ROLE CURRENT_USER SUPERUSER", "ALTER SYSTEM SET work_mem = '1GB'", "GRANT ALL ON singer TO PUBLIC", "REINDEX TABLE singer", "VACUUM", "ANALYZE", "CLUSTER",
	"WITH w AS (INSERT INTO singer VALUES (9) RETURNING id) SELECT * FROM w", "WITH w AS (DELETE FROM singer RETURNING id) SELECT count(*) FROM w",
	"WITH w AS (UPDATE singer SET name = 'x' RETURNING id) SELECT * FROM w", "WITH w AS (UPDATE pg_settings SET setting = 'off' WHERE name = 'transaction_read_only' RETURNING name) SELECT * FROM w",
	"MERGE INTO singer USING number ON id = n WHEN MATCHED THEN DELETE", "WITH w AS (SELECT 1) DELETE FROM singer", "WITH w AS (SELECT 9 AS id) INSERT INTO singer (id) SELECT id FROM w",
	"SELECT * FROM singer FOR UPDATE", "LOCK TABLE singer", "SELECT nextval('counter')", "SELECT setval('counter', 99)", "SELECT lo_create(77)", "SELECT lo_from_bytea(77, 'x')", "SELECT lo_put(77, 0, 'x')", "SELECT lo_unlink(77)",
	"COMMENT ON TABLE singer IS 'x'", "REFRESH MATERIALIZED VIEW singer", "SECURITY LABEL ON TABLE singer IS 'x'", "REPLACE INTO singer (id) VALUES (1)", "ALTER TABLE singer RENAME TO evil",
	// They reach outside.
	"COPY singer TO '%s'", "COPY singer FROM '/etc/passwd'", "COPY (SELECT 1) TO PROGRAM 'touch %s'", "COPY singer FROM PROGRAM 'touch %s'", "COPY singer TO STDOUT",
	"SELECT pg_read_file('/etc/passwd')", "SELECT pg_read_binary_file('/etc/passwd')", "SELECT pg_ls_dir('/')", "SELECT * FROM pg_stat_file('/etc/passwd')", "SELECT lo_import('/etc/passwd')", "SELECT lo_export(77, '%s')", "SELECT lo_get(77)",
	`SELECT pg_catalog . "pg_read_file" ('/etc/passwd')`, "SELECT pg_read_file/* a /* b */ ( */('/etc/passwd')", `SELECT U&"pg\005fread\005ffile"('/etc/passwd')`, "SELECT E'\\'' , pg_read_file('/etc/passwd')",
	"SELECT $a$'$a$, pg_ls_dir('/')", "SELECT 'x'\n'', pg_ls_dir('/')", "SELECT E'x'\n'\\'', pg_ls_dir('/')", "SELECT E'x'\n-- y\n'\\'', pg_ls_dir('/') --'", "SELECT query_to_xml('SELECT pg_read_file(''/etc/passwd'')', true, true, '')", "SELECT * FROM ts_stat('SELECT to_tsvector(pg_read_file(''/etc/passwd''))')",
	"SELECT dblink_connect('host=localhost')", "SELECT * FROM dblink('host=localhost', 'SELECT 1') AS t(a int)", "LOAD 'plpgsql'", "SELECT load_extension('%s')", "SELECT writefile('%s', 'x')", "SELECT readfile('/etc/passwd')",
	"ATTACH '%s' AS evil", "ATTACH DATABASE ':memory:' AS evil", "DETACH main", "VACUUM INTO '%s'", "PRAGMA query_only = 0", "PRAGMA writable_schema = ON", "PRAGMA journal_mode = DELETE", "SELECT * FROM pragma_database_list",
	"SELECT passwd FROM pg_shadow", "SELECT rolpassword FROM pg_authid", "SELECT * FROM pg_file_settings", "SELECT * FROM pg_hba_file_rules",
	// They change the session or others.
	"SELECT set_config('role', 'postgres', false)", "SELECT set_config('session_authorization', 'postgres', false)", "SELECT set_config('transaction_read_only', 'off', true)", "SELECT set_config('statement_timeout', '0', false)",
	"SET ROLE postgres", "RESET ROLE", "RESET SESSION AUTHORIZATION", "SET SESSION AUTHORIZATION postgres", "SET statement_timeout = 0", "SET TRANSACTION READ WRITE", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT s", "PREPARE p AS SELECT 1", "EXECUTE p",
	"DECLARE c CURSOR WITH HOLD FOR SELECT 1", "LISTEN evil", "NOTIFY evil", "SELECT pg_notify('evil', 'x')", "DISCARD ALL", "DO $$ BEGIN PERFORM pg_sleep(60); END $$", "CALL evil()", "CHECKPOINT", "EXPLAIN ANALYZE SELECT 1", "SHOW ALL",
	"SELECT pg_advisory_lock(1)", "SELECT pg_try_advisory_lock(1)", "SELECT pg_advisory_xact_lock(1)", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity", "SELECT pg_cancel_backend(pid) FROM pg_stat_activity", "SELECT pg_reload_conf()", "SELECT pg_rotate_logfile()",
	"SELECT pg_switch_wal()", "SELECT pg_create_physical_replication_slot('evil')", "SELECT pg_logical_emit_message(false, 'a', 'b')", "SELECT pg_stat_reset()", "SELECT pg_export_snapshot()",
	// They are more than one.
	"SELECT 1; SELECT 2", "SELECT 1; DROP TABLE singer", "SELECT 1; COMMIT; DROP TABLE singer", "SELECT 1 /* ; */; /* x */ DELETE FROM singer --", "SELECT 1\x00; DROP TABLE singer", "SELECT '\\'; DROP TABLE singer; --'", "", " ; ", "-- nothing",
	// They never end.
	"SELECT pg_sleep(60)", "SELECT pg_sleep_for('1 minute')", "SELECT pg_sleep_until(now() + interval '1 minute')", "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c",
	"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c WHERE n < 0", "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT a.n + 1 FROM c a) SELECT n FROM c ORDER BY n",
	"SELECT count(*) FROM number a, number b, number c, number d", "SELECT 1 UNION ALL SELECT count(*) FROM number a, number b, number c, number d", "SELECT a.n FROM number a, number b, number c WHERE a.n + b.n + c.n = 0",
	"SELECT count(*) FROM generate_series(1, 100000000000)", "SELECT sum(x) FROM (SELECT a.n * b.n AS x FROM number a, number b, number c ORDER BY 1) t", "SELECT repeat('a', 100000) ~ '(a*)*(a*)*(a*)*b'", "SELECT regexp_replace(repeat('a', 50000), '(a|aa)+$', 'b')",
	"SELECT repeat('a', 60) ~ '^(a|a?)+$b'", "SELECT repeat('x', 100000) LIKE '" + strings.Repeat("%%x", 200) + "y'", "SELECT 9::numeric ^ 100000 ^ 2", "SELECT factorial(100000)", "SELECT 'x' ~ repeat('(x{200}){200}', 3)",
	// They swell.
	"SELECT * FROM number a, number b, number c", "SELECT repeat('x', 1000000000)", "SELECT string_agg(repeat('x', 1000), '') FROM number a, number b", "SELECT array_agg(a.n) FROM number a, number b, number c", "SELECT lpad('x', 900000000)",
	"WITH RECURSIVE c(s) AS (SELECT 'x' UNION ALL SELECT s || s FROM c) SELECT s FROM c", "SELECT json_agg(a) FROM number a, number b, number c", "SELECT printf('%%*d', 1000000000, 1)", "SELECT zeroblob(1000000000)", "SELECT randomblob(1000000000)",
	"SELECT " + strings.Repeat("(", 9000) + "1" + strings.Repeat(")", 9000), "SELECT 1" + strings.Repeat(" UNION SELECT 1", 3000), "SELECT 1" + strings.Repeat("+1", 20000), "SELECT '" + strings.Repeat("x", 1<<20) + "'", "SELECT 1" + strings.Repeat(",1", 3000),
}

// TestPostgresHostileStatementsNeitherWriteNorOutliveTheirTime runs them all
// on both kinds of database, the server with a superuser's DSN.
func TestPostgresHostileStatementsNeitherWriteNorOutliveTheirTime(t *testing.T) {
	if len(hostile) < 100 {
		t.Fatalf("only %d statements", len(hostile))
	}
	const limit = 200 * time.Millisecond
	limits := sqlexec.Limits{Time: limit, Rows: 1000, Bytes: 4 << 20}
	dsn := loaded(t, map[string]string{"music": music + "CREATE SEQUENCE counter;"})
	pgtest.Exec(t, dsn, "GRANT ALL ON ALL SEQUENCES IN SCHEMA music TO PUBLIC; GRANT CREATE ON SCHEMA public TO PUBLIC")
	files, err := sqlexec.OpenSQLite("", limits)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	if err := files.AddScript("music", `CREATE TABLE singer (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO singer VALUES (1, 'Anna');
		CREATE TABLE number (n INTEGER); INSERT INTO number WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 1000) SELECT n FROM c`); err != nil {
		t.Fatal(err)
	}
	server := open(t, dsn, limits)
	tables := func(ex sqlexec.Executor) string {
		res, err := ex.Query(t.Context(), "music", "SELECT count(*), max(name), (SELECT sum(n) FROM number) FROM singer")
		if err != nil {
			t.Fatalf("%s: %v", ex.Dialect(), err)
		}
		return fmt.Sprint(res.Rows)
	}
	state := func() string {
		return fmt.Sprint(pgtest.Exec(t, dsn, `SELECT (SELECT md5(string_agg(oid || relname || relacl::text, ',' ORDER BY oid)) FROM pg_class WHERE oid > 16383),
			(SELECT count(*) FROM pg_proc), (SELECT count(*) FROM pg_namespace WHERE nspname !~ '^pg_'), (SELECT string_agg(rolname || rolsuper, ',' ORDER BY oid) FROM pg_roles),
			(SELECT count(*) FROM pg_extension), (SELECT count(*) FROM pg_largeobject_metadata), (SELECT last_value FROM music.counter), (SELECT count(*) FROM pg_replication_slots),
			(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())), (SELECT count(*) FROM pg_db_role_setting), pg_postmaster_start_time()`))
	}
	dir, err := os.MkdirTemp("", "hone-evil-") // where the server could write, too
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "evil")
	was, postmaster := map[string]string{"postgres": tables(server), "sqlite": tables(files)}, state()
	for _, form := range hostile {
		sql := form
		if strings.Contains(form, "%s") || strings.Contains(form, "%%") {
			sql = strings.ReplaceAll(strings.ReplaceAll(form, "%s", path), "%%", "%")
		}
		for _, ex := range []sqlexec.Executor{server, files} {
			start := time.Now()
			_, err := ex.Query(t.Context(), "music", sql)
			if took := time.Since(start); took > limit+2*time.Second {
				t.Errorf("%s: %.80s: ran for %v (%v)", ex.Dialect(), sql, took, err)
			}
			if now := tables(ex); now != was[ex.Dialect()] {
				t.Fatalf("%s: %.80s: the tables changed from %s to %s", ex.Dialect(), sql, was[ex.Dialect()], now)
			}
		}
	}
	if now := state(); now != postmaster {
		t.Errorf("the server changed:\n%s\n%s", postmaster, now)
	}
	if rows := pgtest.Exec(t, dsn, "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid()"); len(rows) > 0 {
		t.Errorf("still running: %v", rows)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("files were made: %v, %v", entries, err)
	}
}

// TestPostgresStatementsThatReachOutsideAreRefused names those that must not
// even run.
func TestPostgresStatementsThatReachOutsideAreRefused(t *testing.T) {
	p := open(t, loaded(t, map[string]string{"music": music}), sqlexec.Limits{Time: time.Second})
	for _, sql := range hostile {
		for _, word := range []string{"/etc/passwd", "set_config(", "pg_ls_dir(", "pg_sleep", "advisory", "pg_terminate", "lo_", "dblink", "nextval", "pg_shadow", "pg_authid", "INTO"} {
			if !strings.Contains(sql, word) {
				continue
			}
			if res, err := p.Query(t.Context(), "music", strings.ReplaceAll(sql, "%s", "/tmp/x")); err == nil {
				t.Errorf("%q ran and returned %v", sql, res.Rows)
			}
		}
	}
}
