package models

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/hone-ml/hone/tensor/gguf"
)

// GGUFArchitecture says how a general.architecture of GGUF files becomes a registered model. Its decoder has the
// parts that Llama, Qwen2 and Qwen3 have, by the names that they have there.
type GGUFArchitecture struct {
	// ModelType is that of config.json; Class is transformers' name of the model.
	ModelType, Class string
	// Interleaved says that rotary positions turn neighbouring rows of the queries and keys in files, where
	// checkpoints pair those half a head apart. Of llama.cpp's architectures "llama" does so.
	Interleaved bool
	// ProjectionBias says that queries, keys and values always have biases, so that config.json does not tell.
	ProjectionBias bool
	// Numbers are those that config.json has beside Llama's: fields by what files call them, less the architecture's
	// prefix, such as "residual_scale": "residual_multiplier". A file must have all of them.
	Numbers map[string]string
}

// ggufArchitectures are those that files are read as and written as, by their names there.
var ggufArchitectures = map[string]GGUFArchitecture{
	"llama": {ModelType: "llama", Class: "LlamaForCausalLM", Interleaved: true},
	"qwen2": {ModelType: "qwen2", Class: "Qwen2ForCausalLM", ProjectionBias: true},
	"qwen3": {ModelType: "qwen3", Class: "Qwen3ForCausalLM"},
}

// RegisterGGUF makes Load and SaveGGUF know an architecture of GGUF files besides llama, qwen2 and qwen3; call it from
// init, beside Register. It panics if the name is registered already.
func RegisterGGUF(name string, a GGUFArchitecture) {
	registryMu.Lock()
	defer registryMu.Unlock()
	if _, twice := ggufArchitectures[name]; twice {
		panic("models: RegisterGGUF called twice for " + name)
	}
	ggufArchitectures[name] = a
}

// ggufArchitectureOf is an architecture by its name in files.
func ggufArchitectureOf(name string) (a GGUFArchitecture, ok bool) {
	registryMu.RLock()
	defer registryMu.RUnlock()
	a, ok = ggufArchitectures[name]
	return a, ok
}

// ggufArchitectureFor is the architecture that a model_type is written as: the one of the same name, or else the
// first in the alphabet.
func ggufArchitectureFor(modelType string) (name string, a GGUFArchitecture, ok bool) {
	for _, name := range append([]string{modelType}, ggufArchitectureNames()...) {
		if a, ok := ggufArchitectureOf(name); ok && a.ModelType == modelType {
			return name, a, true
		}
	}
	return "", a, false
}

// ggufArchitectureNames are all of them in alphabetical order.
func ggufArchitectureNames() []string {
	registryMu.RLock()
	defer registryMu.RUnlock()
	return slices.Sorted(maps.Keys(ggufArchitectures))
}

// ggufModel is what a GGUF file says of its model.
type ggufModel struct {
	architecture   GGUFArchitecture
	config         []byte // config.json
	heads, kvHeads int
}

// ggufReader reads metadata and keeps the first error.
type ggufReader struct {
	metadata gguf.Metadata
	prefix   string // of the architecture's keys
	err      error
}

// ggufGet is the value of a key, or absent's.
func ggufGet[T gguf.Value](r *ggufReader, key string, absent T) T {
	v, ok, err := gguf.Get[T](r.metadata, key)
	r.err = cmp.Or(r.err, err)
	if !ok {
		return absent
	}
	return v
}

// ggufMaxSize is far above the sizes of any model, and so small that products of two cannot overflow.
const ggufMaxSize = 1 << 24

// size is a size of the architecture, absent if the file does not say it; it must if absent is 0.
func (r *ggufReader) size(key string, absent int) int {
	n, ok, err := gguf.Get[int](r.metadata, r.prefix+key)
	if !ok {
		n = absent
	}
	switch {
	case r.err != nil:
	case err != nil:
		r.err = err
	case !ok && absent == 0:
		r.err = fmt.Errorf("metadata %s is missing", r.prefix+key)
	case n <= 0 || n > ggufMaxSize:
		r.err = fmt.Errorf("metadata %s is %d, want 1 to %d", r.prefix+key, n, ggufMaxSize)
	}
	return n
}

// readGGUF maps the metadata of a file to a config.json.
func readGGUF(f *gguf.File) (*ggufModel, error) {
	r := &ggufReader{metadata: f.Metadata()}
	name := ggufGet(r, "general.architecture", "")
	architecture, ok := ggufArchitectureOf(name)
	switch {
	case r.err != nil:
		return nil, r.err
	case name == "":
		return nil, errors.New("it has no metadata general.architecture: it holds no language model")
	case !ok:
		return nil, fmt.Errorf("architecture %q is not supported in GGUF files, only %s: load the model's safetensors",
			name, strings.Join(ggufArchitectureNames(), ", "))
	}
	r.prefix = name + "."
	g := &ggufModel{architecture: architecture}
	hidden, layers, intermediate, positions := r.size("embedding_length", 0), r.size("block_count", 0), r.size("feed_forward_length", 0), r.size("context_length", 0)
	g.heads = r.size("attention.head_count", 0)
	g.kvHeads = r.size("attention.head_count_kv", g.heads)
	if r.err != nil {
		return nil, r.err
	}
	headDim := r.size("attention.key_length", hidden/g.heads)
	config := map[string]any{
		"model_type": architecture.ModelType, "architectures": []string{architecture.Class},
		"hidden_size": hidden, "num_hidden_layers": layers, "intermediate_size": intermediate,
		"num_attention_heads": g.heads, "num_key_value_heads": g.kvHeads, "head_dim": headDim,
		"max_position_embeddings": positions, "hidden_act": "silu",
		"rms_norm_eps": r.float("attention.layer_norm_rms_epsilon", 1e-5), "rope_theta": r.float("rope.freq_base", 1e4),
		"dtype": ggufDType(f),
	}
	if err := cmp.Or(r.err, checkGGUFLayers(f, layers, hidden, intermediate, g.heads*headDim, g.kvHeads*headDim)); err != nil {
		return nil, err
	}
	embedding, ok := f.Info("token_embd.weight")
	if !ok || len(embedding.Shape) != 2 || embedding.Shape[1] != hidden {
		return nil, fmt.Errorf("it has no matrix token_embd.weight of width %d", hidden)
	}
	config["vocab_size"] = embedding.Shape[0]
	_, untied := f.Info("output.weight")
	config["tie_word_embeddings"] = !untied
	if !architecture.ProjectionBias {
		_, config["attention_bias"] = f.Info("blk.0.attn_q.bias")
		if _, bias := f.Info("blk.0.ffn_gate.bias"); bias {
			config["mlp_bias"] = true
		}
	}
	if err := cmp.Or(r.unsupported(headDim), r.numbers(architecture, headDim, config)); err != nil {
		return nil, err
	}
	scaling, err := r.ropeScaling(f, headDim)
	if err != nil {
		return nil, err
	}
	if scaling != nil {
		config["rope_scaling"] = scaling
	}
	ends, err := r.ends()
	if err != nil {
		return nil, err
	}
	if len(ends) > 0 {
		config["eos_token_id"] = TokenIDs(ends)
	}
	if bos := ggufGet(r, "tokenizer.ggml.bos_token_id", -1); bos >= 0 {
		config["bos_token_id"] = bos
	}
	if r.err != nil {
		return nil, r.err
	}
	g.config, err = json.Marshal(config)
	return g, err
}

// checkGGUFLayers checks that the matrices of every layer are there, before a model of that size is made: the
// memory that a file makes hone take is that of the weights that it holds.
func checkGGUFLayers(f *gguf.File, layers, hidden, intermediate, queries, keys int) error {
	for layer := range layers {
		for _, matrix := range []struct {
			name  string
			shape []int
		}{
			{"attn_q", []int{queries, hidden}}, {"attn_k", []int{keys, hidden}}, {"attn_v", []int{keys, hidden}}, {"attn_output", []int{hidden, queries}},
			{"ffn_gate", []int{intermediate, hidden}}, {"ffn_up", []int{intermediate, hidden}}, {"ffn_down", []int{hidden, intermediate}},
		} {
			name := fmt.Sprintf("blk.%d.%s.weight", layer, matrix.name)
			info, ok := f.Info(name)
			if !ok {
				return fmt.Errorf("tensor %s is missing", name)
			}
			if !slices.Equal(info.Shape, matrix.shape) {
				return fmt.Errorf("tensor %s has shape %v, the metadata want %v", name, info.Shape, matrix.shape)
			}
		}
	}
	return nil
}

// float is a number of the architecture. Files have it as F32: it is read as the shortest decimal that F32
// holds so, which is what its author wrote.
func (r *ggufReader) float(key string, absent float64) json.RawMessage {
	x := ggufGet(r, r.prefix+key, absent)
	if math.IsNaN(x) || math.IsInf(x, 0) {
		r.err = cmp.Or(r.err, fmt.Errorf("metadata %s is %g", r.prefix+key, x))
		return nil
	}
	if float64(float32(x)) == x {
		return strconv.AppendFloat(nil, x, 'g', -1, 32)
	}
	return strconv.AppendFloat(nil, x, 'g', -1, 64)
}

// unsupported is an error that names what the model computes and hone does not.
func (r *ggufReader) unsupported(headDim int) error {
	for _, only := range []struct {
		key  string
		want int
	}{
		{"attention.value_length", headDim}, {"rope.dimension_count", headDim}, {"expert_count", 0}, {"attention.sliding_window", 0},
	} {
		if got := ggufGet(r, r.prefix+only.key, only.want); r.err == nil && got != only.want {
			return fmt.Errorf("metadata %s is %d, which is not supported, only %d", r.prefix+only.key, got, only.want)
		}
	}
	return r.err
}

// ropeScaling is config.json's rope_scaling, nil for none. Of Llama 3 files hold not the four numbers but the
// factors of the frequencies that come of them.
func (r *ggufReader) ropeScaling(f *gguf.File, headDim int) (any, error) {
	if kind := ggufGet(r, r.prefix+"rope.scaling.type", "none"); r.err == nil && kind != "none" {
		return map[string]any{"rope_type": kind, "factor": ggufGet(r, r.prefix+"rope.scaling.factor", 1.0)}, r.err
	}
	info, ok := f.Info(ropeFactors)
	if !ok || r.err != nil || headDim < 2 {
		return nil, r.err
	}
	if info.Type != gguf.F32 || !slices.Equal(info.Shape, []int{headDim / 2}) {
		return nil, fmt.Errorf("tensor %s is %s of shape %v, want F32 of shape [%d]", ropeFactors, info.Type, info.Shape, headDim/2)
	}
	factors := make([]float32, headDim/2)
	gguf.Dequantize(gguf.F32, factors, f.Bytes(ropeFactors))
	theta := ggufGet(r, r.prefix+"rope.freq_base", 1e4)
	scaling := llama3Scaling{Type: "llama3", Factor: float64(slices.Max(factors)), LowFreqFactor: 1, HighFreqFactor: 4, OriginalMaxPositionEmbeddings: 8192}
	for i, want := range scaling.factors(headDim, theta) {
		if !(math.Abs(float64(factors[i]-want)) <= 1e-4*float64(want)) {
			return nil, fmt.Errorf("tensor %s holds factors that Llama 3 does not have (%g at %d, want %g): load the model's safetensors", ropeFactors, factors[i], i, want)
		}
	}
	return scaling, r.err
}

// llama3Scaling is the rope_scaling of Llama 3.1 and later.
type llama3Scaling struct {
	Type                          string  `json:"rope_type"`
	Factor                        float64 `json:"factor"`
	LowFreqFactor                 float64 `json:"low_freq_factor"`
	HighFreqFactor                float64 `json:"high_freq_factor"`
	OriginalMaxPositionEmbeddings int     `json:"original_max_position_embeddings"`
}

// factors are what the frequencies of a head are divided by: 1 for short wavelengths, Factor for long ones,
// and between them something between (convert_hf_to_gguf.py, LlamaModel.generate_extra_tensors).
func (s llama3Scaling) factors(headDim int, theta float64) []float32 {
	out := make([]float32, headDim/2)
	original := float64(s.OriginalMaxPositionEmbeddings)
	long, short := original/s.LowFreqFactor, original/s.HighFreqFactor
	for i := range out {
		wavelength := 2 * math.Pi * math.Pow(theta, float64(2*i)/float64(headDim))
		switch {
		case wavelength < short:
			out[i] = 1
		case wavelength > long:
			out[i] = float32(s.Factor)
		default:
			smooth := (original/wavelength - s.LowFreqFactor) / (s.HighFreqFactor - s.LowFreqFactor)
			out[i] = float32(1 / ((1-smooth)/s.Factor + smooth))
		}
	}
	return out
}

// endings are the control tokens that end a turn or a text in every model that has them, as for llama.cpp.
var endings = []string{"<|im_end|>", "<|endoftext|>", "<|eot_id|>", endOfMessage, "<|end_of_text|>"}

// endOfMessage ends what Llama 3.1 says to a tool.
const endOfMessage = "<|eom_id|>"

// ends are the tokens that end a text: those that the metadata name, the first of them first, and the
// control tokens that are called like an ending.
func (r *ggufReader) ends() ([]int32, error) {
	var ids []int32
	add := func(id int) {
		if id >= 0 && id <= math.MaxInt32 && !slices.Contains(ids, int32(id)) {
			ids = append(ids, int32(id))
		}
	}
	for _, key := range []string{"eos", "eot", "eom"} {
		add(ggufGet(r, "tokenizer.ggml."+key+"_token_id", -1))
	}
	types := ggufGet[[]int](r, "tokenizer.ggml.token_type", nil)
	for id, token := range ggufGet[[]string](r, "tokenizer.ggml.tokens", nil) {
		if id < len(types) && types[id] == tokenControl && slices.Contains(endings, token) {
			add(id)
		}
	}
	return ids, r.err
}

// ggufDType is the dtype of the parameters of a file: that of most weights, BF16 where they are quantised.
func ggufDType(f *gguf.File) string {
	weights := map[gguf.Type]int64{}
	most := gguf.BF16
	for _, name := range f.Names() {
		info, _ := f.Info(name)
		if len(info.Shape) < 2 {
			continue
		}
		weights[info.Type] += info.Size / int64(info.Type.Size()) * int64(info.Type.Block())
		if weights[info.Type] > weights[most] {
			most = info.Type
		}
	}
	switch most {
	case gguf.F32:
		return "float32"
	case gguf.F16:
		return "float16"
	}
	return "bfloat16"
}
