"""Loads a .gguf file that hone wrote with other programs, and prints what they make of it.

    python check_gguf.py FILE.gguf [--prompt TEXT] [--new-tokens 12]

gguf-py has to read every tensor and the metadata; transformers (which dequantises) and, where it is
installed, llama-cpp-python have to load the file and continue the prompt, greedily. The exit status is 1
unless both see the same tokens in the prompt, their logits have a cosine above 0.999, and, where the choice
of the next token is clear, they choose alike.
"""

import argparse
import sys
from pathlib import Path

import gguf
import numpy as np
import torch
from transformers import AutoModelForCausalLM

try:
    from llama_cpp import Llama
except ImportError:
    Llama = None


def parse() -> argparse.Namespace:
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("file", type=Path)
    ap.add_argument("--prompt", default="The capital of France is Paris. The capital of Germany is Berlin. 1 2 3 4 5")
    ap.add_argument("--new-tokens", type=int, default=12)
    return ap.parse_args()


def main() -> None:
    a = parse()
    reader = gguf.GGUFReader(a.file)
    types = {}
    for t in reader.tensors:
        gguf.dequantize(t.data, t.tensor_type)
        types[t.tensor_type.name] = types.get(t.tensor_type.name, 0) + 1
    print(f"gguf-py      {len(reader.tensors)} tensors {types}, {len(reader.fields) - 3} entries of metadata")
    if Llama is None:
        sys.exit("llama-cpp-python is not installed: the file is not compared")
    peer = Llama(str(a.file), n_ctx=512, logits_all=True, verbose=False)
    ids = peer.tokenize(a.prompt.encode(), add_bos=True, special=True)
    print("ids         ", ids)
    peer.eval(ids)
    there = np.array(peer.scores[: len(ids)], dtype=np.float64)
    peer.reset()
    out = []
    for token in peer.generate(ids, temp=0.0):
        out.append(token)
        if len(out) == a.new_tokens:
            break
    print("llama.cpp   ", out, repr(peer.detokenize(out).decode(errors="replace")))

    model = AutoModelForCausalLM.from_pretrained(a.file.parent, gguf_file=a.file.name, dtype=torch.float32).eval()
    prompt = torch.tensor([ids])
    with torch.no_grad():
        here = model(prompt).logits[0].double().numpy()
    again = model.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=a.new_tokens)[0, len(ids) :]
    print("transformers", again.tolist())
    cosine = (here * there).sum() / np.sqrt((here**2).sum() * (there**2).sum())
    top = np.sort(here, axis=1)[:, -2:]
    clear = top[:, 1] - top[:, 0] > 0.5
    alike = (here.argmax(1) == there.argmax(1))[clear].mean()
    print(f"logits       cosine {cosine:.6f}; of {clear.sum()} clear choices {alike:.0%} are alike")
    if not (cosine > 0.999 and alike == 1):
        sys.exit(1)


if __name__ == "__main__":
    main()
