package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
	"github.com/hone-ml/hone/examples/text2sql/internal/demodata"
	"github.com/hone-ml/hone/examples/text2sql/internal/progress"
	"github.com/hone-ml/hone/examples/text2sql/internal/score"
	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tokenizer"
)

// worldAnswerer is the world's untrained model.
func worldAnswerer(t *testing.T, w world) *answerer {
	t.Helper()
	tok, err := tokenizer.Load(w.model)
	if err != nil {
		t.Fatal(err)
	}
	m, err := models.Load(w.model, models.LoadOptions{Device: tensor.CPU()})
	if err != nil {
		t.Fatal(err)
	}
	f, err := formatOf(tok, tokenizer.TemplateAuto)
	if err != nil {
		t.Fatal(err)
	}
	return newAnswerer(m, tok, f, 12)
}

func TestAnAnswerThatRunsIsNeverMadeWorse(t *testing.T) {
	w := theWorld(t)
	a := worldAnswerer(t, w)
	exec, err := (&databases{dir: w.databases}).open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer exec.Close()
	// the model babbles: its samples and repairs do not run, the golds do, and two rows have no query
	preds := make([]data.Prediction, len(validRows))
	for i, r := range validRows {
		preds[i] = data.Prediction{ID: r.ID, SQL: r.SQL}
	}
	preds[1].SQL, preds[3].SQL = "SELECT nothing FROM nowhere", "I do not know"
	before := slices.Clone(preds)
	told := map[string]progress.Count{}
	o := improvement{samples: 3, temperature: 1, repair: 2, count: func(c progress.Count) { told[c.Label] = c }}
	if err := o.improve(t.Context(), a, exec, validRows, preds, 1); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(preds, before) {
		t.Errorf("%q became %q", before, preds)
	}
	for label, total := range map[string]int{"sampling": len(validRows), "repairing": 2} {
		if c := told[label]; c.Done != total || c.Total != total {
			t.Errorf("%s ends with %d of %d, want %d", label, c.Done, c.Total, total)
		}
	}
	again := slices.Clone(before)
	if err := o.improve(t.Context(), a, exec, validRows, again, 1); err != nil || !slices.Equal(again, preds) {
		t.Errorf("the same seed gives %q, then %q (%v)", preds, again, err)
	}
}

func TestTheQueryAndItsErrorGoBackToTheModel(t *testing.T) {
	w := theWorld(t)
	a := worldAnswerer(t, w)
	prompt, err := a.format.repair(validRows[0], "SELECT nam FROM customer", "no such column: nam")
	if err != nil {
		t.Fatal(err)
	}
	first, err := a.format.prompt(validRows[0])
	if err != nil {
		t.Fatal(err)
	}
	text := a.tok.Decode(prompt)
	for _, part := range []string{validRows[0].Question, shopSchema[:40], "SELECT nam FROM customer", "no such column: nam"} {
		if !strings.Contains(text, part) {
			t.Errorf("the prompt lacks %q: %s", part, text)
		}
	}
	if tail := len(first) - 6; len(prompt) <= len(first) || !slices.Equal(prompt[len(prompt)-6:], first[tail:]) {
		t.Errorf("it does not end where an answer begins: %s", text)
	}
}

func TestFlagsOfImprovementsAreChecked(t *testing.T) {
	for _, o := range []improvement{{samples: -1, temperature: 1}, {temperature: 0}, {temperature: 1, repair: 11}} {
		if o.check() == nil {
			t.Errorf("%+v is taken", o)
		}
	}
	if err := (&improvement{samples: 8, temperature: 0.7, repair: 1}).check(); err != nil {
		t.Error(err)
	}
}

// HONE_DEMO_MODEL is the run of a demo: text2sql demo -out RUN.
func TestImprovementsOverGreedyOnTheDemosModel(t *testing.T) {
	dir := os.Getenv("HONE_DEMO_MODEL")
	if dir == "" {
		t.Skip("HONE_DEMO_MODEL is not set")
	}
	d, err := demodata.New(t.Context(), demodata.Options{Seed: 42})
	if err != nil {
		t.Fatal(err)
	}
	exec, err := d.Executor()
	if err != nil {
		t.Fatal(err)
	}
	defer exec.Close()
	tok, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	m, err := models.Load(filepath.Clean(dir), models.LoadOptions{Device: tensor.CPU()})
	if err != nil {
		t.Fatal(err)
	}
	form, err := formatOf(tok, tokenizer.TemplateAuto)
	if err != nil {
		t.Fatal(err)
	}
	a := &answerer{model: m, tok: tok, format: form, most: 96}
	for name, examples := range map[string][]demodata.Example{"held-out": d.HeldOut, "unseen": d.OnUnseen} {
		rows, err := d.Rows(examples)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		greedy, _, err := a.answer(t.Context(), rows, func(int) {})
		if err != nil {
			t.Fatal(err)
		}
		greedySeconds := time.Since(began).Seconds()
		for _, o := range []improvement{{}, {repair: 1}, {repair: 2}, {samples: 4, temperature: 0.7}, {samples: 8, temperature: 0.7}, {samples: 8, temperature: 1}, {samples: 8, temperature: 0.7, repair: 1}} {
			preds, began := slices.Clone(greedy), time.Now()
			if err := o.improve(t.Context(), a, exec, rows, preds, 42); err != nil {
				t.Fatal(err)
			}
			s, _, err := score.Evaluate(t.Context(), exec, rows, preds, score.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%-8s samples %d at %.1f, repair %d: %s, valid SQL %.1f %%, %.1f s", name, o.samples, o.temperature, o.repair, percent(s), 100*s.ValidSQL,
				greedySeconds+time.Since(began).Seconds())
		}
	}
}

func TestEvalAndAskTakeImprovements(t *testing.T) {
	w := theWorld(t)
	s := jsonObject(t, ok(t, "eval", "-model", w.model, "-data", w.valid, "-db-dir", w.databases, "-max-tokens", "4", "-samples", "2", "-repair", "1", "-json"))
	wantKeys(t, "eval", s, "n", "execution_accuracy")
	fails(t, 2, []string{"-samples is -1"}, "eval", "-model", w.model, "-data", w.valid, "-db-dir", w.databases, "-samples", "-1")
	fails(t, 2, []string{"-repair is 11"}, "ask", "-model", w.model, "-db", filepath.Join(w.databases, "shop.sqlite"), "-repair", "11", "how many?")
}

// tight is a model that has no memory for more than two sequences.
type tight struct{ models.CausalLM }

func (m tight) NewCache(sequences, capacity int) *models.Cache {
	if sequences > 2 {
		panic(&tensor.OOMError{Device: "cpu", Requested: sequences})
	}
	return m.CausalLM.(models.CacheMaker).NewCache(sequences, capacity)
}

func TestSamplesOfOnePromptAreHalvedWhereMemoryIsShort(t *testing.T) {
	a := worldAnswerer(t, theWorld(t))
	prompt := []int32{5, 6, 7}
	ids, err := generateAll(t.Context(), tight{a.model}, [][]int32{prompt, prompt}, models.Options{MaxTokens: 4, Samples: 8, Temperature: 1, Stop: []int32{}})
	if err != nil || len(ids) != 16 {
		t.Fatalf("%d answers, want 16: %v", len(ids), err)
	}
	distinct := map[string]bool{}
	for _, x := range ids {
		if len(x) != 4 {
			t.Errorf("an answer of %d tokens", len(x))
		}
		distinct[fmt.Sprint(x)] = true
	}
	if len(distinct) < 15 { // of 300^4 that an untrained model gives
		t.Errorf("of 16 answers only %d differ: halves draw the same numbers", len(distinct))
	}
}
