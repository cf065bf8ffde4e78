// Package qwen is the Qwen family: dense Qwen3 (Yang et al., "Qwen3 Technical Report", 2025) of every
// size, as transformers' modeling_qwen3.py computes it. Importing it registers model_type "qwen3".
package qwen

import (
	"fmt"
	"iter"
	"math"
	"strings"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	models.Register("qwen3", func(config []byte, p tensor.Place) (models.CausalLM, error) {
		c, err := ParseConfig(config)
		if err != nil {
			return nil, err
		}
		return New(c, p)
	})
}

// Model is Qwen3ForCausalLM. Parameter names are those of Hugging Face checkpoints. It may be used by
// several goroutines at once while nobody changes its parameters.
type Model struct {
	Config Config

	Embed  *nn.Embedding `param:"model.embed_tokens"`
	Layers []*Layer      `param:"model.layers"`
	Norm   *nn.RMSNorm   `param:"model.norm"`
	LMHead *nn.Linear    `param:"lm_head"` // its weight is Embed's own when tied

	recompute  tensor.Recompute
	generation models.GenerationConfig
}

// Layer is one decoder block: a token mixer and an MLP, each behind a norm and with a residual.
type Layer struct {
	InputNorm *nn.RMSNorm `param:"input_layernorm"`
	Attention *Attention  `param:"self_attn"`
	PostNorm  *nn.RMSNorm `param:"post_attention_layernorm"`
	MLP       *MLP        `param:"mlp"`
}

// Attention is grouped-query attention with RMSNorm on the heads of queries and keys.
type Attention struct {
	Q     nn.Layer    `param:"q_proj"`
	K     nn.Layer    `param:"k_proj"`
	V     nn.Layer    `param:"v_proj"`
	O     nn.Layer    `param:"o_proj"`
	QNorm *nn.RMSNorm `param:"q_norm"`
	KNorm *nn.RMSNorm `param:"k_norm"`

	heads, kvHeads, headDim int
}

// MLP is down(silu(gate(x))·up(x)).
type MLP struct {
	Gate nn.Layer `param:"gate_proj"`
	Up   nn.Layer `param:"up_proj"`
	Down nn.Layer `param:"down_proj"`
}

// New makes a model whose parameters, of the dtype that c names, have no values yet: load them, or call
// Init. The place is a Device. The error names the field of c that is out of range or, before anything is
// allocated, says how much memory is wanting; then it is a *tensor.OOMError.
func New(c Config, p tensor.Place) (m *Model, err error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if dev, ok := p.(*tensor.Device); ok {
		need, memory := c.Parameters()*c.dtype().Size(), dev.Memory()
		if memory.Limit > 0 && need > memory.Limit {
			oom := &tensor.OOMError{Device: dev.Name(), Requested: need, InUse: memory.Reserved, Budget: memory.Limit}
			return nil, fmt.Errorf("a model of %d parameters in %s does not fit: %w", c.Parameters(), c.dtype(), oom)
		}
	}
	err = tensor.Try(func() { m = build(c, p) })
	return m, err
}

// build allocates a model.
func build(c Config, p tensor.Place) *Model {
	dt, h := c.dtype(), c.HiddenSize
	q, kv := c.NumAttentionHeads*c.HeadDim, c.NumKeyValueHeads*c.HeadDim
	linear := func(in, out int) *nn.Linear { return nn.NewLinear(p, dt, in, out, false) }
	norm := func(width int) *nn.RMSNorm { return nn.NewRMSNorm(p, dt, width, c.RMSNormEps) }
	m := &Model{Config: c, Embed: nn.NewEmbedding(p, dt, c.VocabSize, h)}
	for range c.NumHiddenLayers {
		m.Layers = append(m.Layers, &Layer{
			InputNorm: norm(h),
			Attention: &Attention{
				Q: linear(h, q), K: linear(h, kv), V: linear(h, kv), O: linear(q, h),
				QNorm: norm(c.HeadDim), KNorm: norm(c.HeadDim),
				heads: c.NumAttentionHeads, kvHeads: c.NumKeyValueHeads, headDim: c.HeadDim,
			},
			PostNorm: norm(h),
			MLP:      &MLP{Gate: linear(h, c.IntermediateSize), Up: linear(h, c.IntermediateSize), Down: linear(c.IntermediateSize, h)},
		})
	}
	m.Norm = norm(h)
	if c.TieWordEmbeddings {
		m.LMHead = &nn.Linear{Weight: m.Embed.Weight}
	} else {
		m.LMHead = linear(h, c.VocabSize)
	}
	return m
}

// Hidden is the activations after the final norm, [B, T, H].
func (m *Model) Hidden(b models.Batch, c *models.Cache) *tensor.Tensor {
	cos, sin := tensor.RoPETable(models.PositionsOf(b, c), m.Config.HeadDim, m.Config.RopeTheta)
	h := m.Embed.Forward(b.IDs)
	for i, l := range m.Layers {
		h = m.recompute.Block(func(x ...*tensor.Tensor) []*tensor.Tensor {
			h, cos, sin := x[0], x[1], x[2]
			h = h.Add(l.Attention.Forward(l.InputNorm.Forward(h), cos, sin, i, b, c))
			h = h.Add(l.MLP.Forward(l.PostNorm.Forward(h)))
			return []*tensor.Tensor{h}
		}, h, cos, sin)[0]
	}
	return m.Norm.Forward(h)
}

// Forward mixes tokens: x [B, T, H] → [B, T, H].
func (a *Attention) Forward(x, cos, sin *tensor.Tensor, layer int, b models.Batch, c *models.Cache) *tensor.Tensor {
	n, t := x.Dim(0), x.Dim(1)
	q := tensor.RMSNormRoPE(a.Q.Forward(x).Reshape(n, t, a.heads, a.headDim), a.QNorm.Weight, cos, sin, a.QNorm.Eps)
	k := tensor.RMSNormRoPE(a.K.Forward(x).Reshape(n, t, a.kvHeads, a.headDim), a.KNorm.Weight, cos, sin, a.KNorm.Eps)
	v := a.V.Forward(x).Reshape(n, t, a.kvHeads, a.headDim)
	o := c.Attention(layer, q, k, v, b)
	return a.O.Forward(o.Reshape(n, t, a.heads*a.headDim))
}

// Forward maps x [..., H] to [..., H].
func (m *MLP) Forward(x *tensor.Tensor) *tensor.Tensor {
	return m.Down.Forward(tensor.SwiGLU(m.Gate.Forward(x), m.Up.Forward(x)))
}

// Head is the output embedding [V, H]: the input embedding itself when tied.
func (m *Model) Head() *tensor.Tensor { return m.LMHead.Weight }

// Parameters are all parameters by the names that they have in checkpoints.
func (m *Model) Parameters() iter.Seq2[string, *tensor.Tensor] { return nn.Parameters(m) }

// Recompute is what SetRecompute said, RecomputeNone at first.
func (m *Model) Recompute() tensor.Recompute { return m.recompute }

// SetRecompute says what backward computes again of each layer instead of keeping it.
func (m *Model) SetRecompute(r tensor.Recompute) { m.recompute = r }

// NewCache is an empty cache for sequences of at most capacity tokens, in the parameters' dtype.
func (m *Model) NewCache(sequences, capacity int) *models.Cache {
	c := &m.Config
	return models.NewCache(m.Head().Device(), c.dtype(), c.NumHiddenLayers, sequences, capacity, c.NumKeyValueHeads, c.HeadDim)
}

// StopTokens are the end tokens of generation_config.json or, where it names none, of config.json.
func (m *Model) StopTokens() []int32 {
	if m.generation.EOSTokenID != nil {
		return m.generation.EOSTokenID
	}
	return m.Config.EOSTokenID
}

// GenerationConfig is generation_config.json as it was loaded or set.
func (m *Model) GenerationConfig() models.GenerationConfig { return m.generation }

// SetGenerationConfig says how the model is meant to be sampled.
func (m *Model) SetGenerationConfig(c models.GenerationConfig) { m.generation = c }

// MaxPositions is the longest sequence that the model was made for.
func (m *Model) MaxPositions() int { return m.Config.MaxPositionEmbeddings }

// ConfigJSON is config.json.
func (m *Model) ConfigJSON() ([]byte, error) { return m.Config.JSON() }

// Init draws the parameters as transformers does: N(0, 0.02), norms one.
func (m *Model) Init(r *tensor.Rand) { m.init(r, nn.Normal(0.02), nn.Normal(0.02)) }

// InitFanIn draws matrices with std 1/√in, those that end a residual branch scaled by 1/√(2·layers)
// (Radford et al., 2019), and embeddings with std 0.02. Small models learn faster from it.
func (m *Model) InitFanIn(r *tensor.Rand) {
	m.init(r, nn.FanIn(1), nn.FanIn(1/math.Sqrt(2*float64(len(m.Layers)))))
}

func (m *Model) init(r *tensor.Rand, matrix, residual nn.Init) {
	for name, p := range m.Parameters() {
		switch {
		case p.Rank() == 1:
			p.Fill(1)
		case p == m.Embed.Weight || p == m.LMHead.Weight:
			nn.Normal(0.02)(p, r)
		case strings.HasSuffix(name, ".o_proj.weight") || strings.HasSuffix(name, ".down_proj.weight"):
			residual(p, r)
		default:
			matrix(p, r)
		}
	}
}
