"""Writes tensor/npy/testdata: arrays and archives as numpy.save and numpy.savez write them, each a few bytes.

Every file NAME.npy holds the numbers that its name's part before "-" says: "counting" 0 … 5 in shape [2, 3],
"halves" those less 2.5, "flags" a pattern of truths, and "scalar", "empty", "cube" what they say.
"""

import numpy as np

from common import ROOT

HOME = ROOT / "tensor" / "npy" / "testdata"


def main() -> None:
    HOME.mkdir(parents=True, exist_ok=True)
    counting = np.arange(6).reshape(2, 3)
    halves = counting - 2.5
    for dtype in ["<i4", ">i4", "<i8", ">i8", "|u1", "|i1", "<i2", ">i2", "<u2", "<u4", ">u4"]:
        np.save(HOME / f"counting-{name(dtype)}.npy", counting.astype(dtype))
    for dtype in ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8"]:
        np.save(HOME / f"halves-{name(dtype)}.npy", halves.astype(dtype))
        np.save(HOME / f"halves-{name(dtype)}-fortran.npy", np.asfortranarray(halves.astype(dtype)))
    np.save(HOME / "flags-b1.npy", np.array([[True, False, True], [False, False, True]]))
    np.save(HOME / "scalar-f4.npy", np.float32(7))
    np.save(HOME / "vector-f4.npy", np.arange(5, dtype=np.float32))
    np.save(HOME / "empty-f4.npy", np.zeros((2, 0, 3), np.float32))
    np.save(HOME / "cube-f4-fortran.npy", np.asfortranarray(np.arange(24, dtype=np.float32).reshape(2, 3, 4)))
    bf16 = (halves.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    np.save(HOME / "halves-V2.npy", bf16.view("V2"))
    np.save(HOME / "object.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(HOME / "record.npy", np.zeros(1, dtype=[("a", "<f4")]))
    with open(HOME / "counting-version2.npy", "wb") as f:
        np.lib.format.write_array(f, counting.astype("<i4"), version=(2, 0))
    with open(HOME / "counting-version3.npy", "wb") as f:
        np.lib.format.write_array(f, counting.astype("<i4"), version=(3, 0))
    arrays = {"counting": counting.astype("<i4"), "layer.0/halves": halves.astype("<f8")}
    np.savez(HOME / "stored.npz", **arrays)
    np.savez_compressed(HOME / "compressed.npz", **arrays)
    sizes = [p.stat().st_size for p in HOME.iterdir()]
    print(f"{len(sizes)} files, {sum(sizes)} bytes")


def name(dtype: str) -> str:
    return dtype[1:] + {"<": "-little", ">": "-big", "|": ""}[dtype[0]]


if __name__ == "__main__":
    main()
