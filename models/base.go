package models

import (
	"fmt"
	"strings"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
)

// Shape are the sizes that every decoder has, whatever its architecture computes with them.
type Shape struct {
	Vocab        int // rows of the embedding
	Hidden       int // width of the residual stream
	Intermediate int // width inside the MLP
	Layers       int
	Heads        int // of queries
	KVHeads      int // of keys and values; divides Heads
	HeadDim      int // even
	Positions    int // the longest sequence that the model was made for
}

// The largest sizes: far above any model, and so small that the bytes of all parameters cannot overflow.
const (
	maxLayers = 1 << 12
	maxWidth  = 1 << 20 // of activations, and of all heads together
	maxVocab  = 1 << 24 // also positions
)

// Check is an error that names, as config.json does, a size that no model can have.
func (s Shape) Check() error {
	for _, f := range []struct {
		name       string
		value, max int
	}{
		{"vocab_size", s.Vocab, maxVocab}, {"hidden_size", s.Hidden, maxWidth}, {"intermediate_size", s.Intermediate, maxWidth},
		{"num_hidden_layers", s.Layers, maxLayers}, {"num_attention_heads", s.Heads, maxWidth}, {"num_key_value_heads", s.KVHeads, maxWidth},
		{"head_dim", s.HeadDim, maxWidth}, {"max_position_embeddings", s.Positions, maxVocab},
	} {
		if f.value <= 0 || f.value > f.max {
			return fmt.Errorf("%s is %d, want 1 to %d", f.name, f.value, f.max)
		}
	}
	switch {
	case s.Heads*s.HeadDim > maxWidth:
		return fmt.Errorf("num_attention_heads %d times head_dim %d is %d, want at most %d", s.Heads, s.HeadDim, s.Heads*s.HeadDim, maxWidth)
	case s.Heads%s.KVHeads != 0:
		return fmt.Errorf("num_attention_heads %d is no multiple of num_key_value_heads %d", s.Heads, s.KVHeads)
	case s.HeadDim%2 != 0:
		return fmt.Errorf("head_dim %d is odd", s.HeadDim)
	}
	return nil
}

// New is what build makes in p: a model of so many parameters of dtype dt. The error says, before anything is
// allocated, how much memory is wanting; then it is a *tensor.OOMError.
func New[M any](p tensor.Place, dt tensor.DType, parameters int, build func() M) (m M, err error) {
	if dev, ok := p.(*tensor.Device); ok {
		need, memory := parameters*dt.Size(), dev.Memory()
		if memory.Limit > 0 && need > memory.Limit {
			oom := &tensor.OOMError{Device: dev.Name(), Requested: need, InUse: memory.Reserved, Budget: memory.Limit}
			return m, fmt.Errorf("a model of %d parameters in %s does not fit: %w", parameters, dt, oom)
		}
	}
	err = tensor.Try(func() { m = build() })
	return m, err
}

// Base is what is the same in every architecture. A model embeds it, and so is a CacheMaker, a Stopper, a
// Recomputer, GenerationConfigured, Shaped and ContextLimited.
type Base struct {
	shape      Shape
	place      tensor.Place
	dtype      tensor.DType
	eos        TokenIDs
	recompute  tensor.Recompute
	generation GenerationConfig
}

// NewBase is the Base of a model in p with parameters of dtype dt, whose config.json names the end tokens eos.
func NewBase(p tensor.Place, dt tensor.DType, s Shape, eos TokenIDs) Base {
	return Base{shape: s, place: p, dtype: dt, eos: eos}
}

// Shape are the model's sizes.
func (b *Base) Shape() Shape { return b.shape }

// MaxPositions is the longest sequence that the model was made for.
func (b *Base) MaxPositions() int { return b.shape.Positions }

// NewCache is an empty cache for sequences of at most capacity tokens, in the parameters' dtype.
func (b *Base) NewCache(sequences, capacity int) *Cache {
	return NewCache(b.place, b.dtype, b.shape.Layers, sequences, capacity, b.shape.KVHeads, b.shape.HeadDim)
}

// StopTokens are the end tokens of generation_config.json or, where it names none, of config.json.
func (b *Base) StopTokens() []int32 {
	if b.generation.EOSTokenID != nil {
		return b.generation.EOSTokenID
	}
	return b.eos
}

// GenerationConfig is generation_config.json as it was loaded or set.
func (b *Base) GenerationConfig() GenerationConfig { return b.generation }

// SetGenerationConfig says how the model is meant to be sampled.
func (b *Base) SetGenerationConfig(c GenerationConfig) { b.generation = c }

// Recompute is what SetRecompute said, RecomputeNone at first.
func (b *Base) Recompute() tensor.Recompute { return b.recompute }

// SetRecompute says what backward computes again of each layer instead of keeping it.
func (b *Base) SetRecompute(r tensor.Recompute) { b.recompute = r }

// Init draws parameters as transformers does: N(0, 0.02), norms one, biases zero.
func Init(m CausalLM, r *tensor.Rand) {
	for name, p := range m.Parameters() {
		switch {
		case strings.HasSuffix(name, ".bias"):
			p.Fill(0)
		case p.Rank() == 1:
			p.Fill(1)
		default:
			nn.Normal(0.02)(p, r)
		}
	}
}
