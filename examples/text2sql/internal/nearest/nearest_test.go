package nearest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/hone-ml/hone/examples/text2sql/internal/demodata"
)

func TestTheMostLikeQuestionAnswers(t *testing.T) {
	const music, zoo = " singer: id name age\n", " animal: id name weight\n"
	ix := New([]Entry{
		{"music", music, "How many singers are there?", "1"},
		{"music", music, "Show the name of all singers.", "2"},
		{"music", music, "Show the name of all singers.", "never: the first of equals answers"},
		{"zoo", zoo, "What is the average weight of all animals?", "3"},
		{"zoo", zoo, "How many animals are there?", "4"},
	})
	for _, c := range []struct{ db, schema, question, want string }{
		{"music", music, "How many singers are there above 30?", "1"},
		{"music", music, "List the NAME of all singers", "2"},
		{"music", music, "What is the average weight of all animals?", "2"}, // of this database, though it is the zoo's question
		{"park", " animal: id keeper weight\n", "What is the average weight of all cats?", "3"},
		{"music", music, "", "2"}, // the shorter question, so nearer to the schema alone
	} {
		if got := ix.Answer(c.db, c.schema, c.question); got != c.want {
			t.Errorf("%s: %q: got %q, want %q", c.db, c.question, got, c.want)
		}
	}
	if e, similarity, ok := ix.Nearest("zoo", zoo, "How many animals are there?"); !ok || e.SQL != "4" || similarity < 0.9999 || similarity > 1.0001 {
		t.Errorf("the same question: %v, %v", e, similarity)
	}
	if _, _, ok := New(nil).Nearest("music", music, "x"); ok || New(nil).Answer("music", music, "x") != "" {
		t.Error("an empty index answered")
	}
}

func TestAnsweringIsFastAndDeterministic(t *testing.T) {
	d, err := demodata.New(t.Context(), demodata.Options{Seed: 1, HeldOut: 150, OnUnseen: 150})
	if err != nil {
		t.Fatal(err)
	}
	var entries []Entry
	for _, e := range d.Examples(25_000) {
		entries = append(entries, Entry{e.DBID, e.Schema, e.Question, e.SQL})
	}
	start := time.Now()
	ix, again := New(entries), New(entries)
	built := time.Since(start) / 2
	start = time.Now()
	for _, e := range append(d.HeldOut, d.OnUnseen...) {
		ix.Answer(e.DBID, e.Schema, e.Question)
	}
	took := time.Since(start)
	t.Logf("index of %d: %v; 300 questions: %v", len(entries), built, took)
	if built+took > 6*time.Second {
		t.Errorf("it took %v and %v", built, took)
	}
	for _, e := range append(d.HeldOut[:20:20], d.OnUnseen[:20]...) {
		if ix.Answer(e.DBID, e.Schema, e.Question) != again.Answer(e.DBID, e.Schema, e.Question) {
			t.Fatalf("two answers to %s", e.Question)
		}
	}
}

func TestWordsAreLowerCaseAndSplit(t *testing.T) {
	if got := strings.Join(words("What's hourly_fee > 30, Élan?"), " "); got != "what s hourly fee 30 élan" {
		t.Errorf("got %q", got)
	}
}

func BenchmarkNearest(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	var entries []Entry
	for i := range 25_000 {
		entries = append(entries, Entry{"x", "", fmt.Sprintf("show the w%d of w%d with w%d", rng.IntN(99), rng.IntN(999), rng.IntN(99)), fmt.Sprint(i)})
	}
	ix := New(entries)
	for b.Loop() {
		ix.Answer("y", "", "show the w5 of w7 with w9")
	}
}
