"""Gives each DIR, which holds the config.json of a tiny model, random weights and what transformers computes with them.

    python scripts/goldens/model.py models/llama/testdata/llama3 …

The architecture may be any that transformers has. DIR/config.json, in whichever form it was written, stays as it
is; model.safetensors, generation_config.json and goldens.safetensors (logits, the gradient of every parameter,
packing, generation) are made anew. All is float32, attn_implementation="eager". models/modeltest holds a Go model
against them, and its package comment names every tensor.
"""

import sys
import zlib
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

from common import Random, error, save
from qwen3 import batch, forward_backward, generation, load, packed


def weights(folder: Path, seed: int) -> None:
    """Saves a model whose every parameter is random, the norms around 1, large enough for a mistake to show."""
    text = (folder / "config.json").read_text()
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    config.pad_token_id = None  # nn.Embedding would drop the gradient of its row
    model = AutoModelForCausalLM.from_config(config).float().eval()
    rand = Random(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith("bias"):
                p.copy_(rand.normal(*p.shape, std=0.5))
            elif p.dim() == 1:
                p.copy_(rand.normal(*p.shape, mean=1.0, std=0.3))
            elif "embed" in name:
                p.copy_(rand.normal(*p.shape, std=0.2))
            else:
                p.copy_(rand.normal(*p.shape, std=1.2 * p.shape[-1] ** -0.5))
    model.generation_config = GenerationConfig(bos_token_id=config.bos_token_id, eos_token_id=config.eos_token_id)
    model.save_pretrained(folder)
    (folder / "config.json").write_text(text)


def make(folder: Path) -> None:
    print(f"{folder}:")
    seed = zlib.crc32(folder.name.encode()) % 1000
    weights(folder, seed)
    model, rand = load(folder), Random(1000 + seed)
    vocab = model.config.vocab_size
    ids, targets = batch(rand, vocab)
    goldens = {"ids": ids, "targets": targets} | forward_backward(model, ids, targets)
    other = forward_backward(load(folder, "sdpa"), ids, targets)
    worst = max(error(other[n], goldens[n]) for n in other)
    print(f"  sdpa against eager: {worst:.1e}")
    assert worst < 2e-5, "too sensitive a golden: rounding alone would fail it"
    goldens |= packed(model, rand) | generation(model, rand)
    save(folder / "goldens.safetensors", {n: t for n, t in goldens.items() if not n.startswith("hidden.")})


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for path in sys.argv[1:]:
        make(Path(path).resolve())
