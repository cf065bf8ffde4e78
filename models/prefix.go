package models

import (
	"context"
	"slices"

	"github.com/hone-ml/hone/tensor"
)

// A prefix is the beginning that some prompts have in common, such as the schema that many questions are about. It
// goes through the model once, into the cache of the first of its sequences, and is copied to the others.
type prefix struct {
	tokens    []int32
	sequences []int
}

// prefixes finds what is worth sharing among prompts: beginnings shorter than all of them, for the tokens behind a prompt
// need its last. A prompt joins those before it in the alphabet if what it shares with them is at least half of it and of
// what they share, and saves it more than they lose by sharing less. Sequence i·samples is the first of prompt i.
func prefixes(prompts [][]int32, samples int) []prefix {
	order := make([]int, len(prompts))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return slices.Compare(prompts[a], prompts[b]) })
	var found []prefix
	for len(order) > 0 {
		first := prompts[order[0]]
		n, members := len(first)-1, 1
		for _, i := range order[1:] {
			p := prompts[i]
			shared := min(common(first[:n], p), len(p)-1)
			if shared == 0 || 2*shared < max(n, len(p)) || shared < (members-1)*(n-shared) {
				break
			}
			n, members = shared, members+1
		}
		if members > 1 {
			p := prefix{tokens: first[:n]}
			for _, i := range order[:members] {
				p.sequences = append(p.sequences, i*samples)
			}
			found = append(found, p)
		}
		order = order[members:]
	}
	return found
}

// common is the number of tokens with which both begin.
func common(a, b []int32) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// share reads what prompts have in common into the cache.
func (g *generator) share(ctx context.Context, shared []prefix) error {
	for len(shared) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, tokens := 1, len(shared[0].tokens)
		for n < len(shared) && tokens+len(shared[n].tokens) <= prefill {
			tokens += len(shared[n].tokens)
			n++
		}
		if err := tensor.Try(func() { g.read(shared[:n]) }); err != nil {
			return err
		}
		shared = shared[n:]
	}
	return nil
}

// read puts prefixes through the model together.
func (g *generator) read(shared []prefix) {
	defer g.scope.Reset()
	var ids, starts []int32
	var firsts []int
	for _, p := range shared {
		starts = append(starts, int32(len(ids)))
		ids = append(ids, p.tokens...)
		firsts = append(firsts, p.sequences[0])
	}
	g.cache.Select(firsts)
	g.model.Hidden(Batch{IDs: tensor.FromSlice(g.scope, ids, 1, len(ids)), SeqStarts: starts}, g.cache)
	for _, p := range shared {
		for _, seq := range p.sequences[1:] {
			g.cache.Copy(seq, p.sequences[0])
		}
	}
}
