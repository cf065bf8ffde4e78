package report

import (
	"cmp"
	"slices"
)

// A table shows the accuracy of each kind of question, the weakest kinds first.
type table struct {
	Title   string
	Key     string // what a row is
	Columns []string
	Rows    []tableRow
	Note    string
	Rest    string // how many rows are not shown
}

type tableRow struct {
	Name  string
	Cells []cell
}

// A cell is an accuracy, as a bar and in figures; N is empty where there was no question.
type cell struct {
	bar
	N string
}

const maxRows = 200

// familyTable has a row for every family, or is nil if the questions have none.
func familyTable(r *Run) *table {
	keys, columns := splitColumns(r)
	t := breakdown(r.Examples, keys, func(e Example) string { return e.Family })
	if len(t.Rows) < 2 {
		return nil
	}
	t.Title, t.Key, t.Columns = "By kind of question", "Kind", columns
	return &t
}

// difficulties are Spider's, ascending.
var difficulties = []string{"easy", "medium", "hard", "extra hard"}

// difficultyTable has a row for every difficulty, ascending, or is nil if the questions have fewer than two.
func difficultyTable(r *Run) *table {
	keys, columns := splitColumns(r)
	t := breakdown(r.Examples, keys, func(e Example) string { return e.Difficulty })
	if len(t.Rows) < 2 {
		return nil
	}
	slices.SortStableFunc(t.Rows, func(a, b tableRow) int {
		return slices.Index(difficulties, a.Name) - slices.Index(difficulties, b.Name)
	})
	t.Title, t.Key, t.Columns = "By difficulty of the gold query", "Difficulty", columns
	t.Note = "By Spider’s measure: how many clauses, joins, conditions and nested queries the gold query is made of."
	return &t
}

// databaseTables has a table for every split of more than one database.
func databaseTables(r *Run) []table {
	var out []table
	keys, columns := splitColumns(r)
	for i, key := range keys {
		t := breakdown(r.Examples, []string{key}, func(e Example) string { return e.DB })
		if len(t.Rows) < 2 {
			continue
		}
		t.Title, t.Key, t.Columns = "By database: "+columns[i], "Database", []string{"Accuracy"}
		out = append(out, t)
	}
	return out
}

// splitColumns returns the splits that the examples belong to, in the run's order, with their names.
func splitColumns(r *Run) (keys, names []string) {
	used := make(map[string]bool)
	for _, e := range r.Examples {
		used[e.Split] = true
	}
	for _, s := range r.Splits {
		if used[s.Key] {
			keys, names = append(keys, s.Key), append(names, capital(shown(s.displayName(), shortText)))
			delete(used, s.Key)
		}
	}
	for _, e := range r.Examples { // splits that the run does not list, in the order of the examples
		if used[e.Split] {
			keys, names = append(keys, e.Split), append(names, shown(cmp.Or(e.Split, "questions"), shortText))
			delete(used, e.Split)
		}
	}
	return keys, names
}

// breakdown counts right answers for every value of key, one cell a split.
func breakdown(examples []Example, splits []string, key func(Example) string) table {
	type tally struct{ right, n int }
	counts := make(map[string][]tally)
	for _, e := range examples {
		name, column := key(e), slices.Index(splits, e.Split)
		if name == "" || column < 0 {
			continue
		}
		if counts[name] == nil {
			counts[name] = make([]tally, len(splits))
		}
		c := &counts[name][column]
		c.n++
		if e.Verdict == Correct {
			c.right++
		}
	}
	type entry struct {
		name   string
		tally  []tally
		rating float64
	}
	var entries []entry
	for name, tallies := range counts {
		var sum tally
		for _, c := range tallies {
			sum.right, sum.n = sum.right+c.right, sum.n+c.n
		}
		entries = append(entries, entry{name, tallies, float64(sum.right) / float64(sum.n)})
	}
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.rating, b.rating), cmp.Compare(a.name, b.name))
	})
	var t table
	for i, e := range entries {
		if i == maxRows {
			t.Rest = thousands(int64(len(entries) - maxRows))
			break
		}
		row := tableRow{Name: shown(e.name, shortText)}
		for _, c := range e.tally {
			if c.n == 0 {
				row.Cells = append(row.Cells, cell{})
				continue
			}
			row.Cells = append(row.Cells, cell{newBar("after", "", NewScore(c.right, c.n)), thousands(int64(c.n))})
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}
