package models

import (
	"fmt"
	"strings"
)

// ropeFactors is the tensor by which Llama 3.1 stretches its rotary frequencies. It is no parameter.
const ropeFactors = "rope_freqs.weight"

// The names of modules in Hugging Face checkpoints and in GGUF files (gguf-py, tensor_mapping.py), less
// ".weight" and ".bias": those that occur once, and those of a layer.
var (
	ggufModules = map[string]string{
		"model.embed_tokens": "token_embd",
		"model.norm":         "output_norm",
		"lm_head":            "output",
	}
	ggufLayerModules = map[string]string{
		"input_layernorm":          "attn_norm",
		"post_attention_layernorm": "ffn_norm",
		"self_attn.q_proj":         "attn_q",
		"self_attn.k_proj":         "attn_k",
		"self_attn.v_proj":         "attn_v",
		"self_attn.o_proj":         "attn_output",
		"self_attn.q_norm":         "attn_q_norm",
		"self_attn.k_norm":         "attn_k_norm",
		"mlp.gate_proj":            "ffn_gate",
		"mlp.up_proj":              "ffn_up",
		"mlp.down_proj":            "ffn_down",
	}
)

const layerPrefix = "model.layers."

// ggufName is what the tensor of a parameter is called in GGUF files.
func ggufName(parameter string) (name string, ok bool) {
	dot := strings.LastIndexByte(parameter, '.')
	if dot < 0 {
		return "", false
	}
	module, suffix := parameter[:dot], parameter[dot:]
	if module, ok := ggufModules[module]; ok {
		return module + suffix, true
	}
	layer, module, ok := strings.Cut(strings.TrimPrefix(module, layerPrefix), ".")
	module = ggufLayerModules[module]
	if !ok || module == "" || !strings.HasPrefix(parameter, layerPrefix) {
		return "", false
	}
	return fmt.Sprintf("blk.%s.%s%s", layer, module, suffix), true
}

// headsOf is the number of heads whose rows stand in llama.cpp's order in the weight or bias of that name, 0
// if the rows are in the order of the checkpoint.
func (g *ggufModel) headsOf(parameter string) int {
	switch {
	case !g.architecture.Interleaved:
	case strings.Contains(parameter, ".self_attn.q_proj."):
		return g.heads
	case strings.Contains(parameter, ".self_attn.k_proj."):
		return g.kvHeads
	}
	return 0
}

// rowOrder is a direction of reorderRows.
type rowOrder bool

const (
	toLlamaCpp   rowOrder = true
	fromLlamaCpp rowOrder = false
)

// reorderRows is a copy of data, rows that belong to heads of equal size, with the rows of each head in
// another order. Rotary positions turn pairs of rows: in checkpoints row i of a head with row i + D/2, in
// llama.cpp's architecture "llama" row 2i with row 2i + 1, as Meta's own Llama does
// (convert_hf_to_gguf.py, LlamaModel.permute). Rows are whole, so those of quantised blocks can move too.
func reorderRows(data []byte, rows, heads int, to rowOrder) []byte {
	out := make([]byte, len(data))
	width, dim := len(data)/max(1, rows), rows/heads
	for head := range heads {
		for i := range dim / 2 {
			for j := range 2 {
				halves, pairs := head*dim+j*dim/2+i, head*dim+2*i+j
				if to == toLlamaCpp {
					copy(out[pairs*width:(pairs+1)*width], data[halves*width:])
				} else {
					copy(out[halves*width:(halves+1)*width], data[pairs*width:])
				}
			}
		}
	}
	return out
}
