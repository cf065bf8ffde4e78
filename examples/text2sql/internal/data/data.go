// Package data reads and writes the JSON Lines files of text-to-SQL: rows of a
// data set and predictions.
//
// A file that does not hold what it should gives an error with the file's name
// and the line's number. Fields are named exactly (encoding/json would also
// take "SQL" for "sql"), more fields are ignored, blank lines are skipped, and
// a byte order mark at the start and CRLF at the ends of lines do no harm.
package data

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"unicode/utf8"
)

// A Row is one question of a data set with its gold answer.
type Row struct {
	ID       string `json:"id"`       // unique in its file
	DBID     string `json:"db_id"`    // names the database
	Schema   string `json:"schema"`   // CREATE TABLE text
	Question string `json:"question"` // in words
	SQL      string `json:"sql"`      // the gold query
	Dialect  string `json:"dialect"`  // "sqlite" or "postgres"

	// Golds are more queries that are as right as SQL, which alone is learnt.
	Golds []string `json:"golds,omitempty"`
}

// A Prediction is what a model answered to the row of that id. SQL may be a
// model's whole output; it may be empty.
type Prediction struct {
	ID  string `json:"id"`
	SQL string `json:"sql"`
}

// maxLine is the longest line in bytes that a file may hold.
const maxLine = 16 << 20

// Read reads a whole data set.
func Read(path string) ([]Row, error) { return readFile(path, Rows) }

// ReadPredictions reads a file of predictions.
func ReadPredictions(path string) ([]Prediction, error) { return readFile(path, Predictions) }

// Rows reads a data set row by row. name stands for the file in errors. It
// ends with the first error, if any: a line that is no JSON object, a field
// that is missing, empty or no string, an id that was there before.
func Rows(r io.Reader, name string) iter.Seq2[Row, error] {
	return records(r, name, parseRow)
}

func parseRow(o object) (row Row, id string, err error) {
	err = cmp.Or(
		o.text("id", &row.ID), o.text("db_id", &row.DBID), o.text("schema", &row.Schema),
		o.text("question", &row.Question), o.text("sql", &row.SQL), o.text("dialect", &row.Dialect), o.texts("golds", &row.Golds))
	return row, row.ID, err
}

// A Line is a row and the number of its line, from 1.
type Line struct {
	Row
	Number int
}

// Lines reads a data set as [Rows] does, but goes on after a line that does
// not hold a row: its number comes with the error.
func Lines(r io.Reader) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		seen := map[string]int{}
		for number, line := range lines(r) {
			row, id, err := parseLine(line, parseRow)
			if first, doubled := seen[id]; err == nil && doubled {
				err = fmt.Errorf("id %q is on line %d already", id, first)
			}
			if err == nil {
				seen[id] = number
			}
			if !yield(Line{row, number}, err) {
				return
			}
		}
	}
}

// Predictions reads predictions one by one, with errors as [Rows] has them.
func Predictions(r io.Reader, name string) iter.Seq2[Prediction, error] {
	return records(r, name, func(o object) (p Prediction, id string, err error) {
		err = cmp.Or(o.text("id", &p.ID), o.maybeEmpty("sql", &p.SQL))
		return p, p.ID, err
	})
}

// Write writes values, such as rows or predictions, one a line. It leaves <, >
// and & readable.
func Write[T any](path string, values []T) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for i := range values {
		if err = enc.Encode(values[i]); err != nil {
			break
		}
	}
	if err == nil {
		err = w.Flush()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

func readFile[T any](path string, read func(io.Reader, string) iter.Seq2[T, error]) ([]T, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []T
	for v, err := range read(f, path) {
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// records parses every line of r and sees to it that ids are unique.
func records[T any](r io.Reader, name string, parse func(object) (T, string, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		seen := map[string]int{}
		for number, line := range lines(r) {
			v, id, err := parseLine(line, parse)
			if first, doubled := seen[id]; err == nil && doubled {
				err = fmt.Errorf("id %q is on line %d already", id, first)
			}
			if err != nil {
				yield(none, fmt.Errorf("%s:%d: %w", name, number, err))
				return
			}
			seen[id] = number
			if !yield(v, nil) {
				return
			}
		}
	}
}

// A line is the text of a line, or why there is none.
type line struct {
	text []byte
	err  error
}

// lines yields the lines of r that are not blank, with their numbers from 1.
// The text is valid until the next one.
func lines(r io.Reader) iter.Seq2[int, line] {
	return func(yield func(int, line) bool) {
		in := bufio.NewReaderSize(r, 64<<10)
		var text []byte
		for number := 1; ; number++ {
			text = text[:0]
			var err error
			for more := true; more; {
				var part []byte
				part, err = in.ReadSlice('\n')
				text = append(text, part...)
				if len(text) > maxLine {
					yield(number, line{err: fmt.Errorf("the line is longer than %d MiB", maxLine>>20)})
					return
				}
				more = errors.Is(err, bufio.ErrBufferFull)
			}
			if err != nil && err != io.EOF {
				yield(number, line{err: err})
				return
			}
			if number == 1 {
				text = bytes.TrimPrefix(text, []byte("\ufeff"))
			}
			if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && !yield(number, line{text: trimmed}) {
				return
			}
			if err == io.EOF {
				return
			}
		}
	}
}

func parseLine[T any](l line, parse func(object) (T, string, error)) (v T, id string, err error) {
	switch {
	case l.err != nil:
		return v, "", l.err
	case bytes.HasPrefix(l.text, []byte("\xff\xfe")), bytes.HasPrefix(l.text, []byte("\xfe\xff")):
		return v, "", errors.New("the file is in UTF-16; save it as UTF-8")
	case !utf8.Valid(l.text):
		return v, "", errors.New("the line is not valid UTF-8")
	}
	var o object
	if err := json.Unmarshal(l.text, &o); err != nil || o == nil {
		return v, "", notAnObject(l.text, err)
	}
	return parse(o)
}

// notAnObject says what stands where one JSON object should.
func notAnObject(text []byte, err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("not a JSON object: %v at byte %d", syntax, syntax.Offset)
	case text[0] == '[':
		return errors.New("not a JSON object but an array: write one object a line (JSON Lines)")
	}
	return fmt.Errorf("not a JSON object: %.40q", text)
}

// object is a line's JSON object, its fields not yet parsed.
type object map[string]json.RawMessage

// text reads a field that must be a string with something in it.
func (o object) text(field string, into *string) error {
	if err := o.maybeEmpty(field, into); err != nil {
		return err
	}
	if strings.TrimSpace(*into) == "" {
		return fmt.Errorf("field %q is empty", field)
	}
	return nil
}

// maybeEmpty reads a field that must be a string.
func (o object) maybeEmpty(field string, into *string) error {
	raw, ok := o[field]
	if !ok {
		return fmt.Errorf("field %q is missing", field)
	}
	if raw[0] != '"' {
		return fmt.Errorf("field %q is %s, not a string", field, kind(raw))
	}
	return json.Unmarshal(raw, into)
}

// texts reads a field that may be missing, or must be an array of strings with
// something in them.
func (o object) texts(field string, into *[]string) error {
	raw, ok := o[field]
	if !ok || string(raw) == "null" {
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("field %q is not an array of strings", field)
	}
	for _, text := range *into {
		if strings.TrimSpace(text) == "" {
			return fmt.Errorf("field %q holds an empty string", field)
		}
	}
	return nil
}

func kind(raw json.RawMessage) string {
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}
