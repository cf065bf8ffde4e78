"""Writes tensor/testdata/breadth_shape.safetensors: convolutions, pools, indexing, shapes and products as PyTorch has
them, forward and gradient, in float32, each within LIMIT of the same in float64. The names of a case are those of
ops.py: NAME.<input>, NAME.y, NAME.dy and NAME.d<input>, or NAME.loss for a result of one number.
"""

import torch
import torch.nn.functional as F

from common import ROOT, Random, save
from ops import Tensors, case


def main() -> None:
    rand = Random(20)
    out: Tensors = {}

    def add(name: str, op, wrt: str, /, **inputs: torch.Tensor) -> None:
        case(out, name, op, inputs, wrt.split(), rand)

    n = rand.normal

    # convolutions and pools
    add("conv1d", lambda x, w, b: F.conv1d(x, w, b, stride=2, padding=1, groups=2), "x w b", x=n(2, 4, 9), w=n(6, 2, 3), b=n(6))
    add("conv1d_causal", lambda x, w, b: F.conv1d(F.pad(x, (4, 0)), w, b, dilation=2), "x w b", x=n(2, 3, 7), w=n(4, 3, 3), b=n(4))
    add("conv1d_depthwise", lambda x, w: F.conv1d(F.pad(x, (3, 0)), w, groups=5), "x w", x=n(2, 5, 8), w=n(5, 1, 4))
    add("conv2d", lambda x, w, b: F.conv2d(x, w, b, padding=1), "x w b", x=n(2, 3, 6, 5), w=n(4, 3, 3, 3), b=n(4))
    add("conv2d_strided", lambda x, w: F.conv2d(x, w, stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2), "x w", x=n(2, 4, 6, 5), w=n(6, 2, 3, 2))
    add("conv2d_depthwise", lambda x, w, b: F.conv2d(x, w, b, padding=1, groups=3), "x w b", x=n(2, 3, 5, 6), w=n(3, 1, 3, 3), b=n(3))
    add("conv2d_depthwise_strided", lambda x, w: F.conv2d(x, w, stride=(1, 2), dilation=(2, 1), groups=3), "x w", x=n(2, 3, 6, 6), w=n(6, 1, 2, 3))
    add("max_pool1d", lambda x: F.max_pool1d(x, 3, 2, 1), "x", x=n(2, 3, 9))
    add("max_pool2d", lambda x: F.max_pool2d(x, (3, 2), (2, 1), (1, 0), (1, 2)), "x", x=n(2, 2, 6, 5))
    add("max_pool2d_ties", lambda x: F.max_pool2d(x, 2), "x", x=n(2, 2, 6, 6).round())
    add("avg_pool1d", lambda x: F.avg_pool1d(x, 3, 2, 1), "x", x=n(2, 3, 9))
    add("avg_pool2d", lambda x: F.avg_pool2d(x, (3, 2), (2, 1), (1, 0)), "x", x=n(2, 2, 6, 5))
    add("avg_pool2d_exclude", lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), "x", x=n(2, 2, 5, 5))
    add("adaptive_avg_pool1d", lambda x: F.adaptive_avg_pool1d(x, 4), "x", x=n(2, 3, 10))
    add("adaptive_avg_pool2d", lambda x: F.adaptive_avg_pool2d(x, (2, 3)), "x", x=n(2, 2, 5, 4))
    add("unfold", lambda x: F.unfold(x, (2, 3), dilation=(2, 1), padding=(1, 0), stride=(1, 2)), "x", x=n(2, 2, 4, 5))
    add("fold", lambda x: F.fold(x, (4, 5), (2, 3), dilation=(2, 1), padding=(1, 0), stride=(1, 2)), "x", x=n(2, 12, 8))

    # indexing
    add("slice", lambda x: x.narrow(1, 2, 3), "x", x=n(3, 6))
    add("slice_step", lambda x: x[:, 1:8:3], "x", x=n(2, 9, 2))
    add("index_select", lambda x, i: x.index_select(1, i), "x", x=n(3, 5, 2), i=rand.ints(5, 7))
    add("gather_along", lambda x, i: x.gather(1, i), "x", x=n(3, 5, 2), i=rand.ints(5, 2, 7, 2))
    add("take", lambda x, i: x.take(i), "x", x=n(3, 4), i=rand.ints(12, 2, 5))
    add("scatter_add", lambda x, i, src: x.scatter_add(0, i, src), "x src", x=n(3, 5), i=rand.ints(3, 6, 4), src=n(6, 4))
    add("scatter", lambda x, i, src: x.scatter(1, i, src), "x src", x=n(2, 5), i=torch.tensor([[4, 0, 2], [1, 3, 0]]), src=n(2, 3))
    add("index_add", lambda x, i, src: x.index_add(1, i, src), "x src", x=n(3, 4), i=rand.ints(4, 6), src=n(3, 6))
    add("masked_fill", lambda x, m: x.masked_fill(m != 0, -2.5), "x", x=n(3, 4), m=rand.ints(2, 4))
    add("masked_select", lambda x, m: x.masked_select(m != 0), "x", x=n(3, 4), m=rand.ints(2, 3, 4))
    m = rand.ints(2, 3, 4)
    out |= {"nonzero.m": m, "nonzero.y": m.nonzero()}  # integers, without a gradient

    # shapes
    add("permute", lambda x: x.permute(2, 0, 1), "x", x=n(2, 3, 4))
    add("movedim", lambda x: x.movedim(0, -1), "x", x=n(2, 3, 4))
    add("unflatten", lambda x: x.unflatten(1, (2, -1)), "x", x=n(2, 6))
    add("expand", lambda x: x.broadcast_to(2, 3, 4), "x", x=n(3, 1))
    add("diag_of_vector", lambda x: x.diag(-1), "x", x=n(4))
    add("diag_of_matrix", lambda x: x.diag(1), "x", x=n(3, 4))
    add("diagonal", lambda x: x.diagonal(-1, 0, 2), "x", x=n(4, 2, 3))
    add("trace", lambda x: x.trace(), "x", x=n(3, 3))
    add("cat", lambda x, z: torch.cat([x, z, x], 1), "x z", x=n(2, 3), z=n(2, 2))
    add("stack", lambda x, z: torch.stack([x, z, x], -1), "x z", x=n(2, 3), z=n(2, 3))
    add("split", lambda x: torch.cat(x.split([1, 4, 2], 1)[::-1], 1), "x", x=n(2, 7))
    add("chunk", lambda x: torch.cat(x.chunk(3, 1)[::-1], 1), "x", x=n(2, 7))
    add("unbind", lambda x: torch.stack(x.unbind(1)[::-1]), "x", x=n(2, 3, 2))
    add("meshgrid", lambda x, z: torch.stack(torch.meshgrid(x, z, indexing="ij")), "x z", x=n(3), z=n(4))
    add("pad", lambda x: F.pad(x, (2, 1, 0, 3), value=-1.5), "x", x=n(2, 3, 2))
    add("pad_reflect", lambda x: F.pad(x, (2, 3), mode="reflect"), "x", x=n(2, 2, 4))
    add("pad_replicate", lambda x: F.pad(x, (2, 3), mode="replicate"), "x", x=n(2, 2, 4))
    add("pad_circular", lambda x: F.pad(x, (2, 3), mode="circular"), "x", x=n(2, 2, 4))
    add("flip", lambda x: x.flip(0, 2), "x", x=n(2, 3, 4))
    add("roll", lambda x: x.roll(-2, 1), "x", x=n(2, 5, 2))
    add("tile", lambda x: x.tile(2, 1, 3), "x", x=n(2, 3))
    add("repeat_interleave", lambda x: x.repeat_interleave(3, 1), "x", x=n(2, 3, 2))

    # products
    add("matmul_vectors", lambda x, z: x @ z, "x z", x=n(5), z=n(5))
    add("matmul_matrix_vector", lambda x, z: x @ z, "x z", x=n(2, 3, 5), z=n(5))
    add("matmul_vector_matrix", lambda x, z: x @ z, "x z", x=n(5), z=n(2, 5, 3))
    add("matmul_batched", lambda x, z: x @ z, "x z", x=n(2, 1, 3, 5), z=n(4, 5, 2))
    add("dot", lambda x, z: x.dot(z), "x z", x=n(6), z=n(6))
    add("outer", lambda x, z: x.outer(z), "x z", x=n(3), z=n(4))
    for name, equation, shapes in EINSUMS:
        add("einsum_" + name, lambda equation=equation, **x: torch.einsum(equation, *x.values()), " ".join("xzu"[: len(shapes)]),
            **{k: n(*s) for k, s in zip("xzu", shapes)})
    save(ROOT / "tensor" / "testdata" / "breadth_shape.safetensors", out)


EINSUMS = [
    ("attention", "bhqd,bhkd->bhqk", [(2, 2, 3, 4), (2, 2, 5, 4)]),
    ("heads", "bqhd,bkhd->bhqk", [(2, 3, 2, 4), (2, 5, 2, 4)]),
    ("diagonal", "iji->ij", [(3, 2, 3)]),
    ("trace", "ii", [(3, 3)]),
    ("implicit", "ba,ca", [(2, 3), (4, 3)]),
    ("ellipsis", "...ij,...jk->...ik", [(2, 1, 2, 3), (4, 3, 2)]),
    ("three", "bn,anm,bm->ba", [(2, 3), (4, 3, 5), (2, 5)]),
    ("outer", "i,j,k->kij", [(2,), (3,), (4,)]),
    ("sums", "ijk,jl->l", [(2, 3, 2), (3, 4)]),
]

if __name__ == "__main__":
    main()
