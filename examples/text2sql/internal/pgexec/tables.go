package pgexec

import (
	"fmt"
	"regexp"
	"strings"
)

// psqlCommand is a line that pg_dump writes for psql alone, such as \restrict.
var psqlCommand = regexp.MustCompile(`(?m)^\\[a-z][^\n]*$`)

// TablesOf returns the statements of a script that say what a database looks
// like, each ended by a semicolon and a newline: CREATE TABLE, VIEW,
// MATERIALIZED VIEW and TYPE, and ALTER TABLE … ADD, in which pg_dump writes
// keys. All else, rows above all, is left out. The script may be one of
// PostgreSQL, such as a dump, or of SQLite, such as its shell's .schema.
// Errors begin with the line.
func TablesOf(script string) (string, error) {
	var b strings.Builder
	l := lexer{text: script}
	lines := lineCounter{text: script}
	for {
		l.skipBlank()
		if at := psqlCommand.FindStringIndex(script[l.pos:]); at != nil && at[0] == 0 {
			l.pos += at[1]
			continue
		}
		words, start, end, err := statement(&l)
		if err != nil {
			return "", fmt.Errorf("%d: %w", lines.at(start), err)
		}
		if len(words) == 0 {
			return b.String(), nil
		}
		if words[0] == "copy" { // its rows are no SQL
			if i := strings.IndexByte(script[l.pos:], '\n'); i >= 0 {
				_, after, ok := copyRows(script[l.pos+i+1:])
				if !ok {
					return "", fmt.Errorf(`%d: the rows of COPY do not end: a line \. is missing`, lines.at(start))
				}
				l.pos += i + 1 + after
			}
		}
		if isTable(words) {
			b.WriteString(script[start:end])
			b.WriteString(";\n")
		}
	}
}

// isTable reports whether a statement says what a table, a view or a type is.
func isTable(words []string) bool {
	var rest []string
	for _, w := range words[1:min(len(words), 6)] {
		switch w {
		case "or", "replace", "temp", "temporary", "unlogged", "foreign", "materialized", "recursive":
		default:
			rest = append(rest, w)
		}
	}
	switch {
	case len(rest) == 0:
	case words[0] == "create":
		return rest[0] == "table" || rest[0] == "view" || rest[0] == "type"
	case words[0] == "alter" && rest[0] == "table":
		for i, w := range words {
			if w == "add" && i+1 < len(words) {
				return true
			}
		}
	}
	return false
}
