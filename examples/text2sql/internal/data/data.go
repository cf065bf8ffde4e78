// Package data reads data sets, of questions and SQL or of conversations, from JSON Lines, JSON, CSV
// and Parquet files, and reads and writes predictions.
//
// A file that does not hold what it should gives an error with the file's name
// and the line's number; rows of a Parquet file count as its lines. Fields are
// named exactly (encoding/json would also take "SQL" for "sql"), more fields are
// ignored, blank lines are skipped, and a byte order mark at the start and CRLF
// at the ends of lines do no harm.
package data

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/hone-ml/hone/tokenizer"
)

// A Row is one question of a data set with its gold answer, or, where it has
// Messages, a conversation about anything. The fields below Messages are then
// empty.
type Row struct {
	ID   string `json:"id"`    // unique in its file; the line's number where the file has none
	DBID string `json:"db_id"` // names the database; may be ""

	// Messages end with an answer of the assistant. Of a row of prompt and
	// completion they are two.
	Messages []tokenizer.Message `json:"messages,omitempty"`
	Tools    []json.RawMessage   `json:"tools,omitempty"` // that the messages may call

	Schema   string `json:"schema"`   // CREATE TABLE text; may be ""
	Question string `json:"question"` // in words
	SQL      string `json:"sql"`      // the gold query
	Dialect  string `json:"dialect"`  // "sqlite", "postgres", or "" where the file does not say

	// Golds are more queries that are as right as SQL, which alone is learnt.
	Golds []string `json:"golds,omitempty"`
}

// A Prediction is what a model answered to the row of that id. SQL may be a
// model's whole output; it may be empty.
type Prediction struct {
	ID  string `json:"id"`
	SQL string `json:"sql"`
}

// A Reader reads data sets, in the format that a file's name ends on: .csv, .tsv
// (with tabs), .parquet, .json (an array of rows), else JSON Lines. The zero
// value is ready.
type Reader struct {
	// Fields are what a file calls fields, by the names that they have here,
	// where those differ: {"schema": "context", "sql": "answer"}.
	Fields map[string]string
}

// Read reads a whole data set. It ends with the first error.
func Read(path string) ([]Row, error) {
	var rows []Row
	for l, err := range (Reader{}).Lines(path) {
		if err != nil {
			return nil, at(path, l.Number, err)
		}
		rows = append(rows, l.Row)
	}
	return rows, nil
}

// ReadPredictions reads a JSON Lines file of predictions.
func ReadPredictions(path string) ([]Prediction, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []Prediction
	for p, err := range Predictions(f, path) {
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// at says where in a file an error is; line 0 stands for the whole file, which
// the error then names.
func at(name string, line int, err error) error {
	if line == 0 {
		return err
	}
	return fmt.Errorf("%s:%d: %w", name, line, err)
}

// A Line is a row and the number of its line, from 1, or of its row, for a
// Parquet file.
type Line struct {
	Row
	Number int

	fields object
}

// Lines reads a data set line by line and goes on after one that does not hold a
// row: its number comes with the error. Number 0 means that the file cannot be
// read at all.
func (r Reader) Lines(path string) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(Line{}, err)
			return
		}
		defer f.Close()
		for l, err := range rows(r.renamed(r.recordsOf(f, filepath.Ext(path)))) {
			if !yield(l, err) {
				return
			}
		}
	}
}

// Rows reads JSON Lines row by row. name stands for the file in errors. It ends
// with the first error, if any: a line that is no JSON object, a field that is
// missing, empty or no string, an id that was there before.
func Rows(r io.Reader, name string) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for l, err := range rows(jsonLines(r)) {
			if err != nil {
				yield(Row{}, at(name, l.Number, err))
				return
			}
			if !yield(l.Row, nil) {
				return
			}
		}
	}
}

// renamed gives fields the names that they have here. What had such a name gives way.
func (r Reader) renamed(in records) records {
	if len(r.Fields) == 0 {
		return in
	}
	return func(yield func(int, record) bool) {
		for number, rec := range in {
			if rec.err == nil {
				fields := maps.Clone(rec.fields)
				for ours, theirs := range r.Fields {
					delete(fields, ours)
					if raw, ok := rec.fields[theirs]; ok {
						fields[ours] = raw
					}
				}
				for _, ours := range slices.Sorted(maps.Keys(r.Fields)) {
					if needs(fields, ours) {
						rec.err = fmt.Errorf("field %q, in which -fields has the %s, is missing: the row has %s", r.Fields[ours], ours, names(rec.fields))
						break
					}
				}
				rec.fields = fields
			}
			if !yield(number, rec) {
				return
			}
		}
	}
}

// jsonCells are the columns of a CSV file whose cells hold JSON, because a cell
// is a text and they are lists.
func (r Reader) jsonCells() (columns []string) {
	for _, ours := range []string{"golds", "messages", "tools"} {
		columns = append(columns, cmp.Or(r.Fields[ours], ours))
	}
	return columns
}

// recordsOf reads a file in the format that its name ends on.
func (r Reader) recordsOf(f *os.File, ext string) records {
	switch strings.ToLower(ext) {
	case ".csv":
		return csvRecords(f, ',', r.jsonCells())
	case ".tsv":
		return csvRecords(f, '\t', r.jsonCells())
	case ".parquet":
		return parquetRecords(f)
	case ".json":
		return jsonRecords(f)
	}
	return jsonLines(f)
}

// rows makes rows of records and sees to it that ids are unique and that all
// are of one form, the first one's.
func rows(in records) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		ids := ids{}
		var first *form
		firstAt := 0
		for number, rec := range in {
			row, f, err := Row{}, (*form)(nil), rec.err
			if err == nil {
				name := strconv.Itoa(number)
				if rec.nth > 1 {
					name = fmt.Sprintf("%d.%d", number, rec.nth)
				}
				row, f, err = parseRow(rec.fields, name)
			}
			if err == nil && first != nil && f != first {
				err = fmt.Errorf("the row is %s, that of line %d is %s: all rows of a file are of one form", f.name, firstAt, first.name)
			}
			if err == nil {
				err = ids.add(row.ID, number)
			}
			if err == nil && first == nil {
				first, firstAt = f, number
			}
			if err != nil && rec.nth > 1 {
				err = fmt.Errorf("object %d of the line: %w", rec.nth, err)
			}
			if !yield(Line{row, number, rec.fields}, err) {
				return
			}
		}
	}
}

// ids are the lines of the ids that a file has had so far.
type ids map[string]int

// add takes in an id, which must be new.
func (s ids) add(id string, number int) error {
	if first, doubled := s[id]; doubled {
		return fmt.Errorf("id %q is on line %d already", id, first)
	}
	s[id] = number
	return nil
}

// Predictions reads predictions from JSON Lines one by one, with errors as
// [Rows] has them.
func Predictions(r io.Reader, name string) iter.Seq2[Prediction, error] {
	return func(yield func(Prediction, error) bool) {
		ids := ids{}
		for number, rec := range jsonLines(r) {
			var p Prediction
			err := rec.err
			if err == nil {
				err = cmp.Or(rec.fields.name("id", &p.ID), rec.fields.maybeEmpty("sql", &p.SQL))
			}
			if err == nil && p.ID == "" {
				err = fmt.Errorf("field %q is missing or empty", "id")
			}
			if err == nil {
				err = ids.add(p.ID, number)
			}
			if err != nil {
				yield(Prediction{}, at(name, number, err))
				return
			}
			if !yield(p, nil) {
				return
			}
		}
	}
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
