package demodata

// A family is one kind of question: SQL with slots, and ways to ask for it.
type family struct {
	name   string
	weight int // how often, relative to the others
	sql    string
	ask    []string
}

// join is the FROM clause of the families that join a parent and a child.
const join = "FROM {p} JOIN {q} ON {q}. {fk} = {p}. id"

// Families that small models find hard have a higher weight: those whose
// answer hangs on one word, such as most or fewest, and those with two filters.
var families = []family{
	{"list", 1, "SELECT {a} FROM {t}", []string{
		"{Show} the {a} of all {ts}.",
		"{Show} the {a} of every {t}.",
		"What is the {a} of each {t}?"}},
	{"list two", 1, "SELECT {a} , {b} FROM {t}", []string{
		"{Show} the {a} and {b} of all {ts}.",
		"What are the {a} and {b} of each {t}?"}},
	{"filter", 4, "SELECT {a} FROM {t} WHERE {w}", []string{
		"{Show} the {a} of {ts} {w}.",
		"What is the {a} of the {ts} {w}?",
		"For {ts} {w}, {show} the {a}."}},
	{"filter, two columns", 1, "SELECT {a} , {b} FROM {t} WHERE {w}", []string{
		"{Show} the {a} and {b} of {ts} {w}.",
		"For {ts} {w}, {show} the {a} and {b}."}},
	{"two filters", 3, "SELECT {a} FROM {t} WHERE {w} {andor} {v}", []string{
		"{Show} the {a} of {ts} {w} {andor} {v}.",
		"For {ts} {w} {andor} {v}, {show} the {a}."}},
	{"count", 1, "SELECT count(*) FROM {t}", []string{
		"How many {ts} are there?",
		"Count the {ts}.",
		"What is the number of {ts}?"}},
	{"count filter", 2, "SELECT count(*) FROM {t} WHERE {w}", []string{
		"How many {ts} are there {w}?",
		"Count the {ts} {w}.",
		"What is the number of {ts} {w}?"}},
	{"aggregate", 1, "SELECT {g}( {n} ) FROM {t}", []string{
		"What is the {g} {n} of all {ts}?",
		"{Show} the {g} {n} of the {ts}."}},
	{"two aggregates", 1, "SELECT {g}( {n} ) , {h}( {n} ) FROM {t}", []string{
		"What are the {g} and {h} {n} of all {ts}?",
		"{Show} the {g} and {h} {n} of the {ts}."}},
	{"aggregate filter", 1, "SELECT {g}( {n} ) FROM {t} WHERE {w}", []string{
		"What is the {g} {n} of {ts} {w}?",
		"For {ts} {w}, {show} the {g} {n}."}},
	{"group count", 1, "SELECT {c} , count(*) FROM {t} GROUP BY {c}", []string{
		"How many {ts} are there for each {c}?",
		"{Show} the number of {ts} per {c}.",
		"Count the {ts} of each {c}."}},
	{"group aggregate", 1, "SELECT {c} , {g}( {n} ) FROM {t} GROUP BY {c}", []string{
		"What is the {g} {n} of {ts} for each {c}?",
		"For each {c}, {show} the {g} {n} of the {ts}."}},
	{"group most", 2, "SELECT {c} FROM {t} GROUP BY {c} ORDER BY count(*) {most} LIMIT 1", []string{
		"Which {c} has the {most} {ts}?",
		"{Show} the {c} that the {most} {ts} share."}},
	{"having count", 1, "SELECT {c} FROM {t} GROUP BY {c} HAVING count(*) {more}", []string{
		"Which {c} has {more} {ts}?",
		"{Show} each {c} with {more} {ts}."}},
	{"having aggregate", 1, "SELECT {c} FROM {t} GROUP BY {c} HAVING {g}( {n} ) {cmp}", []string{
		"Which {c} has {ts} with {g} {n} {cmp}?",
		"{Show} each {c} whose {ts} have {g} {n} {cmp}."}},
	{"order", 2, "SELECT {a} FROM {t} ORDER BY {o} {by}", []string{
		"{Show} the {a} of all {ts} {by} {o}.",
		"What is the {a} of each {t}, {by} {o}?"}},
	{"top", 2, "SELECT {a} FROM {t} ORDER BY {o} {dir} LIMIT 1", []string{
		"What is the {a} of the {t} with the {dir} {o}?",
		"Which {t} has the {dir} {o}? {Show} its {a}."}},
	{"top few", 2, "SELECT {a} FROM {t} ORDER BY {o} {dir} LIMIT {k}", []string{
		"{Show} the {a} of the {k} {ts} with the {dir} {o}.",
		"Which {k} {ts} have the {dir} {o}? {Show} their {a}."}},
	{"distinct", 1, "SELECT DISTINCT {d} FROM {t}", []string{
		"{Show} the different {d} of {ts}.",
		"{Show} the distinct {d} of all {ts}.",
		"Which unique {d} do the {ts} have?"}},
	{"count distinct", 1, "SELECT count( DISTINCT {d} ) FROM {t}", []string{
		"How many different {d} do the {ts} have?",
		"Count the distinct {d} of {ts}."}},
	{"than average", 1, "SELECT {a} FROM {t} WHERE {n} {than} ( SELECT avg( {n} ) FROM {t} )", []string{
		"{Show} the {a} of {ts} whose {n} is {than} the average.",
		"Which {ts} have {n} {than} average? {Show} their {a}."}},
	{"extreme", 1, "SELECT {a} FROM {t} WHERE {n} = ( SELECT {e}( {n} ) FROM {t} )", []string{
		"{Show} the {a} of {ts} whose {n} equals the {e}.",
		"Which {ts} reach the {e} of {n}? {Show} their {a}."}},
	{"join filter", 2, "SELECT {q}. {y} " + join + " WHERE {pw}", []string{
		"{Show} the {y} of {qs} of {ps} {pw}.",
		"{Show} the {y} of {qs} that belong to {ps} {pw}.",
		"For {ps} {pw}, {show} the {y} of their {qs}."}},
	{"join pair", 1, "SELECT {q}. {y} , {p}. {x} " + join, []string{
		"{Show} the {y} of each {q} together with the {x} of its {p}.",
		"For each {q}, {show} its {y} and the {x} of its {p}."}},
	{"join count", 1, "SELECT {p}. {x} , count(*) " + join + " GROUP BY {p}. id", []string{
		"How many {qs} does each {p} have? {Show} the {x} and the count.",
		"For each {p}, {show} the {x} and the number of {qs}."}},
	{"join aggregate", 1, "SELECT {p}. {x} , {g}( {q}. {m} ) " + join + " GROUP BY {p}. id", []string{
		"For each {p}, {show} the {x} and the {g} {m} of its {qs}.",
		"{Show} the {x} of each {p} with the {g} {m} of its {qs}."}},
	{"join having", 1, "SELECT {p}. {x} " + join + " GROUP BY {p}. id HAVING count(*) {more}", []string{
		"{Show} the {x} of {ps} with {more} {qs}.",
		"Which {ps} have {more} {qs}? {Show} their {x}."}},
	{"join most", 2, "SELECT {p}. {x} " + join + " GROUP BY {p}. id ORDER BY count(*) {most} LIMIT 1", []string{
		"Which {p} has the {most} {qs}? {Show} its {x}.",
		"What is the {x} of the {p} with the {most} {qs}?"}},
	{"join count filter", 1, "SELECT count(*) " + join + " WHERE {pw}", []string{
		"How many {qs} belong to {ps} {pw}?",
		"Count the {qs} of {ps} {pw}."}},
	{"not in", 1, "SELECT {x} FROM {p} WHERE id NOT IN ( SELECT {fk} FROM {q} )", []string{
		"{Show} the {x} of {ps} without any {qs}.",
		"Which {ps} have no {qs}? {Show} their {x}."}},
	{"in", 1, "SELECT {x} FROM {p} WHERE id IN ( SELECT {fk} FROM {q} WHERE {qw} )", []string{
		"{Show} the {x} of {ps} that have {qs} {qw}.",
		"Which {ps} have {qs} {qw}? {Show} their {x}."}},
}

// A grammarRule is a family ready for use.
type grammarRule struct {
	name string
	sql  template
	ask  []template
	used []slot // by any of the templates, in the order of filling
}

// grammar holds each family as often as its weight says.
var grammar = func() []grammarRule {
	var out []grammarRule
	for _, f := range families {
		r := grammarRule{name: f.name, sql: parse(f.sql)}
		var used [slots]bool
		for _, text := range f.ask {
			r.ask = append(r.ask, parse(text))
		}
		for _, t := range append(r.ask, r.sql) {
			for _, s := range t.slots {
				used[s] = true
			}
		}
		for s, is := range used {
			if is {
				r.used = append(r.used, slot(s))
			}
		}
		for range f.weight {
			out = append(out, r)
		}
	}
	return out
}()
