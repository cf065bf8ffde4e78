"""What the golden scripts share: seeded numbers, one way to save, one way to measure an error."""

import os
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing here needs a hub
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import numpy as np
import safetensors
import torch
import transformers
from safetensors.torch import save_file

ROOT = Path(__file__).resolve().parents[2]  # the module's root
MADE_WITH = f"torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}, CPU"
MAX_BYTES = 300 * 1024  # of a committed file

# One thread and deterministic kernels: the same machine gives the same bytes. Another CPU may round the
# last bit differently, which the tests' tolerances allow for.
torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)


class Random:
    """Seeded numbers from NumPy's PCG64, so that they do not depend on the version of torch."""

    def __init__(self, seed: int):
        self.gen = np.random.Generator(np.random.PCG64(seed))

    def normal(self, *shape: int, mean: float = 0.0, std: float = 1.0) -> torch.Tensor:
        return torch.from_numpy(mean + std * self.gen.standard_normal(shape)).float()

    def uniform(self, low: float, high: float, *shape: int) -> torch.Tensor:
        return torch.from_numpy(self.gen.uniform(low, high, shape)).float()

    def ints(self, high: int, *shape: int) -> torch.Tensor:
        return torch.from_numpy(self.gen.integers(0, high, shape))

    def choice(self, n: int, k: int) -> list[int]:
        return sorted(self.gen.choice(n, k, replace=False).tolist())


def error(got: torch.Tensor, want: torch.Tensor) -> float:
    """max|got − want| / max|want|, the measure of all golden tests."""
    got, want = got.detach().double(), want.detach().double()
    assert got.shape == want.shape, (got.shape, want.shape)
    scale = want.abs().max().item()
    worst = (got - want).abs().max().item()
    return worst / scale if scale else worst


def save(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Writes floats as they are and integers as I32; fails on a file too large to commit."""
    path.parent.mkdir(parents=True, exist_ok=True)
    out = {}
    for name, t in tensors.items():
        t = t.detach()
        assert not t.is_floating_point() or torch.isfinite(t).all(), f"{name} is not finite"
        out[name] = (t if t.is_floating_point() else t.to(torch.int32)).contiguous().clone()
    save_file(out, path, metadata={"made_with": MADE_WITH})
    size = path.stat().st_size
    assert size < MAX_BYTES, f"{path} has {size} bytes"
    print(f"{os.path.relpath(path)}: {len(out)} tensors, {size} bytes")
