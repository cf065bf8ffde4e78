"""Writes nn/testdata/{layers,losses,inits}.safetensors: the layers, losses and initialisers of torch.nn."""

import torch
from torch import nn

from common import ROOT, Random, save

DATA = ROOT / "nn/testdata"


class Cases:
    """Cases by name: inputs, parameters, results, the gradient that flows in and those that flow out."""

    def __init__(self, seed: int):
        self.rand, self.out = Random(seed), {}

    def fill(self, module: nn.Module) -> None:
        """Draws every parameter from the script's own stream."""
        with torch.no_grad():
            for p in module.parameters():
                p.copy_(self.rand.normal(*p.shape, std=0.5))

    def add(self, name: str, inputs: dict, module: nn.Module | None, fn) -> None:
        """Records fn(*inputs), one tensor or several; floats among the inputs want gradients."""
        inputs = {k: v.clone().requires_grad_(v.is_floating_point()) for k, v in inputs.items()}
        params = dict(module.named_parameters()) if module else {}
        before = {k: v.detach().clone() for k, v in module.named_buffers()} if module else {}
        self.out |= {f"{name}.{k}": v.detach().clone() for k, v in inputs.items()}
        self.out |= {f"{name}.state.{k}": v.detach().clone() for k, v in (params | before).items()}
        ys = fn(*inputs.values())
        ys = ys if isinstance(ys, tuple) else (ys,)
        dys = [self.rand.normal(*y.shape) for y in ys]
        wrt = {k: v for k, v in (inputs | {f"state.{k}": v for k, v in params.items()}).items() if v.requires_grad}
        grads = torch.autograd.grad(ys, list(wrt.values()), dys)
        for i, (y, dy) in enumerate(zip(ys, dys)):
            self.out |= {f"{name}.y{i}": y.detach(), f"{name}.dy{i}": dy}
        for (k, _), g in zip(wrt.items(), grads):
            assert g.abs().max() > 0, (name, k)
            self.out[f"{name}.d.{k}"] = g
        if module:
            self.out |= {f"{name}.after.{k}": v.clone() for k, v in module.named_buffers()}


def norms(c: Cases) -> None:
    x = {"x": c.rand.normal(3, 6, 5, std=2.0, mean=1.0)}
    for name, module in {"group_norm": nn.GroupNorm(3, 6, eps=1e-3), "group_norm_one": nn.GroupNorm(1, 6), "group_norm_each": nn.GroupNorm(6, 6)}.items():
        c.fill(module)
        c.add(name, x, module, module)
    for name, module, shape in (
        ("batch_norm", nn.BatchNorm1d(4, eps=1e-3), (7, 4)),
        ("batch_norm_1d", nn.BatchNorm1d(4, momentum=0.3), (3, 4, 5)),
        ("batch_norm_2d", nn.BatchNorm2d(3), (2, 3, 4, 5)),
        ("batch_norm_cumulative", nn.BatchNorm1d(4, momentum=None), (7, 4)),
        ("batch_norm_eval", nn.BatchNorm2d(3), (2, 3, 4, 5)),
    ):
        c.fill(module)
        module(c.rand.normal(*shape, std=3.0, mean=-1.0))  # the running statistics are not those of the start
        module.train(name != "batch_norm_eval")
        c.add(name, {"x": c.rand.normal(*shape, std=2.0, mean=1.0)}, module, module)


def perceptrons(c: Cases) -> None:
    x = {"x": c.rand.normal(2, 3, 5)}
    for name, module in {
        "linear": nn.Linear(5, 4),
        "linear_plain": nn.Linear(5, 4, bias=False),
        "sequential": nn.Sequential(nn.Linear(5, 6), nn.SiLU(), nn.Linear(6, 4), nn.Sigmoid()),
    }.items():
        c.fill(module)
        c.add(name, x, module, module)
    for name, module in {"relu": nn.ReLU(), "silu": nn.SiLU(), "tanh": nn.Tanh(), "sigmoid": nn.Sigmoid()}.items():
        c.add(name, x, None, module)
    norm = nn.LayerNorm(5, eps=1e-3)
    c.fill(norm)
    c.add("layer_norm", x, norm, norm)
    rms = nn.RMSNorm(5, eps=1e-3)
    c.fill(rms)
    c.add("rms_norm", x, rms, rms)
    table = nn.Embedding(7, 4)
    c.fill(table)
    c.add("embedding", {"x": c.rand.ints(7, 2, 5)}, table, table)


def fans(out: dict) -> None:
    """The fans that torch counts of weights, and what its initialisers make of them."""
    init = nn.init
    for shape in ((3, 5), (6, 4, 3), (8, 2, 3, 5), (4, 1, 2, 2, 2)):
        w = torch.empty(*shape)
        name = "fans." + "x".join(map(str, shape))
        fan = init._calculate_fan_in_and_fan_out(w)
        out[name] = torch.tensor(fan)
        bounds = []
        for draw in (
            lambda: init.xavier_uniform_(w, gain=init.calculate_gain("tanh")),
            lambda: init.kaiming_uniform_(w, nonlinearity="relu"),
            lambda: init.kaiming_uniform_(w, a=0.2, mode="fan_out", nonlinearity="leaky_relu"),
        ):
            largest = max(draw().abs().max().item() for _ in range(2000))
            bounds.append(largest)
        out[name + ".bounds"] = torch.tensor(bounds)


def main() -> None:
    torch.manual_seed(41)
    c = Cases(41)
    norms(c)
    perceptrons(c)
    save(DATA / "layers.safetensors", c.out)
    out = {}
    fans(out)
    save(DATA / "inits.safetensors", out)


if __name__ == "__main__":
    main()
