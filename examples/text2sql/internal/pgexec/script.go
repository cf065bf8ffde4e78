package pgexec

import (
	"fmt"
	"slices"
	"strings"
)

// A step is one statement of a script, with the rows that follow a COPY.
type step struct {
	sql      string
	line     int    // on which the statement begins
	rows     string // of COPY … FROM stdin, in COPY's text format
	rowsLine int    // of the first of them
}

// allowed are the statements that make a database: their first words, and the
// kinds of object that CREATE, ALTER and COMMENT may be about.
var (
	allowed = set("create copy insert alter comment analyze")
	objects = set("table index view materialized sequence type domain unlogged")
)

// split cuts a script, such as pg_dump's plain format or the files of a data
// set, into steps. It admits only what makes tables and fills them: a script
// that came with a data set should not change the server. Errors begin with
// the line.
func split(script string) ([]step, error) {
	var steps []step
	l := lexer{text: script}
	lines := lineCounter{text: script}
	for {
		words, start, end, err := statement(&l)
		if err != nil {
			return nil, fmt.Errorf("%d: %w", lines.at(start), err)
		}
		if len(words) == 0 {
			return steps, nil
		}
		s := step{sql: script[start:end], line: lines.at(start)}
		if err := admit(words); err != nil {
			return nil, fmt.Errorf("%d: %w", s.line, err)
		}
		if words[0] == "copy" {
			begin := end
			if i := strings.IndexByte(script[l.pos:], '\n'); i >= 0 {
				begin = l.pos + i + 1
			}
			rows, after, ok := copyRows(script[begin:])
			s.rows, s.rowsLine = rows, lines.at(begin)
			if !ok {
				return nil, fmt.Errorf(`%d: the rows of COPY do not end: a line \. is missing`, s.line)
			}
			l.pos = begin + after
		}
		steps = append(steps, s)
	}
}

// statement scans up to the next semicolon. words are the leading ones, and
// the last two.
func statement(l *lexer) (words []string, start, end int, err error) {
	for {
		t, ok := l.next()
		switch {
		case !ok && l.open:
			return nil, start, t.end, fmt.Errorf("a quotation mark or a comment is never closed")
		case !ok && len(words) > 0:
			return nil, start, t.end, fmt.Errorf("the statement does not end: a semicolon is missing")
		case !ok:
			return nil, t.start, t.end, nil
		case t.kind == symbol && t.text == ";" && len(words) == 0:
			continue
		case t.kind == symbol && t.text == ";":
			return words, start, end, nil
		}
		if len(words) == 0 {
			start = t.start
		}
		words, end = append(words, t.text), t.end
	}
}

// admit says what is wrong with a statement of a script.
func admit(words []string) error {
	kind := words[0]
	rest := slices.DeleteFunc(slices.Clone(words[1:min(len(words), 5)]), func(w string) bool { return w == "unique" || w == "on" || w == "only" })
	switch {
	case !allowed[kind]:
	case kind == "insert", kind == "analyze":
		return nil
	case kind == "copy":
		if i := slices.Index(words, "from"); i > 0 && i+1 < len(words) && words[i+1] == "stdin" {
			return nil
		}
		return fmt.Errorf("COPY may only read the rows that follow it, FROM stdin")
	case len(rest) > 0 && objects[rest[0]], kind == "comment" && len(rest) > 0 && rest[0] == "column":
		return nil
	}
	return fmt.Errorf("%s is not allowed here: a database's script may CREATE, ALTER and COMMENT tables, indexes, views, sequences, types and domains, INSERT, COPY … FROM stdin and ANALYZE",
		strings.TrimSpace(strings.ToUpper(strings.Join(words[:min(2, len(words))], " "))))
}

// copyRows returns the rows up to the line \. and how many bytes that is with it.
func copyRows(text string) (rows string, after int, ok bool) {
	for from := 0; from < len(text); {
		line := text[from:]
		n := len(line)
		if i := strings.IndexByte(line, '\n'); i >= 0 {
			n = i + 1
		}
		if strings.TrimRight(line[:n], "\r\n") == `\.` {
			return text[:from], from + n, true
		}
		from += n
	}
	return "", 0, false
}

// A lineCounter tells the lines of growing offsets.
type lineCounter struct {
	text       string
	pos, lines int
}

func (c *lineCounter) at(pos int) int {
	if pos < c.pos {
		c.pos, c.lines = 0, 0
	}
	c.lines += strings.Count(c.text[c.pos:pos], "\n")
	c.pos = pos
	return c.lines + 1
}
