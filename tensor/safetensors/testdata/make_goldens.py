"""Makes the golden files of package safetensors with the reference implementation.

    pip install safetensors==0.8.0 numpy
    python make_goldens.py

Every NAME.safetensors lies beside the NAME.json that says what it holds, taken
from the values and not from the file: {"metadata": {...}, "tensors": [{"name",
"dtype", "shape", "hex"}]}. Tensors stand in the order of the file. The files are
committed; the Go tests need no Python.
"""

import json
import os
import pathlib

import numpy as np
from safetensors import serialize_file, TensorSpec

HERE = pathlib.Path(__file__).parent
RNG = np.random.default_rng(20)

# The header's spelling of a dtype: the serializer's, and the bytes of an element.
DTYPES = {
    "U64": ("uint64", 8),
    "I64": ("int64", 8),
    "F64": ("float64", 8),
    "C64": ("complex64", 8),
    "F32": ("float32", 4),
    "U32": ("uint32", 4),
    "I32": ("int32", 4),
    "BF16": ("bfloat16", 2),
    "F16": ("float16", 2),
    "U16": ("uint16", 2),
    "I16": ("int16", 2),
    "F8_E5M2FNUZ": ("float8_e5m2fnuz", 1),
    "F8_E4M3FNUZ": ("float8_e4m3fnuz", 1),
    "F8_E8M0": ("float8_e8m0fnu", 1),
    "F8_E4M3": ("float8_e4m3fn", 1),
    "F8_E5M2": ("float8_e5m2", 1),
    "I8": ("int8", 1),
    "U8": ("uint8", 1),
    "BOOL": ("bool", 1),
}


def tensor(dtype, *shape):
    """A tensor of random bytes (for BOOL: of zeros and ones)."""
    count = int(np.prod(shape, dtype=np.int64)) * DTYPES[dtype][1]
    high = 2 if dtype == "BOOL" else 256
    return dtype, shape, RNG.integers(0, high, count, dtype=np.uint8)


def save(path, tensors, metadata=None):
    specs = {
        name: TensorSpec(
            dtype=DTYPES[dtype][0],
            shape=list(shape),
            data_ptr=data.ctypes.data,
            data_len=data.nbytes,
        )
        for name, (dtype, shape, data) in tensors.items()
    }
    serialize_file(specs, str(path), metadata=metadata)
    path.chmod(0o644)


def golden(name, tensors, metadata=None):
    save(HERE / f"{name}.safetensors", tensors, metadata)
    rank = list(DTYPES)
    order = sorted(tensors, key=lambda n: (rank.index(tensors[n][0]), n.encode()))
    expected = {
        "metadata": metadata or {},
        "tensors": [
            {"name": n, "dtype": tensors[n][0], "shape": list(tensors[n][1]), "hex": tensors[n][2].tobytes().hex()}
            for n in order
        ],
    }
    (HERE / f"{name}.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main():
    golden("dtypes", {f"t.{d.lower()}": tensor(d, 2, 3) for d in DTYPES}, {"format": "pt"})

    golden(
        "shapes",
        {
            "scalar": tensor("F32"),
            "scalar.u8": tensor("U8"),
            "empty": tensor("F32", 0),
            "empty.middle": tensor("BF16", 3, 0, 2),
            "empty.i64": tensor("I64", 0, 5),
            "one": tensor("F16", 1, 1, 1, 1),
            "vector": tensor("I8", 13),
            "deep": tensor("U16", 1, 2, 1, 2, 1, 2, 1, 3),
            "odd": tensor("BOOL", 7),
        },
    )

    golden(
        "names",
        {
            "": tensor("F32", 1),
            "model.layers.0.self_attn.q_proj.weight": tensor("F32", 2),
            "вес": tensor("F32", 1),
            "重み": tensor("F32", 2),
            "🦙.weight": tensor("F32", 1),
            'quote" back\\slash / <&>': tensor("F32", 1),
            "tab\t newline\n return\r bell\x07 backspace\b feed\f del\x7f": tensor("F32", 1),
            "line\u2028separator \ufffd": tensor("F32", 1),
            "dtype": tensor("F32", 1),
            "nul\x00": tensor("F32", 1),
        },
        {"note": 'unicode ☃, "quotes" and \n newline'},
    )

    golden("metadata", {"x": tensor("F32", 2)}, {"format": "pt", "author": "hone", "empty": "", "дата": "2025"})

    golden("nothing", {})

    golden("only_metadata", {}, {"format": "pt"})

    # A model in two shards, with the index that transformers writes.
    sharded = HERE / "sharded"
    sharded.mkdir(exist_ok=True)
    parts = [
        {"model.embed_tokens.weight": tensor("BF16", 4, 2), "model.norm.weight": tensor("BF16", 2)},
        {"lm_head.weight": tensor("BF16", 4, 2), "scale": tensor("F32")},
    ]
    weight_map, total = {}, 0
    for i, part in enumerate(parts, 1):
        shard = f"model-{i:05d}-of-{len(parts):05d}.safetensors"
        save(sharded / shard, part, {"format": "pt", **({"only_in_second": "yes"} if i == 2 else {})})
        for name, (_, _, data) in part.items():
            weight_map[name] = shard
            total += data.nbytes
    index = {"metadata": {"total_parameters": 19, "total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    (sharded / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    expected = {n: {"dtype": d, "shape": list(s), "hex": b.tobytes().hex()} for part in parts for n, (d, s, b) in part.items()}
    (sharded / "expected.json").write_text(json.dumps(expected, indent=1) + "\n", encoding="utf-8")

    # A dtype narrower than a byte, which package safetensors refuses: two F4 a byte.
    half = np.array([0x21, 0x43], dtype=np.uint8)
    spec = TensorSpec(dtype="float4_e2m1fn_x2", shape=[2], data_ptr=half.ctypes.data, data_len=half.nbytes)
    serialize_file({"x": spec}, str(HERE / "f4.safetensors"))
    (HERE / "f4.safetensors").chmod(0o644)

    print(*sorted(os.listdir(HERE)), sep="\n")


if __name__ == "__main__":
    main()
