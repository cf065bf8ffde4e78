"""Writes nn/lora/testdata/{qwen3,llama}: adapters as PEFT saves them, and what PEFT computes with them.

The bases are the tiny models of models/qwen/testdata/tied and models/llama/testdata/llama3. A directory holds
adapter_config.json and adapter_model.safetensors, with B not 0, and goldens.safetensors: ids and targets [B, T],
logits [B, T, V], loss [1], merged [B, T, V], the logits of PEFT's own merge, and grad.P for each A and B.
"""

import json
import shutil
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model

from common import ROOT, Random, error, save
from qwen3 import batch, load, loss_of

TESTDATA = ROOT / "nn" / "lora" / "testdata"
VARIANTS = {
    "qwen3": ("models/qwen/testdata/tied", 7, dict(r=3, lora_alpha=5, target_modules=["q_proj", "v_proj", "down_proj"])),
    "llama": ("models/llama/testdata/llama3", 8, dict(r=4, lora_alpha=6, use_rslora=True, target_modules="all-linear")),
}


def make(name: str, base: str, seed: int, options: dict) -> None:
    folder, rand = TESTDATA / name, Random(seed)
    shutil.rmtree(folder, ignore_errors=True)
    model = get_peft_model(load(ROOT / base), LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.0, **options))
    with torch.no_grad():
        for n, p in model.named_parameters():
            if "lora_" in n:
                p.copy_(rand.normal(*p.shape, std=0.5 * p.shape[-1] ** -0.5))
    model.peft_config["default"].base_model_name_or_path = base
    model.save_pretrained(folder)
    (folder / "README.md").unlink()
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    if isinstance(config["target_modules"], list):  # PEFT holds a set, of which every run makes another list
        config["target_modules"].sort()
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    again = PeftModel.from_pretrained(load(ROOT / base), folder, is_trainable=True).eval()

    ids, targets = batch(rand, again.config.vocab_size)
    plain = load(ROOT / base)(ids, use_cache=False).logits
    logits = again(ids, use_cache=False).logits
    assert error(logits, plain) > 0.05, "an adapter that hardly matters"
    loss = loss_of(logits, targets)
    loss.backward()
    grads = {f"grad.{n.removeprefix('base_model.model.').replace('.default', '')}": p.grad.clone() for n, p in again.named_parameters() if p.requires_grad}
    assert all("lora_" in n and g.abs().max() > 0 for n, g in grads.items())
    with torch.no_grad():
        merged = again.merge_and_unload()(ids, use_cache=False).logits
    print(f"{name}: loss {loss.item():.4f}, merged against adapter {error(merged, logits):.1e}")
    save(folder / "goldens.safetensors", {"ids": ids, "targets": targets, "logits": logits, "loss": loss.reshape(1), "merged": merged} | grads)


if __name__ == "__main__":
    for name, (base, seed, options) in VARIANTS.items():
        make(name, base, seed, options)
