package demodata

import "strings"

// Ways to say a comparison.
const (
	greater = "greater than|more than|above|over"
	less    = "less than|below|under"
)

// A condition restricts the rows of a table by one column.
type condition struct {
	column *Column
	phrase string // how the question calls the column
	clause string // follows "whose <phrase>": "is above 30"
	noun   string // follows "with <phrase>": "above 30"
	right  string // follows the column in SQL: "> 30"
}

func (c condition) sql(qualifier string) string { return qualifier + c.column.Name + " " + c.right }

// joined is the condition with the word that joins it to a noun.
func (c condition) joined(connector int) string {
	return [...]string{"whose ", "with ", "where the "}[connector] + c.said(connector)
}

// said is the condition as it follows the connector, or follows "and".
func (c condition) said(connector int) string {
	if connector == 1 {
		return c.phrase + " " + c.noun
	}
	return c.phrase + " " + c.clause
}

// condition makes a condition on a column of its own of the table.
func (a *asker) condition(t *Table) condition {
	c := pick(a.rng, t.own)
	phrase := pick(a.rng, c.phrases)
	var clause, noun, right string
	switch c.Kind {
	case Title, Person:
		clause, noun, right = a.name(t, c)
	case Category:
		clause, noun, right = a.category(t, c)
	case Date:
		clause, noun, right = a.date(t, c)
	default:
		clause, noun, right = a.compared(c)
	}
	return condition{c, phrase, clause, noun, right}
}

// name compares with a text of two words, or with a part of one.
func (a *asker) name(t *Table, c *Column) (clause, noun, right string) {
	text := a.literals.text(t, c)
	first, second, _ := strings.Cut(text, " ")
	switch u := a.rng.Float64(); {
	case u < 0.5:
		text = "'" + text + "'"
		return a.oneOf("is |equals ") + text, text, "= " + text
	case u < 0.75:
		first = first[:min(len(first), 1+a.rng.IntN(3))]
		return "starts with '" + first + "'", "starting with '" + first + "'", "LIKE '" + first + "%'"
	}
	return "contains '" + second + "'", "containing '" + second + "'", "LIKE '%" + second + "%'"
}

// category compares with one value or two.
func (a *asker) category(t *Table, c *Column) (clause, noun, right string) {
	v, w := "'"+a.literals.text(t, c)+"'", "'"+pick(a.rng, c.values)+"'"
	switch u := a.rng.Float64(); {
	case u < 0.62 || v == w:
		return a.oneOf("is |equals ") + v, v, "= " + v
	case u < 0.8:
		return "is not " + v, "other than " + v, "!= " + v
	case u < 0.92:
		return "is " + v + " or " + w, v + " or " + w, "IN ( " + v + " , " + w + " )"
	}
	return "is neither " + v + " nor " + w, "neither " + v + " nor " + w, "NOT IN ( " + v + " , " + w + " )"
}

// compared compares a number.
func (a *asker) compared(c *Column) (clause, noun, right string) {
	v := a.literals.number(c)
	says := func(phrase, right string) (string, string, string) { return "is " + phrase, phrase, right }
	switch u := a.rng.Float64(); {
	case u < 0.32:
		return says(a.oneOf(greater)+" "+v, "> "+v)
	case u < 0.62:
		return says(a.oneOf(less)+" "+v, "< "+v)
	case u < 0.70:
		return says("at least "+v, ">= "+v)
	case u < 0.78:
		return says("at most "+v, "<= "+v)
	case u < 0.86 && c.Kind == Whole:
		return a.oneOf("is |equals ") + v, v, "= " + v
	}
	w := a.literals.number(c)
	if len(v) > len(w) || len(v) == len(w) && v > w {
		v, w = w, v
	}
	return says("between "+v+" and "+w, "BETWEEN "+v+" AND "+w)
}

// date compares a day with another, or with a year.
func (a *asker) date(t *Table, c *Column) (clause, noun, right string) {
	day := a.literals.text(t, c)
	v := "'" + day + "'"
	says := func(phrase, right string) (string, string, string) { return "is " + phrase, phrase, right }
	switch u := a.rng.Float64(); {
	case u < 0.3:
		return says(a.oneOf("after |later than ")+v, "> "+v)
	case u < 0.6:
		return says(a.oneOf("before |earlier than ")+v, "< "+v)
	case u < 0.85:
		return says("in "+day[:4], "LIKE '"+day[:4]+"%'")
	}
	w := "'" + a.literals.text(t, c) + "'"
	return says("between "+min(v, w)+" and "+max(v, w), "BETWEEN "+min(v, w)+" AND "+max(v, w))
}
