"""Writes tensor/testdata/maths.safetensors: the element-wise functions, reductions, scans and orders of PyTorch
on a grid of values that has NaN, both infinities and zeros, tiny and huge numbers; results and gradients, in
float64 and, of the element-wise functions, in float32 too.

Every value of a grid is a float32, so that both dtypes see the same numbers.
"""

import math

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from common import MADE_WITH, MAX_BYTES, ROOT, Random

torch.set_default_dtype(torch.float64)
INF, NAN = math.inf, math.nan

magnitudes = [1e-30, 1e-10, 1e-5, 0.1, 0.25, 0.5, 0.7, 0.999, 1, 1.5, 2, 2.5, 3, 3.5, 5, 6, 10, 20, 50, 88, 100, 1000, 1e5, 1e10, 1e30]
GRID = torch.tensor([0.0, -0.0, INF, -INF, NAN] + [s * m for m in magnitudes for s in (1, -1)]).float().double()
SIDE = torch.tensor([0.0, -0.0, INF, -INF, NAN, 1e-30, 0.5, -0.5, 1, -1, 2, 3, -2.5, 1e10]).float().double()

unary = {
    "abs": torch.abs, "neg": torch.neg, "square": torch.square, "sqrt": torch.sqrt, "rsqrt": torch.rsqrt, "reciprocal": torch.reciprocal,
    "exp": torch.exp, "exp2": torch.exp2, "expm1": torch.expm1, "log": torch.log, "log1p": torch.log1p, "log2": torch.log2, "log10": torch.log10,
    "sin": torch.sin, "cos": torch.cos, "tan": torch.tan, "asin": torch.asin, "acos": torch.acos, "atan": torch.atan,
    "sinh": torch.sinh, "cosh": torch.cosh, "tanh": torch.tanh, "asinh": torch.asinh, "acosh": torch.acosh, "atanh": torch.atanh,
    "erf": torch.erf, "erfc": torch.erfc, "frac": torch.frac,
    "floor": torch.floor, "ceil": torch.ceil, "trunc": torch.trunc, "round": torch.round, "sign": torch.sign,
    "sigmoid": torch.sigmoid, "silu": F.silu, "relu": F.relu, "gelu": F.gelu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "softplus": F.softplus, "logsigmoid": F.logsigmoid, "elu": lambda x: F.elu(x, 1.5), "selu": F.selu, "mish": F.mish,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.1), "relu6": F.relu6, "hardsigmoid": F.hardsigmoid, "hardswish": F.hardswish,
    "clamp": lambda x: x.clamp(-2, 3.5), "clamp_min": lambda x: x.clamp(min=0.5), "clamp_max": lambda x: x.clamp(max=0.5),
    "pow_2": lambda x: x**2, "pow_half": lambda x: x**0.5, "pow_minus_1.5": lambda x: x**-1.5,
    "remainder_3": lambda x: x.remainder(3), "fmod_3": lambda x: x.fmod(3),
}
unary_constants = {
    "isnan": torch.isnan, "isinf": torch.isinf, "isfinite": torch.isfinite,
    "lt_half": lambda x: x < 0.5, "le_half": lambda x: x <= 0.5, "gt_half": lambda x: x > 0.5, "ge_half": lambda x: x >= 0.5,
    "eq_half": lambda x: x == 0.5, "ne_half": lambda x: x != 0.5,
}
binary = {
    "add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div, "maximum": torch.maximum, "minimum": torch.minimum,
    "pow": torch.pow, "atan2": torch.atan2, "hypot": torch.hypot, "remainder": torch.remainder, "fmod": torch.fmod,
    "lerp": lambda x, y: torch.lerp(x, y, 0.25),
}
reductions = {
    "sum": lambda x, d: x.sum(d, keepdim=True), "mean": lambda x, d: x.mean(d, keepdim=True), "prod": lambda x, d: prod(x, d),
    "var": lambda x, d: x.var(d, correction=1, keepdim=True), "var_0": lambda x, d: x.var(d, correction=0, keepdim=True),
    "std": lambda x, d: x.std(d, correction=1, keepdim=True), "amax": lambda x, d: x.amax(d, keepdim=True), "amin": lambda x, d: x.amin(d, keepdim=True),
    "logsumexp": lambda x, d: x.logsumexp(d, keepdim=True), "norm_1": lambda x, d: norm(x, 1, d), "norm_2": lambda x, d: norm(x, 2, d),
    "norm_3": lambda x, d: norm(x, 3, d), "norm_half": lambda x, d: norm(x, 0.5, d), "norm_inf": lambda x, d: norm(x, INF, d), "norm_minus_inf": lambda x, d: norm(x, -INF, d),
    "cumsum": lambda x, d: x.cumsum(d[0]), "cumprod": lambda x, d: x.cumprod(d[0]),
    "softmax": lambda x, d: x.softmax(d[0]), "log_softmax": lambda x, d: x.log_softmax(d[0]),
    "sort": lambda x, d: x.sort(dim=d[0], stable=True).values, "sort_descending": lambda x, d: x.sort(dim=d[0], stable=True, descending=True).values,
    "topk": lambda x, d: x.topk(2, d[0]).values, "tril": lambda x, d: x.tril(1), "triu": lambda x, d: x.triu(-1),
}
reduction_constants = {
    "argmax": lambda x, d: x.argmax(d[0]), "argmin": lambda x, d: x.argmin(d[0]), "argsort": lambda x, d: x.sort(dim=d[0], stable=True).indices,
    "argsort_descending": lambda x, d: x.sort(dim=d[0], stable=True, descending=True).indices,
    "norm_0": lambda x, d: norm(x, 0, d), "any": lambda x, d: (x > 1).any(d[0]), "all": lambda x, d: (x > 0).all(d[0]),
}
several = {"sum", "mean", "prod", "var", "var_0", "std", "amax", "amin", "logsumexp", "norm_1", "norm_2", "norm_3", "norm_half", "norm_inf", "norm_minus_inf"}


def prod(x, dims):
    for d in dims:
        x = x.prod(d, keepdim=True)
    return x


def norm(x, p, dims):
    return torch.linalg.vector_norm(x, p, dims, keepdim=True)


def differentiate(fn, dtype, *inputs):
    leaves = [x.to(dtype).requires_grad_() for x in inputs]
    y = fn(*leaves)
    grads = torch.autograd.grad(y, leaves, torch.ones_like(y))
    return y.detach(), *grads


def main() -> None:
    out = {"grid": GRID, "side": SIDE}
    for name, fn in unary.items():
        for dtype, suffix in ((torch.float64, ""), (torch.float32, "32")):
            out[f"{name}.y{suffix}"], out[f"{name}.dx{suffix}"] = differentiate(fn, dtype, GRID)
    for name, fn in unary_constants.items():
        out[f"{name}.y"] = fn(GRID).double()
    x, y = SIDE[:, None].expand(len(SIDE), len(SIDE)).contiguous(), SIDE[None].expand(len(SIDE), len(SIDE)).contiguous()
    for name, fn in binary.items():
        out[f"{name}.y"], out[f"{name}.dx"], out[f"{name}.dz"] = differentiate(fn, torch.float64, x, y)

    rand = Random(11)
    plain = rand.normal(2, 4, 3).double()
    ties = rand.ints(3, 2, 4, 3).double() - 1  # equals and zeros
    infinite = plain.clone()
    infinite[0, 0, 1], infinite[0, 2, 0], infinite[1, 1] = INF, -INF, -INF
    nan = plain.clone()
    nan[1, 1, 0], nan[1, 1, 2] = NAN, NAN
    for kind, x in {"plain": plain, "ties": ties, "infinite": infinite, "nan": nan}.items():
        out[f"x.{kind}"] = x
        for axes in ([1], [2], [0, 2]):
            key = f"{kind}.{''.join(map(str, axes))}"
            for name, fn in reductions.items():
                if len(axes) == 1 or name in several:
                    out[f"{name}.{key}.y"], out[f"{name}.{key}.dx"] = differentiate(lambda x: fn(x, axes), torch.float64, x)
            for name, fn in reduction_constants.items():
                if len(axes) == 1:
                    out[f"{name}.{key}.y"] = fn(x, axes).double()
    path = ROOT / "tensor/testdata/maths.safetensors"
    save_file({k: v.contiguous().clone() for k, v in out.items()}, path, metadata={"made_with": MADE_WITH})
    size = path.stat().st_size
    print(f"{path.relative_to(ROOT)}: {len(out)} tensors, {size} bytes")
    assert size < MAX_BYTES, f"{path} has {size} bytes"


if __name__ == "__main__":
    main()
