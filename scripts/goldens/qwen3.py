"""Writes models/qwen/testdata/{tied,untied}: tiny Qwen3 models and what transformers computes with them.

A directory holds a model as transformers saves it (config.json, generation_config.json,
model.safetensors), goldens.safetensors (forward, gradients, packing, generation), training.safetensors
(20 steps of AdamW) and bf16.json (the error of PyTorch's own bfloat16). All is float32 and
attn_implementation="eager", but for bf16.json. The README beside them names every tensor.
"""

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM, GenerationConfig, Qwen3Config, Qwen3ForCausalLM, get_cosine_schedule_with_warmup
from transformers.utils import logging

from common import ROOT, Random, error, save

logging.disable_progress_bar()

TESTDATA = ROOT / "models" / "qwen" / "testdata"
IGNORE = -100
B, T = 2, 11
STEPS, WARMUP, LR, DECAY, CLIP = 20, 3, 1e-2, 0.1, 1.0
KEPT_STEPS = (2, 3, STEPS)  # step 1 has learning rate 0: it changes no parameter
PROMPT_LENGTHS, NEW_TOKENS = (1, 3, 8), 12

Tensors = dict[str, torch.Tensor]


@dataclass
class Variant:
    name: str
    seed: int
    embed_std: float  # small in one of them, so that the norms' eps counts
    released_keys: bool  # config.json as the released checkpoints have it, not as transformers 5 writes it
    config: Qwen3Config


def config(theta: float, **sizes) -> Qwen3Config:
    end = sizes["vocab_size"] - 1
    # No pad_token_id: nn.Embedding would drop the gradient of its row.
    rope = {"rope_type": "default", "rope_theta": theta}
    return Qwen3Config(rope_parameters=rope, rms_norm_eps=1e-6, max_position_embeddings=128, bos_token_id=end - 1, eos_token_id=end, **sizes)


VARIANTS = [
    Variant("tied", 1, 0.2, False, config(
        1e6, vocab_size=97, hidden_size=24, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        head_dim=8, intermediate_size=40, tie_word_embeddings=True)),
    Variant("untied", 4, 0.08, True, config(
        1e4, vocab_size=53, hidden_size=20, num_hidden_layers=3, num_attention_heads=6, num_key_value_heads=3,
        head_dim=10, intermediate_size=28, tie_word_embeddings=False)),
]  # fmt: skip


def build(v: Variant) -> Qwen3ForCausalLM:
    """A model whose every parameter is random, the norms around 1, large enough for a mistake to show."""
    model = Qwen3ForCausalLM(v.config).float().eval()
    rand = Random(v.seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() == 1:
                p.copy_(rand.normal(*p.shape, mean=1.0, std=0.3))
            elif "embed_tokens" in name:
                p.copy_(rand.normal(*p.shape, std=v.embed_std))
            else:
                p.copy_(rand.normal(*p.shape, std=1.2 * p.shape[1] ** -0.5))
    end = v.config.eos_token_id
    model.generation_config = GenerationConfig(bos_token_id=end - 1, eos_token_id=[end, end - 1], pad_token_id=end - 1)
    return model


def save_model(v: Variant, model: Qwen3ForCausalLM, folder: Path) -> None:
    model.save_pretrained(folder)
    if not v.released_keys:
        return
    path = folder / "config.json"
    c = json.loads(path.read_text())
    c["rope_theta"] = c.pop("rope_parameters")["rope_theta"]
    c["rope_scaling"] = None
    c["torch_dtype"] = c.pop("dtype")
    c.pop("layer_types"), c.pop("pad_token_id")
    c["transformers_version"] = "4.51.0"  # the first with Qwen3, and what the released files say
    path.write_text(json.dumps(c, indent=2, sort_keys=True) + "\n")


def load(folder: Path, attention: str = "eager", dtype: torch.dtype = torch.float32) -> Qwen3ForCausalLM:
    model, info = AutoModelForCausalLM.from_pretrained(
        folder, attn_implementation=attention, dtype=dtype, local_files_only=True, output_loading_info=True)  # fmt: skip
    assert not any(info.values()), info
    return model.eval()


def batch(rand: Random, vocab: int) -> tuple[torch.Tensor, torch.Tensor]:
    """ids and targets, [B, T]: targets[b, t] is what position t is to predict, or IGNORE."""
    text = rand.ints(vocab, B, T + 1)
    ids, targets = text[:, :-1], text[:, 1:].clone()
    targets[0, : int(rand.ints(5)) + 1] = IGNORE  # a prompt
    targets[1, T - int(rand.ints(3)) - 1 :] = IGNORE  # padding
    return ids, targets


def loss_of(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(logits.float().flatten(0, -2), targets.flatten(), ignore_index=IGNORE)


def forward_backward(model: Qwen3ForCausalLM, ids: torch.Tensor, targets: torch.Tensor) -> Tensors:
    hidden: Tensors = {}
    # Hooks, for output_hidden_states gives the last layer's output only after the final norm.
    modules = [model.model.embed_tokens, *model.model.layers, model.model.norm]
    names = [str(i) for i in range(len(model.model.layers) + 1)] + ["norm"]
    hooks = [m.register_forward_hook(lambda _m, _i, out, n=n: hidden.update({f"hidden.{n}": out.detach()})) for m, n in zip(modules, names)]
    model.zero_grad()
    logits = model(ids, use_cache=False).logits
    loss = loss_of(logits, targets)
    loss.backward()
    for h in hooks:
        h.remove()
    grads = {f"grad.{n}": p.grad.clone() for n, p in model.named_parameters()}
    assert all(g.abs().max() > 0 for g in grads.values())
    return hidden | {"logits": logits.detach(), "loss": loss.detach().reshape(1)} | grads


def packed(model: Qwen3ForCausalLM, rand: Random) -> Tensors:
    """Two sequences, each run by itself; one packed row must give the same, as transformers' own does."""
    out, pieces, targets = {}, [], []
    with torch.no_grad():
        for i, n in enumerate((4, 7)):
            ids = rand.ints(model.config.vocab_size, n + 1)
            target = ids[1:].clone()
            target[:2] = IGNORE
            logits = model(ids[None, :-1], use_cache=False).logits[0]
            pieces.append(ids[:-1])
            targets.append(target)
            out |= {f"packed.{i}.ids": ids[:-1], f"packed.{i}.targets": target, f"packed.{i}.logits": logits}
        separate = torch.cat([out["packed.0.logits"], out["packed.1.logits"]])
        out["packed.loss"] = loss_of(separate, torch.cat(targets)).reshape(1)
        positions = torch.cat([torch.arange(len(p)) for p in pieces])[None]
        together = model(torch.cat(pieces)[None], position_ids=positions, use_cache=False).logits[0]
        plain = model(torch.cat(pieces)[None], use_cache=False).logits[0]
    assert error(together, separate) < 1e-5
    assert error(plain, separate) > 1e-2  # otherwise the golden could not tell packing from mere joining
    return out


def generation(model: Qwen3ForCausalLM, rand: Random) -> Tensors:
    """Greedy continuations of prompts run one at a time; the same prompts padded into a batch must agree."""
    out, prompts, news = {}, [], []
    high = model.config.vocab_size - 2
    options = {"do_sample": False, "max_new_tokens": NEW_TOKENS}
    for i, n in enumerate(PROMPT_LENGTHS):
        for _ in range(500):  # until one makes a good test: it does not stop, nor repeat one token, nor nearly choose another
            prompt = rand.ints(high, n)
            new = model.generate(prompt[None], attention_mask=torch.ones(1, n, dtype=torch.long), **options)[0, n:]
            if len(new) == NEW_TOKENS and len(set(new.tolist())) >= 5 and (margin := check_greedy(model, prompt, new)) > 0.03:
                break
        else:
            sys.exit(
                f"none of 500 prompts of {n} tokens makes a good test of generation, the last goes on with {new.tolist()}: "
                "if one token repeats, let config.json untie the head or give what the layers add more weight"
            )
        print(f"  prompt {i}: new {new.tolist()}, smallest margin {margin:.2g}")
        out |= {f"generate.{i}.prompt": prompt, f"generate.{i}.new": new}
        prompts.append(prompt)
        news.append(new)
    longest = max(PROMPT_LENGTHS)
    ids = torch.stack([F.pad(p, (longest - len(p), 0), value=high) for p in prompts])
    mask = torch.stack([F.pad(torch.ones(len(p), dtype=torch.long), (longest - len(p), 0)) for p in prompts])
    assert torch.equal(model.generate(ids, attention_mask=mask, **options)[:, longest:], torch.stack(news))
    return out


@torch.no_grad()
def check_greedy(model: Qwen3ForCausalLM, prompt: torch.Tensor, new: torch.Tensor) -> float:
    """Asserts that one pass without a cache chooses the same tokens; returns how nearly another won, in
    units of the logits' spread where a model scales them down."""
    logits = model(torch.cat([prompt, new])[None, :-1], use_cache=False).logits[0, len(prompt) - 1 :]
    assert torch.equal(logits.argmax(-1), new)
    best = logits.topk(2).values
    return ((best[:, 0] - best[:, 1]).min() / logits.std().clamp(max=1)).item()


def training(model: Qwen3ForCausalLM, batches: list[tuple[torch.Tensor, torch.Tensor]]) -> Tensors:
    params = dict(model.named_parameters())
    groups = [
        {"params": [p for p in params.values() if p.dim() >= 2], "weight_decay": DECAY},
        {"params": [p for p in params.values() if p.dim() < 2], "weight_decay": 0.0},
    ]
    opt = torch.optim.AdamW(groups, lr=LR, betas=(0.9, 0.999), eps=1e-8, foreach=False)
    schedule = get_cosine_schedule_with_warmup(opt, WARMUP, STEPS)
    out, losses, norms, rates = {}, [], [], []
    before = {n: p.detach().clone() for n, p in params.items()}
    for step, (ids, targets) in enumerate(batches, start=1):
        opt.zero_grad()
        loss = loss_of(model(ids, use_cache=False).logits, targets)
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(params.values(), CLIP))
        losses.append(loss.detach())
        rates.append(schedule.get_last_lr()[0])
        opt.step()
        schedule.step()
        if step == 1:
            assert rates[0] == 0 and all(torch.equal(p, before[n]) for n, p in params.items())
        if step in KEPT_STEPS:
            out |= {f"step{step}.{n}": p.detach().clone() for n, p in params.items()}
    out |= {"loss": torch.stack(losses), "grad_norm": torch.stack(norms), "lr": torch.tensor(rates)}
    return out | {"ids": torch.stack([b[0] for b in batches]), "targets": torch.stack([b[1] for b in batches])}


def bf16_errors(folder: Path, want: Tensors) -> dict[str, dict[str, float]]:
    errors = {}
    for attention in ("eager", "sdpa"):
        got = forward_backward(load(folder, attention, torch.bfloat16), want["ids"].long(), want["targets"].long())
        errors[attention] = {n: float(f"{error(t, want[n]):.4g}") for n, t in got.items()}
    return errors


def make(v: Variant) -> None:
    print(f"{v.name}:")
    folder = TESTDATA / v.name
    shutil.rmtree(folder, ignore_errors=True)
    save_model(v, build(v), folder)
    model, rand, vocab = load(folder), Random(100 + v.seed), v.config.vocab_size

    ids, targets = batch(rand, vocab)
    goldens = {"ids": ids, "targets": targets} | forward_backward(model, ids, targets)
    ours = model.loss_function(model(ids).logits, None, vocab_size=vocab, shift_labels=targets)
    assert error(ours.reshape(1), goldens["loss"]) < 1e-6  # transformers' own loss
    other = forward_backward(load(folder, "sdpa"), ids, targets)
    print(f"  sdpa against eager: {max(error(other[n], goldens[n]) for n in other):.1e}")
    (folder / "bf16.json").write_text(json.dumps(bf16_errors(folder, goldens), indent=1, sort_keys=True) + "\n")

    goldens |= packed(model, rand) | generation(model, rand)
    save(folder / "goldens.safetensors", goldens)

    few = [batch(rand, vocab) for _ in range(4)]  # few, so that the loss falls
    batches = [few[i % len(few)] for i in range(STEPS)]
    trained = training(load(folder), batches)
    other = training(load(folder, "sdpa"), batches)
    print("  training, loss:", " ".join(f"{x:.3f}" for x in trained["loss"]))
    print("  training, norm:", " ".join(f"{x:.2f}" for x in trained["grad_norm"]))
    for step in KEPT_STEPS:
        worst = max((error(other[n], trained[n]), n) for n in other if n.startswith(f"step{step}."))
        print(f"  training, sdpa against eager: {worst[0]:.1e} at {worst[1]}")
        assert worst[0] < 2e-5, "too sensitive a golden: rounding alone would fail it"
    save(folder / "training.safetensors", trained)


if __name__ == "__main__":
    for variant in VARIANTS:
        make(variant)
