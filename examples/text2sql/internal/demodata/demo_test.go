package demodata

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
)

// theDemo is made once for all tests that only look at it.
var theDemo = sync.OnceValue(func() *Demo {
	d, err := New(context.Background(), Options{Seed: 42})
	if err != nil {
		panic(err)
	}
	return d
})

// trained is as much of the training stream as the demo uses.
var trained = sync.OnceValue(func() []Example { return theDemo().Examples(25_000) })

func digest(examples []Example) string {
	h := sha256.New()
	for _, e := range examples {
		fmt.Fprintf(h, "%q\n", e)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

func TestTheSameSeedMakesTheSameData(t *testing.T) {
	d := theDemo()
	got := digest(trained()[:1000]) + " " + digest(d.HeldOut) + " " + digest(d.OnUnseen)
	if want := "8becad93c919a459 6c98df589f95431f 60697958f56e7b6e"; got != want {
		t.Errorf("the data of seed 42 changed: got %q, want %q", got, want)
	}
	again, err := New(t.Context(), Options{Seed: 42})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(again.HeldOut, d.HeldOut) || !slices.Equal(again.OnUnseen, d.OnUnseen) || !slices.Equal(again.Examples(500), trained()[:500]) {
		t.Error("two demos of one seed differ")
	}
	other, err := New(t.Context(), Options{Seed: 43, HeldOut: 20, OnUnseen: 10})
	if err != nil {
		t.Fatal(err)
	}
	if len(other.HeldOut) != 20 || len(other.OnUnseen) != 10 || slices.Equal(other.HeldOut, d.HeldOut[:20]) {
		t.Error("another seed makes the same data, or the sizes are wrong")
	}
}

func TestTheTrainingStreamCanBeMadeInAnyOrder(t *testing.T) {
	d := theDemo()
	var wg sync.WaitGroup
	out := make([]Conversation, 64)
	for i := range out {
		wg.Go(func() { out[i] = d.Conversation(i, 2) })
	}
	wg.Wait()
	for i := len(out) - 1; i >= 0; i-- {
		if c := d.Conversation(i, 2); fmt.Sprint(c) != fmt.Sprint(out[i]) || len(c.Turns) != 2 {
			t.Fatalf("conversation %d differs", i)
		}
	}
}

func TestTheSchemasAreAsManyAsPromised(t *testing.T) {
	d := theDemo()
	if len(d.Seen) < 13 || len(d.Unseen) < 8 {
		t.Errorf("%d seen, %d unseen schemas", len(d.Seen), len(d.Unseen))
	}
	names := map[string]bool{}
	for _, s := range append(slices.Clone(d.Seen), d.Unseen...) {
		if names[s.Name] {
			t.Errorf("two schemas are called %s", s.Name)
		}
		names[s.Name] = true
		if len(s.links) == 0 {
			t.Errorf("%s has no foreign key", s.Name)
		}
		for _, tb := range s.Tables {
			if len(tb.Rows) < 30 || len(tb.Rows) > 90 {
				t.Errorf("%s.%s has %d rows", s.Name, tb.Name, len(tb.Rows))
			}
		}
	}
}

func TestTheDatabasesLoadWithKeysThatHold(t *testing.T) {
	ex, err := theDemo().Executor()
	if err != nil {
		t.Fatal(err)
	}
	defer ex.Close()
	for _, s := range append(SeenSchemas(), UnseenSchemas()...) {
		for _, tb := range s.Tables {
			for _, c := range tb.Columns {
				if c.Kind != Reference {
					continue
				}
				res, err := ex.Query(t.Context(), s.Name, fmt.Sprintf("SELECT count(*) FROM %s WHERE %s NOT IN ( SELECT id FROM %s )", tb.Name, c.Name, c.parent.Name))
				if err != nil || res.Rows[0][0] != int64(0) {
					t.Errorf("%s.%s.%s: %v, %v", s.Name, tb.Name, c.Name, res, err)
				}
			}
		}
		schema, err := ex.Schema(t.Context(), s.Name)
		if err != nil || schema != s.DDL() {
			t.Errorf("%s: the database says %q, %v", s.Name, schema, err)
		}
		if strings.Count(schema, "PRIMARY KEY") != len(s.Tables) || strings.Count(schema, "FOREIGN KEY") != len(s.links) {
			t.Errorf("%s: keys are missing in\n%s", s.Name, schema)
		}
	}
}

func TestTheSplitsHaveNoDoublesAndResultsThatTell(t *testing.T) {
	d := theDemo()
	ex, err := d.Executor()
	if err != nil {
		t.Fatal(err)
	}
	defer ex.Close()
	for name, split := range map[string][]Example{"held-out": d.HeldOut, "unseen": d.OnUnseen} {
		if len(split) != 250 {
			t.Errorf("%s: %d questions", name, len(split))
		}
		seen := map[string]bool{}
		families := map[string]bool{}
		for _, e := range split {
			for _, key := range []string{e.ID, e.DBID + " " + e.Question, e.DBID + " " + e.SQL} {
				if seen[key] {
					t.Errorf("%s: %q twice", name, key)
				}
				seen[key] = true
			}
			families[e.Family] = true
			if ok, err := tells(t.Context(), ex, e.DBID, e.SQL); !ok || err != nil {
				t.Errorf("%s: %s: result that says nothing, %v", name, e.SQL, err)
			}
		}
		if len(families) < 25 {
			t.Errorf("%s asks in %d families only", name, len(families))
		}
	}
}

var literal = regexp.MustCompile(`'[^']*'|\b\d+\b`)

func TestHeldOutQuestionsShareNoSQLWithTraining(t *testing.T) {
	d := theDemo()
	queries, patterns, literals := map[string]bool{}, map[string]bool{}, map[string]bool{}
	learn := func(db, sql string) {
		queries[sql] = true
		patterns[db+" "+literal.ReplaceAllString(sql, "?")] = true
		for _, l := range literal.FindAllString(sql, -1) {
			literals[l] = true
		}
	}
	for _, e := range trained() {
		learn(e.DBID, e.SQL)
	}
	for i := range 12_500 {
		c := d.Conversation(i, 2)
		for _, turn := range c.Turns {
			learn(c.DBID, turn.SQL)
		}
	}
	for name, split := range map[string][]Example{"held-out": d.HeldOut, "unseen": d.OnUnseen} {
		known, all := 0, 0
		for _, e := range split {
			if queries[e.SQL] {
				t.Errorf("%s: %s was trained on", name, e.SQL)
			}
			if patterns[e.DBID+" "+literal.ReplaceAllString(e.SQL, "?")] {
				t.Errorf("%s: %s was trained on with other literals", name, e.SQL)
			}
			for _, l := range literal.FindAllString(e.SQL, -1) {
				if len(l) == 1 { // LIMIT 1, HAVING count(*) > 3
					continue
				}
				all++
				if literals[l] {
					known++
				}
			}
		}
		t.Logf("%s: %d of %d literals occur in training", name, known, all)
		if known*2 > all {
			t.Errorf("%s: %d of %d literals occur in training", name, known, all)
		}
	}
}

func TestTrainingNeverNamesAnUnseenTable(t *testing.T) {
	names := map[string]bool{}
	for _, s := range UnseenSchemas() {
		for _, tb := range s.Tables {
			names[tb.Name], names[plural(tb.Name)] = true, true
		}
	}
	for _, e := range trained() {
		for _, w := range strings.FieldsFunc(e.Schema+e.Question+e.SQL, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') }) {
			if names[strings.ToLower(w)] {
				t.Fatalf("%q names %s", e, w)
			}
		}
	}
	nouns, adjectives := vocabulary()
	for _, pool := range [][]string{nouns, adjectives} {
		for _, w := range pool {
			if reserved()[w] || keywords[w] {
				t.Errorf("words.txt holds %s", w)
			}
		}
	}
	if n := len(nouns) + len(adjectives); n < 2500 {
		t.Errorf("words.txt holds %d words", n)
	}
	if all := slices.Concat(nouns, adjectives); len(slices.Compact(slices.Sorted(slices.Values(all)))) != len(all) {
		t.Error("words.txt holds a word twice")
	}
	for _, w := range []string{"museum", "videogame", "hourly_fee", "hearing", "gym"} {
		if usable(w) {
			t.Errorf("%s is free for training", w)
		}
	}
}

var identifier = regexp.MustCompile(`[a-z_]+\.? ?`)

// skeleton is a query without its literals and names.
func skeleton(sql string) string {
	sql = literal.ReplaceAllString(sql, "?")
	for _, f := range []string{"count", "avg", "sum", "min", "max"} {
		sql = strings.ReplaceAll(sql, f+"(", strings.ToUpper(f)+"(")
	}
	return identifier.ReplaceAllString(sql, "_ ")
}

func TestTheGrammarIsBroad(t *testing.T) {
	skeletons, occur := map[string]int{}, map[string]bool{}
	for _, e := range trained()[:5000] {
		skeletons[skeleton(e.SQL)]++
		occur[e.Family] = true
	}
	asked := map[string]bool{}
	for _, e := range append(slices.Clone(theDemo().HeldOut), theDemo().OnUnseen...) {
		asked[skeleton(e.SQL)] = true
	}
	t.Logf("%d families, %d skeletons in training, %d in the questions asked", len(occur), len(skeletons), len(asked))
	if len(skeletons) < 30 || len(asked) < 30 {
		t.Errorf("%d skeletons, %d asked", len(skeletons), len(asked))
	}
	ways := 0
	for _, f := range families {
		ways += len(f.ask)
		if !occur[f.name] {
			t.Errorf("family %q never occurs", f.name)
		}
	}
	if n := len(families); float64(ways) < 1.5*float64(n) {
		t.Errorf("%d ways to ask for %d families", ways, n)
	}
	for _, want := range []string{"BETWEEN", "NOT IN (", "IN (", "LIKE", "GROUP BY", "HAVING", "ORDER BY", "LIMIT", "DISTINCT", "JOIN", "OR", "AND", "!=", ">=", "<=", "avg("} {
		if !slices.ContainsFunc(trained()[:5000], func(e Example) bool { return strings.Contains(e.SQL, want) }) {
			t.Errorf("no query has %s", want)
		}
	}
}

func TestMostOfTrainingIsAboutInventedSchemas(t *testing.T) {
	invented, compound, columns := 0, 0, 0
	byDB := map[string]int{}
	for _, e := range trained() {
		byDB[e.DBID]++
		if e.DBID != "invented" {
			continue
		}
		invented++
		for line := range strings.Lines(e.Schema) {
			for _, c := range strings.Fields(line)[2:] {
				if !strings.HasSuffix(c, "_id") {
					columns++
					compound += strings.Count(c, "_")
				}
			}
		}
	}
	if share := float64(invented) / float64(len(trained())); share < 0.80 || share > 0.85 {
		t.Errorf("%.2f of training is about invented schemas", share)
	}
	if share := float64(compound) / float64(columns); share < 0.3 || share > 0.5 {
		t.Errorf("%.2f of the columns have compound names", share)
	}
	if len(byDB) != len(SeenSchemas())+1 {
		t.Errorf("training is about %v", slices.Sorted(maps.Keys(byDB)))
	}
}

func TestAllTrainingSQLRuns(t *testing.T) {
	d := theDemo()
	ex, err := d.Executor()
	if err != nil {
		t.Fatal(err)
	}
	defer ex.Close()
	byName := map[string]*Schema{}
	for _, s := range d.Seen {
		byName[s.Name] = s
	}
	for i, e := range trained()[:1500] {
		db := e.DBID
		if db == "invented" {
			db = fmt.Sprint("invented ", i)
			if err := ex.AddScript(db, ddlOf(e.Schema)); err != nil {
				t.Fatalf("%s: %v", e.Schema, err)
			}
		} else if lines(e.Schema) != lines(byName[db].Prompt()) {
			t.Errorf("%s is not the schema of %s", e.Schema, db)
		}
		if _, err := ex.Query(t.Context(), db, e.SQL); err != nil {
			t.Errorf("%s%s: %v", e.Schema, e.SQL, err)
		}
	}
}

// ddlOf makes tables of a schema in the prompt's form.
func ddlOf(prompt string) string {
	var b strings.Builder
	for line := range strings.Lines(prompt) {
		name, columns, _ := strings.Cut(strings.TrimSpace(line), ":")
		fmt.Fprintf(&b, "CREATE TABLE %s (%s);\n", name, strings.Join(strings.Fields(columns), ", "))
	}
	return b.String()
}

// lines is the text with its words sorted.
func lines(text string) string { return strings.Join(slices.Sorted(strings.FieldsSeq(text)), " ") }

func TestTextIsEasyToCopy(t *testing.T) {
	schema := regexp.MustCompile(`^( [a-z]+: id( [a-z_]+)+\n)+$`)
	for _, e := range trained()[:3000] {
		if !schema.MatchString(e.Schema) {
			t.Fatalf("schema %q", e.Schema)
		}
		for _, l := range regexp.MustCompile(`'[^']*'`).FindAllString(e.SQL, -1) {
			if text := strings.Trim(l, "'%"); !strings.Contains(e.Question, "'"+text+"'") && !strings.HasSuffix(l, "%'") {
				t.Errorf("%s is not quoted in %q", l, e.Question)
			}
		}
		if strings.Contains(e.Question, "  ") || strings.Contains(e.SQL, "  ") || strings.TrimSpace(e.Question) != e.Question ||
			!strings.ContainsAny(e.Question[len(e.Question)-1:], ".?") {
			t.Errorf("untidy: %q %q", e.Question, e.SQL)
		}
		for _, name := range strings.Fields(strings.ReplaceAll(e.Schema, ":", "")) {
			if i := strings.Index(e.SQL, name); i > 0 && e.SQL[i-1] != ' ' && e.SQL[i-1] != '_' && strings.Contains(e.SQL, "."+name) {
				t.Errorf("no space before %s in %s", name, e.SQL)
			}
		}
	}
}

func TestRowsAreAsTheContractSays(t *testing.T) {
	d := theDemo()
	rows, err := d.Rows(d.HeldOut)
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/heldout.jsonl"
	if err := data.Write(path, rows); err != nil {
		t.Fatal(err)
	}
	back, err := data.Read(path)
	if err != nil || !reflect.DeepEqual(back, rows) {
		t.Errorf("%v", err)
	}
	if r := rows[0]; !strings.HasPrefix(r.Schema, "CREATE TABLE") || r.Dialect != "sqlite" || r.ID != d.HeldOut[0].ID {
		t.Errorf("%+v", r)
	}
	if _, err := d.Rows([]Example{{ID: "x", DBID: "invented"}}); err == nil {
		t.Error("an invented schema became a row")
	}
}

func TestPluralsAreRegular(t *testing.T) {
	for one, many := range map[string]string{"singer": "singers", "brewery": "breweries", "key": "keys", "church": "churches",
		"box": "boxes", "bus": "buses", "dish": "dishes", "studio": "studios", "survey": "surveys", "city": "cities"} {
		if got := plural(one); got != many {
			t.Errorf("%s: got %s", one, got)
		}
	}
}

func TestMaskedLeavesNoLiteral(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT name FROM t WHERE a = 'x 12' AND b > 30 LIMIT 5":     "SELECT name FROM t WHERE a = ? AND b > ? LIMIT ?",
		"SELECT a FROM t WHERE b IN ( 'x' , 'y' ) AND c LIKE '%it%'": "SELECT a FROM t WHERE b IN ( ? , ? ) AND c LIKE ?",
		"SELECT count(*) FROM t":                                     "SELECT count(*) FROM t",
	} {
		if got := masked(sql); got != want {
			t.Errorf("%s: got %s", sql, got)
		}
	}
}

func TestNewStopsWhenTheContextIsDone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := New(ctx, Options{}); err == nil {
		t.Error("no error")
	}
}

func BenchmarkConversation(b *testing.B) {
	d := theDemo()
	i := 0
	for b.Loop() {
		d.Conversation(i, 2)
		i++
	}
}
