"""Writes optim/testdata/breadth.safetensors: SGD, Adam, Lion, Adafactor, averages of weights, clipping by
value and PyTorch's learning-rate schedules."""

import torch
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from common import ROOT, Random, save

STEPS = 20
TOTAL = 50
SHAPES = {"a": (5, 7), "b": (2, 3, 4), "c": (7,)}


class Lion(torch.optim.Optimizer):
    """Chen et al., "Symbolic Discovery of Optimization Algorithms", 2023, Algorithm 2."""

    def __init__(self, params, lr, betas, weight_decay):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                update = (beta1 * m + (1 - beta1) * p.grad).sign()
                p -= group["lr"] * (update + group["weight_decay"] * p)
                m.mul_(beta2).add_(p.grad, alpha=1 - beta2)


OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.05),
    "sgd.decay": lambda p: torch.optim.SGD(p, lr=0.05, weight_decay=0.1),
    "sgd.momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    "sgd.dampening": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, dampening=0.3, weight_decay=0.1),
    "sgd.nesterov": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.1, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.9, 0.99)),
    "adam.decay": lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.9, 0.99), weight_decay=0.1),
    "lion": lambda p: Lion(p, lr=0.01, betas=(0.9, 0.99), weight_decay=0.1),
    "adafactor": lambda p: torch.optim.Adafactor(p),
    "adafactor.decay": lambda p: torch.optim.Adafactor(p, lr=0.5, beta2_decay=-0.6, eps=(1e-3, 1e-2), d=1.1, weight_decay=0.1),
}


def optimizers(out: dict, rand: Random) -> None:
    init = {k: rand.normal(*s) for k, s in SHAPES.items()}
    # Gradients of very different sizes; one element is always 0, so that only decay moves it.
    grads = {k: rand.normal(STEPS, *s) * torch.exp(rand.normal(*s, std=2.0)) for k, s in SHAPES.items()}
    grads["a"][:, 0, 0] = 0
    out |= {f"{k}.init": init[k] for k in SHAPES} | {f"{k}.grads": grads[k] for k in SHAPES}
    for name, make in OPTIMIZERS.items():
        params = {k: torch.nn.Parameter(v.clone()) for k, v in init.items()}
        opt, history = make(list(params.values())), {k: [] for k in params}
        for step in range(STEPS):
            for k, p in params.items():
                p.grad = grads[k][step].clone()
            opt.step()
            for k, p in params.items():
                history[k].append(p.detach().clone())
        out |= {f"{name}.{k}": torch.stack(v) for k, v in history.items()}


def average(out: dict) -> None:
    """AveragedModel of the parameters that torch.optim.SGD, above, passed through."""
    model = torch.nn.ParameterDict({k: torch.nn.Parameter(torch.zeros(s)) for k, s in SHAPES.items()})
    averaged, history = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.8)), {k: [] for k in SHAPES}
    for step in range(STEPS):
        with torch.no_grad():
            for k, p in model.items():
                p.copy_(out[f"sgd.{k}"][step])
        averaged.update_parameters(model)
        for k, p in averaged.module.items():
            history[k].append(p.detach().clone())
    out |= {f"average.{k}": torch.stack(v) for k, v in history.items()}


def clipping(out: dict, rand: Random) -> None:
    p = torch.nn.Parameter(torch.zeros(4, 6))
    p.grad = rand.normal(4, 6)
    out["clip.grad"] = p.grad.clone()
    torch.nn.utils.clip_grad_value_([p], 0.5)
    out["clip.clipped"] = p.grad


SCHEDULES = {
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, TOTAL, eta_min=0.1),
    "restarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 7),
    "restarts.longer": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 5, T_mult=2, eta_min=0.2),
    "step": lambda o: lr_scheduler.StepLR(o, 7, 0.5),
    "multistep": lambda o: lr_scheduler.MultiStepLR(o, [4, 9, 30], 0.3),
    "exponential": lambda o: lr_scheduler.ExponentialLR(o, 0.93),
    "onecycle": lambda o: lr_scheduler.OneCycleLR(o, 1.0, TOTAL, cycle_momentum=False),
    "onecycle.linear": lambda o: lr_scheduler.OneCycleLR(
        o, 1.0, TOTAL, pct_start=0.45, anneal_strategy="linear", div_factor=10, final_div_factor=20, cycle_momentum=False),
    "sequential": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.ExponentialLR(o, 0.9), lr_scheduler.StepLR(o, 8, 0.5)], [12]),
}


def schedules(out: dict) -> None:
    """The factor on the learning rate at steps 0, 1, …, 49, in float64."""
    for name, make in SCHEDULES.items():
        opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        schedule, factors = make(opt), []
        for _ in range(TOTAL):
            factors.append(opt.param_groups[0]["lr"])
            opt.step()
            if len(factors) < TOTAL:  # OneCycleLR refuses more
                schedule.step()
        out[f"schedule.{name}"] = torch.tensor(factors, dtype=torch.float64)


def main() -> None:
    rand, out = Random(12), {}
    optimizers(out, rand)
    average(out)
    clipping(out, rand)
    schedules(out)
    save(ROOT / "optim" / "testdata" / "breadth.safetensors", out)


if __name__ == "__main__":
    main()
