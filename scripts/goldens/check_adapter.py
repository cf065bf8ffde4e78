"""Loads an adapter that hone saved with PEFT, and holds what it computes against hone's logits.

    python check_adapter.py ADAPTER --against FILE [--base DIR] [--tolerance 1e-4]

FILE is a .safetensors with "ids" ([T]) and "logits" ([T, V]); the base is the adapter's base_model_name_or_path
unless --base names it. The exit status is 1 if a tensor of the adapter is missing or one too many, if the logits
differ, or if those of PEFT's own merge do.
"""

import argparse
import sys
import warnings
from pathlib import Path

from common import error

import torch
from peft import PeftConfig, PeftModel
from safetensors import safe_open
from safetensors.torch import load_file

from qwen3 import load


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("dir", type=Path)
    ap.add_argument("--against", type=Path, required=True)
    ap.add_argument("--base", type=Path)
    ap.add_argument("--tolerance", type=float, default=1e-4)
    a = ap.parse_args()
    warnings.simplefilter("error", UserWarning)  # PEFT warns of fields and tensors that it does not know
    config = PeftConfig.from_pretrained(a.dir)
    model = PeftModel.from_pretrained(load(a.base or Path(config.base_model_name_or_path)), a.dir).eval()
    with safe_open(a.dir / "adapter_model.safetensors", "pt") as f:
        saved = set(f.keys())
    have = {n.replace(".default", "") for n, _ in model.named_parameters() if "lora_" in n}
    if saved != have:
        sys.exit(f"tensors of one only: {sorted(saved ^ have)}")
    hone = load_file(a.against)
    with torch.no_grad():
        ids = hone["ids"].long().reshape(1, -1)
        for what in ("adapter", "merged"):
            logits = model(ids, use_cache=False).logits[0]
            e = error(hone["logits"].float().reshape(logits.shape), logits)
            print(f"{what}: {len(saved)} tensors, max|a−b| / max|b| = {e:.2e}")
            if e > a.tolerance:
                sys.exit(1)
            model = model.merge_and_unload() if what == "adapter" else model


if __name__ == "__main__":
    main()
