package models

import (
	"cmp"
	"encoding/json"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
)

// allowed is the plain definition: the probability of each token that may be drawn.
func allowed(logits []float32, o Options) map[int32]float64 {
	ids := make([]int32, len(logits))
	for i := range ids {
		ids[i] = int32(i)
	}
	slices.SortStableFunc(ids, func(a, b int32) int { return cmp.Compare(logits[b], logits[a]) })
	if o.TopK > 0 {
		ids = ids[:min(o.TopK, len(ids))]
	}
	probabilities := func() []float64 {
		p, sum := make([]float64, len(ids)), 0.0
		for i, id := range ids {
			p[i] = math.Exp(float64(logits[id]) / o.Temperature)
			sum += p[i]
		}
		for i := range p {
			p[i] /= sum
		}
		return p
	}
	if o.TopP > 0 {
		reached, n := 0.0, 0
		for _, p := range probabilities() {
			if reached >= o.TopP {
				break
			}
			reached += p
			n++
		}
		ids = ids[:n]
	}
	if p := probabilities(); o.MinP > 0 {
		n := 0
		for n < len(p) && p[n] >= o.MinP*p[0] {
			n++
		}
		ids = ids[:n]
	}
	out := map[int32]float64{}
	for i, p := range probabilities() {
		out[ids[i]] = p
	}
	return out
}

func TestSamplingHasTheDistributionOfItsDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	logits := make([]float32, 40)
	for i := range logits {
		logits[i] = float32(r.NormFloat64() * 2)
	}
	logits[7], logits[30] = logits[3], logits[3] // equals
	logits[9] = float32(math.Inf(-1))            // masked
	const draws = 40_000
	for _, o := range []Options{
		{Temperature: 1}, {Temperature: 0.5}, {Temperature: 3}, {Temperature: 1e-300}, {Temperature: math.Inf(1), TopK: 5},
		{Temperature: 1, TopK: 1}, {Temperature: 1, TopK: 7}, {Temperature: 1, TopK: 39}, {Temperature: 1, TopK: 1000},
		{Temperature: 1, TopP: 1e-9}, {Temperature: 1, TopP: 0.5}, {Temperature: 1, TopP: 0.9}, {Temperature: 2, TopP: 0.99}, {Temperature: 1, TopP: 1},
		{Temperature: 0.7, TopK: 10, TopP: 0.8}, {Temperature: 2, TopK: 3, TopP: 0.99},
		{Temperature: 1, MinP: 0.2}, {Temperature: 2, MinP: 1}, {Temperature: 1.5, TopK: 20, TopP: 0.9, MinP: 0.1},
	} {
		want := allowed(logits, o)
		if math.IsInf(o.Temperature, 0) || o.Temperature < 1e-9 { // where the definition overflows
			want = nil
		}
		s := newSampler(o, 0, nil)
		counts := map[int32]int{}
		for range draws {
			id, err := s.choose(logits)
			if err != nil {
				t.Fatal(err)
			}
			counts[id]++
		}
		if counts[9] > 0 {
			t.Errorf("%+v: a masked token was drawn", o)
		}
		for id, n := range counts {
			p := want[id]
			if want == nil {
				p = 1 / float64(len(counts)) // one token, or five that are equally likely
			}
			// five standard deviations
			if got := float64(n) / draws; math.Abs(got-p) > 5*math.Sqrt(p*(1-p)/draws) {
				t.Errorf("%+v: token %d has frequency %g, probability %g", o, id, got, p)
			}
		}
		for id, p := range want {
			if p*draws > 30 && counts[id] == 0 {
				t.Errorf("%+v: token %d of probability %g never came", o, id, p)
			}
		}
		if want == nil && len(counts) != max(1, o.TopK) {
			t.Errorf("%+v: %d tokens", o, len(counts))
		}
	}
}

func TestTopKAndTopPKeepExactlyTheTokensOfTheirDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for trial := range 300 {
		logits := make([]float32, 1+r.IntN(60))
		for i := range logits {
			logits[i] = float32(r.IntN(12)) / 2 // with many equals
		}
		o := Options{Temperature: 0.3 + 3*r.Float64(), TopK: r.IntN(8), TopP: r.Float64()}
		s := newSampler(o, trial, nil)
		if _, err := s.choose(logits); err != nil {
			t.Fatal(err)
		}
		var got []int32
		for _, c := range s.pool {
			got = append(got, c.id)
		}
		slices.Sort(got)
		if want := slices.Sorted(maps.Keys(allowed(logits, o))); !slices.Equal(got, want) {
			t.Fatalf("%+v of %v keeps %v, want %v", o, logits, got, want)
		}
	}
}

// The goldens are scripts/goldens/sampling.py's.
func TestWhatMayBeDrawnIsWhatTransformersLeaves(t *testing.T) {
	raw, err := os.ReadFile("testdata/sampling.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Logits  []float32
		Text    []int32
		Options struct {
			Temperature       float64
			TopK              int     `json:"top_k"`
			TopP              float64 `json:"top_p"`
			MinP              float64 `json:"min_p"`
			RepetitionPenalty float64 `json:"repetition_penalty"`
		}
		Probabilities map[int32]float64
		Logprobs      []float64
	}
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		o := Options{Temperature: c.Options.Temperature, TopK: c.Options.TopK, TopP: c.Options.TopP, MinP: c.Options.MinP,
			RepetitionPenalty: c.Options.RepetitionPenalty, Logprobs: true, TopLogprobs: 4}
		s := newSampler(o, 0, c.Text)
		before := slices.Clone(c.Logits)
		token, err := s.next(c.Logits)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(c.Logits, before) {
			t.Errorf("%+v: the logits were changed", o)
		}
		sum := 0.0
		for _, x := range s.pool {
			sum += x.weight
		}
		for _, x := range s.pool {
			if want, ok := c.Probabilities[x.id]; !ok || math.Abs(x.weight/sum-want) > 1e-5 {
				t.Errorf("%+v: token %d has the probability %g, want %g", o, x.id, x.weight/sum, want)
			}
		}
		if len(s.pool) != len(c.Probabilities) {
			t.Errorf("%+v: %d tokens may be drawn, want %d", o, len(s.pool), len(c.Probabilities))
		}
		if math.Abs(token.Logprob-c.Logprobs[token.ID]) > 1e-5 {
			t.Errorf("%+v: token %d has the log probability %g, want %g", o, token.ID, token.Logprob, c.Logprobs[token.ID])
		}
		ranked := slices.Sorted(slices.Values(c.Logprobs))
		slices.Reverse(ranked)
		for i, l := range token.Top {
			if math.Abs(l.Logprob-ranked[i]) > 1e-5 || math.Abs(l.Logprob-c.Logprobs[l.ID]) > 1e-5 {
				t.Errorf("%+v: place %d is of token %d with %g, want %g", o, i, l.ID, l.Logprob, ranked[i])
			}
		}
		if len(token.Top) != 4 {
			t.Errorf("%+v: %d likely tokens, want 4", o, len(token.Top))
		}
	}
}

func TestThePenaltyCountsTokensThatWereGenerated(t *testing.T) {
	s := newSampler(Options{RepetitionPenalty: 2}, 0, []int32{0})
	logits := []float32{9, 5, 4, -1}
	for i, want := range []int32{1, 0, 0} { // 9/2, then 5/2: behind 1 the penalized 9 is above 4
		token, err := s.next(logits)
		if err != nil || token.ID != want {
			t.Errorf("step %d: token %d, want %d (%v)", i, token.ID, want, err)
		}
	}
}

func TestGreedyTakesTheFirstOfTheMostLikely(t *testing.T) {
	for _, c := range []struct {
		logits []float32
		want   int32
	}{
		{[]float32{1, 3, 3, 2}, 1}, {[]float32{-2}, 0}, {[]float32{float32(math.Inf(-1)), -5}, 1},
	} {
		if got, err := newSampler(Options{}, 0, nil).choose(c.logits); got != c.want || err != nil {
			t.Errorf("of %v: %d, want %d (%v)", c.logits, got, c.want, err)
		}
	}
}

func TestLogitsThatGiveNoDistributionAreErrors(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, logits := range [][]float32{
		{1, float32(math.NaN()), 2}, {float32(math.NaN())}, {1, inf}, {-inf, -inf},
	} {
		for _, o := range []Options{{}, {Temperature: 1}, {Temperature: 1, TopK: 1, TopP: 0.5}} {
			if id, err := newSampler(o, 0, nil).choose(logits); err == nil {
				t.Errorf("%+v of %v: token %d", o, logits, id)
			}
		}
	}
}

// BenchmarkSample draws from the vocabulary of Qwen3.
func BenchmarkSample(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	logits := make([]float32, 151936)
	for i := range logits {
		logits[i] = float32(r.NormFloat64() * 3)
	}
	for name, o := range map[string]Options{
		"greedy": {}, "temperature": {Temperature: 0.7}, "top-p": {Temperature: 0.7, TopP: 0.95}, "top-k": {Temperature: 0.7, TopK: 20, TopP: 0.95},
	} {
		b.Run(name, func(b *testing.B) {
			s := newSampler(o, 0, nil)
			for b.Loop() {
				if _, err := s.choose(logits); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
