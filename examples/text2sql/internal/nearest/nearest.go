// Package nearest is the baseline that a model must beat: it answers with the
// SQL of the training question that is most like the new one.
//
// Questions are compared by the cosine of their TF-IDF vectors (Salton and
// Buckley 1988: tf is 1 + log of the count, idf is log(N/df)), over the words
// of the question, and, at a lower weight, of the schema. Where training has
// questions about the same database only these are compared, since only their
// SQL can be right. What it answers is copied, literals included.
package nearest

import (
	"math"
	"slices"
	"strings"
	"unicode"
)

// An Entry is a training question.
type Entry struct {
	DBID     string
	Schema   string // in any form, the same as the questions asked later
	Question string
	SQL      string
}

// schemaWeight is how much a word of the schema counts next to one of the
// question.
const schemaWeight = 0.3

// An Index finds the nearest of its entries. It does not change, so it may be
// used by several goroutines.
type Index struct {
	entries []Entry
	idf     map[string]float64
	posts   map[string][]posting // by word, in the order of the entries
	byDB    map[string][]int     // entries of a database, in order
	norms   []float64
}

// A posting is an entry that holds a word, and the word's weight there.
type posting struct {
	entry  int32
	weight float32
}

// New indexes training questions. It keeps the slice, which must not change.
func New(entries []Entry) *Index {
	ix := &Index{entries: entries, idf: map[string]float64{}, posts: map[string][]posting{}, byDB: map[string][]int{}}
	vectors := make([][]term, len(entries))
	df := map[string]int{}
	for i, e := range entries {
		ix.byDB[e.DBID] = append(ix.byDB[e.DBID], i)
		vectors[i] = terms(e.Question, e.Schema)
		for _, t := range vectors[i] {
			df[t.word]++
		}
	}
	for word, n := range df {
		ix.idf[word] = math.Log(float64(len(entries)) / float64(n))
	}
	ix.norms = make([]float64, len(entries))
	for i, vector := range vectors {
		sum := 0.0
		for _, t := range vector {
			w := t.weight * ix.idf[t.word]
			sum += w * w
			ix.posts[t.word] = append(ix.posts[t.word], posting{int32(i), float32(w)})
		}
		ix.norms[i] = math.Sqrt(sum)
	}
	return ix
}

// Nearest returns the entry most like a question, the first of equals, and how
// like it is, from 0 to 1. It is false when the index is empty.
func (ix *Index) Nearest(dbID, schema, question string) (e Entry, similarity float64, ok bool) {
	if len(ix.entries) == 0 {
		return Entry{}, 0, false
	}
	scores := make([]float64, len(ix.entries))
	norm := 0.0
	for _, t := range terms(question, schema) {
		w := t.weight * ix.idf[t.word] // 0 for a word that no entry has
		norm += w * w
		if w == 0 {
			continue
		}
		for _, p := range ix.posts[t.word] {
			scores[p.entry] += w * float64(p.weight)
		}
	}
	best := -1
	consider := func(i int) {
		if ix.norms[i] > 0 && norm > 0 {
			scores[i] /= ix.norms[i] * math.Sqrt(norm)
		}
		if best < 0 || scores[i] > scores[best] {
			best = i
		}
	}
	if same := ix.byDB[dbID]; len(same) > 0 {
		for _, i := range same {
			consider(i)
		}
	} else {
		for i := range ix.entries {
			consider(i)
		}
	}
	return ix.entries[best], scores[best], true
}

// Answer returns the SQL of the nearest entry, "" when the index is empty.
func (ix *Index) Answer(dbID, schema, question string) string {
	e, _, _ := ix.Nearest(dbID, schema, question)
	return e.SQL
}

// A term is a word of a text and its weight, without the idf.
type term struct {
	word   string
	weight float64
}

// terms weighs the words of a question and of its schema. They come sorted, so
// that sums over them are the same each time.
func terms(question, schema string) []term {
	var out []term
	for _, part := range []struct {
		text   string
		weight float64
	}{{question, 1}, {schema, schemaWeight}} {
		all := words(part.text)
		slices.Sort(all)
		for from := 0; from < len(all); {
			to := from
			for to < len(all) && all[to] == all[from] {
				to++
			}
			out = append(out, term{all[from], part.weight * (1 + math.Log(float64(to-from)))})
			from = to
		}
	}
	slices.SortFunc(out, func(a, b term) int { return strings.Compare(a.word, b.word) })
	merged := out[:0]
	for _, t := range out {
		if n := len(merged); n > 0 && merged[n-1].word == t.word {
			merged[n-1].weight += t.weight
			continue
		}
		merged = append(merged, t)
	}
	return merged
}

// words splits a text into lower-case words and numbers; an identifier with
// underscores is several.
func words(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}
