"""Writes models/testdata/gguf: tiny random models as GGUF files, and what transformers computes with them.

A file NAME.gguf is written with gguf-py, float32, in the names and the order of rows that llama.cpp's
converter (convert_hf_to_gguf.py) gives them. logits.safetensors holds for each the logits of transformers
for the ids in it. Before it is written, transformers loads the file with its own reader and has to come to
the same logits, except for llama3, whose factors of frequencies that reader passes over, and qwen3, for
which it knows one width of heads only.
"""

import math

import gguf
import numpy as np
import torch
from gguf import GGUFWriter
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config, Qwen3Config

from common import ROOT, Random, error, save

TESTDATA = ROOT / "models" / "testdata" / "gguf"
SIZES = dict(vocab_size=64, hidden_size=32, num_attention_heads=4, num_key_value_heads=2, intermediate_size=64,
             max_position_embeddings=128, eos_token_id=5, bos_token_id=4, pad_token_id=None)  # fmt: skip
PLAIN = {"rope_type": "default", "rope_theta": 1e4}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 5e5, "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 8192}  # fmt: skip
CONFIGS = {
    "llama": LlamaConfig(rms_norm_eps=1e-5, rope_parameters=PLAIN, tie_word_embeddings=False, num_hidden_layers=2, **SIZES),
    "llama3": LlamaConfig(rms_norm_eps=1e-5, rope_parameters=LLAMA3, tie_word_embeddings=True, head_dim=16, num_hidden_layers=1, **SIZES),
    "qwen2": Qwen2Config(rms_norm_eps=1e-6, rope_parameters=PLAIN, tie_word_embeddings=True, num_hidden_layers=1, **SIZES),
    "qwen3": Qwen3Config(rms_norm_eps=1e-6, rope_parameters=PLAIN, tie_word_embeddings=False, head_dim=16, num_hidden_layers=1, **SIZES),
}


def permute(w: np.ndarray, heads: int) -> np.ndarray:
    """The rows of queries or keys as architecture llama has them."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def factors(config, head_dim: int) -> np.ndarray:
    rope = config.rope_parameters
    freqs = 1.0 / (rope["rope_theta"] ** (torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim))
    low, high, old = rope["low_freq_factor"], rope["high_freq_factor"], rope["original_max_position_embeddings"]
    out = []
    for freq in freqs:
        wavelength = 2 * math.pi / freq
        if wavelength < old / high:
            out.append(1)
        elif wavelength > old / low:
            out.append(rope["factor"])
        else:
            smooth = (old / wavelength - low) / (high - low)
            out.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    return np.array(out, dtype=np.float32)


def write(name: str, model) -> None:
    c = model.config
    arch = c.model_type
    head_dim = getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads
    w = GGUFWriter(TESTDATA / f"{name}.gguf", arch)
    w.add_vocab_size(c.vocab_size)
    w.add_context_length(c.max_position_embeddings)
    w.add_embedding_length(c.hidden_size)
    w.add_block_count(c.num_hidden_layers)
    w.add_feed_forward_length(c.intermediate_size)
    w.add_head_count(c.num_attention_heads)
    w.add_head_count_kv(c.num_key_value_heads)
    w.add_layer_norm_rms_eps(c.rms_norm_eps)
    w.add_rope_freq_base(c.rope_parameters["rope_theta"])
    if head_dim != c.hidden_size // c.num_attention_heads:
        w.add_key_length(head_dim)
        w.add_value_length(head_dim)
    w.add_rope_dimension_count(head_dim)
    w.add_eos_token_id(c.eos_token_id)
    w.add_bos_token_id(c.bos_token_id)
    if c.rope_parameters["rope_type"] == "llama3":
        w.add_tensor("rope_freqs.weight", factors(c, head_dim))
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[arch.upper()], c.num_hidden_layers)
    for key, value in model.state_dict().items():
        if key == "lm_head.weight" and c.tie_word_embeddings:
            continue
        x = value.numpy()
        if arch == "llama" and ".q_proj." in key:
            x = permute(x, c.num_attention_heads)
        if arch == "llama" and ".k_proj." in key:
            x = permute(x, c.num_key_value_heads)
        w.add_tensor(names.get_name(key, try_suffixes=(".weight", ".bias")), np.ascontiguousarray(x))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def main() -> None:
    TESTDATA.mkdir(parents=True, exist_ok=True)
    out = {}
    for i, (name, config) in enumerate(CONFIGS.items()):
        r = Random(20 + i)
        model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
        with torch.no_grad():
            for key, p in model.named_parameters():
                norm = p.ndim == 1 and not key.endswith(".bias")
                p.copy_(r.normal(*p.shape, mean=float(norm), std=0.3))
        write(name, model)
        ids = r.ints(SIZES["vocab_size"], 1, 24)
        with torch.no_grad():
            out[f"{name}.ids"], out[f"{name}.logits"] = ids, model(ids).logits
            if name not in ("llama3", "qwen3"):
                again = AutoModelForCausalLM.from_pretrained(TESTDATA, gguf_file=f"{name}.gguf", dtype=torch.float32, attn_implementation="eager").eval()
                worst = error(again(ids).logits, out[f"{name}.logits"])
                assert worst < 1e-5, f"{name}: transformers reads the file with an error of {worst}"
        print(f"{name}.gguf: {(TESTDATA / f'{name}.gguf').stat().st_size} bytes")
    save(TESTDATA / "logits.safetensors", out)


if __name__ == "__main__":
    main()
