package train

import (
	"context"
	"fmt"
	"slices"
	"testing"
)

// sized is samples of the given numbers of tokens, all completion.
func sized(lengths ...int) Samples {
	var data Samples
	for _, n := range lengths {
		data = append(data, Sample{Tokens: make([]int32, n), Completion: []Span{{0, n}}})
	}
	return data
}

// windows is the samples of every micro-batch of every window, by index.
func windows(t *testing.T, d Data, c Config) (all [][]int, s *stream) {
	t.Helper()
	s = newStream(d, &c, tinyVocab)
	for {
		w, err := s.next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if w == nil {
			return all, s
		}
		var taken []int
		at := 0
		for _, m := range w.micros {
			for range m.starts {
				taken = append(taken, w.samples[at].index)
				at++
			}
			taken = append(taken, -1) // ends a micro-batch
		}
		all = append(all, taken)
	}
}

func TestPackingFillsRowsFirstFitInTheOrderOfTheData(t *testing.T) {
	data := sized(6, 5, 4, 9, 1, 2, 10, 3, 3)
	for _, test := range []struct {
		config Config
		want   [][]int
	}{
		// rows of 10: {6 4} {5 1 2} {9}; 10 fits nowhere and begins the next micro-batch
		{Config{Batch: 3, Accum: 1, MaxLength: 10, Packing: true}, [][]int{{0, 2, 1, 4, 5, 3, -1}, {6, 7, 8, -1}}},
		{Config{Batch: 3, Accum: 2, MaxLength: 10, Packing: true}, [][]int{{0, 2, 1, 4, 5, 3, -1, 6, 7, 8, -1}}},
		{Config{Batch: 1, Accum: 3, MaxLength: 10, Packing: true}, [][]int{{0, -1, 1, 2, -1, 3, 4, -1}, {5, -1, 6, -1, 7, 8, -1}}},
		{Config{Batch: 4, Accum: 1}, [][]int{{0, 1, 2, 3, -1}, {4, 5, 6, 7, -1}, {8, -1}}},
		{Config{Batch: 2, Accum: 3}, [][]int{{0, 1, -1, 2, 3, -1, 4, 5, -1}, {6, 7, -1, 8, -1}}},
	} {
		test.config.Sequential, test.config.Epochs = true, 1
		got, _ := windows(t, data, test.config)
		if fmt.Sprint(got) != fmt.Sprint(test.want) {
			t.Errorf("%+v\ngives %v\nwant  %v", test.config, got, test.want)
		}
	}
}

func TestPlannedStepsAreThoseThatAreMade(t *testing.T) {
	data := tinyData(37)
	for _, c := range []Config{
		{Batch: 3, Accum: 2, MaxLength: 32, Packing: true, Epochs: 3, Seed: 1},
		{Batch: 2, Accum: 3, MaxLength: 20, Packing: true, Epochs: 4, Seed: 2}, // drops the longer ones
		{Batch: 2, Accum: 1, MaxLength: 13, Long: TruncateLong, Packing: true, Epochs: 2, Seed: 3},
		{Batch: 5, Accum: 2, Epochs: 2, Seed: 4},
		{Batch: 1, Accum: 1, MaxLength: 9, Epochs: 2, Seed: 4},
	} {
		p, err := scan(t.Context(), data, &c, tinyVocab)
		if err != nil {
			t.Fatal(err)
		}
		got, s := windows(t, data, c)
		if planned := p.steps(newStream(data, &c, tinyVocab)); planned != len(got) {
			t.Errorf("%+v: %d steps planned, %d made", c, planned, len(got))
		}
		seen := map[int]int{}
		for _, w := range got {
			for _, i := range w {
				seen[i]++
			}
		}
		for i, s := range data {
			want := c.Epochs
			if c.MaxLength > 0 && len(s.Tokens) > c.MaxLength && c.Long == DropLong {
				want = 0
			}
			if seen[i] != want {
				t.Errorf("%+v: sample %d comes up %d times, want %d", c, i, seen[i], want)
			}
		}
		if s.at.Dropped+s.at.Truncated != p.long {
			t.Errorf("%+v: %d dropped and %d truncated, %d are too long", c, s.at.Dropped, s.at.Truncated, p.long)
		}
	}
}

func TestEpochThatEndsInDroppedSamplesMakesNoEmptyStep(t *testing.T) {
	c := Config{Batch: 1, Accum: 2, MaxLength: 5, Sequential: true, Epochs: 2}
	got, s := windows(t, sized(3, 4, 9, 9), c)
	if want := [][]int{{0, -1, 1, -1}, {0, -1, 1, -1}}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
	if s.at != (place{Epoch: 2, Dropped: 2}) {
		t.Errorf("%+v", s.at)
	}
	c.Epochs = 0
	_, err := newStream(sized(9, 8), &c, tinyVocab).next(context.Background())
	wantError(t, err, "every one of the 2 samples is longer than the maximum of 5 tokens")
	_, err = scan(context.Background(), sized(9, 8), &c, tinyVocab)
	wantError(t, err, "every one of the 2 samples is longer", "the longest has 9")
}

func TestTargetsAreTheTokensThatFollow(t *testing.T) {
	var m microBatch
	m.add(&Sample{Tokens: []int32{10, 11, 12, 13, 14, 15}, Completion: []Span{{2, 4}, {5, 6}}})
	m.add(&Sample{Tokens: []int32{20, 21}, Completion: []Span{{0, 2}}})
	m.add(&Sample{Tokens: []int32{30}, Completion: []Span{{0, 1}}})
	m.add(&Sample{Tokens: []int32{40, 41}})
	check := func(name string, got, want []int32) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s are %v, want %v", name, got, want)
		}
	}
	check("ids", m.ids, []int32{10, 11, 12, 13, 14, 15, 20, 21, 30, 40, 41})
	check("starts", m.starts, []int32{0, 6, 8, 9})
	check("completion rows", m.completion.rows, []int32{1, 2, 4, 6})
	check("completion ids", m.completion.ids, []int32{12, 13, 15, 21})
	check("prompt rows", m.prompt.rows, []int32{0, 3, 9})
	check("prompt ids", m.prompt.ids, []int32{11, 14, 41})
}

func TestTruncationKeepsTheBeginning(t *testing.T) {
	s := Sample{Tokens: []int32{1, 2, 3, 4, 5}, Completion: []Span{{1, 2}, {2, 5}}}
	s.truncate(3)
	if !slices.Equal(s.Tokens, []int32{1, 2, 3}) || !slices.Equal(s.Completion, []Span{{1, 2}, {2, 3}}) || s.completions() != 2 {
		t.Errorf("%+v", s)
	}
	s.truncate(1)
	if len(s.Completion) != 0 || s.completions() != 0 {
		t.Errorf("%+v", s)
	}
}

func TestBadSamplesAreErrorsBeforeAnyStep(t *testing.T) {
	for name, test := range map[string]struct {
		bad  Sample
		says string
	}{
		"no tokens":     {Sample{ID: "x"}, "no tokens"},
		"foreign token": {Sample{ID: "x", Tokens: []int32{1, tinyVocab}}, "token 1 is 61, outside the model's vocabulary [0, 61)"},
		"negative":      {Sample{ID: "x", Tokens: []int32{-1}}, "token 0 is -1"},
		"span too long": {Sample{ID: "x", Tokens: []int32{1, 2}, Completion: []Span{{1, 3}}}, "completion span [1, 3)"},
		"span reversed": {Sample{ID: "x", Tokens: []int32{1, 2}, Completion: []Span{{1, 0}}}, "completion span [1, 0)"},
		"overlapping":   {Sample{ID: "x", Tokens: []int32{1, 2, 3}, Completion: []Span{{0, 2}, {1, 3}}}, "completion span [1, 3)"},
	} {
		m := tinyModel(t, "float32")
		steps := 0
		data := append(tinyData(9), test.bad)
		c := Config{Epochs: 1, Batch: 1, Accum: 1, Schedule: "constant", Sequential: true}
		_, err := Run(t.Context(), Options{Model: m, Optimizer: adamW(m), Data: data, Config: c, OnStep: func(Metrics) { steps++ }})
		if steps > 0 {
			t.Errorf("%s: %d steps were made", name, steps)
		}
		wantError(t, err, "sample 9 (x)", test.says)
	}
}

func TestLossOfDataIsThatOfTraining(t *testing.T) {
	m := tinyModel(t, "float32")
	data := tinyData(11)
	r := mustRun(t, Options{Model: m, Optimizer: &gradientSpy{}, Data: data, Config: Config{Batch: 11, Accum: 1, MaxSteps: 1, PromptLoss: 0.5, Schedule: "constant"}})
	for _, c := range []Config{
		{Batch: 2, Accum: 1, PromptLoss: 0.5}, {Batch: 3, Accum: 7, MaxLength: 32, Packing: true, PromptLoss: 0.5},
	} {
		l, err := Loss(t.Context(), m, data, c)
		if err != nil {
			t.Fatal(err)
		}
		near := func(name string, got, want float64) {
			if got < want*(1-1e-6) || got > want*(1+1e-6) {
				t.Errorf("%s %.9g, want %.9g", name, got, want)
			}
		}
		near("completion", l.Completion, r.Last.Completion)
		near("prompt", l.Prompt, r.Last.Prompt)
		near("total", l.Total(0.5), r.Last.Loss)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Loss(ctx, m, data, Config{Batch: 2, Accum: 1}); err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}
	short, err := Loss(t.Context(), m, data, Config{Batch: 2, Accum: 1, MaxLength: 12})
	if err != nil || short.Dropped == 0 || short.Dropped == len(data) {
		t.Errorf("%+v, %v", short, err)
	}
}
