package qwen

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/tensor"
)

// Config is the config.json of a dense Qwen3 model. Fields that are not listed are kept as they came.
type Config struct {
	VocabSize             int     `json:"vocab_size"`
	HiddenSize            int     `json:"hidden_size"`
	IntermediateSize      int     `json:"intermediate_size"`
	NumHiddenLayers       int     `json:"num_hidden_layers"`
	NumAttentionHeads     int     `json:"num_attention_heads"`
	NumKeyValueHeads      int     `json:"num_key_value_heads"`
	HeadDim               int     `json:"head_dim"` // 128 if absent; not hidden/heads
	MaxPositionEmbeddings int     `json:"max_position_embeddings"`
	RMSNormEps            float64 `json:"rms_norm_eps"`
	RopeTheta             float64 `json:"rope_theta"`
	TieWordEmbeddings     bool    `json:"tie_word_embeddings"`
	DType                 string  `json:"dtype"` // float32 if empty

	EOSTokenID models.TokenIDs `json:"eos_token_id,omitempty"`

	rest map[string]json.RawMessage
}

// parts of config.json that must have the one value that this package computes.
type fixed struct {
	HiddenAct        string          `json:"hidden_act"`
	AttentionBias    bool            `json:"attention_bias"`
	UseSlidingWindow bool            `json:"use_sliding_window"`
	LayerTypes       []string        `json:"layer_types"`
	TorchDType       string          `json:"torch_dtype"`
	RopeScaling      json.RawMessage `json:"rope_scaling"`
	RopeParameters   *struct {
		RopeTheta float64 `json:"rope_theta"`
		RopeType  string  `json:"rope_type"`
	} `json:"rope_parameters"` // as transformers 5 writes them
}

// ParseConfig reads a config.json. The error names the field that is missing, malformed or asks for what
// this package does not compute.
func ParseConfig(data []byte) (Config, error) {
	c := Config{HeadDim: 128, RMSNormEps: 1e-6, MaxPositionEmbeddings: 32768}
	var f fixed
	if err := json.Unmarshal(data, &c); err != nil {
		return c, models.ConfigError(err)
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return c, models.ConfigError(err)
	}
	if err := json.Unmarshal(data, &c.rest); err != nil {
		return c, models.ConfigError(err)
	}
	if f.RopeParameters != nil {
		if t := f.RopeParameters.RopeType; t != "" && t != "default" {
			return c, fmt.Errorf("rope_parameters.rope_type %q is not supported, only default", t)
		}
		if c.RopeTheta == 0 {
			c.RopeTheta = f.RopeParameters.RopeTheta
		}
	}
	if c.RopeTheta == 0 {
		c.RopeTheta = 1e6
	}
	if c.DType == "" {
		c.DType = f.TorchDType
	}
	if c.NumKeyValueHeads == 0 {
		c.NumKeyValueHeads = c.NumAttentionHeads
	}
	switch {
	case f.HiddenAct != "" && f.HiddenAct != "silu":
		return c, fmt.Errorf("hidden_act %q is not supported, only silu", f.HiddenAct)
	case f.AttentionBias:
		return c, errors.New("attention_bias is not supported by Qwen3")
	case f.UseSlidingWindow:
		return c, errors.New("use_sliding_window is not supported")
	case len(f.RopeScaling) > 0 && string(f.RopeScaling) != "null":
		return c, errors.New("rope_scaling is not supported, only null")
	}
	for i, t := range f.LayerTypes {
		if t != "full_attention" {
			return c, fmt.Errorf("layer_types[%d] is %q; only full_attention is supported", i, t)
		}
	}
	return c, c.check()
}

// The largest sizes: far above any model, and so small that the bytes of all parameters cannot overflow.
const (
	maxLayers = 1 << 12
	maxWidth  = 1 << 20 // of activations, and of all heads together
	maxVocab  = 1 << 24 // also positions
)

func (c *Config) check() error {
	for _, f := range []struct {
		name       string
		value, max int
	}{
		{"vocab_size", c.VocabSize, maxVocab}, {"hidden_size", c.HiddenSize, maxWidth}, {"intermediate_size", c.IntermediateSize, maxWidth},
		{"num_hidden_layers", c.NumHiddenLayers, maxLayers}, {"num_attention_heads", c.NumAttentionHeads, maxWidth},
		{"num_key_value_heads", c.NumKeyValueHeads, maxWidth}, {"head_dim", c.HeadDim, maxWidth},
		{"max_position_embeddings", c.MaxPositionEmbeddings, maxVocab},
	} {
		if f.value <= 0 || f.value > f.max {
			return fmt.Errorf("%s is %d, want 1 to %d", f.name, f.value, f.max)
		}
	}
	switch {
	case c.NumAttentionHeads*c.HeadDim > maxWidth:
		return fmt.Errorf("num_attention_heads %d times head_dim %d is %d, want at most %d", c.NumAttentionHeads, c.HeadDim, c.NumAttentionHeads*c.HeadDim, maxWidth)
	case c.NumAttentionHeads%c.NumKeyValueHeads != 0:
		return fmt.Errorf("num_attention_heads %d is no multiple of num_key_value_heads %d", c.NumAttentionHeads, c.NumKeyValueHeads)
	case c.HeadDim%2 != 0:
		return fmt.Errorf("head_dim %d is odd", c.HeadDim)
	case !(c.RMSNormEps > 0) || !(c.RopeTheta > 0):
		return fmt.Errorf("rms_norm_eps %g and rope_theta %g must be positive", c.RMSNormEps, c.RopeTheta)
	}
	_, err := models.DTypeOf(c.DType)
	return err
}

// JSON is the config.json of c, as transformers reads it.
func (c *Config) JSON() ([]byte, error) {
	fields := map[string]any{
		"model_type": "qwen3", "architectures": []string{"Qwen3ForCausalLM"}, "hidden_act": "silu",
		"attention_bias": false, "use_sliding_window": false, "rope_scaling": nil, "use_cache": true,
	}
	for k, v := range c.rest {
		fields[k] = v
	}
	data, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	var own map[string]json.RawMessage
	if err := json.Unmarshal(data, &own); err != nil {
		return nil, err
	}
	for k, v := range own {
		fields[k] = v
	}
	dtype := cmp.Or(strings.TrimPrefix(c.DType, "torch."), "float32")
	// transformers 4 reads rope_theta and torch_dtype, transformers 5 rope_parameters and dtype
	fields["torch_dtype"], fields["dtype"] = dtype, dtype
	fields["rope_parameters"] = map[string]any{"rope_type": "default", "rope_theta": c.RopeTheta}
	data, err = json.MarshalIndent(fields, "", "  ")
	return append(data, '\n'), err
}

// Parameters is the number of parameters that a model of this configuration has.
func (c *Config) Parameters() int {
	q, kv := c.NumAttentionHeads*c.HeadDim, c.NumKeyValueHeads*c.HeadDim
	layer := 2*c.HiddenSize + 2*c.HeadDim + c.HiddenSize*(2*q+2*kv) + 3*c.HiddenSize*c.IntermediateSize
	n := c.NumHiddenLayers*layer + c.HiddenSize + c.VocabSize*c.HiddenSize
	if !c.TieWordEmbeddings {
		n += c.VocabSize * c.HiddenSize
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
