package models

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hone-ml/hone/tensor"
)

// verdict is what a consumer of tokens wants next.
type verdict int

const (
	goOn        verdict = iota
	endSequence         // no more of this sequence
	quit                // no more of any
)

// errQuit says that the consumer wanted no more.
var errQuit = errors.New("quit")

// generate gives the tokens of each step to take. It is errQuit if that wants no more.
func generate(ctx context.Context, m CausalLM, prompts [][]int32, o Options, take func(BatchToken) verdict) error {
	return generateUntil(ctx, m, prompts, o, take, func(int) {})
}

// generateUntil is generate that tells which sequences ended at a stop token.
func generateUntil(ctx context.Context, m CausalLM, prompts [][]int32, o Options, take func(BatchToken) verdict, ended func(sequence int)) error {
	o, err := o.normal(m)
	if err != nil {
		return err
	}
	g := generator{model: m, options: o, head: m.Head(), scope: m.Head().Device().NewScope(), take: take, ended: ended}
	defer g.scope.Close()
	defer g.free()
	err = g.start(ctx, prompts)
	for err == nil && len(g.active) > 0 {
		err = g.step(ctx)
	}
	return err
}

// generator is the state of a generation. Sequence s continues prompt s / options.Samples.
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
	fresh   bool // no token has been generated yet

	take  func(BatchToken) verdict
	ended func(sequence int)
}

// What goes through the model at once is at most prefill tokens of prompts and maxLogits logits, 64 MiB,
// but at least one sequence.
const (
	prefill   = 4096
	maxLogits = 1 << 24
)

func (g *generator) start(ctx context.Context, prompts [][]int32) error {
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
		budget := min(g.options.MaxTokens, limit-len(p))
		longest = max(longest, len(p)+budget)
		for range g.options.Samples {
			seq := len(g.texts)
			g.texts = append(g.texts, slices.Clone(p))
			g.budget = append(g.budget, budget)
			g.samples = append(g.samples, newSampler(g.options, seq, p))
			if budget > 0 {
				g.active = append(g.active, seq)
			}
		}
	}
	g.fresh = true
	if c, ok := g.model.(CacheMaker); ok && len(g.texts) > 0 {
		if err := tensor.Try(func() { g.cache = c.NewCache(len(g.texts), longest) }); err != nil {
			return err
		}
		return g.share(ctx, prefixes(prompts, g.options.Samples))
	}
	return nil
}

func (g *generator) free() {
	if g.cache != nil {
		g.cache.Free()
	}
}

// step gives every active sequence one token.
func (g *generator) step(ctx context.Context) error {
	still := make([]int, 0, len(g.active))
	// All samples of a prompt need the same logits behind it: the first is asked for all.
	each := 1
	if g.fresh {
		each = g.options.Samples
	}
	for lo := 0; lo < len(g.active); {
		if err := ctx.Err(); err != nil {
			return err
		}
		hi := g.groupEnd(lo, each)
		var group []int
		for i := lo; i < hi; i += each {
			group = append(group, g.active[i])
		}
		var logits []float32
		if err := tensor.Try(func() { logits = g.logits(group, each) }); err != nil {
			return err
		}
		vocab := len(logits) / len(group)
		for i, seq := range g.active[lo:hi] {
			row := logits[i/each*vocab : (i/each+1)*vocab]
			goes, err := g.extend(seq, row)
			if err != nil {
				return err
			}
			if goes {
				still = append(still, seq)
			}
		}
		lo = hi
	}
	g.active, g.fresh = still, false
	return nil
}

// extend gives a sequence a token by the logits behind it, and tells whether the sequence goes on.
func (g *generator) extend(seq int, logits []float32) (goes bool, err error) {
	token, err := g.samples[seq].next(logits)
	if err != nil {
		return false, fmt.Errorf("models: after %d tokens of sequence %d: %w", len(g.texts[seq]), seq, err)
	}
	if slices.Contains(g.options.Stop, token.ID) {
		g.ended(seq)
		return false, nil
	}
	g.texts[seq] = append(g.texts[seq], token.ID)
	g.budget[seq]--
	token.Sequence = seq
	switch g.take(token) {
	case quit:
		return false, errQuit
	case endSequence:
		return false, nil
	}
	return g.budget[seq] > 0, nil
}

// groupEnd is where the group of active sequences that begins at lo ends; only every each-th goes through the model.
func (g *generator) groupEnd(lo, each int) int {
	most := min(len(g.active), lo+each*max(1, maxLogits/g.head.Dim(0)))
	hi, tokens := lo+each, len(g.pending(g.active[lo]))
	for hi < most && tokens+len(g.pending(g.active[hi])) <= prefill {
		tokens += len(g.pending(g.active[hi]))
		hi += each
	}
	return hi
}

// pending are the tokens of a sequence that the model has not seen.
func (g *generator) pending(seq int) []int32 {
	if g.cache == nil {
		return g.texts[seq]
	}
	return g.texts[seq][g.cache.Len(seq):]
}

// logits runs the pending tokens of the sequences through the model and returns the rows of logits that
// follow them. What the cache then holds of each it holds of so many sequences from there on.
func (g *generator) logits(group []int, each int) []float32 {
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
	if g.cache != nil {
		for _, seq := range group {
			for i := 1; i < each; i++ {
				g.cache.Copy(seq+i, seq)
			}
		}
	}
	h = h.Reshape(len(ids), h.Dim(-1)).Gather(tensor.FromSlice(g.scope, last))
	return tensor.ToSlice[float32](tensor.Linear(h, g.head, nil))
}
