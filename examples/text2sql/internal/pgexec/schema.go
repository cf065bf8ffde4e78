package pgexec

import (
	"context"
	"fmt"
	"strings"

	"github.com/hone-ml/hone/examples/text2sql/internal/sqlexec"
)

// Schema returns CREATE TABLE statements of a schema's tables and views, in
// the order of their making, in the form of the data sets: a line for each
// column, then the keys.
func (p *Postgres) Schema(ctx context.Context, dbID string) (string, error) {
	columns, err := p.trusted(ctx, dbID, `SELECT quote_ident(c.relname), quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod)
			FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
			WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
				AND a.attnum > 0 AND NOT a.attisdropped
			ORDER BY c.oid, a.attnum`)
	if err != nil {
		return "", err
	}
	keys, err := p.trusted(ctx, dbID, `SELECT quote_ident(c.relname), pg_get_constraintdef(k.oid)
			FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
			WHERE c.relnamespace = current_schema()::regnamespace AND k.contype IN ('p', 'f')
			ORDER BY c.oid, k.contype DESC, k.oid`)
	if err != nil {
		return "", err
	}
	keysOf := map[any][]string{}
	for _, row := range keys.Rows {
		keysOf[row[0]] = append(keysOf[row[0]], fmt.Sprint(row[1]))
	}
	var tables []string
	for i := 0; i < len(columns.Rows); {
		table := columns.Rows[i][0]
		var lines []string
		for ; i < len(columns.Rows) && columns.Rows[i][0] == table; i++ {
			lines = append(lines, "  "+fmt.Sprint(columns.Rows[i][1]))
		}
		for _, k := range keysOf[table] {
			lines = append(lines, "  "+k)
		}
		tables = append(tables, fmt.Sprintf("CREATE TABLE %v (\n%s\n);", table, strings.Join(lines, ",\n")))
	}
	return strings.Join(tables, "\n"), nil
}

// DefaultSchema is the first schema of the DSN's search_path, or "public".
func (p *Postgres) DefaultSchema() string {
	first, _, _ := strings.Cut(p.config.RuntimeParams["search_path"], ",")
	if first = strings.Trim(strings.TrimSpace(first), `"`); first != "" {
		return first
	}
	return "public"
}

// A Database is an executor that can also tell a database's schema.
type Database interface {
	sqlexec.Executor
	Schema(ctx context.Context, dbID string) (string, error)
}

var _ Database = (*Postgres)(nil)
