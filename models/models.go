// Package models is what every causal language model shares: the interface that an architecture
// implements, a registry of architectures, loading and saving of directories in the Hugging Face format,
// the key-value cache, and generation.
//
// An architecture is a package of its own that registers itself, as image formats and SQL drivers do:
//
//	import _ "github.com/hone-ml/hone/models/qwen"
//
// Importing models/all registers every one that hone has.
package models

import (
	"iter"
	"slices"
	"sync"

	"github.com/hone-ml/hone/tensor"
)

// Batch is the input of a model.
type Batch struct {
	// IDs are the tokens, I32 [B, T], in the scope in which the model is to compute.
	IDs *tensor.Tensor
	// Positions are the tokens' places in their sequences, I32 [B, T]. Nil stands for counting from the
	// start of each sequence, or from what the cache holds of it.
	Positions *tensor.Tensor
	// SeqStarts packs several sequences into the rows: the flat indices b·T + t at which they begin,
	// ascending, the first 0. Every row begins a sequence too. Nil means one sequence a row.
	SeqStarts []int32
}

// CausalLM is a decoder-only language model.
type CausalLM interface {
	// Hidden is the activations after the final norm, [B, T, H], in the scope of the batch. A token sees
	// its own sequence up to itself and, if c is not nil, what the cache holds of it; c then grows by the
	// batch.
	Hidden(b Batch, c *Cache) *tensor.Tensor
	// Head is the output embedding [V, H], a parameter: logits are Hidden·Headᵀ.
	Head() *tensor.Tensor
	// Parameters are all parameters by the names that they have in checkpoints, tied ones once.
	Parameters() iter.Seq2[string, *tensor.Tensor]
}

// CacheMaker is implemented by models that can use a Cache. Generation with others computes the whole
// sequence anew for each token.
type CacheMaker interface {
	// NewCache is an empty cache for sequences of at most capacity tokens.
	NewCache(sequences, capacity int) *Cache
}

// Stopper is implemented by models that know which tokens end a text, see also GenerationConfigured.
type Stopper interface{ StopTokens() []int32 }

// Configured is implemented by models that can be saved: it gives config.json.
type Configured interface{ ConfigJSON() ([]byte, error) }

// ContextLimited is implemented by models that know the longest sequence they were made for.
type ContextLimited interface{ MaxPositions() int }

// Shaped is implemented by models that tell their sizes.
type Shaped interface{ Shape() Shape }

// Auxiliary is implemented by models that have a loss of their own, such as that of experts which are used unevenly.
type Auxiliary interface {
	// HasAuxLoss says whether this model has one, as it is configured.
	HasAuxLoss() bool
	// HiddenAux is Hidden without a cache, and a scalar to be added to the mean loss of the batch.
	HiddenAux(b Batch) (hidden, loss *tensor.Tensor)
}

// Recomputer is implemented by models that can compute parts of their layers again in backward instead of
// keeping activations. One that keeps all of them is trained with its logits kept, too.
type Recomputer interface {
	Recompute() tensor.Recompute
	SetRecompute(tensor.Recompute)
}

// span is one sequence of a batch: flat token indices [lo, hi).
type span struct{ lo, hi int32 }

// spans are the sequences of b in order.
func (b *Batch) spans() []span {
	rows, t := int32(b.IDs.Dim(0)), int32(b.IDs.Dim(1))
	starts := b.SeqStarts
	if starts == nil {
		starts = []int32{0}
	}
	out := make([]span, 0, max(len(starts), int(rows)))
	for i, lo := range starts {
		end := rows * t
		if i+1 < len(starts) {
			end = starts[i+1]
		}
		for lo < end {
			hi := min(end, (lo/t+1)*t)
			out = append(out, span{lo, hi})
			lo = hi
		}
	}
	return out
}

// PositionsOf is b.Positions or, where that is nil, the positions that it stands for: I32 [B, T].
func PositionsOf(b Batch, c *Cache) *tensor.Tensor {
	if b.Positions != nil {
		return b.Positions
	}
	p := make([]int32, b.IDs.Len())
	for i, s := range c.spans(b) {
		at := int32(0)
		if c != nil {
			at = c.lengths[c.rows[i]]
		}
		for j := s.lo; j < s.hi; j++ {
			p[j] = at + j - s.lo
		}
	}
	return tensor.FromSlice(b.IDs.Scope(), p, b.IDs.Shape()...)
}

// A Builder makes a model from its config.json, parameters without values in p, in the dtype that the
// configuration names.
type Builder = func(config []byte, p tensor.Place) (CausalLM, error)

var (
	registryMu sync.RWMutex
	registry   = map[string]Builder{}
)

// Register makes an architecture known by the model_type of its config.json; call it from init. It panics
// if the type is registered already.
func Register(modelType string, build Builder) {
	registryMu.Lock()
	defer registryMu.Unlock()
	if registry[modelType] != nil {
		panic("models: Register called twice for " + modelType)
	}
	registry[modelType] = build
}

// Types are the registered model types in alphabetical order.
func Types() []string {
	registryMu.RLock()
	defer registryMu.RUnlock()
	var types []string
	for t := range registry {
		types = append(types, t)
	}
	slices.Sort(types)
	return types
}
