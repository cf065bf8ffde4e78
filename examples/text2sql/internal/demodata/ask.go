package demodata

import (
	"math/rand/v2"
	"strconv"
	"strings"
)

// A question is what one asks about a schema, with its SQL.
type question struct {
	family, text, sql string
}

// An asker makes questions about one schema.
type asker struct {
	rng      *rand.Rand
	literals literals
	schema   *Schema

	// What the question under way is about.
	table, parent, child *Table
	shown, number, where *Column
	dates                bool // it sorts by a date
	aggregate            string
	connector            int // how its conditions are joined to the noun
	words, sql           [slots]string
}

// next makes a question of a random family.
func (a *asker) next() question {
	for {
		rule := &grammar[a.rng.IntN(len(grammar))]
		if a.fill(rule) {
			return question{rule.name, pick(a.rng, rule.ask).render(&a.words), rule.sql.render(&a.sql)}
		}
	}
}

// fill fills the slots of a rule; it is false if the schema has nothing for one.
func (a *asker) fill(rule *grammarRule) bool {
	a.connector, a.shown = a.rng.IntN(3), nil
	for _, s := range rule.used {
		if !fillers[s](a, s) {
			return false
		}
	}
	return true
}

// put fills a slot, with the same text in the question and in the SQL if no
// SQL is given.
func (a *asker) put(s slot, words string, sql ...string) bool {
	a.words[s], a.sql[s] = words, words
	if len(sql) > 0 {
		a.sql[s] = sql[0]
	}
	return true
}

func (a *asker) putColumn(s slot, c *Column) bool {
	return c != nil && a.put(s, pick(a.rng, c.phrases), c.Name)
}

// either fills a slot with one of two pairs of a phrase and its SQL.
func (a *asker) either(s slot, phrases1, sql1, phrases2, sql2 string) bool {
	if a.rng.IntN(2) == 0 {
		phrases1, sql1 = phrases2, sql2
	}
	return a.put(s, a.oneOf(phrases1), sql1)
}

// oneOf picks one of the phrases that a text lists with | between.
func (a *asker) oneOf(phrases string) string { return pick(a.rng, strings.Split(phrases, "|")) }

// fillers says how each slot is filled.
var fillers [slots]func(*asker, slot) bool

func init() { // since the fillers refer to the slots that refer to them
	fillers = [slots]func(*asker, slot) bool{
		slotT: func(a *asker, s slot) bool {
			a.table = pick(a.rng, a.schema.Tables)
			return len(a.table.own) > 0 && a.put(s, a.table.Name)
		},
		slotTs: func(a *asker, s slot) bool { return a.put(s, plural(a.table.Name)) },
		slotA: func(a *asker, s slot) bool {
			a.shown = a.toShow(a.table)
			return a.putColumn(s, a.shown)
		},
		slotB: func(a *asker, s slot) bool { return a.putColumn(s, a.another(a.table.own, a.shown)) },
		slotN: func(a *asker, s slot) bool {
			a.number = a.of(a.table, Whole, Real)
			return a.putColumn(s, a.number)
		},
		slotG: func(a *asker, s slot) bool {
			f := pick(a.rng, aggregates)
			a.aggregate = f.sql
			return a.put(s, a.oneOf(f.phrases), f.sql)
		},
		slotH: func(a *asker, s slot) bool {
			f := pick(a.rng, aggregates)
			return f.sql != a.aggregate && a.put(s, a.oneOf(f.phrases), f.sql)
		},
		slotE: func(a *asker, s slot) bool { return a.either(s, "minimum", "min", "maximum", "max") },
		slotC: func(a *asker, s slot) bool { return a.putColumn(s, a.of(a.table, Category)) },
		slotD: func(a *asker, s slot) bool { return a.putColumn(s, pick(a.rng, a.table.own)) },
		slotO: func(a *asker, s slot) bool {
			c := a.of(a.table, Whole, Real, Date)
			if c == nil || c == a.shown {
				return false
			}
			a.dates = c.Kind == Date
			return a.putColumn(s, c)
		},
		slotBy: func(a *asker, s slot) bool {
			return a.either(s, "in ascending order of|sorted by increasing|ordered by", "ASC",
				"in descending order of|sorted by decreasing", "DESC")
		},
		slotDir: func(a *asker, s slot) bool {
			if a.dates {
				return a.either(s, "earliest|first", "ASC", "latest|last", "DESC")
			}
			return a.either(s, "lowest|smallest", "ASC", "highest|largest", "DESC")
		},
		slotW: func(a *asker, s slot) bool {
			c := a.condition(a.table)
			a.where = c.column
			if c.column == a.shown && a.rng.IntN(4) > 0 {
				return false // few ask for what they know
			}
			return a.put(s, c.joined(a.connector), c.sql(""))
		},
		slotV: func(a *asker, s slot) bool {
			c := a.condition(a.table)
			return c.column != a.where && a.put(s, c.said(a.connector), c.sql(""))
		},
		slotAndOr: func(a *asker, s slot) bool {
			if a.rng.IntN(3) == 0 {
				return a.put(s, "or", "OR")
			}
			return a.put(s, "and", "AND")
		},
		slotThan: func(a *asker, s slot) bool {
			return a.either(s, "above|greater than|higher than", ">", "below|less than|lower than", "<")
		},
		slotCmp: func(a *asker, s slot) bool {
			n := a.literals.number(a.number)
			if a.rng.IntN(2) == 0 {
				return a.put(s, a.oneOf(greater)+" "+n, "> "+n)
			}
			return a.put(s, a.oneOf(less)+" "+n, "< "+n)
		},
		slotMore: func(a *asker, s slot) bool {
			n := strconv.Itoa(2 + a.rng.IntN(8))
			op := pick(a.rng, [][2]string{{"more than ", "> "}, {"at least ", ">= "}, {"fewer than ", "< "}})
			return a.put(s, op[0]+n, op[1]+n)
		},
		slotK:    func(a *asker, s slot) bool { return a.put(s, strconv.Itoa(2+a.rng.IntN(8))) },
		slotMost: func(a *asker, s slot) bool { return a.either(s, "most", "DESC", "fewest", "ASC") },
		slotP: func(a *asker, s slot) bool {
			if len(a.schema.links) == 0 {
				return false
			}
			l := pick(a.rng, a.schema.links)
			a.parent, a.child = l.parent, l.child
			a.sql[slotFK] = l.column.Name
			return a.put(s, l.parent.Name)
		},
		slotPs: func(a *asker, s slot) bool { return a.put(s, plural(a.parent.Name)) },
		slotQ:  func(a *asker, s slot) bool { return a.put(s, a.child.Name) },
		slotQs: func(a *asker, s slot) bool { return a.put(s, plural(a.child.Name)) },
		slotFK: func(*asker, slot) bool { return true }, // filled with the parent
		slotX:  func(a *asker, s slot) bool { return a.putColumn(s, a.toShow(a.parent)) },
		slotY:  func(a *asker, s slot) bool { return a.putColumn(s, a.toShow(a.child)) },
		slotM:  func(a *asker, s slot) bool { return a.putColumn(s, a.of(a.child, Whole, Real)) },
		slotPW: func(a *asker, s slot) bool {
			c := a.condition(a.parent)
			return a.put(s, c.joined(a.connector), c.sql(a.parent.Name+". "))
		},
		slotQW: func(a *asker, s slot) bool {
			c := a.condition(a.child)
			return a.put(s, c.joined(a.connector), c.sql(""))
		},
		slotShow:       func(a *asker, s slot) bool { return a.put(s, pick(a.rng, showWords)) },
		slotShowInside: func(a *asker, s slot) bool { return a.put(s, strings.ToLower(pick(a.rng, showWords))) },
	}
}

var (
	showWords  = []string{"Show", "List", "Give", "Find", "Return"}
	aggregates = []struct{ sql, phrases string }{
		{"avg", "average|mean"},
		{"sum", "total"},
		{"min", "minimum|lowest|smallest"},
		{"max", "maximum|highest|largest"},
	}
)

// toShow picks a column that one would ask for: mostly one that names the row.
func (a *asker) toShow(t *Table) *Column {
	if len(t.own) == 0 {
		return nil
	}
	if a.rng.Float64() < 0.65 {
		if c := a.of(t, Title, Person); c != nil {
			return c
		}
	}
	return pick(a.rng, t.own)
}

// of picks one of the table's columns of some kinds, nil if there is none.
func (a *asker) of(t *Table, kinds ...Kind) *Column {
	var found *Column
	n := 0
	for _, c := range t.own {
		for _, k := range kinds {
			if c.Kind == k {
				if n++; a.rng.IntN(n) == 0 {
					found = c
				}
			}
		}
	}
	return found
}

// another picks one of the columns that is not the given one.
func (a *asker) another(columns []*Column, not *Column) *Column {
	if len(columns) < 2 {
		return nil
	}
	for {
		if c := pick(a.rng, columns); c != not {
			return c
		}
	}
}
