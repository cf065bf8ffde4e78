// Package outside adds an architecture to hone from a module of its own: a small decoder with squared ReLUs.
package outside

import (
	"encoding/json"
	"fmt"
	"iter"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
)

func init() { models.Register("primer", build) }

// Config is config.json.
type Config struct {
	ModelType             string `json:"model_type"`
	VocabSize             int    `json:"vocab_size"`
	HiddenSize            int    `json:"hidden_size"`
	NumHiddenLayers       int    `json:"num_hidden_layers"`
	NumAttentionHeads     int    `json:"num_attention_heads"`
	MaxPositionEmbeddings int    `json:"max_position_embeddings"`
	EOSTokenID            int32  `json:"eos_token_id"`
	DType                 string `json:"dtype"`
}

// Model is a decoder whose layers are attention and an MLP with squared ReLU. Its head is the embedding.
type Model struct {
	Config Config

	Embed  *nn.Embedding `param:"embed"`
	Layers []*layer      `param:"layers"`
	Norm   *nn.RMSNorm   `param:"norm"`
}

type layer struct {
	Norm *nn.RMSNorm `param:"norm"`
	QKV  *nn.Linear  `param:"qkv"`
	Out  *nn.Linear  `param:"out"`
	Up   *nn.Linear  `param:"up"`
	Down *nn.Linear  `param:"down"`
}

func build(config []byte, p tensor.Place) (models.CausalLM, error) {
	var c Config
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, models.ConfigError(err)
	}
	if c.VocabSize <= 0 || c.HiddenSize <= 0 || c.NumAttentionHeads <= 0 || c.HiddenSize%(2*c.NumAttentionHeads) != 0 {
		return nil, fmt.Errorf("vocab_size %d, hidden_size %d and num_attention_heads %d do not fit", c.VocabSize, c.HiddenSize, c.NumAttentionHeads)
	}
	dt, err := models.DTypeOf(c.DType)
	if err != nil {
		return nil, err
	}
	h := c.HiddenSize
	m := &Model{Config: c, Embed: nn.NewEmbedding(p, dt, c.VocabSize, h), Norm: nn.NewRMSNorm(p, dt, h, 1e-6)}
	for range c.NumHiddenLayers {
		m.Layers = append(m.Layers, &layer{
			Norm: nn.NewRMSNorm(p, dt, h, 1e-6),
			QKV:  nn.NewLinear(p, dt, h, 3*h, false), Out: nn.NewLinear(p, dt, h, h, false),
			Up: nn.NewLinear(p, dt, h, 4*h, true), Down: nn.NewLinear(p, dt, 4*h, h, false),
		})
	}
	return m, nil
}

// Init draws the parameters.
func (m *Model) Init(r *tensor.Rand) {
	for _, p := range m.Parameters() {
		if p.Rank() == 1 {
			p.Fill(1)
		} else {
			nn.FanIn(0.5)(p, r)
		}
	}
}

// Hidden is the activations after the final norm.
func (m *Model) Hidden(b models.Batch, c *models.Cache) *tensor.Tensor {
	heads := m.Config.NumAttentionHeads
	d := m.Config.HiddenSize / heads
	cos, sin := tensor.RoPETable(models.PositionsOf(b, c), d, 1e4)
	h := m.Embed.Forward(b.IDs)
	for i, l := range m.Layers {
		h = tensor.Block(func(x ...*tensor.Tensor) []*tensor.Tensor {
			h, cos, sin := x[0], x[1], x[2]
			rows, t := h.Dim(0), h.Dim(1)
			qkv := l.QKV.Forward(l.Norm.Forward(h)).Reshape(rows, t, 3, heads, d)
			part := func(i int) *tensor.Tensor { return qkv.Slice(2, i, i+1).Squeeze(2).Contiguous() }
			mixed := c.Attention(i, tensor.RoPE(part(0), cos, sin), tensor.RoPE(part(1), cos, sin), part(2), b)
			h = h.Add(l.Out.Forward(mixed.Reshape(rows, t, heads*d)))
			return []*tensor.Tensor{h.Add(l.Down.Forward(SquaredReLU(l.Up.Forward(h))))}
		}, h, cos, sin)[0]
	}
	return m.Norm.Forward(h)
}

// Head is the embedding.
func (m *Model) Head() *tensor.Tensor { return m.Embed.Weight }

// Parameters are all parameters by name.
func (m *Model) Parameters() iter.Seq2[string, *tensor.Tensor] { return nn.Parameters(m) }

// NewCache makes generation cost one step a token.
func (m *Model) NewCache(sequences, capacity int) *models.Cache {
	heads := m.Config.NumAttentionHeads
	w := m.Embed.Weight
	return models.NewCache(w.Device(), w.DType(), m.Config.NumHiddenLayers, sequences, capacity, heads, m.Config.HiddenSize/heads)
}

// ConfigJSON makes the model one that can be saved.
func (m *Model) ConfigJSON() ([]byte, error) { return json.MarshalIndent(m.Config, "", "  ") }

// StopTokens end a text.
func (m *Model) StopTokens() []int32 { return []int32{m.Config.EOSTokenID} }

// MaxPositions is the longest sequence.
func (m *Model) MaxPositions() int { return m.Config.MaxPositionEmbeddings }
