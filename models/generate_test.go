package models_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/models/qwen"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tokenizer"
)

// plain hides all that a model can do beyond the interface.
type plain struct{ models.CausalLM }

// prompt is n tokens.
func prompt(seed, n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32((seed*31 + i*i*7 + i*13) % 300)
	}
	return ids
}

// generated is what GenerateAll gives, which must not fail.
func generated(t *testing.T, m models.CausalLM, prompts [][]int32, o models.Options) [][]int32 {
	t.Helper()
	if o.Stop == nil {
		o.Stop = []int32{}
	}
	out, err := models.GenerateAll(t.Context(), m, prompts, o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func equal(a, b [][]int32) bool { return slices.EqualFunc(a, b, slices.Equal) }

var somePrompts = [][]int32{prompt(1, 5), prompt(2, 1), prompt(3, 17), prompt(4, 9)}

func TestSamplingFollowsTheSeed(t *testing.T) {
	m := newTiny(t, true, "float32")
	o := models.Options{MaxTokens: 12, Temperature: 1, TopK: 50, TopP: 0.95, Seed: 1}
	first := generated(t, m, somePrompts, o)
	if !equal(first, generated(t, m, somePrompts, o)) {
		t.Error("the same seed gives other tokens")
	}
	o.Seed = 2
	if equal(first, generated(t, m, somePrompts, o)) {
		t.Error("another seed gives the same tokens")
	}
	same := [][]int32{prompt(1, 5), prompt(1, 5)}
	if out := generated(t, m, same, o); slices.Equal(out[0], out[1]) {
		t.Error("the same prompt twice in a batch is sampled alike")
	}
}

func TestASequenceDoesNotDependOnItsNeighbours(t *testing.T) {
	m := newTiny(t, true, "float32")
	for _, o := range []models.Options{{MaxTokens: 10}, {MaxTokens: 10, Temperature: 1.3, TopP: 0.9, Seed: 5}} {
		whole := generated(t, m, somePrompts, o)
		for n := 1; n < len(somePrompts); n++ {
			if part := generated(t, m, somePrompts[:n], o); !equal(part, whole[:n]) {
				t.Errorf("temperature %g: the first %d prompts alone give %v, among others %v", o.Temperature, n, part, whole[:n])
			}
		}
		others := slices.Clone(somePrompts)
		others[0], others[3] = prompt(8, 30), prompt(9, 2)
		if got := generated(t, m, others, o); !equal(got[1:3], whole[1:3]) {
			t.Errorf("temperature %g: beside other prompts %v, want %v", o.Temperature, got[1:3], whole[1:3])
		}
	}
}

func TestRecomputingWithoutACacheGivesTheSameTokens(t *testing.T) {
	for _, dtype := range []string{"float32", "bfloat16"} {
		m := newTiny(t, false, dtype)
		for _, o := range []models.Options{{MaxTokens: 8}, {MaxTokens: 8, Temperature: 0.8, Seed: 3}} {
			want := generated(t, m, somePrompts, o)
			if got := generated(t, plain{m}, somePrompts, o); !equal(got, want) {
				t.Errorf("%s, temperature %g: %v, with a cache %v", dtype, o.Temperature, got, want)
			}
		}
	}
}

func TestPromptsInSeveralGroupsGiveTheSameAsInOne(t *testing.T) {
	c := tiny(true, "float32")
	c.NumHiddenLayers, c.MaxPositionEmbeddings = 1, 4096
	m, err := qwen.New(c, tensor.CPU())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Parameters() {
		p.FillRandn(tensor.NewRand(uint64(p.Len())), 0, 0.4)
	}
	var prompts [][]int32 // 9,100 tokens: three groups; one prompt fills a group alone
	for i, n := range []int{1500, 1500, 4090, 1000, 1000, 10} {
		prompts = append(prompts, prompt(i, n))
	}
	o := models.Options{MaxTokens: 3}
	got := generated(t, m, prompts, o)
	for i := range prompts {
		if want := generated(t, m, prompts[i:i+1], o); !slices.Equal(got[i], want[0]) {
			t.Errorf("prompt %d: %v, alone %v", i, got[i], want[0])
		}
	}
}

func TestStopTokensEndASequenceAndAreNotPartOfIt(t *testing.T) {
	m := newTiny(t, true, "float32")
	free := generated(t, m, somePrompts, models.Options{MaxTokens: 12})
	const at = 4
	stop := free[0][at]
	want := slices.Clone(free)
	for i, ids := range free {
		if end := slices.Index(ids, stop); end >= 0 {
			want[i] = ids[:end]
		}
	}
	got := generated(t, m, somePrompts, models.Options{MaxTokens: 12, Stop: []int32{stop, 299}})
	if !equal(got, want) || len(got[0]) > at {
		t.Errorf("stopping at %d: %v, want %v", stop, got, want)
	}
	// the model's own, if none are given
	m.SetGenerationConfig(models.GenerationConfig{EOSTokenID: []int32{stop}})
	own, err := models.GenerateAll(t.Context(), m, somePrompts, models.Options{MaxTokens: 12})
	if err != nil || !equal(own, want) {
		t.Errorf("the model's own stop token: %v, want %v (%v)", own, want, err)
	}
	if all := generated(t, m, somePrompts, models.Options{MaxTokens: 12, Stop: []int32{}}); !equal(all, free) {
		t.Errorf("no stop tokens: %v, want %v", all, free)
	}
}

func TestGenerationEndsAtTheLimits(t *testing.T) {
	m := newTiny(t, true, "float32") // made for 64 positions
	for _, c := range []struct{ prompt, most, want int }{
		{5, 1, 1}, {5, 7, 7}, {60, 7, 4}, {63, 7, 1}, {64, 7, 0}, {5, 0, 59}, {1, 1 << 40, 63},
	} {
		got := generated(t, m, [][]int32{prompt(1, c.prompt)}, models.Options{MaxTokens: c.most})
		if len(got[0]) != c.want {
			t.Errorf("a prompt of %d and at most %d tokens: %d, want %d", c.prompt, c.most, len(got[0]), c.want)
		}
	}
	_, err := models.GenerateAll(t.Context(), m, [][]int32{{1}, prompt(1, 65)}, models.Options{})
	wantError(t, err, "prompt 1 has 65 tokens", "made for 64")
	if out := generated(t, m, nil, models.Options{}); len(out) != 0 {
		t.Errorf("of no prompts: %v", out)
	}
}

func TestAModelWithoutLimitReservesNothingForTokensNotYetThere(t *testing.T) {
	m := newTiny(t, true, "float32")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, err := range models.GenerateTokens(t.Context(), plain{m}, [][]int32{{3}}, models.Options{MaxTokens: 1 << 40}) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes for one token", n)
	}
}

func TestWrongPromptsAndOptionsAreErrors(t *testing.T) {
	m := newTiny(t, true, "float32")
	for want, prompts := range map[string][][]int32{
		"prompt 1 is empty": {{1}, {}},
		"token 2 of prompt 0 is 300, the vocabulary has 300":    {{1, 2, 300}},
		"token 0 of prompt 1 is -1":                             {{1}, {-1}},
		"token 0 of prompt 0 is 2147483647, the vocabulary has": {{math.MaxInt32}},
	} {
		_, err := models.GenerateAll(t.Context(), m, prompts, models.Options{})
		wantError(t, err, want)
	}
	for _, o := range []models.Options{
		{MaxTokens: -1}, {Temperature: -0.1}, {Temperature: math.NaN()}, {TopK: -1}, {TopP: -0.1}, {TopP: 1.1}, {TopP: math.NaN()},
	} {
		_, err := models.GenerateAll(t.Context(), m, [][]int32{{1}}, o)
		wantError(t, err, "want ")
	}
}

func TestParametersThatAreNotNumbersAreAnError(t *testing.T) {
	m := newTiny(t, true, "float32")
	m.Norm.Weight.Fill(math.NaN())
	for _, temperature := range []float64{0, 1} {
		_, err := models.GenerateAll(t.Context(), m, [][]int32{{1, 2}}, models.Options{Temperature: temperature})
		wantError(t, err, "sequence 0", "NaN")
	}
}

// settledMemory is the bytes of long-lived tensors when those of earlier tests have been collected.
func settledMemory() int {
	for last := -1; ; {
		runtime.GC()
		time.Sleep(time.Millisecond) // cleanups run on a goroutine of their own
		n := tensor.CPU().Memory().Long
		if n == last {
			return n
		}
		last = n
	}
}

func TestCancellingEndsGenerationWithTheContextsError(t *testing.T) {
	m := newTiny(t, true, "float32")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	before := settledMemory()
	n := 0
	var last error
	for _, err := range models.GenerateTokens(ctx, m, somePrompts, models.Options{MaxTokens: 40, Stop: []int32{}}) {
		if last = err; err != nil {
			break
		}
		if n++; n == 6 { // in the midst of the second step
			cancel()
		}
	}
	if !errors.Is(last, context.Canceled) || n != 8 {
		t.Errorf("after %d tokens: %v", n, last)
	}
	if after := tensor.CPU().Memory().Long; after != before {
		t.Errorf("%d bytes of long-lived memory, before %d", after, before)
	}
	out, err := models.GenerateAll(ctx, m, somePrompts, models.Options{})
	if !errors.Is(err, context.Canceled) || len(out[0]) != 0 {
		t.Errorf("a context that is over: %v, %v", out, err)
	}
	runtime.KeepAlive(m)
}

func TestAConsumerThatLeavesTheLoopFreesTheCache(t *testing.T) {
	m := newTiny(t, true, "float32")
	before := settledMemory()
	during := 0
	for range models.GenerateTokens(t.Context(), m, somePrompts, models.Options{MaxTokens: 40, Stop: []int32{}}) {
		during = tensor.CPU().Memory().Long
		break
	}
	if during <= before {
		t.Errorf("no cache: %d bytes while generating, %d before", during, before)
	}
	if after := tensor.CPU().Memory().Long; after != before {
		t.Errorf("%d bytes of long-lived memory, before %d", after, before)
	}
	func() {
		defer func() { _ = recover() }()
		for range models.GenerateTokens(t.Context(), m, somePrompts, models.Options{Stop: []int32{}}) {
			panic("the consumer's own")
		}
	}()
	if after := tensor.CPU().Memory().Long; after != before {
		t.Errorf("after a panic %d bytes of long-lived memory, before %d", after, before)
	}
	runtime.KeepAlive(m)
}

func TestACacheThatDoesNotFitIsAnErrorAndLeavesNothing(t *testing.T) {
	c := tiny(true, "float32")
	c.MaxPositionEmbeddings = 1 << 24
	m, err := qwen.New(c, tensor.CPU())
	if err != nil {
		t.Fatal(err)
	}
	m.Init(tensor.NewRand(1))
	dev := tensor.CPU()
	before := settledMemory()
	defer dev.SetMemoryLimit(dev.Memory().Limit)
	dev.SetMemoryLimit(before + 3<<29) // 1.5 GiB; the cache wants four tensors of 1 GiB
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err = models.GenerateAll(ctx, m, [][]int32{{1}}, models.Options{MaxTokens: 1 << 24})
	wantError(t, err, "out of memory on cpu")
	if _, ok := errors.AsType[*tensor.OOMError](err); !ok {
		t.Errorf("%T is no *tensor.OOMError", err)
	}
	if after := dev.Memory().Long; after != before {
		t.Errorf("%d bytes of long-lived memory, before %d", after, before)
	}
	runtime.KeepAlive(m)
}

// byteTokenizer knows the 256 bytes and one control token, so that a model's tokens cut characters anywhere.
func byteTokenizer(t testing.TB) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.Train(func(func(string) bool) {}, tokenizer.TrainOptions{
		VocabSize: 257, AddedTokens: tokenizer.ControlTokens("<|end|>"), EOS: "<|end|>",
	})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// parrot says the bytes of text, whatever the prompt of so many tokens was.
type parrot struct {
	embed  *tensor.Tensor
	script []int32
	prompt int
}

func (p *parrot) Head() *tensor.Tensor { return p.embed }

func (p *parrot) Parameters() iter.Seq2[string, *tensor.Tensor] {
	return func(yield func(string, *tensor.Tensor) bool) { yield("embed", p.embed) }
}

func (p *parrot) Hidden(b models.Batch, _ *models.Cache) *tensor.Tensor {
	next := make([]int32, b.IDs.Len())
	next[len(next)-1] = p.script[len(next)-p.prompt]
	return tensor.Embedding(p.embed, tensor.FromSlice(b.IDs.Scope(), next, b.IDs.Shape()...))
}

func newParrot(tok *tokenizer.Tokenizer, prompt int, ids []int32) *parrot {
	v := tok.VocabSize()
	p := &parrot{embed: tensor.Zeros(tensor.CPU(), tensor.F32, v, v), script: ids, prompt: prompt}
	for i := range v {
		p.embed.Index(i).Slice(0, i, i+1).Fill(1)
	}
	return p
}

func TestStreamedTextHoldsNoHalfCharacters(t *testing.T) {
	tok := byteTokenizer(t)
	const text = "naïve 日本語 👩‍🚀 x"
	ids := tok.Encode(text)
	if len(ids) != len(text) {
		t.Fatalf("%d tokens for %d bytes", len(ids), len(text))
	}
	end, _ := tok.EOS()
	for cut := range len(ids) + 1 { // the text may end within a character, too
		m := newParrot(tok, 2, append(slices.Clone(ids[:cut]), end))
		var got strings.Builder
		pieces, rest := 0, false
		for token, err := range models.Generate(t.Context(), m, tok, "ab", models.Options{Stop: []int32{end}}) {
			if err != nil {
				t.Fatal(err)
			}
			if !utf8.ValidString(token.Text) {
				t.Fatalf("piece %q is not UTF-8", token.Text)
			}
			if token.ID < 0 {
				rest = true
			} else if strings.Contains(token.Text, "\uFFFD") {
				t.Errorf("piece %q holds half a character", token.Text)
			}
			pieces++
			got.WriteString(token.Text)
		}
		if want := tok.Decode(ids[:cut]); got.String() != want {
			t.Errorf("streamed %q, want %q", got.String(), want)
		}
		if half := !utf8.ValidString(text[:cut]); rest != half || (pieces != cut) != half {
			t.Errorf("%d tokens gave %d pieces, a rest: %v", cut, pieces, rest)
		}
	}
}

func TestGenerateLeavesSpecialTokensOutOfTheText(t *testing.T) {
	tok := byteTokenizer(t)
	end, _ := tok.EOS()
	m := newParrot(tok, 1, slices.Concat(tok.Encode("one"), []int32{end}, tok.Encode("two"), []int32{end, end}))
	var text strings.Builder
	n := 0
	for token, err := range models.Generate(t.Context(), m, tok, "?", models.Options{Stop: []int32{}, MaxTokens: 8}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		text.WriteString(token.Text)
	}
	if text.String() != "onetwo" || n != 8 {
		t.Errorf("%d tokens with the text %q", n, text.String())
	}
}

func TestGenerateReportsErrorsAndAnEmptyPrompt(t *testing.T) {
	tok := byteTokenizer(t)
	m := newParrot(tok, 1, tok.Encode("text"))
	for _, err := range models.Generate(t.Context(), m, tok, "", models.Options{}) {
		wantError(t, err, "prompt 0 is empty")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for token, err := range models.Generate(ctx, m, tok, "?", models.Options{}) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%+v, %v", token, err)
		}
	}
	n := 0
	for range models.Generate(t.Context(), m, tok, "?", models.Options{}) {
		n++
		break
	}
	if n != 1 {
		t.Errorf("%d tokens", n)
	}
}

func TestABatchThatDoesNotFitTheSelectedSequencesPanics(t *testing.T) {
	m := newTiny(t, true, "float32")
	c := m.NewCache(3, 8)
	defer c.Free()
	c.Select([]int{0, 2})
	s := tensor.CPU().NewScope()
	defer s.Close()
	defer func() {
		if p := fmt.Sprint(recover()); p != "models: a batch of 1 sequences for a cache of 2 selected ones" {
			t.Errorf("panic %v", p)
		}
	}()
	m.Hidden(models.Batch{IDs: tensor.FromSlice(s, []int32{1, 2}, 1, 2)}, c)
}

func TestTheCacheCountsTheTokensOfEachSequence(t *testing.T) {
	m := newTiny(t, true, "float32")
	c := m.NewCache(3, 8)
	defer c.Free()
	s := tensor.CPU().NewScope()
	defer s.Close()
	c.Select([]int{2, 0})
	m.Hidden(models.Batch{IDs: tensor.FromSlice(s, []int32{1, 2, 3, 4, 5}, 1, 5), SeqStarts: []int32{0, 4}}, c)
	c.Select([]int{0})
	m.Hidden(models.Batch{IDs: tensor.FromSlice(s, []int32{6, 7}, 1, 2)}, c)
	if got := []int{c.Len(0), c.Len(1), c.Len(2)}; !slices.Equal(got, []int{3, 0, 4}) {
		t.Errorf("lengths %v", got)
	}
	defer func() {
		if p := fmt.Sprint(recover()); p != "models: sequence 2 has 9 tokens, the cache holds 8" {
			t.Errorf("panic %v", p)
		}
	}()
	c.Select([]int{2})
	m.Hidden(models.Batch{IDs: tensor.FromSlice(s, []int32{1, 2, 3, 4, 5}, 1, 5)}, c)
}
