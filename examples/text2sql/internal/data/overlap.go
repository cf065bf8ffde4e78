package data

import (
	"strings"
	"unicode"
)

// An Overlap says how much of a data set another one gives away, in rows of
// the first.
type Overlap struct {
	Question int `json:"same_question"`        // asked in the same words
	SQL      int `json:"same_sql"`             // with the same gold query or, of conversations, answer
	Schema   int `json:"same_schema"`          // about the same tables
	Row      int `json:"same_question_schema"` // the same question about the same tables

	Examples []string `json:"examples"` // ids of a few, those that give most away first
}

// shownExamples is how many ids an Overlap names.
const shownExamples = 5

// Overlapping compares rows with others. Questions, and of conversations all
// before the last answer, are the same but for case, blanks and punctuation,
// queries when normalize says the same of them, schemas but for blanks and case;
// rows without a schema are about their database.
func Overlapping(rows, others []Row, normalize func(sql string) string) Overlap {
	questions, queries, schemas, both := map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	folded := map[string]string{} // of schemas, which repeat
	fold := func(schema string) string {
		f, ok := folded[schema]
		if !ok {
			f = strings.ToLower(strings.Join(strings.Fields(schema), " "))
			folded[schema] = f
		}
		return f
	}
	about := func(r Row) string {
		if r.Schema == "" && r.DBID != "" {
			return "database " + r.DBID
		}
		return fold(r.Schema)
	}
	answer := func(r Row) string {
		if r.IsChat() {
			return foldQuestion(r.Answer())
		}
		return normalize(r.SQL)
	}
	for _, o := range others {
		q, s := foldQuestion(o.Asked()), about(o)
		questions[q], queries[answer(o)], both[q+"\x00"+s] = true, true, true
		schemas[s] = s != ""
	}
	var o Overlap
	var worst, some []string
	for _, r := range rows {
		q, s := foldQuestion(r.Asked()), about(r)
		switch {
		case both[q+"\x00"+s]:
			o.Row++
			worst = append(worst, r.ID)
		case questions[q]:
			some = append(some, r.ID)
		}
		if questions[q] {
			o.Question++
		}
		if queries[answer(r)] {
			o.SQL++
		}
		if schemas[s] {
			o.Schema++
		}
	}
	o.Examples = append(worst, some...)
	o.Examples = append([]string{}, o.Examples[:min(shownExamples, len(o.Examples))]...)
	return o
}

// foldQuestion keeps letters and digits, with one blank between words.
func foldQuestion(q string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(q), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }), " ")
}

// Repeated returns the ids of rows that ask, about the same tables, what an
// earlier row asks.
func Repeated(rows []Row) []string {
	seen := map[string]bool{}
	var ids []string
	for _, r := range rows {
		key := r.DBID + "\x00" + foldQuestion(r.Asked())
		if seen[key] {
			ids = append(ids, r.ID)
		}
		seen[key] = true
	}
	return ids
}
