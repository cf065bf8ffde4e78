package models_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/tensor"
)

func TestSamplesAreAsIfThePromptWereGivenSoOften(t *testing.T) {
	m := newTiny(t, true, "float32")
	var repeated [][]int32
	for _, p := range somePrompts {
		repeated = append(repeated, p, p, p)
	}
	for _, o := range []models.Options{{MaxTokens: 9, Temperature: 1.2, Seed: 4}, {MaxTokens: 9}} {
		want := generated(t, m, repeated, o)
		o.Samples = 3
		for name, model := range map[string]models.CausalLM{"with a cache": m, "without": plain{m}} {
			if got := generated(t, model, somePrompts, o); !equal(got, want) {
				t.Errorf("temperature %g, %s: %v, want %v", o.Temperature, name, got, want)
			}
		}
	}
}

func TestSamplesReadThePromptOnce(t *testing.T) {
	m := newTiny(t, true, "float32")
	counted := &counter{newTinyModel: m}
	generated(t, counted, [][]int32{prompt(1, 20)}, models.Options{MaxTokens: 3, Samples: 5, Temperature: 1})
	if want := 20 + 2*5; counted.tokens != want {
		t.Errorf("%d tokens went through the model, want %d", counted.tokens, want)
	}
}

// counter counts the tokens that go through a model.
type counter struct {
	newTinyModel
	tokens int
}

type newTinyModel interface {
	models.CausalLM
	models.CacheMaker
}

func (c *counter) Hidden(b models.Batch, cache *models.Cache) *tensor.Tensor {
	c.tokens += b.IDs.Len()
	return c.newTinyModel.Hidden(b, cache)
}

func TestLogprobsAreThoseOfTheModel(t *testing.T) {
	m := newTiny(t, false, "float32")
	o := models.Options{MaxTokens: 6, Temperature: 3, TopK: 40, RepetitionPenalty: 1.5, Seed: 2, Logprobs: true, TopLogprobs: 3, Stop: []int32{}}
	start := prompt(1, 5)
	text := slices.Clone(start)
	var tokens []models.BatchToken
	for token, err := range models.GenerateTokens(t.Context(), m, [][]int32{start}, o) {
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, token.ID)
		tokens = append(tokens, token)
	}
	s := tensor.CPU().NewScope()
	defer s.Close()
	h := m.Hidden(models.Batch{IDs: tensor.FromSlice(s, text, 1, len(text))}, nil)
	all := tensor.Linear(h, m.Head(), nil).LogSoftmax().Float64s()
	vocab := m.Head().Dim(0)
	for i, token := range tokens {
		row := all[(len(start)+i-1)*vocab : (len(start)+i)*vocab]
		if math.Abs(token.Logprob-row[token.ID]) > 1e-4 {
			t.Errorf("token %d: %g, want %g", i, token.Logprob, row[token.ID])
		}
		if len(token.Top) != 3 || token.Top[0].Logprob != slices.MaxFunc(token.Top, func(a, b models.Likely) int {
			return int(math.Copysign(1, a.Logprob-b.Logprob))
		}).Logprob || math.Abs(token.Top[0].Logprob-slices.Max(row)) > 1e-4 {
			t.Errorf("token %d: the most likely are %v, the model's highest is %g", i, token.Top, slices.Max(row))
		}
	}
	o.Logprobs, o.TopLogprobs = false, 0
	for token := range models.GenerateTokens(t.Context(), m, [][]int32{start}, o) {
		if token.Logprob != 0 || token.Top != nil {
			t.Errorf("%+v has what was not asked for", token)
		}
	}
}

func TestStopStringsEndATextWhereverTheirTokensDo(t *testing.T) {
	tok := byteTokenizer(t)
	const text = "SELECT 1; -- naïve;\n\nnext"
	for _, c := range []struct {
		stops   []string
		want    string
		stopped bool
	}{
		{nil, text, false},
		{[]string{";"}, "SELECT 1", true},
		{[]string{"absent", "; -"}, "SELECT 1", true},
		{[]string{";\n", "\n\n"}, "SELECT 1; -- naïve", true},
		{[]string{"ï"}, "SELECT 1; -- na", true},
		{[]string{"next, please", "xyz"}, text, false}, // what might have begun one comes at the end
		{[]string{"S"}, "", true},
	} {
		m := newParrot(tok, 2, tok.Encode(text))
		o := models.Options{StopStrings: c.stops, MaxTokens: len(text)}
		var streamed strings.Builder
		for token, err := range models.Generate(t.Context(), m, tok, "ab", o) {
			if err != nil {
				t.Fatal(err)
			}
			streamed.WriteString(token.Text)
			if seen := streamed.String(); !strings.HasPrefix(c.want, seen) {
				t.Errorf("stopping at %q: %q was streamed, which is not of the text", c.stops, seen)
			}
		}
		if streamed.String() != c.want {
			t.Errorf("stopping at %q: %q, want %q", c.stops, streamed.String(), c.want)
		}
		texts, err := models.GenerateTexts(t.Context(), m, tok, []string{"ab"}, o)
		if err != nil || len(texts) != 1 || texts[0].Text != c.want || texts[0].Stopped != c.stopped {
			t.Errorf("stopping at %q: %+v, want %q, stopped %t (%v)", c.stops, texts, c.want, c.stopped, err)
		}
	}
}

func TestTextsOfManyPromptsAreThoseOfEach(t *testing.T) {
	m, tok := newTiny(t, true, "float32"), byteTokenizer(t)
	prompts := []string{"a", "a longer prompt", "??"}
	o := models.Options{MaxTokens: 12, Temperature: 1, Samples: 2, Seed: 3, Stop: []int32{7}}
	texts, err := models.GenerateTexts(t.Context(), m, tok, prompts, o)
	if err != nil {
		t.Fatal(err)
	}
	var ids [][]int32
	for _, p := range prompts {
		ids = append(ids, tok.EncodePrompt(p))
	}
	want, err := models.GenerateAll(t.Context(), m, ids, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(texts) != len(want) {
		t.Fatalf("%d texts, want %d", len(texts), len(want))
	}
	for i, x := range texts {
		var got []int32
		for _, token := range x.Tokens {
			got = append(got, token.ID)
		}
		if x.Prompt != i/2 || !slices.Equal(got, want[i]) || x.Text != tok.DecodeSkipSpecial(want[i]) || x.Stopped != (len(got) < 12) {
			t.Errorf("text %d is %+v, want the tokens %v", i, x, want[i])
		}
	}
}

func TestOptionsOutOfRangeAreErrorsThatNameThem(t *testing.T) {
	m, tok := newTiny(t, true, "float32"), byteTokenizer(t)
	for want, o := range map[string]models.Options{
		"MaxTokens is -1":         {MaxTokens: -1},
		"Samples is -2":           {Samples: -2},
		"Temperature is NaN":      {Temperature: math.NaN()},
		"TopK is -1":              {TopK: -1},
		"TopLogprobs -3":          {TopLogprobs: -3},
		"TopP is 1.5":             {TopP: 1.5},
		"MinP -0.1":               {MinP: -0.1},
		"RepetitionPenalty is -1": {RepetitionPenalty: -1},
		"StopStrings need":        {StopStrings: []string{"x"}},
	} {
		_, err := models.GenerateAll(t.Context(), m, somePrompts, o)
		wantError(t, err, want)
	}
	for _, err := range models.Generate(t.Context(), m, tok, "a", models.Options{Samples: 2}) {
		wantError(t, err, "use GenerateTexts for several Samples")
	}
	_, err := models.GenerateTexts(t.Context(), m, tok, []string{"a"}, models.Options{StopStrings: []string{""}})
	wantError(t, err, "one of StopStrings is empty")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := models.GenerateTexts(ctx, m, tok, []string{"a"}, models.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
