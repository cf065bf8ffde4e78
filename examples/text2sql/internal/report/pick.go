package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A group is a handful of examples of one outcome.
type group struct {
	Title, Note, Class string
	Examples           []exampleView
}

type exampleView struct {
	Tags            []string
	Question        string
	Gold, Predicted []span
	Same            bool // but for space and the case of letters
	Before          string
	Error           string
	Schema          string

	GoldRows, PredictedRows *rowsView
}

// rowsView is a result as the page shows it.
type rowsView struct {
	Columns []string
	Rows    [][]cellView
	Note    string // how many there are
}

type cellView struct {
	Text string
	Null bool
}

// A result is shown up to so many rows, columns and letters of a cell.
const (
	shownRows    = 5
	shownColumns = 8
	cellText     = 40
)

// cellOf is a value or a column's name, in one line.
func cellOf(s string) string {
	letters := []rune(strings.Join(strings.Fields(shown(s, longText)), " "))
	if len(letters) > cellText {
		return string(letters[:cellText-1]) + "…"
	}
	return string(letters)
}

func newRowsView(r *Rows) *rowsView {
	if r == nil {
		return nil
	}
	v := &rowsView{Note: "no rows"}
	if r.Total > 0 {
		v.Note = thousands(int64(r.Total)) + " row"
		if r.Total > 1 {
			v.Note += "s"
		}
	}
	columns := min(len(r.Columns), shownColumns)
	for _, c := range r.Columns[:columns] {
		v.Columns = append(v.Columns, cellOf(c))
	}
	for _, row := range r.First[:min(len(r.First), shownRows)] {
		var cells []cellView
		for _, c := range row[:min(len(row), columns)] {
			if c == nil {
				cells = append(cells, cellView{"NULL", true})
			} else {
				cells = append(cells, cellView{Text: cellOf(*c)})
			}
		}
		v.Rows = append(v.Rows, cells)
	}
	if n := len(v.Rows); n > 0 && n < r.Total {
		v.Note += fmt.Sprintf(", the first %d shown", n)
	}
	if n := len(r.Columns); n > columns {
		v.Note += fmt.Sprintf(", %d of %d columns", columns, n)
	}
	return v
}

const perGroup = 6

// groups picks examples of wrong, failing and right answers.
func groups(r *Run) []group {
	var wrong, failing, right []Example
	kinds := make(map[string]int)
	for _, e := range r.Examples {
		switch e.Verdict {
		case Correct:
			right = append(right, e)
		case Wrong:
			wrong = append(wrong, e)
		default:
			failing = append(failing, e)
			kinds[verdictText(e)]++
		}
	}
	var out []group
	add := func(class, title, note string, from []Example) {
		if len(from) == 0 {
			return
		}
		g := group{Class: class, Title: title}
		for _, e := range pick(from, perGroup) {
			g.Examples = append(g.Examples, newExampleView(e))
		}
		g.Note = fmt.Sprintf("%s of %s questions", thousands(int64(len(from))), thousands(int64(len(r.Examples))))
		if note != "" {
			g.Note += " (" + note + ")"
		}
		if n := len(g.Examples); n < len(from) {
			g.Note += fmt.Sprintf(", %d shown", n)
		}
		out = append(out, g)
	}
	add("right", "Answered right", "", right)
	add("wrong", "Answered wrong", "", wrong)
	add("failing", "Failed", kindNote(kinds), failing)
	return out
}

func kindNote(kinds map[string]int) string {
	var names []string
	for name := range kinds {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(kinds[b]-kinds[a], cmp.Compare(a, b)) })
	var parts []string
	for i, name := range names {
		if i == 5 {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, fmt.Sprintf("%s: %s", name, thousands(int64(kinds[name]))))
	}
	return strings.Join(parts, ", ")
}

// pick returns n examples spread over splits and families: always the first of the kind shown least so far.
func pick(from []Example, n int) []Example {
	n = min(n, len(from))
	var out []Example
	taken := make([]bool, len(from))
	splits, families, databases := make(map[string]int), make(map[string]int), make(map[string]int)
	for range n {
		best := -1
		for i, e := range from {
			if taken[i] {
				continue
			}
			if best < 0 || cmp.Or(
				splits[e.Split]-splits[from[best].Split],
				families[e.Family]-families[from[best].Family],
				databases[e.DB]-databases[from[best].DB]) < 0 {
				best = i
			}
		}
		e := from[best]
		taken[best] = true
		splits[e.Split]++
		families[e.Family]++
		databases[e.DB]++
		out = append(out, e)
	}
	return out
}

func newExampleView(e Example) exampleView {
	v := exampleView{
		Question: shown(e.Question, longText),
		Before:   shown(strings.TrimSpace(e.Before), longText),
		Error:    shown(e.Error, longText),
		Schema:   shown(strings.TrimSpace(e.Schema), schemaText),
	}
	if e.Verdict != Correct {
		v.GoldRows, v.PredictedRows = newRowsView(e.GoldRows), newRowsView(e.PredictedRows)
	}
	for _, tag := range []string{e.DB, e.Family, e.Difficulty, e.Split, e.ID} {
		if tag != "" {
			v.Tags = append(v.Tags, shown(tag, shortText))
		}
	}
	if e.Verdict != Correct && e.Verdict != Wrong {
		v.Tags = append([]string{verdictText(e)}, v.Tags...)
	}
	v.Gold, v.Predicted = diffSQL(shown(strings.TrimSpace(e.Gold), sqlText), shown(strings.TrimSpace(e.Predicted), sqlText))
	v.Same = !marked(v.Gold) && !marked(v.Predicted) && len(v.Gold) == 1 && len(v.Predicted) == 1 &&
		strings.EqualFold(v.Gold[0].Text, v.Predicted[0].Text)
	return v
}

// verdictText writes a verdict such as too_large in words.
func verdictText(e Example) string {
	return shown(strings.ReplaceAll(cmp.Or(e.Verdict, "no verdict"), "_", " "), shortText)
}

func marked(spans []span) bool {
	return slices.ContainsFunc(spans, func(s span) bool { return s.Mark })
}
