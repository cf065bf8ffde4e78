// Package perturb makes copies of SQLite databases in which other rows stand,
// so that a wrong query that returns the right rows by luck is found out
// (the idea of Zhong et al. 2020, Semantic Evaluation for Text-to-SQL with
// Distilled Test Suites).
//
// A copy has the tables of the original with some of their rows missing, cells
// that are no keys exchanged for others of the same column, and some rows twice
// under a new key. All values come from the original, so that the literals of
// a query still find rows.
package perturb

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	_ "modernc.org/sqlite" // reads the originals

	"github.com/hone-ml/hone/examples/text2sql/internal/sqlexec"
)

const (
	kept      = 0.8  // of the rows
	exchanged = 0.3  // of the cells that are no keys
	doubled   = 0.15 // of the rows that stay
	mostRows  = 1000 // of a table of a copy
)

// Copies are perturbed copies of one database.
type Copies struct {
	n    int
	exec *sqlexec.SQLite
}

// Open makes n copies of the database in a file; the same seed makes the same
// ones.
func Open(ctx context.Context, path string, n int, seed uint64, limits sqlexec.Limits) (*Copies, error) {
	original, err := read(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("perturbing %s: %w", path, err)
	}
	exec, err := sqlexec.OpenSQLite("", limits)
	if err != nil {
		return nil, err
	}
	c := &Copies{n, exec}
	for k := range n {
		rng := func() *rand.Rand { return rand.New(rand.NewPCG(seed, uint64(k))) }
		err := exec.AddScript(name(k, false), original.script(rng(), false))
		if err == nil {
			err = exec.AddScriptReversed(name(k, true), original.script(rng(), true))
		}
		if err != nil {
			exec.Close()
			return nil, fmt.Errorf("perturbing %s: %w", path, err)
		}
	}
	return c, nil
}

func name(k int, reversed bool) string { return fmt.Sprintf("%d-%t", k, reversed) }

// N is how many copies there are.
func (c *Copies) N() int { return c.n }

// Query runs a query on copy k. Reversed, its tables hold the same rows in the
// opposite order and no keys, and SQLite reads them from their ends where no
// order is asked for: a query whose result then differs does not say which rows
// it means, as with LIMIT 1 among equals.
func (c *Copies) Query(ctx context.Context, k int, reversed bool, sql string) (*sqlexec.Result, error) {
	return c.exec.Query(ctx, name(k, reversed), sql)
}

// Close frees the copies.
func (c *Copies) Close() error { return c.exec.Close() }

// A database is what a script is made of.
type database struct {
	tables []table
	views  []string
}

// A table is its definition and its rows, every cell as an SQL literal.
type table struct {
	name    string
	ddl     string
	columns []column
	rows    [][]string
}

type column struct {
	name     string
	declared string // type
	key      bool   // part of a key, own or foreign: its cells stay with their row
	unique   bool   // part of a primary key or a unique index
	id       bool   // the only column of an integer primary key
}

// read takes a whole database, of large tables the first rows.
func read(ctx context.Context, path string) (*database, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	slashed := filepath.ToSlash(abs)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed
	}
	uri := url.URL{Scheme: "file", Path: slashed, RawQuery: "mode=ro&immutable=1"}
	db, err := sql.Open("sqlite", uri.String())
	if err != nil {
		return nil, err
	}
	defer db.Close()
	d := &database{}
	schema, err := texts(ctx, db, `SELECT type, name, sql FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND sql NOT NULL ORDER BY rowid`)
	if err != nil {
		return nil, err
	}
	for _, row := range schema {
		if row[0] == "view" {
			d.views = append(d.views, row[2])
			continue
		}
		t := table{name: row[1], ddl: row[2]}
		if err := t.read(ctx, db); err != nil {
			return nil, fmt.Errorf("table %s: %w", t.name, err)
		}
		d.tables = append(d.tables, t)
	}
	return d, nil
}

// read takes a table's columns and rows.
func (t *table) read(ctx context.Context, db *sql.DB) error {
	columns, err := texts(ctx, db, `SELECT c.name, c.type,
			EXISTS (SELECT 1 FROM pragma_foreign_key_list(?1) f WHERE lower(f."from") = lower(c.name))
			OR EXISTS (SELECT 1 FROM sqlite_schema s, pragma_foreign_key_list(s.name) f WHERE s.type = 'table' AND lower(f."table") = lower(?1) AND lower(f."to") = lower(c.name)),
			c.pk > 0 OR EXISTS (SELECT 1 FROM pragma_index_list(?1) i, pragma_index_info(i.name) x WHERE i."unique" AND x.name = c.name),
			c.pk = 1 AND upper(c.type) IN ('INT', 'INTEGER', 'BIGINT', 'NUMBER') AND (SELECT count(*) FROM pragma_table_info(?1) o WHERE o.pk > 0) = 1
		FROM pragma_table_info(?1) c ORDER BY c.cid`, t.name)
	if err != nil {
		return err
	}
	literals := make([]string, len(columns))
	for i, c := range columns {
		t.columns = append(t.columns, column{c[0], c[1], c[2] == "1" || c[3] == "1", c[3] == "1", c[4] == "1"})
		literals[i] = "quote(" + ident(c[0]) + ")"
	}
	t.rows, err = texts(ctx, db, fmt.Sprintf("SELECT %s FROM %s LIMIT %d", strings.Join(literals, ", "), ident(t.name), 2*mostRows))
	return err
}

// texts runs a trusted query; NULL is "".
func texts(ctx context.Context, db *sql.DB, query string, args ...any) ([][]string, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var all [][]string
	for rows.Next() {
		cells, into := make([]sql.NullString, len(names)), make([]any, len(names))
		for i := range cells {
			into[i] = &cells[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		row := make([]string, len(names))
		for i, c := range cells {
			row[i] = c.String
		}
		all = append(all, row)
	}
	return all, rows.Err()
}

// script makes a copy's CREATE and INSERT statements, or those of the same copy
// the other way round.
func (d *database) script(r *rand.Rand, reversed bool) string {
	var b strings.Builder
	for _, t := range d.tables {
		rows := t.perturbed(r)
		if reversed {
			slices.Reverse(rows)
			b.WriteString(t.keyless())
		} else {
			b.WriteString(t.ddl + ";\n")
		}
		for _, row := range rows {
			// A constraint that the copy would break costs the row, no more.
			fmt.Fprintf(&b, "INSERT OR IGNORE INTO %s VALUES (%s);\n", ident(t.name), strings.Join(row, ", "))
		}
	}
	for _, v := range d.views {
		b.WriteString(v + ";\n")
	}
	return b.String()
}

// keyless is the definition of a table without keys, which would order it.
func (t *table) keyless() string {
	columns := make([]string, len(t.columns))
	for i, c := range t.columns {
		columns[i] = ident(c.name)
		if c.declared != "" {
			columns[i] += " " + ident(c.declared) // quoted, as what a table declares may be any words
		}
	}
	return "CREATE TABLE " + ident(t.name) + " (" + strings.Join(columns, ", ") + ");\n"
}

// perturbed are the rows of a copy, in a new order.
func (t *table) perturbed(r *rand.Rand) [][]string {
	if len(t.rows) == 0 {
		return nil
	}
	id, next := -1, int64(0) // the column of the key, and the next that is free
	countable := true        // no key, or one that can be counted on
	for i, c := range t.columns {
		switch {
		case c.id:
			id = i
			for _, row := range t.rows {
				n, err := strconv.ParseInt(row[i], 10, 64)
				countable = countable && err == nil && n < 1<<62
				next = max(next, n+1)
			}
		case c.unique:
			countable = false
		}
	}
	var out [][]string
	for _, i := range r.Perm(len(t.rows)) {
		if len(out) > 0 && (r.Float64() >= kept || len(out) >= mostRows) {
			continue
		}
		row := slices.Clone(t.rows[i])
		for c := range row {
			if !t.columns[c].key && r.Float64() < exchanged {
				row[c] = t.rows[r.IntN(len(t.rows))][c]
			}
		}
		out = append(out, row)
		if countable && r.Float64() < doubled {
			twin := slices.Clone(row)
			if id >= 0 {
				twin[id] = strconv.FormatInt(next, 10)
				next++
			}
			out = append(out, twin)
		}
	}
	return out
}

// ident writes a name as an identifier.
func ident(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
