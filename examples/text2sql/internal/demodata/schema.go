package demodata

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
)

// A Schema is a database of the demo: tables that refer to each other and,
// unless it was made up for training, rows.
type Schema struct {
	Name   string
	Tables []*Table // a table comes after those that it refers to

	links []link
}

// A Table has an integer primary key named id, which Columns leaves out.
type Table struct {
	Name    string
	Columns []*Column
	Rows    [][]any // id first, then the columns: int64, float64 or string

	own []*Column // the columns that refer to no table
}

// A Column holds values of one kind.
type Column struct {
	Name    string
	Kind    Kind
	phrases []string      // how questions call it
	values  []string      // of a category
	invent  func() string // draws some of the values of a title or person, if not nil
	low     int           // of a number
	high    int
	parent  *Table // of a reference
	at      int    // its place in the table's columns
}

// A Kind says what a column holds, and so what can be asked about it.
type Kind int

// The kinds of columns.
const (
	Title     Kind = iota // two words, such as a film's title
	Person                // first and last name
	Category              // one of a few words
	Whole                 // integer
	Real                  // number with one decimal
	Date                  // text, 2006-01-02
	Reference             // id of a row of another table
)

func (k Kind) sqlType() string {
	switch k {
	case Whole, Reference:
		return "INTEGER"
	case Real:
		return "REAL"
	case Date:
		return "DATE"
	}
	return "TEXT"
}

// A link is a reference from a child table to its parent.
type link struct {
	parent, child *Table
	column        *Column
}

// newSchema connects the tables' references, by name.
func newSchema(name string, tables ...*Table) *Schema {
	s := &Schema{Name: name, Tables: tables}
	byName := map[string]*Table{}
	for _, t := range tables {
		for i, c := range t.Columns {
			c.at = i
			if c.Kind != Reference {
				t.own = append(t.own, c)
				continue
			}
			c.parent = byName[strings.TrimSuffix(c.Name, "_id")]
			if c.parent == nil {
				panic(fmt.Sprintf("demodata: %s.%s.%s refers to no table before it", name, t.Name, c.Name))
			}
			s.links = append(s.links, link{c.parent, t, c})
		}
		byName[t.Name] = t
	}
	return s
}

// Prompt returns the schema as a model reads it: a line " table: id column
// column" for each table.
func (s *Schema) Prompt() string { return s.prompt(nil) }

// prompt is Prompt with tables and columns in random order, unless rng is nil.
func (s *Schema) prompt(rng *rand.Rand) string {
	var b strings.Builder
	for i := range shuffled(rng, len(s.Tables)) {
		t := s.Tables[i]
		b.WriteString(" " + t.Name + ": id")
		for j := range shuffled(rng, len(t.Columns)) {
			b.WriteString(" " + t.Columns[j].Name)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// shuffled yields 0 to n-1, in random order unless rng is nil.
func shuffled(rng *rand.Rand, n int) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		var order []int
		if rng != nil {
			order = rng.Perm(n)
		}
		for i := range n {
			if order != nil {
				i = order[i]
			}
			if !yield(i) {
				return
			}
		}
	}
}

// DDL returns the CREATE TABLE statements with primary and foreign keys, in
// SQL that SQLite and PostgreSQL understand.
func (s *Schema) DDL() string {
	var b strings.Builder
	for _, t := range s.Tables {
		fmt.Fprintf(&b, "CREATE TABLE \"%s\" (\n\"id\" INTEGER PRIMARY KEY", t.Name)
		for _, c := range t.Columns {
			fmt.Fprintf(&b, ",\n\"%s\" %s", c.Name, c.Kind.sqlType())
		}
		for _, c := range t.Columns {
			if c.Kind == Reference {
				fmt.Fprintf(&b, ",\nFOREIGN KEY (\"%s\") REFERENCES \"%s\"(\"id\")", c.Name, c.parent.Name)
			}
		}
		b.WriteString("\n);\n")
	}
	return b.String()
}

// Script returns the DDL and INSERT statements of all rows.
func (s *Schema) Script() string {
	var b strings.Builder
	b.WriteString(s.DDL())
	for _, t := range s.Tables {
		for i, row := range t.Rows {
			if i == 0 {
				fmt.Fprintf(&b, "INSERT INTO \"%s\" VALUES\n", t.Name)
			} else {
				b.WriteString(",\n")
			}
			for j, cell := range row {
				b.WriteString([2]string{"(", ", "}[min(j, 1)])
				if text, ok := cell.(string); ok {
					b.WriteString("'" + strings.ReplaceAll(text, "'", "''") + "'")
				} else {
					fmt.Fprint(&b, cell)
				}
			}
			b.WriteByte(')')
		}
		if len(t.Rows) > 0 {
			b.WriteString(";\n")
		}
	}
	return b.String()
}

// fill gives every table 30 to 90 rows. They follow from the schema's name, so
// that a database is the same in every demo.
func (s *Schema) fill() {
	rng := rand.New(rand.NewPCG(hash(s.Name), 0))
	for _, t := range s.Tables {
		n := 30 + rng.IntN(11)
		if len(t.own) < len(t.Columns) {
			n = 60 + rng.IntN(31)
		}
		for id := range n {
			row := []any{int64(id + 1)}
			for _, c := range t.Columns {
				row = append(row, c.cell(rng))
			}
			t.Rows = append(t.Rows, row)
		}
	}
}

// hash is the same number for the same text, for ever.
func hash(text string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(text))
	return h.Sum64()
}

// The constructors of tables and columns, for catalog.go.

func table(name string, columns ...*Column) *Table { return &Table{Name: name, Columns: columns} }

func title(name string) *Column  { return newColumn(name, Title) }
func person(name string) *Column { return newColumn(name, Person) }
func date(name string) *Column   { return newColumn(name, Date) }
func of(table string) *Column    { return newColumn(table+"_id", Reference) }

func category(name string, values string) *Column {
	c := newColumn(name, Category)
	c.values = strings.Fields(values)
	return c
}

func whole(name string, low, high int) *Column {
	c := newColumn(name, Whole)
	c.low, c.high = low, high
	return c
}

func decimal(name string, low, high int) *Column {
	c := newColumn(name, Real)
	c.low, c.high = low, high
	return c
}

func newColumn(name string, kind Kind) *Column {
	return &Column{Name: name, Kind: kind, phrases: []string{strings.ReplaceAll(name, "_", " ")}}
}

// by lets a function draw some of the column's values.
func (c *Column) by(invent func() string) *Column {
	c.invent = invent
	return c
}

// or adds another phrase that questions use for the column now and then.
func (c *Column) or(phrase string) *Column {
	own := c.phrases[0]
	c.phrases = append(c.phrases, own, own, phrase)
	return c
}
