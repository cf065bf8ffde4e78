// Package qwen is the Qwen family, as transformers' modeling_qwen2.py, modeling_qwen3.py and modeling_qwen3_moe.py
// compute it: dense Qwen2 and Qwen2.5 (Yang et al., "Qwen2.5 Technical Report", 2024), and Qwen3 (Yang et al., "Qwen3
// Technical Report", 2025) of every size, dense and with experts. Importing it registers the model_types "qwen2",
// "qwen3" and "qwen3_moe".
package qwen

import (
	"iter"
	"math"
	"strings"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	for modelType := range families {
		models.Register(modelType, func(config []byte, p tensor.Place) (models.CausalLM, error) {
			c, err := ParseConfig(config)
			if err != nil {
				return nil, err
			}
			return New(c, p)
		})
	}
}

// Model is Qwen2ForCausalLM, Qwen3ForCausalLM or Qwen3MoeForCausalLM. Parameter names are those of Hugging Face checkpoints. It may be used by
// several goroutines at once while nobody changes its parameters.
type Model struct {
	models.Base
	Config Config

	Embed  *nn.Embedding `param:"model.embed_tokens"`
	Layers []*Layer      `param:"model.layers"`
	Norm   *nn.RMSNorm   `param:"model.norm"`
	LMHead *nn.Linear    `param:"lm_head"` // its weight is Embed's own when tied
}

// Layer is one decoder block: a token mixer and an MLP, each behind a norm and with a residual.
type Layer struct {
	InputNorm *nn.RMSNorm `param:"input_layernorm"`
	Attention *Attention  `param:"self_attn"`
	PostNorm  *nn.RMSNorm `param:"post_attention_layernorm"`
	MLP       nn.Layer    `param:"mlp"` // an *MLP or a *MoE
}

// Attention is grouped-query attention. Qwen3 normalises the heads of queries and keys; before it the projections
// to queries, keys and values had biases.
type Attention struct {
	Q     nn.Layer    `param:"q_proj"`
	K     nn.Layer    `param:"k_proj"`
	V     nn.Layer    `param:"v_proj"`
	O     nn.Layer    `param:"o_proj"`
	QNorm *nn.RMSNorm `param:"q_norm"` // nil in Qwen2
	KNorm *nn.RMSNorm `param:"k_norm"`

	heads, kvHeads, headDim int
}

// MLP is down(silu(gate(x))·up(x)).
type MLP = nn.GatedMLP

// New makes a model whose parameters, of the dtype that c names, have no values yet: load them, or call
// Init. The place is a Device. The error names the field of c that is out of range or, before anything is
// allocated, says how much memory is wanting; then it is a *tensor.OOMError.
func New(c Config, p tensor.Place) (*Model, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	return models.New(p, c.dtype(), c.Parameters(), func() *Model { return build(c, p) })
}

// build allocates a model.
func build(c Config, p tensor.Place) *Model {
	dt, h, f := c.dtype(), c.HiddenSize, c.family()
	q, kv := c.NumAttentionHeads*c.HeadDim, c.NumKeyValueHeads*c.HeadDim
	linear := func(in, out int, bias bool) *nn.Linear { return nn.NewLinear(p, dt, in, out, bias) }
	norm := func(width int) *nn.RMSNorm { return nn.NewRMSNorm(p, dt, width, c.RMSNormEps) }
	m := &Model{Base: models.NewBase(p, dt, c.shape(), c.EOSTokenID), Config: c, Embed: nn.NewEmbedding(p, dt, c.VocabSize, h)}
	for i := range c.NumHiddenLayers {
		l := &Layer{InputNorm: norm(h)}
		l.Attention = &Attention{
			Q: linear(h, q, f.qkvBias), K: linear(h, kv, f.qkvBias), V: linear(h, kv, f.qkvBias), O: linear(q, h, false),
			heads: c.NumAttentionHeads, kvHeads: c.NumKeyValueHeads, headDim: c.HeadDim,
		}
		if f.qkNorm {
			l.Attention.QNorm, l.Attention.KNorm = norm(c.HeadDim), norm(c.HeadDim)
		}
		l.PostNorm = norm(h)
		if c.Experts.sparse(i) {
			l.MLP = newMoE(p, dt, h, c.Experts)
		} else {
			l.MLP = nn.NewGatedMLP(p, dt, h, c.IntermediateSize)
		}
		m.Layers = append(m.Layers, l)
	}
	m.Norm = norm(h)
	m.LMHead = &nn.Linear{Weight: m.Embed.Weight}
	if !c.TieWordEmbeddings {
		m.LMHead = linear(h, c.VocabSize, false)
	}
	return m
}

// Hidden is the activations after the final norm, [B, T, H].
func (m *Model) Hidden(b models.Batch, c *models.Cache) *tensor.Tensor {
	h, _ := m.hidden(b, c)
	return h
}

// hidden is Hidden, and the logits of each layer's router that has one.
func (m *Model) hidden(b models.Batch, c *models.Cache) (h *tensor.Tensor, routers []*tensor.Tensor) {
	cos, sin := tensor.RoPETable(models.PositionsOf(b, c), m.Config.HeadDim, m.Config.RopeTheta)
	h = m.Embed.Forward(b.IDs)
	for i, l := range m.Layers {
		out := m.Recompute().Block(func(x ...*tensor.Tensor) []*tensor.Tensor {
			h, cos, sin := x[0], x[1], x[2]
			h = h.Add(l.Attention.Forward(l.InputNorm.Forward(h), cos, sin, i, b, c))
			normed := l.PostNorm.Forward(h)
			if moe, ok := l.MLP.(*MoE); ok {
				y, logits := moe.route(normed)
				return []*tensor.Tensor{h.Add(y), logits}
			}
			return []*tensor.Tensor{h.Add(l.MLP.Forward(normed))}
		}, h, cos, sin)
		h, routers = out[0], append(routers, out[1:]...)
	}
	return m.Norm.Forward(h), routers
}

// Forward mixes tokens: x [B, T, H] → [B, T, H].
func (a *Attention) Forward(x, cos, sin *tensor.Tensor, layer int, b models.Batch, c *models.Cache) *tensor.Tensor {
	n, t := x.Dim(0), x.Dim(1)
	q := rotate(a.Q.Forward(x).Reshape(n, t, a.heads, a.headDim), a.QNorm, cos, sin)
	k := rotate(a.K.Forward(x).Reshape(n, t, a.kvHeads, a.headDim), a.KNorm, cos, sin)
	v := a.V.Forward(x).Reshape(n, t, a.kvHeads, a.headDim)
	o := c.Attention(layer, q, k, v, b)
	return a.O.Forward(o.Reshape(n, t, a.heads*a.headDim))
}

// rotate turns heads by their positions, behind their norm if they have one.
func rotate(heads *tensor.Tensor, norm *nn.RMSNorm, cos, sin *tensor.Tensor) *tensor.Tensor {
	if norm == nil {
		return tensor.RoPE(heads, cos, sin)
	}
	return tensor.RMSNormRoPE(heads, norm.Weight, cos, sin, norm.Eps)
}

// Head is the output embedding [V, H]: the input embedding itself when tied.
func (m *Model) Head() *tensor.Tensor { return m.LMHead.Weight }

// Parameters are all parameters by the names that they have in checkpoints.
func (m *Model) Parameters() iter.Seq2[string, *tensor.Tensor] { return nn.Parameters(m) }

// ConfigJSON is config.json.
func (m *Model) ConfigJSON() ([]byte, error) { return m.Config.JSON() }

// Init draws the parameters as transformers does: N(0, 0.02), norms one, biases zero.
func (m *Model) Init(r *tensor.Rand) { models.Init(m, r) }

// InitFanIn draws matrices with std 1/√in, those that end a residual branch scaled by 1/√(2·layers)
// (Radford et al., 2019), and embeddings with std 0.02. Small models learn faster from it.
func (m *Model) InitFanIn(r *tensor.Rand) {
	matrix, residual := nn.FanIn(1), nn.FanIn(1/math.Sqrt(2*float64(len(m.Layers))))
	for name, p := range m.Parameters() {
		switch {
		case strings.HasSuffix(name, ".bias"):
			p.Fill(0)
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
