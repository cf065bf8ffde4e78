package data

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

// csvRecords reads a table as encoding/csv does (RFC 4180). The first line
// names the columns; a column without a name is left out, and so are empty
// cells. Those of jsonCells hold JSON. A record's number is that of the line on
// which it begins.
func csvRecords(r io.Reader, comma rune, jsonCells []string) records {
	return func(yield func(int, record) bool) {
		in := bufio.NewReader(r)
		switch begin, _ := in.Peek(3); {
		case bytes.HasPrefix(begin, bom):
			in.Discard(len(bom)) // has been read
		case isUTF16(begin):
			yield(1, record{err: errUTF16})
			return
		}
		table := csv.NewReader(in)
		table.Comma, table.FieldsPerRecord = comma, -1
		header, err := table.Read()
		if err == io.EOF {
			return
		}
		if err == nil {
			err = checkHeader(header, comma)
		}
		if err != nil {
			yield(1, record{err: csvError(err)})
			return
		}
		for {
			cells, err := table.Read()
			if err == io.EOF {
				return
			}
			var syntax *csv.ParseError
			switch {
			case errors.As(err, &syntax):
				if !yield(syntax.StartLine, record{err: csvError(err)}) {
					return
				}
				continue
			case err != nil:
				yield(0, record{err: err})
				return
			}
			number, _ := table.FieldPos(0)
			fields, err := csvObject(header, cells, jsonCells)
			if !yield(number, record{fields: fields, err: err}) {
				return
			}
		}
	}
}

func checkHeader(header []string, comma rune) error {
	for i, name := range header {
		switch {
		case !utf8.ValidString(name):
			return errors.New("the line is not valid UTF-8")
		case name != "" && slices.Index(header, name) < i:
			return fmt.Errorf("there are two columns named %q", name)
		}
	}
	if len(header) == 1 {
		return fmt.Errorf("there is one column only, %.60q: the first line names the columns, separated by %q", header[0], string(comma))
	}
	return nil
}

// csvObject is a line's cells under the names of their columns.
func csvObject(header, cells, jsonCells []string) (object, error) {
	if len(cells) != len(header) {
		return nil, fmt.Errorf("the line has %d cells, the first line names %d columns", len(cells), len(header))
	}
	o := object{}
	for i, name := range header {
		cell := cells[i]
		switch {
		case name == "" || cell == "":
			continue
		case !utf8.ValidString(cell):
			return nil, fmt.Errorf("column %q is not valid UTF-8", name)
		case slices.Contains(jsonCells, name):
			if !json.Valid([]byte(cell)) {
				return nil, fmt.Errorf("column %q holds %.40q; in a CSV file it holds a JSON array", name, cell)
			}
			o[name] = bytes.TrimSpace([]byte(cell))
		default:
			raw, err := encode(cell)
			if err != nil {
				return nil, err
			}
			o[name] = raw
		}
	}
	return o, nil
}

// csvError is the reader's error without its line, which comes before it.
func csvError(err error) error {
	var syntax *csv.ParseError
	if errors.As(err, &syntax) {
		return fmt.Errorf("not a line of a CSV file: %w (line %d, column %d)", syntax.Err, syntax.Line, syntax.Column)
	}
	return err
}
