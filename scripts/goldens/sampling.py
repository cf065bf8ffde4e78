"""Writes models/testdata/sampling.json: what transformers' logits processors leave of some logits, and how likely.

Each case has logits, the text so far, the options, the probability of every token that may be drawn, and the log
probabilities of all tokens before anything was done to them.
"""

import json

import torch
from transformers import MinPLogitsWarper, RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from common import ROOT, Random

OPTIONS = [
    {"temperature": 1.0},
    {"temperature": 0.7, "top_k": 6},
    {"temperature": 1.3, "top_p": 0.8},
    {"temperature": 1.0, "min_p": 0.1},
    {"temperature": 2.0, "min_p": 0.3},
    {"temperature": 1.0, "repetition_penalty": 1.4},
    {"temperature": 1.0, "repetition_penalty": 0.8},
    {"temperature": 0.9, "top_k": 12, "top_p": 0.9, "min_p": 0.05, "repetition_penalty": 1.2},
    {"temperature": 1.5, "top_k": 3, "min_p": 0.9},
    {"temperature": 1.0, "top_k": 1, "repetition_penalty": 5.0},
]


def kept(logits: torch.Tensor, text: torch.Tensor, o: dict) -> dict[str, float]:
    steps = []
    if "repetition_penalty" in o:
        steps.append(RepetitionPenaltyLogitsProcessor(o["repetition_penalty"]))
    steps.append(TemperatureLogitsWarper(o["temperature"]))
    if "top_k" in o:
        steps.append(TopKLogitsWarper(o["top_k"]))
    if "top_p" in o:
        steps.append(TopPLogitsWarper(o["top_p"]))
    if "min_p" in o:
        steps.append(MinPLogitsWarper(o["min_p"]))
    scores = logits[None]
    for step in steps:
        scores = step(text[None], scores)
    p = scores[0].double().softmax(-1)
    return {str(i): float(f"{x:.8g}") for i, x in enumerate(p.tolist()) if x > 0}


def main() -> None:
    rand = Random(12)
    cases = []
    for o in OPTIONS:
        logits, text = rand.normal(24, std=2.0), rand.ints(24, 5)
        cases.append({
            "logits": [float(f"{x:.9g}") for x in logits.tolist()], "text": text.tolist(), "options": o, "probabilities": kept(logits, text, o),
            "logprobs": [float(f"{x:.8g}") for x in logits.double().log_softmax(-1).tolist()],
        })  # fmt: skip
    path = ROOT / "models" / "testdata" / "sampling.json"
    path.write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
    print(path.relative_to(ROOT), path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
