package data

import (
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
)

// parquetRecords reads a Parquet file, whose columns are the fields. Texts,
// numbers, booleans, lists and structs of them are read, NULL as JSON's null;
// a column of another type, such as a time or a map, is left out. A record's
// number is the row's, from 1.
func parquetRecords(f *os.File) records {
	return func(yield func(int, record) bool) {
		file, err := openParquet(f)
		if err != nil {
			yield(0, record{err: fmt.Errorf("%s: not a Parquet file that can be read: %w", f.Name(), err)})
			return
		}
		number := 0
		for fields, err := range parquetRows(file) {
			number++
			if !yield(number, record{fields: fields, err: err}) {
				return
			}
		}
	}
}

func openParquet(f *os.File) (file *parquet.File, err error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	err = unbroken(func() (err error) {
		file, err = parquet.OpenFile(f, info.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
		return err
	})
	return file, err
}

// parquetRows yields the rows of a file. Where it is damaged the last of them is
// an error.
func parquetRows(file *parquet.File) iter.Seq2[object, error] {
	return func(yield func(object, error) bool) {
		columns, leaves := file.Root().Columns(), len(file.Schema().Columns())
		buffer := make([]parquet.Row, 64)
		read := int64(0)
		for _, group := range file.RowGroups() {
			rows := group.Rows()
			defer rows.Close() // only read
			for more := true; more; {
				n := 0
				err := unbroken(func() (err error) { n, err = rows.ReadRows(buffer); return err })
				for _, row := range buffer[:n] {
					var fields object
					bad := unbroken(func() (err error) { fields, err = parquetObject(columns, byLeaf(row, leaves)); return err })
					if read++; !yield(fields, bad) {
						return
					}
				}
				if more = err == nil; err != nil && err != io.EOF {
					yield(nil, fmt.Errorf("the Parquet file is damaged: %w", err))
					return
				}
			}
		}
		if want := file.NumRows(); read != want {
			yield(nil, fmt.Errorf("the Parquet file is damaged: it holds %d rows, %d could be read", want, read))
		}
	}
}

// unbroken makes an error of a panic: the library has some for damaged files.
func unbroken(read func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the Parquet file is damaged: %v", r)
		}
	}()
	return read()
}

// byLeaf gathers a row's values by leaf column.
func byLeaf(row parquet.Row, leaves int) [][]parquet.Value {
	values := make([][]parquet.Value, leaves)
	for _, v := range row {
		values[v.Column()] = append(values[v.Column()], v)
	}
	return values
}

func parquetObject(columns []*parquet.Column, values [][]parquet.Value) (object, error) {
	o := object{}
	for _, c := range columns {
		var a assembler
		v, ok := a.column(c, values)
		if a.notText {
			return nil, fmt.Errorf("column %q is not valid UTF-8", c.Name())
		}
		if !ok {
			continue
		}
		raw, err := encode(v)
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", c.Name(), err)
		}
		o[c.Name()] = raw
	}
	return o, nil
}

// An assembler puts a column's value together from the values of its leaves, by
// their levels (Melnik et al. 2010, Dremel, section 4).
type assembler struct {
	notText bool // a text was none
}

// column is a column's value; ok is false for a type that has no place in a row.
func (a *assembler) column(c *parquet.Column, values [][]parquet.Value) (v any, ok bool) {
	first := values[firstLeaf(c)]
	absent := len(first) == 0 || first[0].DefinitionLevel() < c.MaxDefinitionLevel()
	if !c.Repeated() {
		if absent {
			return nil, true
		}
		return a.single(c, values)
	}
	list := []any{}
	if absent {
		return list, true
	}
	for _, element := range elements(c, values) {
		v, ok := a.single(c, element)
		if !ok {
			return nil, false
		}
		list = append(list, v)
	}
	return list, true
}

// single is a column's value where it is there, and once.
func (a *assembler) single(c *parquet.Column, values [][]parquet.Value) (any, bool) {
	if c.Leaf() {
		return a.scalar(c, values[c.Index()][0])
	}
	inner := c.Columns()
	switch annotation(c) {
	case "MAP":
		return nil, false
	case "LIST":
		if len(inner) == 1 && inner[0].Repeated() {
			return a.list(inner[0], values)
		}
	}
	o := map[string]any{}
	for _, field := range inner {
		if v, ok := a.column(field, values); ok {
			o[field.Name()] = v
		}
	}
	return o, true
}

// list is the value of a group that is annotated as one; repeated is its only
// child. An element is that child's only child or, in files of older writers,
// the repeated child itself (Parquet's LogicalTypes.md).
func (a *assembler) list(repeated *parquet.Column, values [][]parquet.Value) (any, bool) {
	v, ok := a.column(repeated, values)
	inner := repeated.Columns()
	if !ok || len(inner) != 1 || repeated.Name() == "array" {
		return v, ok
	}
	list := v.([]any)
	for i, e := range list {
		list[i] = e.(map[string]any)[inner[0].Name()]
	}
	return list, true
}

// scalar is a leaf's value, where JSON has one like it.
func (a *assembler) scalar(c *parquet.Column, v parquet.Value) (any, bool) {
	switch of := annotation(c); c.Type().Kind() {
	case parquet.Boolean:
		return v.Boolean(), true
	case parquet.Int32:
		return v.Int32(), of == "" || strings.HasPrefix(of, "INT")
	case parquet.Int64:
		return v.Int64(), of == "" || strings.HasPrefix(of, "INT")
	case parquet.Float:
		return number(float64(v.Float())), true
	case parquet.Double:
		return number(v.Double()), true
	case parquet.ByteArray:
		switch of {
		case "", "STRING", "ENUM", "JSON":
			b := v.ByteArray()
			a.notText = a.notText || !utf8.Valid(b)
			return string(b), true
		}
	}
	return nil, false
}

// number is a float as JSON can have it.
func number(f float64) any {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil
	}
	return f
}

// annotation is the name of a column's logical type, "" if it has none.
func annotation(c *parquet.Column) string {
	if l := c.Type().LogicalType(); l != nil {
		return l.String()
	}
	return ""
}

// elements cuts the values below a repeated column into those of each element.
func elements(c *parquet.Column, values [][]parquet.Value) (out [][][]parquet.Value) {
	for leaf := firstLeaf(c); leaf <= lastLeaf(c); leaf++ {
		n := -1
		for i, v := range values[leaf] {
			if i == 0 || v.RepetitionLevel() <= c.MaxRepetitionLevel() {
				n++
				if n == len(out) {
					out = append(out, make([][]parquet.Value, len(values)))
				}
			}
			out[n][leaf] = append(out[n][leaf], v)
		}
	}
	return out
}

func firstLeaf(c *parquet.Column) int {
	for !c.Leaf() {
		c = c.Columns()[0]
	}
	return c.Index()
}

func lastLeaf(c *parquet.Column) int {
	for !c.Leaf() {
		c = c.Columns()[len(c.Columns())-1]
	}
	return c.Index()
}
