package pgexec

import (
	"fmt"
	"strings"

	"github.com/hone-ml/hone/examples/text2sql/internal/sqlexec"
)

// What a model's statement may do, beyond what the role and the READ ONLY
// transaction allow. READ ONLY does not stop functions: set_config changes the
// session's role back, lo_create and nextval write, pg_sleep and
// pg_advisory_lock hold things, and a superuser's pg_read_file reads any file
// (https://www.postgresql.org/docs/current/sql-set-transaction.html). All of
// them are VOLATILE in the catalogue, as whatever has side effects must be, so
// a statement may not call any function of which that is said. The few that are
// volatile only because their value changes may be called.

// maxSQL is the longest statement in bytes, as with SQLite.
const maxSQL = 64 << 10

// harmless are the volatile functions that may be called.
var harmless = set("random random_normal clock_timestamp timeofday gen_random_uuid uuidv4 uuidv7 bernoulli system pg_relation_size pg_table_size pg_total_relation_size pg_database_size pg_indexes_size")

// textRunners run SQL that they are given as text, or take a transaction's
// number, though the catalogue has them as stable.
var textRunners = set("crosstab crosstab2 crosstab3 crosstab4 connectby xpath_table dblink txid_current pg_current_xact_id")

func set(names string) map[string]bool {
	s := map[string]bool{}
	for n := range strings.FieldsSeq(names) {
		s[n] = true
	}
	return s
}

// check refuses what is not one query, or calls a function that is volatile by
// the catalogue. Errors are [sqlexec.ErrForbidden] or [sqlexec.ErrTooLarge].
func check(sql string, volatile map[string]bool) error {
	if len(sql) > maxSQL {
		return fmt.Errorf("%w: the statement has %d bytes, %d are allowed", sqlexec.ErrTooLarge, len(sql), maxSQL)
	}
	if strings.IndexByte(sql, 0) >= 0 {
		return fmt.Errorf("%w: it holds a zero byte", sqlexec.ErrForbidden)
	}
	l := lexer{text: sql}
	first, ok := l.next()
	for ok && first.kind == symbol && (first.text == ";" || first.text == "(") {
		first, ok = l.next()
	}
	switch {
	case !ok:
		return fmt.Errorf("%w: there is no statement", sqlexec.ErrForbidden)
	case first.kind != name || first.text != "select" && first.text != "with" && first.text != "values":
		return fmt.Errorf("%w: only SELECT, WITH and VALUES may run", sqlexec.ErrForbidden)
	}
	ended := false
	for last := first; ; {
		t, ok := l.next()
		switch {
		case !ok && l.open:
			return nil // the server says what is never closed
		case !ok:
			return nil
		case t.kind == symbol && t.text == ";":
			ended = true
			continue
		case ended:
			return fmt.Errorf("%w: more than one statement", sqlexec.ErrForbidden)
		case t.kind == symbol && t.text == "(" && (last.kind == name || last.kind == quoted):
			if err := mayCall(last, volatile); err != nil {
				return err
			}
		}
		last = t
	}
}

// mayCall judges a name before a parenthesis.
func mayCall(t token, volatile map[string]bool) error {
	switch {
	case t.kind == quoted && strings.HasPrefix(t.text, `U&"`):
		return fmt.Errorf("%w: a function's name is written with escapes", sqlexec.ErrForbidden)
	case textRunners[t.text], volatile[t.text] && !harmless[t.text]:
		return fmt.Errorf("%w: calling %s()", sqlexec.ErrForbidden, t.text)
	}
	return nil
}

// withoutSemicolons drops semicolons, blanks and comments around a statement
// that check admits: the server takes one statement only, and an empty one
// counts.
func withoutSemicolons(sql string) string {
	l := lexer{text: sql}
	start, end := -1, 0
	for t, ok := l.next(); ok; t, ok = l.next() {
		if t.kind == symbol && t.text == ";" {
			continue
		}
		if start < 0 {
			start = t.start
		}
		end = t.end
	}
	return sql[max(start, 0):end]
}
