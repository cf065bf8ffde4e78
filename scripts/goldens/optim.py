"""Writes optim/testdata/optim.safetensors: AdamW, clipping, Muon and the learning-rate schedules."""

import torch
from transformers import get_constant_schedule_with_warmup, get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

from common import ROOT, Random, error, save

STEPS = 20
TOTAL, WARMUP = 50, 5


def adamw(out: dict, rand: Random) -> None:
    """torch.optim.AdamW: two matrices that decay and a vector, in a group of its own, that does not."""
    shapes = {"a": (5, 7), "b": (3, 4), "c": (7,)}
    params = {k: torch.nn.Parameter(rand.normal(*s)) for k, s in shapes.items()}
    # Gradients of very different sizes; one element is always 0, so that only decay moves it.
    grads = {k: rand.normal(STEPS, *s) * torch.exp(rand.normal(*s, std=2.0)) for k, s in shapes.items()}
    grads["a"][:, 0, 0] = 0
    groups = [
        {"params": [params["a"], params["b"]], "lr": 1e-2, "weight_decay": 0.1},
        {"params": [params["c"]], "lr": 3e-3, "weight_decay": 0.0},
    ]
    opt = torch.optim.AdamW(groups, betas=(0.9, 0.999), eps=1e-8, foreach=False)
    for k, p in params.items():
        out[f"adamw.{k}.init"], out[f"adamw.{k}.grads"] = p.detach().clone(), grads[k]
    history = {k: [] for k in params}
    for step in range(STEPS):
        for k, p in params.items():
            p.grad = grads[k][step].clone()
        opt.step()
        for k, p in params.items():
            history[k].append(p.detach().clone())
    for k, p in params.items():
        out[f"adamw.{k}.params"] = torch.stack(history[k])
        out[f"adamw.{k}.m"], out[f"adamw.{k}.v"] = opt.state[p]["exp_avg"], opt.state[p]["exp_avg_sq"]


def clipping(out: dict, rand: Random) -> None:
    """clip_grad_norm_ to 1.0, of gradients whose norm is above it and of others below."""
    for name, std in {"above": 1.0, "below": 0.05}.items():
        params = [torch.nn.Parameter(torch.zeros(s)) for s in ((4, 6), (5,))]
        for i, p in enumerate(params):
            p.grad = rand.normal(*p.shape, std=std)
            out[f"clip.{name}.{i}.grad"] = p.grad.clone()
        norm = torch.nn.utils.clip_grad_norm_(params, 1.0, foreach=False)
        assert (norm > 1) == (name == "above")
        out[f"clip.{name}.norm"] = norm.reshape(1)
        out |= {f"clip.{name}.{i}.clipped": p.grad for i, p in enumerate(params)}


def orthogonalise(u: torch.Tensor) -> torch.Tensor:
    """Five Newton–Schulz steps towards the nearest semi-orthogonal matrix, on the wide orientation."""
    tall = u.shape[0] > u.shape[1]
    x = u.T if tall else u
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x.T if tall else x


def muon_run(init: torch.Tensor, grads: torch.Tensor, lr: float, decay: float, momentum: float) -> tuple[list, torch.Tensor]:
    p, m, history = init.clone(), torch.zeros_like(init), []
    for g in grads:
        m = momentum * m + g
        u = orthogonalise(g + momentum * m) * max(1, p.shape[0] / p.shape[1]) ** 0.5
        p = p * (1 - lr * decay) - lr * u
        history.append(p)
    return history, m


def muon(out: dict, rand: Random) -> None:
    """Muon (Jordan et al. 2024) with Nesterov momentum and decoupled decay, all in float32."""
    for name, shape in {"wide": (16, 48), "tall": (48, 16), "square": (24, 24)}.items():
        init, grads = rand.normal(*shape, std=0.1), rand.normal(STEPS, *shape) * 0.3 + rand.normal(*shape)
        history, m = muon_run(init, grads, lr=0.02, decay=0.05, momentum=0.95)
        exact, _ = muon_run(init.double(), grads.double(), lr=0.02, decay=0.05, momentum=0.95)
        print(f"  muon {name:7} float32 against float64: {error(history[-1], exact[-1]):.1e}")
        assert error(history[-1], exact[-1]) < 1e-5
        out |= {f"muon.{name}.init": init, f"muon.{name}.grads": grads, f"muon.{name}.m": m}
        out |= {f"muon.{name}.params.{n}": history[n - 1] for n in (1, 2, STEPS)}


def schedules(out: dict) -> None:
    """The factor on the learning rate at steps 0, 1, …, 49, in float64."""
    makers = {
        "cosine": lambda o: get_cosine_schedule_with_warmup(o, WARMUP, TOTAL),
        "linear": lambda o: get_linear_schedule_with_warmup(o, WARMUP, TOTAL),
        "constant": lambda o: get_constant_schedule_with_warmup(o, WARMUP),
    }
    for name, make in makers.items():
        opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        schedule, factors = make(opt), []
        for _ in range(TOTAL):
            factors.append(schedule.get_last_lr()[0])
            opt.step()
            schedule.step()
        out[f"schedule.{name}"] = torch.tensor(factors, dtype=torch.float64)


def main() -> None:
    rand, out = Random(11), {}
    adamw(out, rand)
    clipping(out, rand)
    muon(out, rand)
    schedules(out)
    save(ROOT / "optim" / "testdata" / "optim.safetensors", out)


if __name__ == "__main__":
    main()
