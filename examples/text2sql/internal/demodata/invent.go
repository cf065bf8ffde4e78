package demodata

import (
	"math/rand/v2"
	"strings"
)

// An inventor makes up schemas. Their names come, in changing shares, from
// lists of common ones, from the vocabulary, and from nowhere: what a model
// learns from them is to copy any word from its place.
type inventor struct {
	rng               *rand.Rand
	nouns, adjectives []string
}

func newInventor(rng *rand.Rand) inventor {
	nouns, adjectives := vocabulary()
	return inventor{rng, nouns, adjectives}
}

func (v inventor) chance(p float64) bool { return v.rng.Float64() < p }

// schema makes up a schema of 2 to 4 tables without rows.
func (v inventor) schema() *Schema {
	n := pick(v.rng, []int{2, 2, 3, 3, 3, 4})
	used := map[string]bool{}
	tables := make([]*Table, n)
	for i := range tables {
		name := v.fresh(used, v.entity)
		tables[i] = table(name, v.columns(tables[:i], used)...)
	}
	return newSchema("invented", tables...)
}

// columns makes up the columns of a table that may refer to those before it.
func (v inventor) columns(before []*Table, tables map[string]bool) []*Column {
	used := map[string]bool{}
	for name := range tables {
		used[name] = true
	}
	var out []*Column
	if len(before) > 0 {
		first := pick(v.rng, before)
		out = append(out, of(first.Name))
		if second := pick(v.rng, before); second != first && v.chance(0.5) {
			out = append(out, of(second.Name))
		}
	}
	u := v.rng.Float64()
	if u < 0.45 {
		out = append(out, title(v.fresh(used, func() string { return v.name(titleNames, wordEndings, 0.15) })).by(v.words))
	}
	if u > 0.3 && u < 0.8 {
		out = append(out, person(v.fresh(used, func() string { return v.name(personNames, wordEndings, 0.25) })).by(v.words))
	}
	for range 1 + v.rng.IntN(2) {
		c := category(v.fresh(used, func() string { return v.name(categoryNames, wordEndings, 0.5) }), "")
		capital := v.chance(0.5)
		for range 4 {
			c.values = append(c.values, v.value(capital))
		}
		out = append(out, c)
	}
	for range 1 + v.rng.IntN(2) {
		low := pick(v.rng, []int{1, 1, 10, 100, 1000})
		name, high := v.fresh(used, func() string { return v.name(numberNames, numberEndings, 0.5) }), low*10+50
		if strings.HasSuffix(name, "year") {
			low, high = 1850, 2023
		}
		if v.chance(0.2) {
			out = append(out, decimal(name, low, high))
		} else {
			out = append(out, whole(name, low, high))
		}
	}
	if v.chance(0.5) {
		out = append(out, date(v.fresh(used, v.dateName)))
	}
	return out
}

// fresh draws names until one is new and may be used.
func (v inventor) fresh(used map[string]bool, draw func() string) string {
	for {
		if name := draw(); usable(name) && !used[name] {
			used[name] = true
			return name
		}
	}
}

func (v inventor) entity() string {
	if v.chance(0.35) {
		return pick(v.rng, entityNames)
	}
	return v.word()
}

// name makes up a column's name: one word, or two in about a third.
func (v inventor) name(common, endings []string, strange float64) string {
	word := func() string {
		if v.chance(strange) {
			return v.word()
		}
		return pick(v.rng, common)
	}
	if !v.chance(0.35) {
		return word()
	}
	switch u := v.rng.Float64(); {
	case u < 0.25:
		return pick(v.rng, namePrefixes) + "_" + word()
	case u < 0.45:
		return pick(v.rng, v.adjectives) + "_" + word()
	case u < 0.75:
		return v.word() + "_" + pick(v.rng, common)
	}
	return v.word() + "_" + pick(v.rng, endings)
}

func (v inventor) dateName() string {
	first := pick(v.rng, dateNames)
	if v.chance(0.35) {
		first = v.word()
	}
	if v.chance(0.85) {
		return first + "_date"
	}
	return first
}

// value makes up a value of a category.
func (v inventor) value(capital bool) string {
	w := v.word()
	if v.chance(0.15) {
		w = pick(v.rng, v.adjectives)
	}
	if capital {
		return capitalized(w)
	}
	return w
}

// words makes up the value of a title or a person's name.
func (v inventor) words() string { return capitalized(v.word()) + " " + capitalized(v.word()) }

// word is a real noun, one spliced from two, or one of invented syllables.
func (v inventor) word() string {
	for {
		var w string
		switch u := v.rng.Float64(); {
		case u < 0.62:
			w = pick(v.rng, v.nouns)
		case u < 0.85:
			w = v.spliced()
		default:
			w = v.syllables()
		}
		if usable(w) {
			return w
		}
	}
}

// spliced joins the beginning of one noun and the end of another.
func (v inventor) spliced() string {
	a, b := pick(v.rng, v.nouns), pick(v.rng, v.nouns)
	w := a[:min(len(a), 2+v.rng.IntN(4))] + b[max(0, len(b)-2-v.rng.IntN(4)):]
	if v.chance(0.3) {
		w += pick(v.rng, wordSuffixes)
	}
	return w
}

// syllables makes a word of one to three syllables.
func (v inventor) syllables() string {
	var b strings.Builder
	for range pick(v.rng, []int{2, 2, 3}) {
		b.WriteString(pick(v.rng, onsets))
		b.WriteString(pick(v.rng, vowels))
	}
	b.WriteString(pick(v.rng, codas))
	return b.String()
}

var (
	onsets       = strings.Fields(`b c d f g h k l m n p r s t v w z br ch cl cr dr fl gr pl pr sh sk sl st th tr`)
	vowels       = strings.Fields(`a a e e i i o o u u ea ou ai oo ie`)
	codas        = strings.Fields(`n r l t m d k p nd rk st ck ng ll y`)
	wordSuffixes = strings.Fields(`ing er ion age ment or al ist ure ry ance ee`)
)

func capitalized(word string) string { return strings.ToUpper(word[:1]) + word[1:] }
