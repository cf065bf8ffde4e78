"""Writes tensor/testdata/ops.safetensors: every fused op, forward and backward, in float32.

The op itself is that of PyTorch or of transformers' Qwen3. Beside it a plain formula runs in float64 on
the same float32 inputs; the script fails where the two disagree by more than LIMIT, so that a golden is
never a wrong answer written down.
"""

from collections.abc import Callable
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch.func import functional_call
from transformers import Qwen3Config
from transformers.models.qwen3 import modeling_qwen3 as hf

from common import ROOT, Random, error, save

LIMIT = 2e-5
IGNORE = -100
EPS = 1e-6

Tensors = dict[str, torch.Tensor]


def differentiate(fn: Callable, inputs: Tensors, wrt: list[str], dy: torch.Tensor | None, dtype: torch.dtype) -> Tensors:
    x = {k: v.to(dtype) if v.is_floating_point() else v for k, v in inputs.items()}
    leaves = [x[k].requires_grad_() for k in wrt]
    y = fn(**x)
    grads = torch.autograd.grad(y, leaves, None if dy is None else dy.to(dtype))
    return {"y": y.detach()} | {"d" + k: g for k, g in zip(wrt, grads)}


def case(out: Tensors, name: str, op: Callable, inputs: Tensors, wrt: list[str], rand: Random, formula: Callable | None = None) -> None:
    """Adds NAME.<input>, NAME.y, NAME.dy and NAME.d<input>. A scalar y is a loss: it is called so, and dy is 1."""
    with torch.no_grad():
        y = op(**inputs)
    dy = rand.normal(*y.shape) if y.dim() else None
    got = differentiate(op, inputs, wrt, dy, torch.float32)
    want = differentiate(formula or op, inputs, wrt, dy, torch.float64)
    worst = max(error(got[k], want[k]) for k in got)
    print(f"  {name:22} float32 against float64: {worst:.1e}")
    assert worst < LIMIT, name
    if dy is None:
        got["loss"] = got.pop("y").reshape(1)
    else:
        got["dy"] = dy
    out.update({f"{name}.{k}": v for k, v in (inputs | got).items()})


def rmsnorm(x, w):
    norm = hf.Qwen3RMSNorm(w.shape[0], eps=EPS)
    return functional_call(norm, {"weight": w}, (x,))


def rmsnorm_formula(x, w):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + EPS) * w


def rotary(dim: int, theta: float) -> hf.Qwen3RotaryEmbedding:
    return hf.Qwen3RotaryEmbedding(Qwen3Config(head_dim=dim, rope_parameters={"rope_type": "default", "rope_theta": theta}))


def rope_case(out: Tensors, name: str, x: torch.Tensor, positions: torch.Tensor, theta: float, rand: Random) -> None:
    emb = rotary(x.shape[-1], theta)
    half = x.shape[-1] // 2
    cos, sin = emb(x, positions)  # [B, T, D], both halves alike

    def op(x, positions):
        return hf.apply_rotary_pos_emb(x, x, cos.to(x.dtype), sin.to(x.dtype), unsqueeze_dim=2)[0]

    def formula(x, positions):
        angle = positions[..., None].float() * emb.inv_freq  # the angle in float32, as the reference has it
        turn = torch.polar(torch.ones_like(angle, dtype=torch.float64), angle.double())[:, :, None]
        z = torch.complex(x[..., :half].contiguous(), x[..., half:].contiguous()) * turn
        return torch.cat([z.real, z.imag], -1)

    case(out, name, op, {"x": x, "positions": positions}, ["x"], rand, formula)
    out |= {f"{name}.inv_freq": emb.inv_freq, f"{name}.cos": cos[..., :half], f"{name}.sin": sin[..., :half]}


def swiglu(gate, up):
    return F.silu(gate) * up


def swiglu_formula(gate, up):
    return gate / (1 + torch.exp(-gate)) * up


def may_attend(starts: list[int], tq: int, tk: int) -> torch.Tensor:
    """True where query i may see key j: bottom-right aligned, and within one packed sequence."""
    i, j = torch.arange(tq)[:, None] + tk - tq, torch.arange(tk)[None]
    seq = torch.bucketize(torch.arange(tk), torch.tensor(starts[1:]), right=True)
    return (j <= i) & (seq[tk - tq :][:, None] == seq[None])


def attention_case(out: Tensors, name: str, q, k, v, rand: Random, starts: tuple[int, ...] = (0,)) -> None:
    """q is [B, Tq, H, D]; k and v are [B, Tk, KV, D]; the result is [B, Tq, H, D]."""
    groups, scale = q.shape[2] // k.shape[2], q.shape[3] ** -0.5
    allowed = may_attend(list(starts), q.shape[1], k.shape[1])

    def op(q, k, v):
        module = SimpleNamespace(num_key_value_groups=groups, training=False)
        mask = torch.zeros(allowed.shape).masked_fill(~allowed, torch.finfo(torch.float32).min)
        return hf.eager_attention_forward(module, *(t.transpose(1, 2) for t in (q, k, v)), mask, scaling=scale)[0]

    def formula(q, k, v):
        k, v = k.repeat_interleave(groups, 2), v.repeat_interleave(groups, 2)
        scores = torch.einsum("bihd,bjhd->bhij", q, k) * scale
        weights = torch.exp(scores - scores.amax(-1, keepdim=True)) * allowed
        return torch.einsum("bhij,bjhd->bihd", weights / weights.sum(-1, keepdim=True), v)

    case(out, name, op, {"q": q, "k": k, "v": v}, ["q", "k", "v"], rand, formula)
    sdpa = F.scaled_dot_product_attention(*(t.transpose(1, 2) for t in (q, k, v)), attn_mask=allowed, enable_gqa=True)
    assert error(sdpa.transpose(1, 2), out[f"{name}.y"]) < LIMIT, f"{name}: sdpa disagrees"


def cross_entropy_case(out: Tensors, name: str, logits, targets, smoothing: float, rand: Random) -> None:
    def op(logits, targets):
        return F.cross_entropy(logits, targets, ignore_index=IGNORE, label_smoothing=smoothing)

    def formula(logits, targets):
        logp = logits - torch.logsumexp(logits, -1, keepdim=True)
        keep = targets != IGNORE
        want = F.one_hot(targets.clamp(min=0), logits.shape[-1]) * (1 - smoothing) + smoothing / logits.shape[-1]
        return -(want * logp).sum(-1)[keep].sum() / keep.sum()

    case(out, name, op, {"logits": logits, "targets": targets}, ["logits"], rand, formula)
    out[f"{name}.row_loss"] = F.cross_entropy(logits, targets, ignore_index=IGNORE, label_smoothing=smoothing, reduction="none")


def linear_cross_entropy(hidden, weight, targets):
    return F.cross_entropy(hidden @ weight.T, targets, ignore_index=IGNORE)


def embedding(ids, w):
    return F.embedding(ids, w)


def softmax(x):
    return torch.softmax(x, -1)


def main() -> None:
    rand, out = Random(7), {}

    w = rand.normal(20, mean=1.0, std=0.3)
    case(out, "rmsnorm", rmsnorm, {"x": rand.normal(6, 20), "w": w}, ["x", "w"], rand, rmsnorm_formula)
    case(out, "rmsnorm_tiny", rmsnorm, {"x": rand.normal(6, 20, std=1e-3), "w": w}, ["x", "w"], rand, rmsnorm_formula)
    case(out, "rmsnorm_large", rmsnorm, {"x": rand.normal(6, 20, std=1e4), "w": w}, ["x", "w"], rand, rmsnorm_formula)

    positions = torch.tensor([[0, 1, 2, 3, 0, 1, 2], [5, 6, 7, 60, 61, 200, 201]])
    rope_case(out, "rope", rand.normal(2, 7, 3, 10), positions, 1e4, rand)
    rope_case(out, "rope_far", rand.normal(1, 5, 2, 128), torch.tensor([[0, 1, 511, 4095, 32767]]), 1e6, rand)

    case(out, "swiglu", swiglu, {"gate": rand.normal(4, 18), "up": rand.normal(4, 18)}, ["gate", "up"], rand, swiglu_formula)
    gate = rand.uniform(-88, 88, 4, 18)
    case(out, "swiglu_large", swiglu, {"gate": gate, "up": rand.normal(4, 18)}, ["gate", "up"], rand, swiglu_formula)

    def qkv(tq: int, tk: int, std: float = 1.0) -> list[torch.Tensor]:
        shapes = (2, tq, 6, 10), (2, tk, 3, 10), (2, tk, 3, 10)
        return [rand.normal(*s, std=std if i < 2 else 1.0) for i, s in enumerate(shapes)]

    attention_case(out, "attention", *qkv(9, 9), rand)
    attention_case(out, "attention_cached", *qkv(3, 9), rand)
    attention_case(out, "attention_packed", *qkv(9, 9), rand, starts=(0, 4))
    attention_case(out, "attention_large", *qkv(9, 9, std=5.5), rand)

    targets = torch.tensor([3, IGNORE, 0, 12, 12, IGNORE, 7])
    logits, large = rand.normal(7, 13, std=2.0), rand.uniform(-80, 80, 7, 13)
    cross_entropy_case(out, "cross_entropy", logits, targets, 0.0, rand)
    cross_entropy_case(out, "cross_entropy_smooth", logits, targets, 0.1, rand)
    cross_entropy_case(out, "cross_entropy_large", large, targets, 0.0, rand)
    cross_entropy_case(out, "cross_entropy_large_smooth", large, targets, 0.1, rand)
    inputs = {"hidden": rand.normal(7, 12), "weight": rand.normal(13, 12), "targets": targets}
    case(out, "linear_cross_entropy", linear_cross_entropy, inputs, ["hidden", "weight"], rand)

    ids = torch.tensor([[3, 0, 3, 10, 5, 3], [5, 10, 10, 10, 1, 0]])
    case(out, "embedding", embedding, {"ids": ids, "w": rand.normal(11, 8)}, ["w"], rand)

    case(out, "softmax", softmax, {"x": rand.normal(5, 13, std=2.0)}, ["x"], rand)
    large = rand.uniform(-80, 80, 5, 13)
    large[:3, :4] = rand.normal(3, 4, mean=80)  # rivals, for dx is all cancellation where one element has all the weight
    large[3] = rand.normal(13, mean=-80)
    case(out, "softmax_large", softmax, {"x": large}, ["x"], rand)

    save(ROOT / "tensor" / "testdata" / "ops.safetensors", out)


if __name__ == "__main__":
    main()
