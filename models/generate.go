package models

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tokenizer"
)

// Options say how tokens are chosen and when to stop.
type Options struct {
	// MaxTokens is the most new tokens of a sequence; 0 stands for 256.
	MaxTokens int
	// Temperature divides the logits before sampling; 0 takes the most likely token (greedy).
	Temperature float64
	// TopK keeps the K most likely tokens, TopP the smallest set whose probability reaches P (Holtzman et
	// al., 2020). 0 keeps all. They apply in this order.
	TopK int
	TopP float64
	// Seed is the random stream of sampling: the same seed and prompts give the same texts.
	Seed uint64
	// Stop are the tokens that end a sequence; they are not part of it. Nil stands for the model's own.
	Stop []int32
}

func (o Options) normal(m CausalLM) (Options, error) {
	if o.MaxTokens == 0 {
		o.MaxTokens = 256
	}
	if o.MaxTokens < 0 || !(o.Temperature >= 0) || o.TopK < 0 || !(o.TopP >= 0 && o.TopP <= 1) {
		return o, fmt.Errorf("models: generation options out of range: %+v", o)
	}
	if s, ok := m.(Stopper); ok && o.Stop == nil {
		o.Stop = s.StopTokens()
	}
	return o, nil
}

// Token is one generated token.
type Token struct {
	ID   int32  // −1 for the rest of the text, when that ends within a character
	Text string // what it adds to the text: whole characters only, possibly none
}

// Generate continues prompt and yields each token as soon as it is there. Added tokens in the prompt
// become their ids, so that a rendered chat can be given; the token that begins every text of some models is put
// before it where it is missing, see tokenizer.EncodePrompt. It ends at a stop token, at o.MaxTokens, at the
// model's longest sequence, or when ctx is done, with ctx's error.
func Generate(ctx context.Context, m CausalLM, t *tokenizer.Tokenizer, prompt string, o Options) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		stream := t.NewStream(true)
		for token, err := range GenerateTokens(ctx, m, [][]int32{t.EncodePrompt(prompt)}, o) {
			if err != nil {
				yield(Token{}, err)
				return
			}
			if !yield(Token{ID: token.ID, Text: stream.Next(token.ID)}, nil) {
				return
			}
		}
		if rest := stream.Flush(); rest != "" {
			yield(Token{ID: -1, Text: rest}, nil)
		}
	}
}

// BatchToken is one token of one sequence of a batch.
type BatchToken struct {
	Sequence int // which prompt it continues
	ID       int32
}

// GenerateAll continues every prompt and returns the new tokens of each.
func GenerateAll(ctx context.Context, m CausalLM, prompts [][]int32, o Options) ([][]int32, error) {
	out := make([][]int32, len(prompts))
	for token, err := range GenerateTokens(ctx, m, prompts, o) {
		if err != nil {
			return out, err
		}
		out[token.Sequence] = append(out[token.Sequence], token.ID)
	}
	return out, nil
}

// GenerateTokens continues all prompts together, a step at a time, and yields the tokens of each step in
// the order of the prompts. A sequence's tokens do not depend on the others, nor on their number, but for
// the rounding of sums.
func GenerateTokens(ctx context.Context, m CausalLM, prompts [][]int32, o Options) iter.Seq2[BatchToken, error] {
	return func(yield func(BatchToken, error) bool) {
		if err := generate(ctx, m, prompts, o, yield); err != nil && err != errStopped {
			yield(BatchToken{}, err)
		}
	}
}

// errStopped says that the consumer's loop ended.
var errStopped = errors.New("stopped")

func generate(ctx context.Context, m CausalLM, prompts [][]int32, o Options, yield func(BatchToken, error) bool) error {
	o, err := o.normal(m)
	if err != nil {
		return err
	}
	g := generator{model: m, options: o, head: m.Head(), scope: m.Head().Device().NewScope()}
	defer g.scope.Close()
	defer g.free()
	err = g.start(prompts)
	for err == nil && len(g.active) > 0 {
		err = g.step(ctx, yield)
	}
	return err
}

// generator is the state of GenerateTokens.
type generator struct {
	model   CausalLM
	options Options
	head    *tensor.Tensor
	scope   *tensor.Scope
	cache   *Cache
	texts   [][]int32 // prompts and what was generated
	budget  []int     // new tokens that each may still get
	samples []*sampler
	active  []int
	fresh   bool // the prompts have not been through the model yet
}

// What goes through the model at once is at most prefill tokens of prompts and maxLogits logits, 64 MiB,
// but at least one sequence.
const (
	prefill   = 4096
	maxLogits = 1 << 24
)

func (g *generator) start(prompts [][]int32) error {
	longest, limit := 0, 1<<31-1
	if c, ok := g.model.(ContextLimited); ok {
		limit = c.MaxPositions()
	}
	vocab := int32(g.head.Dim(0))
	for i, p := range prompts {
		if len(p) == 0 {
			return fmt.Errorf("models: prompt %d is empty", i)
		}
		if len(p) > limit {
			return fmt.Errorf("models: prompt %d has %d tokens, the model was made for %d", i, len(p), limit)
		}
		for j, id := range p {
			if id < 0 || id >= vocab {
				return fmt.Errorf("models: token %d of prompt %d is %d, the vocabulary has %d: is this the model's own tokenizer?", j, i, id, vocab)
			}
		}
		g.texts = append(g.texts, slices.Clone(p))
		g.budget = append(g.budget, min(g.options.MaxTokens, limit-len(p)))
		longest = max(longest, len(p)+g.budget[i])
		g.samples = append(g.samples, newSampler(g.options, i))
		if g.budget[i] > 0 {
			g.active = append(g.active, i)
		}
	}
	g.fresh = true
	if c, ok := g.model.(CacheMaker); ok && len(prompts) > 0 {
		return tensor.Try(func() { g.cache = c.NewCache(len(prompts), longest) })
	}
	return nil
}

func (g *generator) free() {
	if g.cache != nil {
		g.cache.Free()
	}
}

// step gives every active sequence one token.
func (g *generator) step(ctx context.Context, yield func(BatchToken, error) bool) error {
	still := make([]int, 0, len(g.active))
	for lo := 0; lo < len(g.active); {
		if err := ctx.Err(); err != nil {
			return err
		}
		hi := g.groupEnd(lo)
		group := g.active[lo:hi]
		var logits []float32
		if err := tensor.Try(func() { logits = g.logits(group) }); err != nil {
			return err
		}
		vocab := len(logits) / len(group)
		for i, seq := range group {
			id, err := g.samples[seq].choose(logits[i*vocab : (i+1)*vocab])
			if err != nil {
				return fmt.Errorf("models: after %d tokens of sequence %d: %w", len(g.texts[seq]), seq, err)
			}
			if slices.Contains(g.options.Stop, id) {
				continue
			}
			g.texts[seq] = append(g.texts[seq], id)
			g.budget[seq]--
			if !yield(BatchToken{seq, id}, nil) {
				return errStopped
			}
			if g.budget[seq] > 0 {
				still = append(still, seq)
			}
		}
		lo = hi
	}
	g.active, g.fresh = still, false
	return nil
}

// groupEnd is where the group of active sequences that begins at lo ends.
func (g *generator) groupEnd(lo int) int {
	most := min(len(g.active), lo+max(1, maxLogits/g.head.Dim(0)))
	hi, tokens := lo+1, len(g.pending(g.active[lo]))
	for hi < most && tokens+len(g.pending(g.active[hi])) <= prefill {
		tokens += len(g.pending(g.active[hi]))
		hi++
	}
	return hi
}

// pending are the tokens of a sequence that the model has not seen.
func (g *generator) pending(seq int) []int32 {
	if g.cache == nil || g.fresh {
		return g.texts[seq]
	}
	return g.texts[seq][len(g.texts[seq])-1:]
}

// logits runs the pending tokens of the sequences through the model and returns the rows of logits that
// follow them.
func (g *generator) logits(group []int) []float32 {
	defer g.scope.Reset()
	var ids, starts, last []int32
	for _, seq := range group {
		starts = append(starts, int32(len(ids)))
		ids = append(ids, g.pending(seq)...)
		last = append(last, int32(len(ids)-1))
	}
	b := Batch{IDs: tensor.FromSlice(g.scope, ids, 1, len(ids)), SeqStarts: starts}
	if g.cache != nil {
		g.cache.Select(group)
	}
	h := g.model.Hidden(b, g.cache)
	h = h.Reshape(len(ids), h.Dim(-1)).Gather(tensor.FromSlice(g.scope, last))
	return tensor.ToSlice[float32](tensor.Linear(h, g.head, nil))
}
