"""Loads a model directory that hone saved with transformers, and prints what it computes.

    python check_saved.py DIR [--ids 1,2,3 | --prompt TEXT] [--new-tokens 12] [--dtype float32] [--against FILE]

Prints the shape, sums and a few values of the logits and a greedy continuation, to be held beside hone's
own. FILE is a .safetensors that hone wrote with "logits" ([T, V] or [1, T, V]) and, if --ids is not
given, "ids" ([T] or [1, T]), as `go run ./scripts/goldens/logits` does; then the two are compared. The exit status
is 1 when the directory does not load cleanly (a missing, extra or misshapen tensor), the logits differ by more than
--tolerance, or the tokenizer of DIR gives the prompt in FILE's metadata other ids.
"""

import argparse
import sys
from pathlib import Path

from common import error

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer


def parse() -> argparse.Namespace:
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("dir", type=Path)
    ap.add_argument("--ids", help="token ids, comma-separated (by default 1,2,…,8)")
    ap.add_argument("--prompt", help="text; needs a tokenizer in DIR")
    ap.add_argument("--new-tokens", type=int, default=12)
    ap.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"], help="what to compute in")
    ap.add_argument("--against", type=Path, help="a .safetensors with hone's logits")
    ap.add_argument("--tolerance", type=float, default=1e-4, help="largest max|a−b| / max|b|")
    return ap.parse_args()


def load(folder: Path, dtype: str):
    model, info = AutoModelForCausalLM.from_pretrained(
        folder, dtype=getattr(torch, dtype), attn_implementation="eager", local_files_only=True, output_loading_info=True)  # fmt: skip
    if problems := {k: v for k, v in info.items() if v}:
        sys.exit(f"{folder} does not load cleanly: {problems}")
    model.config._experts_implementation = "eager"  # transformers' grouped product wants widths of whole 16 bytes,
    model.config.output_router_logits = False  # and its generate cannot do with these; dense models have neither
    tokenizer = None
    if (folder / "tokenizer.json").exists():
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return model.eval(), tokenizer


def main() -> None:
    a = parse()
    model, tokenizer = load(a.dir, a.dtype)
    hone = load_file(a.against) if a.against else {}
    if a.prompt is not None:
        if tokenizer is None:
            sys.exit(f"{a.dir} has no tokenizer.json: give --ids instead of --prompt")
        ids = tokenizer(a.prompt, return_tensors="pt").input_ids
    elif a.ids:
        ids = torch.tensor([[int(i) for i in a.ids.split(",")]])
    elif "ids" in hone:
        ids = hone["ids"].long().reshape(1, -1)
    else:
        ids = torch.arange(1, 9)[None]

    kept = {p.data_ptr(): p for p in model.parameters()}
    tied = model.get_input_embeddings().weight is model.get_output_embeddings().weight
    print(f"model       {type(model).__name__}, {sum(p.numel() for p in kept.values())} parameters, {'tied' if tied else 'untied'}, {a.dtype}")
    if tokenizer is not None:
        print(f"tokenizer   {type(tokenizer).__name__}, {len(tokenizer)} tokens")
    print("ids        ", ids[0].tolist())
    with torch.no_grad():
        logits = model(ids, use_cache=False).logits[0].float()
    exact, last = logits.double(), logits[-1]
    print(f"logits      shape {list(logits.shape)}, sum {exact.sum():.6g}, sum of magnitudes {exact.abs().sum():.8g}, largest {exact.abs().max():.8g}")
    print("last row    first values", " ".join(f"{x:.6f}" for x in last[:6]))
    top = last.topk(min(5, len(last)))
    print("last row    highest", " ".join(f"{i}:{x:.6f}" for x, i in zip(top.values.tolist(), top.indices.tolist())))
    out = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=a.new_tokens)[0, ids.shape[1] :]
    print("greedy     ", out.tolist())
    if tokenizer is not None:
        print("greedy text", repr(tokenizer.decode(out)))

    if hone and tokenizer is not None:
        with safe_open(a.against, "pt") as f:
            prompt = (f.metadata() or {}).get("prompt")
        if prompt is not None and (theirs := tokenizer(prompt).input_ids) != ids[0].tolist():
            sys.exit(f"{a.against}: the prompt {prompt!r} has the ids {ids[0].tolist()}, here {theirs}")
    if hone:
        e = error(hone["logits"].float().reshape(logits.shape), logits)
        print(f"against     {a.against}: max|a−b| / max|b| = {e:.2e}, tolerance {a.tolerance:.0e}")
        if e > a.tolerance:
            sys.exit(1)


if __name__ == "__main__":
    main()
