package models

import (
	"context"
	"errors"
	"iter"

	"github.com/hone-ml/hone/tokenizer"
)

// Token is one generated token.
type Token struct {
	ID   int32  // −1 for the rest of the text, when that ends within a character or with what might have been a stop string
	Text string // what it adds to the text: whole characters only, possibly none

	Logprob float64  // with Options.Logprobs
	Top     []Likely // with Options.TopLogprobs, the most likely first
}

// Likely is a token and its log probability.
type Likely struct {
	ID      int32
	Logprob float64
}

// Generate continues prompt and yields each token as soon as it is there. Added tokens in the prompt
// become their ids, so that a rendered chat can be given; the token that begins every text of some models is put
// before it where it is missing, see tokenizer.EncodePrompt. It ends at a stop token or string, at o.MaxTokens,
// at the model's longest sequence, or when ctx is done, with ctx's error. o.Samples is 0 or 1.
func Generate(ctx context.Context, m CausalLM, t *tokenizer.Tokenizer, prompt string, o Options) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		if o.Samples > 1 {
			yield(Token{}, errors.New("models: Generate streams one text: use GenerateTexts for several Samples"))
			return
		}
		stopped := false
		text := newTextStream(t, o.StopStrings)
		g := func(b BatchToken) verdict {
			token := Token{ID: b.ID, Logprob: b.Logprob, Top: b.Top}
			if token.Text, stopped = text.next(b.ID); !yield(token, nil) {
				return quit
			}
			if stopped {
				return endSequence
			}
			return goOn
		}
		switch err := generate(ctx, m, [][]int32{t.EncodePrompt(prompt)}, o, g); err {
		case nil:
			if rest := text.flush(); rest != "" {
				yield(Token{ID: -1, Text: rest}, nil)
			}
		case errQuit:
		default:
			yield(Token{}, err)
		}
	}
}

// Text is a generated continuation.
type Text struct {
	Prompt  int // which it continues
	Text    string
	Tokens  []BatchToken // of it; that of a stop string is the last
	Stopped bool         // by a stop token or string, not by MaxTokens or the longest sequence
}

// GenerateTexts continues every prompt, as Generate does, all together. Texts come in the order of the prompts, o.Samples of
// each. With an error come the texts as far as they got.
func GenerateTexts(ctx context.Context, m CausalLM, t *tokenizer.Tokenizer, prompts []string, o Options) ([]Text, error) {
	samples := max(o.Samples, 1)
	ids := make([][]int32, len(prompts))
	for i, p := range prompts {
		ids[i] = t.EncodePrompt(p)
	}
	texts, streams := make([]Text, len(prompts)*samples), make([]*textStream, len(prompts)*samples)
	for i := range texts {
		texts[i].Prompt, streams[i] = i/samples, newTextStream(t, o.StopStrings)
	}
	ended := func(sequence int) { texts[sequence].Stopped = true }
	err := generateUntil(ctx, m, ids, o, func(b BatchToken) verdict {
		x := &texts[b.Sequence]
		more, stopped := streams[b.Sequence].next(b.ID)
		x.Text += more
		x.Tokens = append(x.Tokens, b)
		if stopped {
			x.Stopped = true
			return endSequence
		}
		return goOn
	}, ended)
	for i := range texts {
		texts[i].Text += streams[i].flush()
	}
	return texts, err
}

// BatchToken is one token of one sequence of a batch.
type BatchToken struct {
	Sequence int // which continuation: of prompt i, those from i·Samples to (i+1)·Samples−1
	ID       int32

	Logprob float64  // with Options.Logprobs
	Top     []Likely // with Options.TopLogprobs, the most likely first
}

// GenerateAll continues every prompt and returns the new tokens of each sequence, Samples of them a prompt.
func GenerateAll(ctx context.Context, m CausalLM, prompts [][]int32, o Options) ([][]int32, error) {
	out := make([][]int32, len(prompts)*max(o.Samples, 1))
	for token, err := range GenerateTokens(ctx, m, prompts, o) {
		if err != nil {
			return out, err
		}
		out[token.Sequence] = append(out[token.Sequence], token.ID)
	}
	return out, nil
}

// GenerateTokens continues all prompts together, a step at a time, and yields the tokens of each step in
// the order of the sequences. What several prompts begin with goes through the model once (of a model with a cache). A
// sequence's tokens do not depend on the others, nor on their number, but for the rounding of sums.
func GenerateTokens(ctx context.Context, m CausalLM, prompts [][]int32, o Options) iter.Seq2[BatchToken, error] {
	return func(yield func(BatchToken, error) bool) {
		if len(o.StopStrings) > 0 {
			yield(BatchToken{}, errors.New("models: StopStrings need the text: use Generate or GenerateTexts"))
			return
		}
		err := generate(ctx, m, prompts, o, func(b BatchToken) verdict {
			if yield(b, nil) {
				return goOn
			}
			return quit
		})
		if err != nil && err != errQuit {
			yield(BatchToken{}, err)
		}
	}
}
