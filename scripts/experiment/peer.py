"""The peer of the experiment in docs/results.md: the recipe of `text2sql train` in PyTorch and transformers.

    python peer.py train  --model DIR --data train.jsonl --out RUN [--like HONE_RUN] [the recipe's flags]
    python peer.py answer --model RUN --data valid.jsonl --out answers.jsonl

`train` takes the flags that hone's run had and learns from the same samples in the same order: the order of a
seed, the packing into rows and the schedule are written here once more, from hone's documentation. With --like it
holds the tokens of every step against that run's metrics.jsonl and stops where they differ. It writes metrics.jsonl
with the same names, keeps a checkpoint every --save-every steps, and goes on from it when it is called again.

What a careful user of transformers would do is done: F32 weights under BF16 autocast, the blocks compiled, fused
AdamW, sdpa attention with a mask that keeps the samples of a row apart, and the head only where there is loss
(--all-logits leaves that to transformers). `answer` writes {"id","sql"} a line for `text2sql score`.
"""

import argparse
import json
import math
import os
import resource
import sys
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "goldens"))
from philox import philox4x32_10  # noqa: E402

torch.set_num_threads(len(os.sched_getaffinity(0)))  # the golden scripts ask for one, and for deterministic kernels
torch.use_deterministic_algorithms(False)

MASK64 = 2**64 - 1


# -- the same samples in the same order ------------------------------------------------------------------------------


def messages(row: dict) -> list[dict]:
    dialect = "PostgreSQL" if row["dialect"] == "postgres" else "SQLite"
    text = f"Write one {dialect} query that answers the question.\n\nSchema:\n{row['schema'].strip()}\n\nQuestion: {row['question']}"
    return [{"role": "user", "content": text}]


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def prompt_ids(tokenizer, row: dict) -> list[int]:
    text = tokenizer.apply_chat_template(messages(row), tokenize=False, add_generation_prompt=True)
    return tokenizer(text, add_special_tokens=False).input_ids


def sample(tokenizer, row: dict) -> tuple[list[int], int]:
    """The tokens of a row and where its answer begins."""
    prompt = prompt_ids(tokenizer, row)
    return prompt + tokenizer(row["sql"], add_special_tokens=False).input_ids + [tokenizer.convert_tokens_to_ids("<|im_end|>")], len(prompt)


def split(key: int, i: int) -> int:
    """tensor.Rand.Split: SplitMix64."""
    k = (key + 0x9E3779B97F4A7C15 * (i + 1)) & MASK64
    k = ((k ^ k >> 30) * 0xBF58476D1CE4E5B9) & MASK64
    k = ((k ^ k >> 27) * 0x94D049BB133111EB) & MASK64
    return k ^ k >> 31


def order(seed: int, epoch: int, n: int) -> list[int]:
    """data.Order: a Fisher-Yates shuffle by uniform numbers of 48 bits from Philox."""
    key = split(split(seed, 0), epoch)
    u = []
    for block in range((2 * n + 3) // 4):
        words = philox4x32_10([block & 0xFFFFFFFF, block >> 32, 0, 0], [key & 0xFFFFFFFF, key >> 32])
        u += [(w >> 8) / 2**24 for w in words]
    x = list(range(n))
    for i in range(n):
        j = i + min(int((u[2 * i] + u[2 * i + 1] / 2**24) * (n - i)), n - i - 1)
        x[i], x[j] = x[j], x[i]
    return x


def windows(samples: list, a: argparse.Namespace):
    """The rows of every step: samples go into the first row that has room; the first that fits nowhere ends the step."""
    epoch = 0
    while True:
        rows: list[list] = []
        for i in order(a.seed, epoch, len(samples)):
            s = samples[i]
            n = len(s[0])
            if n > a.max_length:
                continue
            row = next((r for r in rows if sum(len(t[0]) for t in r) + n <= a.max_length), None)
            if row is None:
                if len(rows) == a.batch:
                    yield rows
                    rows = []
                row = []
                rows.append(row)
            row.append(s)
        if rows:
            yield rows
        epoch += 1


def tensors(rows: list, a: argparse.Namespace):
    """ids, positions [B, T] and the mask [B, 1, T, T] of packed rows, and the places and ids of the targets."""
    ids = torch.zeros(a.batch, a.max_length, dtype=torch.long)
    positions = torch.zeros_like(ids)
    sample_of = torch.full_like(ids, -1)
    places, targets = [], []
    for r, row in enumerate(rows):
        at = 0
        for k, (tokens, answer) in enumerate(row):
            n = len(tokens)
            ids[r, at : at + n] = torch.tensor(tokens)
            positions[r, at : at + n] = torch.arange(n)
            sample_of[r, at : at + n] = k
            places += [r * a.max_length + at + i - 1 for i in range(answer, n)]
            targets += tokens[answer:]
            at += n
    same = sample_of[:, :, None] == sample_of[:, None, :]
    mask = (same & torch.ones(a.max_length, a.max_length, dtype=torch.bool).tril()[None])[:, None]
    return ids, positions, mask, torch.tensor(places), torch.tensor(targets), int((sample_of >= 0).sum())


# -- training --------------------------------------------------------------------------------------------------------


def groups(model, a: argparse.Namespace) -> list[dict]:
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    return [{"params": matrices, "weight_decay": a.weight_decay}, {"params": others, "weight_decay": 0.0}]


def factor(step: int, a: argparse.Namespace) -> float:
    warmup = math.ceil(a.warmup * a.max_steps)
    if step < warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(math.pi * min(1, (step - warmup) / max(1, a.max_steps - warmup))))


def train(a: argparse.Namespace) -> None:
    torch.manual_seed(a.seed)
    tokenizer = AutoTokenizer.from_pretrained(a.model)
    samples = [sample(tokenizer, row) for row in read(a.data)]
    model = AutoModelForCausalLM.from_pretrained(a.model, dtype=torch.float32, attn_implementation="sdpa")
    model.train()
    body = torch.compile(model.model) if a.compile else model.model
    opt = torch.optim.AdamW(groups(model, a), lr=a.lr, betas=(0.9, 0.999), eps=1e-8, fused=True)
    like = [json.loads(line) for line in open(a.like / "metrics.jsonl")] if a.like else None

    a.out.mkdir(parents=True, exist_ok=True)
    checkpoint = a.out / "checkpoint.pt"
    step, tokens, before = 0, 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint)
        model.load_state_dict(state["model"])
        opt.load_state_dict(state["optimizer"])
        step, tokens, before = state["step"], state["tokens"], state["seconds"]
    kept = (a.out / "metrics.jsonl").read_text().splitlines()[:step] if step else []
    metrics = open(a.out / "metrics.jsonl", "w")
    metrics.writelines(line + "\n" for line in kept)

    start = time.perf_counter()
    for index, rows in enumerate(windows(samples, a)):
        if index == a.max_steps:
            break
        if index < step:
            continue
        ids, positions, mask, places, targets, n = tensors(rows, a)
        with torch.autocast("cpu", torch.bfloat16):
            hidden = body(input_ids=ids, position_ids=positions, attention_mask=mask, use_cache=False).last_hidden_state.flatten(0, 1)
            if a.all_logits:
                logits = model.lm_head(hidden).float()[places]
            else:
                logits = model.lm_head(hidden[places]).float()
        loss = F.cross_entropy(logits, targets)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), a.clip)
        for g in opt.param_groups:
            g["lr"] = a.lr * factor(index, a)
        opt.step()
        opt.zero_grad(set_to_none=True)
        step, tokens = index + 1, tokens + n
        seconds = before + time.perf_counter() - start
        line = {"step": step, "tokens": tokens, "loss": loss.item(), "lr": opt.param_groups[0]["lr"], "grad_norm": norm.item(),
                "tokens_per_second": tokens / seconds, "seconds": seconds}  # fmt: skip
        print(json.dumps(line), file=metrics, flush=True)
        print(f"step {step}/{a.max_steps}  loss {line['loss']:.3f}  {line['tokens_per_second']:.0f} tok/s", file=sys.stderr, flush=True)
        if like and like[index]["tokens"] != tokens:
            sys.exit(f"step {step}: {tokens} tokens so far, but {like[index]['tokens']} in {a.like}: not the same samples")
        if a.save_every and step % a.save_every == 0 and step < a.max_steps:
            state = {"model": model.state_dict(), "optimizer": opt.state_dict(), "step": step, "tokens": tokens, "seconds": seconds}
            torch.save(state, a.out / "checkpoint.new")
            os.replace(a.out / "checkpoint.new", checkpoint)
    model.to(torch.bfloat16).save_pretrained(a.out)
    tokenizer.save_pretrained(a.out)
    result = {"tokens": tokens, "seconds": seconds, "tokens_per_second": tokens / seconds, "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}
    (a.out / "results.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))


# -- answering -------------------------------------------------------------------------------------------------------


def answer(a: argparse.Namespace) -> None:
    tokenizer = AutoTokenizer.from_pretrained(a.model, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(a.model, dtype=torch.bfloat16, attn_implementation="sdpa").eval()
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    rows = read(a.data)[: a.limit or None]
    prompts = [prompt_ids(tokenizer, row) for row in rows]
    answers: dict[str, str] = {}
    by_length = sorted(range(len(rows)), key=lambda i: len(prompts[i]))
    for at in range(0, len(by_length), a.batch):
        batch = by_length[at : at + a.batch]
        encoded = tokenizer.pad({"input_ids": [prompts[i] for i in batch]}, return_tensors="pt")
        with torch.no_grad():
            out = model.generate(**encoded, do_sample=False, max_new_tokens=a.max_tokens, eos_token_id=[end, 0], pad_token_id=end)
        for i, tokens in zip(batch, out[:, encoded.input_ids.shape[1] :]):
            answers[rows[i]["id"]] = tokenizer.decode(tokens, skip_special_tokens=True)
        print(f"{min(at + a.batch, len(rows))}/{len(rows)}", file=sys.stderr, flush=True)
    with open(a.out, "w") as f:
        f.writelines(json.dumps({"id": row["id"], "sql": answers[row["id"]]}) + "\n" for row in rows)


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = ap.add_subparsers(required=True)
    t = commands.add_parser("train")
    t.set_defaults(run=train)
    t.add_argument("--model", type=Path, required=True)
    t.add_argument("--data", type=Path, required=True)
    t.add_argument("--out", type=Path, required=True)
    t.add_argument("--like", type=Path, help="hone's run, of the same samples in the same order")
    t.add_argument("--max-steps", type=int, required=True)
    t.add_argument("--batch", type=int, default=4)
    t.add_argument("--max-length", type=int, default=1024)
    t.add_argument("--lr", type=float, default=2e-5)
    t.add_argument("--warmup", type=float, default=0.03)
    t.add_argument("--weight-decay", type=float, default=0.01)
    t.add_argument("--clip", type=float, default=1.0)
    t.add_argument("--seed", type=int, default=42)
    t.add_argument("--save-every", type=int, default=50)
    t.add_argument("--all-logits", action="store_true")
    t.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    w = commands.add_parser("answer")
    w.set_defaults(run=answer)
    w.add_argument("--model", type=Path, required=True)
    w.add_argument("--data", type=Path, required=True)
    w.add_argument("--out", type=Path, required=True)
    w.add_argument("--limit", type=int, default=0)
    w.add_argument("--batch", type=int, default=16)
    w.add_argument("--max-tokens", type=int, default=256)
    a = ap.parse_args()
    a.run(a)


if __name__ == "__main__":
    main()
