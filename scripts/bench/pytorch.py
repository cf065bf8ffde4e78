"""The same work as bench/hone, in PyTorch: one JSON object a line on standard output.

    python pytorch.py matmul --dtype f32|bf16
    python pytorch.py step --dtype f32|bf16 [--compile] [--recompute none|block] [--tokens 1024] [--layers 28]
    python pytorch.py attention --dtype f32|bf16
    python pytorch.py gpt [--compile]
    python pytorch.py config

The model is Qwen3-0.6B written with PyTorch's own fused functions: rms_norm, scaled_dot_product_attention with
grouped heads, torch.utils.checkpoint, a loss by chunks of rows (checkpointed where layers are), fused AdamW. bf16 is
autocast over f32 weights, which is how PyTorch trains on a CPU without losing small updates.
"""

import argparse
import json
import resource
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from products import PRODUCTS, ROWS

HIDDEN, INTERMEDIATE, HEADS, KV_HEADS, HEAD_DIM, VOCAB, EPS, THETA = 1024, 3072, 16, 8, 128, 151936, 1e-6, 1e6


def report(**fields):
    print(json.dumps(fields), flush=True)


def median_seconds(f, repeats):
    f()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def matmul(dtype, repeats, rows=ROWS):
    """Forward x·wᵀ, dX = dy·w and dW = dyᵀ·x of the step's linear layers."""
    for name, k, n in PRODUCTS:
        x, w, dy = (torch.randn(*s, dtype=dtype) for s in ((rows, k), (n, k), (rows, n)))
        out, dx, dw = torch.empty(rows, n, dtype=dtype), torch.empty(rows, k, dtype=dtype), torch.empty(n, k, dtype=dtype)
        for kind, f in (
            ("forward", lambda: torch.mm(x, w.t(), out=out)),
            ("dX", lambda: torch.mm(dy, w, out=dx)),
            ("dW", lambda: torch.mm(dy.t(), x, out=dw)),
        ):
            seconds = median_seconds(f, repeats)
            report(bench="matmul", dtype=names[dtype], shape=f"{name} {kind}", gflops=2 * rows * n * k / seconds / 1e9)


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        linear = lambda i, o: nn.Linear(i, o, bias=False)
        self.q_proj, self.o_proj = linear(HIDDEN, HEADS * HEAD_DIM), linear(HEADS * HEAD_DIM, HIDDEN)
        self.k_proj, self.v_proj = linear(HIDDEN, KV_HEADS * HEAD_DIM), linear(HIDDEN, KV_HEADS * HEAD_DIM)
        self.gate_proj, self.up_proj = linear(HIDDEN, INTERMEDIATE), linear(HIDDEN, INTERMEDIATE)
        self.down_proj = linear(INTERMEDIATE, HIDDEN)
        self.input_norm, self.post_norm = nn.RMSNorm(HIDDEN, EPS), nn.RMSNorm(HIDDEN, EPS)
        self.q_norm, self.k_norm = nn.RMSNorm(HEAD_DIM, EPS), nn.RMSNorm(HEAD_DIM, EPS)

    def forward(self, x, cos, sin):
        b, t, _ = x.shape
        h = self.input_norm(x)
        q = self.q_norm(self.q_proj(h).view(b, t, HEADS, HEAD_DIM)).transpose(1, 2)
        k = self.k_norm(self.k_proj(h).view(b, t, KV_HEADS, HEAD_DIM)).transpose(1, 2)
        v = self.v_proj(h).view(b, t, KV_HEADS, HEAD_DIM).transpose(1, 2)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        x = x + self.o_proj(a.transpose(1, 2).reshape(b, t, -1))
        h = self.post_norm(x)
        return x + self.down_proj(F.silu(self.gate_proj(h)) * self.up_proj(h))


def rotate(x, cos, sin):
    x = x.to(cos.dtype)
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


class Model(nn.Module):
    def __init__(self, layers, recompute):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, HIDDEN)
        self.layers = nn.ModuleList(Layer() for _ in range(layers))
        self.norm = nn.RMSNorm(HIDDEN, EPS)
        self.recompute = recompute
        self.run = lambda layer, *args: layer(*args)

    def forward(self, ids):
        x = self.embed(ids)
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
        x = x.to(dtype)
        angle = torch.outer(torch.arange(ids.shape[1]).float(), THETA ** (-torch.arange(0, HEAD_DIM, 2).float() / HEAD_DIM))
        cos, sin = angle.cos().to(dtype), angle.sin().to(dtype)
        for layer in self.layers:
            x = checkpoint(layer, x, cos, sin, use_reentrant=False) if self.recompute else layer(x, cos, sin)
        return self.norm(x)


def chunk_loss(h, w, targets):
    return F.cross_entropy(F.linear(h, w).float(), targets, reduction="sum")


def loss_of(hidden, weight, targets, recompute, chunk=256):
    """Cross-entropy by chunks of rows, whose logits are kept for backward or exist for one chunk at a time."""
    total = 0.0
    for h, t in zip(hidden.flatten(0, 1).split(chunk), targets.flatten().split(chunk)):
        total = total + (checkpoint(loss_chunk, h, weight, t, use_reentrant=False) if recompute else loss_chunk(h, weight, t))
    return total / targets.numel()


loss_chunk = chunk_loss


def step(dtype, compiled, recompute, tokens, layers, rows, steps):
    global loss_chunk
    torch.manual_seed(0)
    model = Model(layers, recompute == "block")
    for p in model.parameters():
        if p.dim() == 2:
            nn.init.normal_(p, std=0.02)
    if compiled:
        for layer in model.layers:
            layer.compile()
        loss_chunk = torch.compile(chunk_loss)
    opt = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.01, fused=True)
    ids = torch.randint(0, VOCAB, (rows, tokens))
    targets = torch.randint(0, VOCAB, (rows, tokens))
    parts = {"forward_backward": [], "optimizer": [], "seconds": []}
    for i in range(steps + 1):
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            loss = loss_of(model(ids), model.embed.weight, targets, recompute == "block")
        loss.backward()
        middle = time.perf_counter()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        opt.zero_grad(set_to_none=True)
        end = time.perf_counter()
        if i > 0:  # the first compiles, and touches memory for the first time
            for name, value in (("forward_backward", middle - start), ("optimizer", end - middle), ("seconds", end - start)):
                parts[name].append(value)
    medians = {name: statistics.median(values) for name, values in parts.items()}
    report(bench="step", dtype=names[dtype], mode="compiled" if compiled else "eager", recompute=recompute, tokens=tokens, rows=rows,
           layers=layers, tokens_per_second=tokens * rows / medians["seconds"], peak_rss=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
           loss=float(loss.detach()), **medians)


def attention(dtype, repeats, tokens):
    q, k, v = (torch.randn(1, h, tokens, HEAD_DIM, dtype=dtype, requires_grad=True) for h in (HEADS, KV_HEADS, KV_HEADS))
    forward = lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    with torch.no_grad():
        seconds = median_seconds(forward, repeats)
    flops = 2 * tokens * tokens * HEADS * HEAD_DIM  # causal: half of 4·T²·H·D
    report(bench="attention", dtype=names[dtype], shape=f"forward {tokens}", gflops=flops / seconds / 1e9)
    out = forward()
    dy = torch.randn_like(out)
    seconds = median_seconds(lambda: out.backward(dy, retain_graph=True), repeats)
    report(bench="attention", dtype=names[dtype], shape=f"backward {tokens}", gflops=2.5 * flops / seconds / 1e9)


class GPTBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (y.view(b, t, self.heads, -1).transpose(1, 2) for y in self.qkv(self.norm1(x)).split(c, dim=2))
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(a.transpose(1, 2).reshape(b, t, c))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    """Character level, as bench/hone/gpt.go: 4 layers, 256 wide, 8 rows of 128, the head tied to the embedding."""

    def __init__(self, vocab=65, tokens=128, width=256, heads=4, layers=4):
        super().__init__()
        self.embed, self.places = nn.Embedding(vocab, width), nn.Embedding(tokens, width)
        self.blocks = nn.Sequential(*(GPTBlock(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)

    def forward(self, ids, targets):
        x = self.norm(self.blocks(self.embed(ids) + self.places.weight))
        return F.cross_entropy(F.linear(x, self.embed.weight).flatten(0, 1), targets.flatten())


def gpt(compiled, repeats, rows=8, tokens=128):
    torch.manual_seed(0)
    model = GPT()
    for p in model.parameters():
        nn.init.normal_(p, std=0.02)
    run = torch.compile(model) if compiled else model
    opt = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01, fused=True)
    ids = torch.randint(0, 65, (rows, tokens + 1))
    times = []
    for i in range(20 * repeats + 1):
        start = time.perf_counter()
        loss = run(ids[:, :-1], ids[:, 1:])
        loss.backward()
        loss.item()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        opt.zero_grad(set_to_none=True)
        if i > 0:
            times.append(time.perf_counter() - start)
    seconds = statistics.median(times)
    report(bench="gpt", dtype="f32", mode="compiled" if compiled else "eager", seconds=seconds, tokens_per_second=rows * tokens / seconds,
           loss=float(loss.detach()), peak_rss=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


dtypes = {"f32": torch.float32, "bf16": torch.bfloat16}
names = {v: k for k, v in dtypes.items()}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("what", choices=["matmul", "step", "attention", "gpt", "config"])
    p.add_argument("--dtype", choices=dtypes, default="f32")
    p.add_argument("--compile", action="store_true")
    p.add_argument("--recompute", choices=["none", "block"], default="none")
    p.add_argument("--tokens", type=int, default=1024)
    p.add_argument("--rows", type=int, default=1)
    p.add_argument("--layers", type=int, default=28)
    p.add_argument("--repeats", type=int, default=3)
    a = p.parse_args()
    if a.what == "config":
        print("PyTorch", torch.__version__, "threads", torch.get_num_threads())
        print(torch.__config__.show())
    elif a.what == "matmul":
        matmul(dtypes[a.dtype], a.repeats)
    elif a.what == "gpt":
        gpt(a.compile, a.repeats)
    elif a.what == "attention":
        attention(dtypes[a.dtype], a.repeats, a.tokens)
    else:
        step(dtypes[a.dtype], a.compile, a.recompute, a.tokens, a.layers, a.rows, a.repeats)


if __name__ == "__main__":
    main()
