"""Gives each DIR, which holds the config.json of a tiny model, random weights and what transformers computes with them.

    python scripts/goldens/model.py models/llama/testdata/llama3 …

The architecture may be any that transformers has. DIR/config.json, in whichever form it was written, stays as it
is; model.safetensors, generation_config.json, goldens.safetensors (logits, the gradient of every parameter,
packing, generation) and bf16.json (the error of PyTorch's own bfloat16) are made anew. All else is float32,
attn_implementation="eager". models/modeltest holds a Go model
against them, and its package comment names every tensor.
"""

import json
import sys
import zlib
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

from common import Random, error, save
from qwen3 import Tensors, batch, forward_backward, generation, loss_of, packed
from qwen3 import load as load_dense


def weights(folder: Path, seed: int) -> None:
    """Saves a model whose every parameter is random, the norms around 1, large enough for a mistake to show."""
    text = (folder / "config.json").read_text()
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    model = plain(AutoModelForCausalLM.from_config(config).float().eval())
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
        tokens = model.get_input_embeddings().weight
        tokens /= gain(model)  # else what the layers add is lost beside a multiplied embedding, and a tied head repeats each token
    model.generation_config = GenerationConfig(bos_token_id=config.bos_token_id, eos_token_id=config.eos_token_id)
    model.save_pretrained(folder)
    (folder / "config.json").write_text(text)


def plain(model):
    model.config._experts_implementation = "eager"  # the grouped one wants widths of whole 16 bytes
    model.config.output_router_logits = False  # transformers' generate cannot do with them
    return model


def gain(model) -> float:
    """How much larger the embedding of tokens is where it enters the first layer."""
    ids = torch.arange(model.config.vocab_size)[None, :16]
    first = model(ids, use_cache=False, output_hidden_states=True).hidden_states[0]
    return (first.norm() / model.get_input_embeddings().weight[ids].norm()).item()


def load(folder: Path, attention: str = "eager", dtype: torch.dtype = torch.float32):
    model = plain(load_dense(folder, attention, dtype))
    model.get_input_embeddings().padding_idx = None  # which would drop the gradient of its row
    return model


def by_expert(tensors: Tensors) -> Tensors:
    """Names tensors of experts as checkpoints do, which hold each expert's by itself."""
    out = {}
    for name, t in tensors.items():
        if name.endswith("experts.gate_up_proj"):
            for e, both in enumerate(t):
                gate, up = both.chunk(2)
                out[name.replace("gate_up_proj", f"{e}.gate_proj.weight")] = gate
                out[name.replace("gate_up_proj", f"{e}.up_proj.weight")] = up
        elif name.endswith("experts.down_proj"):
            out |= {name.replace("down_proj", f"{e}.down_proj.weight"): down for e, down in enumerate(t)}
        else:
            out[name] = t
    return out


def auxiliary(model, ids: torch.Tensor, targets: torch.Tensor) -> Tensors:
    """The loss with that of unevenly used experts, and its gradients."""
    model.zero_grad()
    out = model(ids, use_cache=False, output_router_logits=True)
    loss = loss_of(out.logits, targets) + model.config.router_aux_loss_coef * out.aux_loss
    loss.backward()
    print(f"  loss of the experts: {out.aux_loss.item():.3f}")
    return {"aux.loss": loss.detach().reshape(1)} | {f"aux.grad.{n}": p.grad.clone() for n, p in model.named_parameters()}


def bf16_errors(folder: Path, want: Tensors) -> dict[str, dict[str, float]]:
    """The error of PyTorch's own bfloat16, by two kinds of attention: each is one draw of rounding noise."""
    errors, want = {}, by_expert(want)
    for attention in ("eager", "sdpa"):
        got = by_expert(forward_backward(load(folder, attention, torch.bfloat16), want["ids"], want["targets"]))
        errors[attention] = {n: float(f"{error(t, want[n]):.4g}") for n, t in got.items() if not n.startswith("hidden.")}
    return errors


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
    (folder / "bf16.json").write_text(json.dumps(bf16_errors(folder, goldens), sort_keys=True) + "\n")
    goldens |= packed(model, rand) | generation(model, rand)
    if json.loads((folder / "config.json").read_text()).get("output_router_logits"):
        goldens |= auxiliary(model, ids, targets)
    save(folder / "goldens.safetensors", by_expert({n: t for n, t in goldens.items() if not n.startswith("hidden.")}))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for path in sys.argv[1:]:
        make(Path(path).resolve())
