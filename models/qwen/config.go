package qwen

import (
	"cmp"
	"encoding/json"
	"fmt"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/tensor"
)

// Config is the config.json of a Qwen model. Fields that are not listed are kept as they came.
type Config struct {
	ModelType             string  `json:"model_type"` // qwen2, qwen3 or qwen3_moe; qwen3 if empty
	VocabSize             int     `json:"vocab_size"`
	HiddenSize            int     `json:"hidden_size"`
	IntermediateSize      int     `json:"intermediate_size"`
	NumHiddenLayers       int     `json:"num_hidden_layers"`
	NumAttentionHeads     int     `json:"num_attention_heads"`
	NumKeyValueHeads      int     `json:"num_key_value_heads"`
	HeadDim               int     `json:"head_dim"` // if absent, 128 and not hidden/heads, but that for qwen2
	MaxPositionEmbeddings int     `json:"max_position_embeddings"`
	RMSNormEps            float64 `json:"rms_norm_eps"`
	RopeTheta             float64 `json:"rope_theta"`
	TieWordEmbeddings     bool    `json:"tie_word_embeddings"`
	DType                 string  `json:"dtype"` // float32 if empty

	EOSTokenID models.TokenIDs `json:"eos_token_id,omitempty"`

	*Experts // of a qwen3_moe, otherwise nil

	read models.Fields
}

// family is what tells one model_type from another.
type family struct {
	architecture string
	qkvBias      bool // in the projections of queries, keys and values
	qkNorm       bool // on the heads of queries and keys
	experts      bool // in the place of some or all MLPs
}

var families = map[string]family{
	"qwen2":     {architecture: "Qwen2ForCausalLM", qkvBias: true},
	"qwen3":     {architecture: "Qwen3ForCausalLM", qkNorm: true},
	"qwen3_moe": {architecture: "Qwen3MoeForCausalLM", qkNorm: true, experts: true},
}

func (c *Config) family() family { return families[cmp.Or(c.ModelType, "qwen3")] }

// ParseConfig reads a config.json. The error names the field that is missing, malformed or asks for what
// this package does not compute.
func ParseConfig(data []byte) (c Config, err error) {
	c = Config{ModelType: "qwen3", RMSNormEps: 1e-6, RopeTheta: 1e4, MaxPositionEmbeddings: 32768, Experts: defaultExperts()}
	if c.read, err = models.ReadConfig(data, &c); err != nil {
		return c, err
	}
	if !c.family().experts {
		c.Experts = nil
	} else if n, ok := c.read["num_local_experts"]; ok && c.read["num_experts"] == nil { // as transformers 5 may call it
		if err := json.Unmarshal(n, &c.NumExperts); err != nil {
			return c, fmt.Errorf("field num_local_experts is %.40s, want int", n)
		}
	}
	err = cmp.Or(
		c.read.Only("hidden_act", "silu"),
		c.read.Only("attention_bias", false),
		c.read.Only("use_sliding_window", false),
		c.read.Only("layer_types", "full_attention"),
		c.read.Only("rope_scaling", nil),
	)
	if err != nil {
		return c, err
	}
	if c.NumKeyValueHeads == 0 {
		c.NumKeyValueHeads = c.NumAttentionHeads
	}
	if c.HeadDim == 0 {
		c.HeadDim = 128
		if c.ModelType == "qwen2" && c.NumAttentionHeads > 0 {
			c.HeadDim = c.HiddenSize / c.NumAttentionHeads
		}
	}
	return c, c.check()
}

func (c *Config) shape() models.Shape {
	return models.Shape{Vocab: c.VocabSize, Hidden: c.HiddenSize, Intermediate: c.IntermediateSize, Layers: c.NumHiddenLayers,
		Heads: c.NumAttentionHeads, KVHeads: c.NumKeyValueHeads, HeadDim: c.HeadDim, Positions: c.MaxPositionEmbeddings}
}

func (c *Config) check() error {
	if c.family().architecture == "" {
		return fmt.Errorf("model_type %q is none of qwen2, qwen3, qwen3_moe", c.ModelType)
	}
	if has := c.Experts != nil; has != c.family().experts {
		return fmt.Errorf("model_type %q and experts (%t) do not go together", c.ModelType, has)
	}
	if err := c.shape().Check(); err != nil {
		return err
	}
	if !(c.RMSNormEps > 0) || !(c.RopeTheta > 0) {
		return fmt.Errorf("rms_norm_eps %g and rope_theta %g must be positive", c.RMSNormEps, c.RopeTheta)
	}
	if c.Experts != nil {
		if err := c.Experts.check(); err != nil {
			return err
		}
	}
	_, err := models.DTypeOf(c.DType)
	return err
}

// JSON is the config.json of c, as transformers reads it.
func (c *Config) JSON() ([]byte, error) {
	whole := *c
	whole.ModelType = cmp.Or(c.ModelType, "qwen3")
	return models.WriteConfig(whole, c.read, map[string]any{
		"architectures": []string{c.family().architecture}, "hidden_act": "silu", "attention_bias": false, "use_sliding_window": false, "use_cache": true,
	})
}

// Parameters is the number of parameters that a model of this configuration has.
func (c *Config) Parameters() int {
	h, q, kv := c.HiddenSize, c.NumAttentionHeads*c.HeadDim, c.NumKeyValueHeads*c.HeadDim
	layer, mlps := 2*h+h*(2*q+2*kv), 0
	for i := range c.NumHiddenLayers {
		if e := c.Experts; e.sparse(i) {
			mlps += e.NumExperts * (h + 3*h*e.MoEIntermediateSize)
		} else {
			mlps += 3 * h * c.IntermediateSize
		}
	}
	if c.family().qkNorm {
		layer += 2 * c.HeadDim
	}
	if c.family().qkvBias {
		layer += q + 2*kv
	}
	n := c.NumHiddenLayers*layer + mlps + h + c.VocabSize*h
	if !c.TieWordEmbeddings {
		n += c.VocabSize * h
	}
	return n
}

// Sizes are the released dense Qwen3 models by their usual names, BF16, context 40,960.
var Sizes = map[string]Config{
	"qwen3-0.6b": size(28, 1024, 16, 3072, true),
	"qwen3-1.7b": size(28, 2048, 16, 6144, true),
	"qwen3-4b":   size(36, 2560, 32, 9728, true),
	"qwen3-8b":   size(36, 4096, 32, 12288, false),
	"qwen3-14b":  size(40, 5120, 40, 17408, false),
	"qwen3-32b":  size(64, 5120, 64, 25600, false),
}

func size(layers, hidden, heads, mlp int, tied bool) Config {
	return Config{VocabSize: 151936, HiddenSize: hidden, IntermediateSize: mlp, NumHiddenLayers: layers, NumAttentionHeads: heads,
		NumKeyValueHeads: 8, HeadDim: 128, MaxPositionEmbeddings: 40960, RMSNormEps: 1e-6, RopeTheta: 1e6,
		TieWordEmbeddings: tied, DType: "bfloat16", EOSTokenID: models.TokenIDs{151645, 151643}}
}

// dtype is the parameters' dtype.
func (c *Config) dtype() tensor.DType {
	dt, err := models.DTypeOf(c.DType)
	if err != nil {
		panic("qwen: " + err.Error()) // ParseConfig and New refuse such a configuration
	}
	return dt
}
