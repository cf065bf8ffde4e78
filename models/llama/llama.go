// Package llama is the Llama family: Llama 2 (Touvron et al., 2023), Llama 3 (Grattafiori et al., "The Llama 3
// Herd of Models", 2024) and what others trained of the same architecture, such as TinyLlama and SmolLM2, as
// transformers' modeling_llama.py computes it. Importing it registers model_type "llama".
package llama

import (
	"fmt"
	"iter"
	"math"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	models.Register("llama", func(config []byte, p tensor.Place) (models.CausalLM, error) {
		c, err := ParseConfig(config)
		if err != nil {
			return nil, err
		}
		return New(c, p)
	})
}

// Config is the config.json of a Llama. Fields that are not listed are kept as they came.
type Config struct {
	VocabSize             int                 `json:"vocab_size"`
	HiddenSize            int                 `json:"hidden_size"`
	IntermediateSize      int                 `json:"intermediate_size"`
	NumHiddenLayers       int                 `json:"num_hidden_layers"`
	NumAttentionHeads     int                 `json:"num_attention_heads"`
	NumKeyValueHeads      int                 `json:"num_key_value_heads"` // NumAttentionHeads if absent
	HeadDim               int                 `json:"head_dim"`            // HiddenSize / NumAttentionHeads if absent
	MaxPositionEmbeddings int                 `json:"max_position_embeddings"`
	RMSNormEps            float64             `json:"rms_norm_eps"`
	RopeTheta             float64             `json:"rope_theta"`
	RopeScaling           *models.RopeScaling `json:"rope_scaling"`   // nil, or Llama 3's
	AttentionBias         bool                `json:"attention_bias"` // of all four projections
	MLPBias               bool                `json:"mlp_bias"`
	TieWordEmbeddings     bool                `json:"tie_word_embeddings"`
	DType                 string              `json:"dtype"` // float32 if empty

	EOSTokenID models.TokenIDs `json:"eos_token_id,omitempty"`

	read models.Fields
}

// ParseConfig reads a config.json. The error names the field that is missing, malformed or asks for what
// this package does not compute.
func ParseConfig(data []byte) (c Config, err error) {
	c = Config{MaxPositionEmbeddings: 2048, RMSNormEps: 1e-6, RopeTheta: 1e4}
	if c.read, err = models.ReadConfig(data, &c); err != nil {
		return c, err
	}
	if err := c.read.Only("hidden_act", "silu"); err != nil {
		return c, err
	}
	if c.NumKeyValueHeads == 0 {
		c.NumKeyValueHeads = c.NumAttentionHeads
	}
	if c.HeadDim == 0 && c.NumAttentionHeads > 0 {
		c.HeadDim = c.HiddenSize / c.NumAttentionHeads
	}
	return c, c.check()
}

func (c *Config) shape() models.Shape {
	return models.Shape{Vocab: c.VocabSize, Hidden: c.HiddenSize, Intermediate: c.IntermediateSize, Layers: c.NumHiddenLayers,
		Heads: c.NumAttentionHeads, KVHeads: c.NumKeyValueHeads, HeadDim: c.HeadDim, Positions: c.MaxPositionEmbeddings}
}

func (c *Config) check() error {
	if err := c.shape().Check(); err != nil {
		return err
	}
	if !(c.RMSNormEps > 0) || !(c.RopeTheta > 0) {
		return fmt.Errorf("rms_norm_eps %g and rope_theta %g must be positive", c.RMSNormEps, c.RopeTheta)
	}
	switch s := c.RopeScaling; s.Kind() {
	case "default":
	case "llama3":
		if !(s.Factor >= 1) || !(s.LowFreqFactor > 0) || !(s.HighFreqFactor > s.LowFreqFactor) || s.OriginalMaxPositionEmbeddings <= 0 {
			return fmt.Errorf("rope_scaling of rope_type llama3 is %+v, want factor at least 1, low_freq_factor below high_freq_factor, and a positive original_max_position_embeddings", *s)
		}
	default:
		return fmt.Errorf("rope_type %q of rope_scaling is not supported, only default and llama3", s.Kind())
	}
	_, err := models.DTypeOf(c.DType)
	return err
}

// JSON is the config.json of c, as transformers reads it.
func (c *Config) JSON() ([]byte, error) {
	return models.WriteConfig(c, c.read, map[string]any{"model_type": "llama", "architectures": []string{"LlamaForCausalLM"}, "hidden_act": "silu"})
}

// Parameters is the number of parameters that a model of this configuration has.
func (c *Config) Parameters() int {
	h, q, kv := c.HiddenSize, c.NumAttentionHeads*c.HeadDim, c.NumKeyValueHeads*c.HeadDim
	layer := 2*h + h*(2*q+2*kv) + 3*h*c.IntermediateSize
	if c.AttentionBias {
		layer += q + 2*kv + h
	}
	if c.MLPBias {
		layer += 2*c.IntermediateSize + h
	}
	n := c.NumHiddenLayers*layer + h + c.VocabSize*h
	if !c.TieWordEmbeddings {
		n += c.VocabSize * h
	}
	return n
}

// Model is LlamaForCausalLM. Parameter names are those of Hugging Face checkpoints. It may be used by several
// goroutines at once while nobody changes its parameters.
type Model struct {
	models.Base
	Config Config

	Embed  *nn.Embedding `param:"model.embed_tokens"`
	Layers []*Layer      `param:"model.layers"`
	Norm   *nn.RMSNorm   `param:"model.norm"`
	LMHead *nn.Linear    `param:"lm_head"` // its weight is Embed's own when tied

	frequencies []float32
}

// Layer is one decoder block: attention and an MLP, each behind a norm and with a residual.
type Layer struct {
	InputNorm *nn.RMSNorm  `param:"input_layernorm"`
	Attention *Attention   `param:"self_attn"`
	PostNorm  *nn.RMSNorm  `param:"post_attention_layernorm"`
	MLP       *nn.GatedMLP `param:"mlp"`
}

// Attention is grouped-query attention with rotary positions.
type Attention struct {
	Q nn.Layer `param:"q_proj"`
	K nn.Layer `param:"k_proj"`
	V nn.Layer `param:"v_proj"`
	O nn.Layer `param:"o_proj"`

	heads, kvHeads, headDim int
}

// New makes a model whose parameters, of the dtype that c names, have no values yet: load them, or call
// Init. The place is a Device. The error names the field of c that is out of range or, before anything is
// allocated, says how much memory is wanting; then it is a *tensor.OOMError.
func New(c Config, p tensor.Place) (*Model, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	dt, _ := models.DTypeOf(c.DType)
	return models.New(p, dt, c.Parameters(), func() *Model { return build(c, p, dt) })
}

func build(c Config, p tensor.Place, dt tensor.DType) *Model {
	h, q, kv := c.HiddenSize, c.NumAttentionHeads*c.HeadDim, c.NumKeyValueHeads*c.HeadDim
	norm := func() *nn.RMSNorm { return nn.NewRMSNorm(p, dt, h, c.RMSNormEps) }
	project := func(in, out int) nn.Layer { return nn.NewLinear(p, dt, in, out, c.AttentionBias) }
	mlp := func(in, out int) nn.Layer { return nn.NewLinear(p, dt, in, out, c.MLPBias) }
	m := &Model{Base: models.NewBase(p, dt, c.shape(), c.EOSTokenID), Config: c, frequencies: c.frequencies()}
	m.Embed = nn.NewEmbedding(p, dt, c.VocabSize, h)
	for range c.NumHiddenLayers {
		m.Layers = append(m.Layers, &Layer{
			InputNorm: norm(),
			Attention: &Attention{Q: project(h, q), K: project(h, kv), V: project(h, kv), O: project(q, h),
				heads: c.NumAttentionHeads, kvHeads: c.NumKeyValueHeads, headDim: c.HeadDim},
			PostNorm: norm(),
			MLP:      &nn.GatedMLP{Gate: mlp(h, c.IntermediateSize), Up: mlp(h, c.IntermediateSize), Down: mlp(c.IntermediateSize, h)},
		})
	}
	m.Norm = norm()
	m.LMHead = &nn.Linear{Weight: m.Embed.Weight}
	if !c.TieWordEmbeddings {
		m.LMHead = nn.NewLinear(p, dt, h, c.VocabSize, false)
	}
	return m
}

// Hidden is the activations after the final norm, [B, T, H].
func (m *Model) Hidden(b models.Batch, c *models.Cache) *tensor.Tensor {
	cos, sin := m.angles(models.PositionsOf(b, c))
	h := m.Embed.Forward(b.IDs)
	for i, l := range m.Layers {
		h = m.Recompute().Block(func(x ...*tensor.Tensor) []*tensor.Tensor {
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
	q := tensor.RoPE(a.Q.Forward(x).Reshape(n, t, a.heads, a.headDim), cos, sin)
	k := tensor.RoPE(a.K.Forward(x).Reshape(n, t, a.kvHeads, a.headDim), cos, sin)
	v := a.V.Forward(x).Reshape(n, t, a.kvHeads, a.headDim)
	o := c.Attention(layer, q, k, v, b)
	return a.O.Forward(o.Reshape(n, t, a.heads*a.headDim))
}

// angles are the cosines and sines by which positions [B, T] turn pairs of a head's dimensions, [B·T, D/2].
func (m *Model) angles(positions *tensor.Tensor) (cos, sin *tensor.Tensor) {
	frequencies := tensor.FromSlice(positions.Scope(), m.frequencies, 1, len(m.frequencies))
	angles := positions.Reshape(-1, 1).To(tensor.F32).Mul(frequencies)
	return angles.Cos(), angles.Sin()
}

// frequencies are the angles per position of each pair of a head's dimensions. Llama 3.1 reads texts longer than
// it was first trained on by slowing those that turn less than LowFreqFactor times in that length down by Factor,
// those that turn more than HighFreqFactor times not at all, and the ones between in proportion.
func (c *Config) frequencies() []float32 {
	out := make([]float32, c.HeadDim/2)
	for i := range out {
		f := 1 / float32(math.Pow(c.RopeTheta, float64(float32(2*i)/float32(c.HeadDim))))
		if s := c.RopeScaling; s.Kind() == "llama3" {
			turns := float64(s.OriginalMaxPositionEmbeddings) * float64(f) / (2 * math.Pi)
			share := (turns - s.LowFreqFactor) / (s.HighFreqFactor - s.LowFreqFactor)
			share = min(max(share, 0), 1)
			f = float32(share)*f + float32(1-share)*f/float32(s.Factor)
		}
		out[i] = f
	}
	return out
}

// Head is the output embedding [V, H]: the input embedding itself when tied.
func (m *Model) Head() *tensor.Tensor { return m.LMHead.Weight }

// Parameters are all parameters by the names that they have in checkpoints.
func (m *Model) Parameters() iter.Seq2[string, *tensor.Tensor] { return nn.Parameters(m) }

// Init draws the parameters as transformers does: N(0, 0.02), norms one, biases zero.
func (m *Model) Init(r *tensor.Rand) { models.Init(m, r) }

// ConfigJSON is config.json.
func (m *Model) ConfigJSON() ([]byte, error) { return m.Config.JSON() }
