"""Times steps of convolutions and pools in PyTorch, forward and gradients, as the benchmarks of package tensor do:

    python scripts/bench/convolutions.py
    go test ./tensor -run '^$' -bench 'Conv2dStep|MaxPool2dStep|Conv1dCausalDepthwiseStep'
"""

import statistics
import sys
import time

import torch
import torch.nn.functional as F

SECONDS = 0.7


def bench(name: str, step) -> None:
    for _ in range(10):
        step()
    times, start = [], time.time()
    while time.time() - start < SECONDS:
        begin = time.perf_counter()
        step()
        times.append(time.perf_counter() - begin)
    print(f"{name:28} {statistics.median(times) * 1e3:7.2f} ms")


def conv2d(name: str, x: tuple, w: tuple, groups: int, needs_dx: bool) -> None:
    x, w, b = torch.randn(x, requires_grad=needs_dx), torch.randn(w, requires_grad=True), torch.randn(w[0], requires_grad=True)
    bench(name, lambda: F.conv2d(x, w, b, padding=1, groups=groups).sum().backward())


def main() -> None:
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
    conv2d("digits 32x1x28x28 to 16", (32, 1, 28, 28), (16, 1, 3, 3), 1, False)
    conv2d("second 32x16x14x14 to 32", (32, 16, 14, 14), (32, 16, 3, 3), 1, True)
    conv2d("wide 8x64x28x28 to 64", (8, 64, 28, 28), (64, 64, 3, 3), 1, True)
    conv2d("depthwise 8x64x28x28", (8, 64, 28, 28), (64, 1, 3, 3), 64, True)
    x = torch.randn(32, 16, 28, 28, requires_grad=True)
    bench("MaxPool2d 32x16x28x28 by 2", lambda: F.max_pool2d(x, 2).sum().backward())
    x, w = torch.randn(4, 256, 512, requires_grad=True), torch.randn(256, 1, 4, requires_grad=True)
    bench("causal depthwise 4x256x512", lambda: F.conv1d(F.pad(x, (3, 0)), w, groups=256).sum().backward())


if __name__ == "__main__":
    main()
