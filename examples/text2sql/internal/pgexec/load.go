package pgexec

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgconn"
)

// Loaded says what [Load] did.
type Loaded struct {
	Schemas   int   `json:"schemas"`   // all that are there now
	Unchanged int   `json:"unchanged"` // of them, those whose script is the one that they were made of
	Tables    int   `json:"tables"`    // made now
	Rows      int64 `json:"rows"`      // copied now
}

// mark begins the comment of every schema that Load made, the checksum of its
// script follows. A schema without it is somebody's own and left alone.
const mark = "text2sql data load, sha256 "

// Load makes a schema <name> of every <name>.sql in a folder, each in one
// transaction, and the role [Reader] with SELECT on them. A schema that Load
// made before is left as it is when its script has not changed, and replaced
// otherwise; one that Load did not make is an error. told hears how many are
// done.
//
// The DSN's role needs CREATE on the database, and CREATEROLE while there is
// no Reader. Errors name the file and the line.
func Load(ctx context.Context, dsn, dir string, told func(done, of int)) (*Loaded, error) {
	files, err := filepath.Glob(filepath.Join(escapeGlob(dir), "*.sql"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		if _, err := os.Stat(dir); err != nil {
			return nil, fmt.Errorf("-db-dir: %w", err)
		}
		return nil, fmt.Errorf("-db-dir: %s holds no .sql file", dir)
	}
	slices.Sort(files)
	config, err := parse(dsn)
	if err != nil {
		return nil, err
	}
	if err := makeReader(ctx, config); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var taken, done, unchanged, tables, rows atomic.Int64
	var wg sync.WaitGroup
	for range min(len(files), max(2, runtime.GOMAXPROCS(0))) {
		wg.Go(func() {
			c, err := pgconn.ConnectConfig(ctx, config)
			if err != nil {
				cancel(fmt.Errorf("PostgreSQL: %w", err))
				return
			}
			defer closeNow(c)
			for i := int(taken.Add(1)) - 1; i < len(files) && ctx.Err() == nil; i = int(taken.Add(1)) - 1 {
				made, copied, err := loadFile(ctx, c, files[i])
				if err != nil {
					cancel(fmt.Errorf("%s:%w", files[i], err))
					return
				}
				if made < 0 {
					unchanged.Add(1)
				}
				tables.Add(max(0, made))
				rows.Add(copied)
				told(int(done.Add(1)), len(files))
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return &Loaded{len(files), int(unchanged.Load()), int(tables.Load()), rows.Load()}, nil
}

func escapeGlob(dir string) string {
	return regexp.MustCompile(`[*?\[\\]`).ReplaceAllStringFunc(dir, func(s string) string {
		if os.PathSeparator == '\\' {
			return s
		}
		return `\` + s
	})
}

// Grant lets the role [Reader] SELECT from a schema that Load did not make.
func Grant(ctx context.Context, dsn string, schemas ...string) error {
	config, err := parse(dsn)
	if err != nil {
		return err
	}
	if err := makeReader(ctx, config); err != nil {
		return err
	}
	c, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("PostgreSQL: %w", err)
	}
	defer closeNow(c)
	for _, s := range schemas {
		if _, err := c.Exec(ctx, grants(s)).ReadAll(); err != nil {
			return fmt.Errorf("granting %s SELECT on schema %q: %w", Reader, s, err)
		}
	}
	return nil
}

// grants are the rights of the reader on a schema, those of tables to come included.
func grants(schema string) string {
	s := quoteIdent(schema)
	return "GRANT USAGE ON SCHEMA " + s + " TO " + Reader + "; GRANT SELECT ON ALL TABLES IN SCHEMA " + s + " TO " + Reader +
		"; ALTER DEFAULT PRIVILEGES IN SCHEMA " + s + " GRANT SELECT ON TABLES TO " + Reader
}

// makeReader makes the role if it is not there, and lets the DSN's role become it.
func makeReader(ctx context.Context, config *pgconn.Config) error {
	c, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("PostgreSQL: %w", err)
	}
	defer closeNow(c)
	// Several loaders at once take turns.
	const make = `BEGIN; SELECT pg_advisory_xact_lock(7283460919342917);
		DO $$ BEGIN
			IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '` + Reader + `') THEN
				CREATE ROLE ` + Reader + ` NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOINHERIT;
				ALTER ROLE ` + Reader + ` SET default_transaction_read_only = on;
			END IF;
			IF NOT pg_has_role(session_user, '` + Reader + `', 'MEMBER') THEN
				EXECUTE format('GRANT ` + Reader + ` TO %I', session_user);
			END IF;
		END $$; COMMIT`
	if _, err := c.Exec(ctx, make).ReadAll(); err != nil {
		return fmt.Errorf("making the role %s, which a model's SQL runs as: %w", Reader, err)
	}
	return nil
}

// loadFile makes one schema. tables is -1 if it was there already. Errors
// begin with the line.
func loadFile(ctx context.Context, c *pgconn.PgConn, path string) (tables, rows int64, err error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return 0, 0, fmt.Errorf(" %w", err)
	}
	schema := strings.TrimSuffix(filepath.Base(path), ".sql")
	sum := fmt.Sprintf("%s%x", mark, sha256.Sum256(raw))
	found, err := query(ctx, c, `SELECT COALESCE(obj_description(oid, 'pg_namespace'), '') FROM pg_namespace WHERE nspname = $1`, schema)
	switch {
	case err != nil:
		return 0, 0, fmt.Errorf(" %w", err)
	case len(found) > 0 && found[0][0] == sum:
		_, err := c.Exec(ctx, grants(schema)).ReadAll()
		return -1, 0, withSpace(err)
	case len(found) > 0 && !strings.HasPrefix(found[0][0], mark):
		return 0, 0, fmt.Errorf(" the database %q has a schema %q that text2sql did not make: load into another database, or rename it (ALTER SCHEMA … RENAME TO …)", c.ParameterStatus("database"), schema)
	}
	steps, err := split(strings.TrimPrefix(string(raw), "\ufeff"))
	if err != nil {
		return 0, 0, err
	}
	name := quoteIdent(schema)
	begin := "BEGIN; SET LOCAL synchronous_commit = off; SET LOCAL client_min_messages = error; DROP SCHEMA IF EXISTS " + name + " CASCADE; CREATE SCHEMA " + name +
		"; SET LOCAL search_path = " + name + "; COMMENT ON SCHEMA " + name + " IS '" + sum + "'"
	if _, err := c.Exec(ctx, begin).ReadAll(); err != nil {
		return 0, 0, withSpace(err)
	}
	defer func() {
		if err != nil && !c.IsClosed() {
			c.Exec(context.WithoutCancel(ctx), "ROLLBACK").Close()
		}
	}()
	for _, s := range steps {
		var n int64
		if s.rowsLine > 0 {
			var tag pgconn.CommandTag
			tag, err = c.CopyFrom(ctx, strings.NewReader(s.rows), s.sql)
			n = tag.RowsAffected()
		} else {
			_, err = c.Exec(ctx, s.sql).ReadAll()
		}
		if err != nil {
			return 0, 0, s.locate(err)
		}
		rows += n
	}
	if _, err := c.Exec(ctx, grants(schema)+"; COMMIT").ReadAll(); err != nil {
		return 0, 0, withSpace(err)
	}
	made, err := query(ctx, c, "SELECT count(*) FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind IN ('r', 'p')", name)
	if err != nil {
		return 0, 0, withSpace(err)
	}
	tables, err = strconv.ParseInt(made[0][0], 10, 64)
	return tables, rows, withSpace(err)
}

// withSpace makes an error stand after "file:" where no line is known.
func withSpace(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(" %w", err)
}

// copyLine finds the row in the context of COPY's errors.
var copyLine = regexp.MustCompile(`(?s)^COPY .*?, line (\d+)(.*)`)

// locate puts the line of the file before the server's error.
func (s step) locate(err error) error {
	var pe *pgconn.PgError
	if !errors.As(err, &pe) {
		return fmt.Errorf("%d: %w", s.line, err)
	}
	message := pe.Message
	if pe.Detail != "" {
		message += ": " + pe.Detail
	}
	if m := copyLine.FindStringSubmatch(pe.Where); m != nil && s.rowsLine > 0 {
		if n, err := strconv.Atoi(m[1]); err == nil {
			return fmt.Errorf("%d: %s%s", s.rowsLine+n-1, message, strings.TrimSuffix(m[2], ":"))
		}
	}
	line := s.line
	if pe.Position > 0 {
		before := []rune(s.sql)
		line += strings.Count(string(before[:min(int(pe.Position)-1, len(before))]), "\n")
	}
	return fmt.Errorf("%d: %s", line, message)
}
