package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
	"github.com/hone-ml/hone/examples/text2sql/internal/pgexec"
)

// A rowSource reads data sets and gives their rows what they lack, as its flags say.
type rowSource struct {
	schema  string // of rows without: a script, or a folder of <db_id>.sql
	dialect string
	dbID    string

	fields string      // of -fields
	reader data.Reader // with them

	exec pgexec.Database // where schemas may be read, or nil

	schemas map[string]string // known so far, by database
	asked   bool              // exec was, for a schema
	only    string            // the database that the one script of -schema is for
}

func (s *rowSource) register(fs *flag.FlagSet) {
	s.registerFields(fs)
	fs.StringVar(&s.schema, "schema", "", "schema of rows that have none: a `FILE` of CREATE TABLE statements, or a folder of <db_id>.sql (default: read from the database)")
	fs.StringVar(&s.dialect, "dialect", "", "of rows that do not say: sqlite or postgres (default: that of the databases)")
	fs.StringVar(&s.dbID, "db-id", "", "`NAME` of the database that rows are about which do not say")
}

// registerFields adds the flag that reading alone needs.
func (s *rowSource) registerFields(fs *flag.FlagSet) {
	fs.StringVar(&s.fields, "fields", "", "what the files call fields, `NAMES` such as schema=context,sql=answer")
}

// check finds wrong usage.
func (s *rowSource) check() error {
	var err error
	if s.reader.Fields, err = parseFields(s.fields); err != nil {
		return err
	}
	if s.dialect == "" {
		return nil
	}
	return oneOf("dialect", s.dialect, "sqlite", "postgres")
}

// parseFields reads what -fields says.
func parseFields(text string) (map[string]string, error) {
	if text == "" {
		return nil, nil
	}
	fields := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		ours, theirs, ok := strings.Cut(pair, "=")
		switch {
		case !ok || theirs == "" || fields[ours] != "":
			return nil, usagef("-fields is %q, want pairs such as schema=context,sql=answer", text)
		case !slices.Contains(data.FieldNames(), ours):
			return nil, usagef("-fields: no row has a field %q; there are %s", ours, strings.Join(data.FieldNames(), ", "))
		}
		fields[ours] = theirs
	}
	return fields, nil
}

// needs is what a command needs of a row, besides question and query.
type needs struct {
	schema   bool // for a prompt
	database bool // to execute
}

// read reads a data set, its first limit rows if that is not 0. The errors name the line.
func (s *rowSource) read(ctx context.Context, path string, limit int, n needs) ([]data.Row, error) {
	var rows []data.Row
	for l, err := range s.reader.Lines(path) {
		if err == nil {
			err = s.complete(ctx, &l.Row, n)
		}
		if err != nil && l.Number > 0 {
			err = fmt.Errorf("%s:%d: %w", path, l.Number, err)
		}
		if err != nil {
			return nil, err
		}
		rows = append(rows, l.Row)
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("%s holds no rows", path)
	}
	if limit > 0 {
		rows = rows[:min(limit, len(rows))]
	}
	return rows, nil
}

// complete gives a row what it lacks; a conversation lacks nothing.
func (s *rowSource) complete(ctx context.Context, row *data.Row, n needs) error {
	if row.IsChat() {
		return nil
	}
	if row.DBID == "" {
		row.DBID = s.dbID
	}
	if row.Dialect == "" {
		row.Dialect = s.dialect
	}
	if row.Dialect == "" && s.exec != nil {
		row.Dialect = s.exec.Dialect()
	}
	switch {
	case row.Dialect == "":
		return errors.New(`field "dialect" is missing: add it, or -dialect sqlite or postgres`)
	case row.DBID == "" && n.database:
		return errors.New(`field "db_id" is missing: add it, or -db-id if all rows are about one database`)
	case row.Schema != "" || !n.schema:
		return nil
	}
	var err error
	row.Schema, err = s.schemaOf(ctx, row.DBID)
	return err
}

// schemaOf finds the schema of a database whose rows do not have it.
func (s *rowSource) schemaOf(ctx context.Context, dbID string) (string, error) {
	if text, known := s.schemas[dbID]; known {
		return text, nil
	}
	var text string
	var err error
	switch {
	case s.schema != "":
		text, err = s.fromScript(dbID)
	case s.exec == nil:
		return "", errors.New(`field "schema" is missing: add it, or -schema FILE, or -db-dir or -dsn, from whose databases it can be read`)
	case dbID == "":
		return "", errors.New(`fields "schema" and "db_id" are missing: add one, or -db-id if all rows are about one database`)
	default:
		s.asked = true
		if text, err = s.exec.Schema(ctx, dbID); err == nil && text == "" {
			err = fmt.Errorf("the row has no schema, and the database %q no tables", dbID)
		}
	}
	if err != nil {
		return "", err
	}
	if s.schemas == nil {
		s.schemas = map[string]string{}
	}
	s.schemas[dbID] = text
	return text, nil
}

// fromScript reads the schema from -schema.
func (s *rowSource) fromScript(dbID string) (string, error) {
	path := s.schema
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", fmt.Errorf("-schema: %w", err)
	case info.IsDir() && (dbID == "" || filepath.Base(dbID) != dbID):
		return "", fmt.Errorf("-schema is a folder of <db_id>.sql, and the row's db_id is %q", dbID)
	case info.IsDir():
		path = filepath.Join(path, dbID+".sql")
	case len(s.schemas) > 0:
		return "", fmt.Errorf("-schema %s is one schema, but rows without any are about %q and %q: give a folder of <db_id>.sql", path, s.only, dbID)
	default:
		s.only = dbID
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("-schema: %w", err)
	}
	text, err := pgexec.TablesOf(string(raw))
	if err != nil {
		return "", fmt.Errorf("-schema %s:%w", path, err)
	}
	if text == "" {
		return "", fmt.Errorf("-schema: %s has no CREATE TABLE", path)
	}
	return text, nil
}
