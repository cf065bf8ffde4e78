package main

import (
	"context"
	"errors"
	"flag"
	"strings"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
	"github.com/hone-ml/hone/examples/text2sql/internal/pgexec"
	"github.com/hone-ml/hone/examples/text2sql/internal/sqlexec"
)

// databases are the flags that name them.
type databases struct{ dir, dsn string }

func (d *databases) register(fs *flag.FlagSet) {
	fs.StringVar(&d.dir, "db-dir", "", "`DIR` of SQLite databases, <db_id>.sqlite or <db_id>/<db_id>.sqlite")
	fs.StringVar(&d.dsn, "dsn", "", "PostgreSQL database, `postgres://user@host/name`, whose schemas are the db_ids")
}

// given reports whether either flag was.
func (d *databases) given() bool { return d.dir != "" || d.dsn != "" }

// check finds wrong usage.
func (d *databases) check() error {
	switch {
	case d.dir != "" && d.dsn != "":
		return usagef("-db-dir and -dsn exclude each other: the first is for SQLite, the second for PostgreSQL")
	case !d.given():
		return usagef("-db-dir is missing: the folder that holds <db_id>.sqlite; or -dsn, a PostgreSQL database")
	}
	return nil
}

// open opens the folder of SQLite files or connects to the PostgreSQL server.
func (d *databases) open(ctx context.Context) (pgexec.Database, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	if d.dsn != "" {
		return pgexec.Open(ctx, d.dsn, sqlexec.Limits{})
	}
	return sqlexec.OpenSQLite(d.dir, sqlexec.Limits{})
}

// openFor opens the databases for the rows of a file. Conversations need none; then it is nil.
func (d *databases) openFor(ctx context.Context, r data.Reader, path string) (pgexec.Database, error) {
	if !d.given() && r.IsChat(path) {
		return nil, nil
	}
	return d.open(ctx)
}

// closeDatabases closes what openFor opened.
func closeDatabases(exec pgexec.Database) {
	if exec != nil {
		exec.Close() // only read
	}
}

// isDSN reports whether a text names a PostgreSQL database rather than a file.
func isDSN(s string) bool {
	return strings.HasPrefix(s, "postgres://") || strings.HasPrefix(s, "postgresql://")
}

// openOne opens a single database, a SQLite file or a schema of a PostgreSQL database ("" for the DSN's own),
// and returns the name by which the executor knows it.
func openOne(ctx context.Context, db, schema string) (exec pgexec.Database, id string, err error) {
	if isDSN(db) {
		p, err := pgexec.Open(ctx, db, sqlexec.Limits{})
		if err != nil {
			return nil, "", err
		}
		if schema == "" {
			schema = p.DefaultSchema()
		}
		return p, schema, nil
	}
	if schema != "" {
		return nil, "", usagef("-db-id is for PostgreSQL: a SQLite file is one database")
	}
	s, err := sqlexec.OpenSQLite("", sqlexec.Limits{})
	if err != nil {
		return nil, "", err
	}
	const name = "db"
	if err := s.AddFile(name, db); err != nil {
		return nil, "", errors.Join(err, s.Close())
	}
	return s, name, nil
}
