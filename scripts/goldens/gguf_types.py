"""Writes tensor/gguf/testdata: a file with every type that hone reads, and what gguf-py makes of it.

types.gguf holds a tensor of each type, quantised ones of random bytes with scales of every magnitude, and
metadata of every type. dequantized.safetensors holds the weights, float32, as gguf.quants.dequantize gives
them; metadata.json the metadata: key, GGUF's name of the type, value.
"""

import json

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as T
from gguf import GGUFReader, GGUFWriter, quants

from common import ROOT, Random, save

TESTDATA = ROOT / "tensor" / "gguf" / "testdata"
ROWS, COLUMNS = 3, 512
HALVES = {  # where the halves of a block are: scales, minima
    T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208],
}  # fmt: skip


def blocks(r: Random, t: T) -> np.ndarray:
    """Random blocks of random bytes. No scale is infinite or a NaN; the first three are 0, tiny and huge."""
    block, size = gguf.GGML_QUANT_SIZES[t]
    b = r.gen.integers(0, 256, (ROWS * COLUMNS // block, size), dtype=np.uint8)
    for at in HALVES[t]:
        halves = r.gen.uniform(-1, 1, len(b)) * 2.0 ** r.gen.integers(-20, 8, len(b))
        halves[:3] = 0, 6e-8, 60000
        b[:, at : at + 2] = halves.astype(np.float16).view(np.uint8).reshape(-1, 2)
    return b.reshape(ROWS, -1)


def main() -> None:
    r = Random(7)
    TESTDATA.mkdir(parents=True, exist_ok=True)
    path = TESTDATA / "types.gguf"
    w = GGUFWriter(path, "llama")
    w.add_uint8("a.uint8", 200)
    w.add_int8("a.int8", -100)
    w.add_uint16("a.uint16", 60000)
    w.add_int16("a.int16", -30000)
    w.add_uint32("a.uint32", 4_000_000_000)
    w.add_int32("a.int32", -2_000_000_000)
    w.add_uint64("a.uint64", 2**63 + 5)
    w.add_int64("a.int64", -(2**62))
    w.add_float32("a.float32", 0.1)
    w.add_float64("a.float64", 0.1)
    w.add_bool("a.bool", True)
    w.add_string("a.string", "naïve Ġtoken\n")
    w.add_array("a.strings", ["", "Ġthe", "日本", "x" * 100])
    w.add_array("a.ints", [3, -1, 2**30])
    w.add_array("a.floats", [0.5, -1e-3])
    w.add_array("a.bools", [True, False, True])
    plain = r.normal(ROWS, COLUMNS).numpy()
    w.add_tensor("f32", plain)
    w.add_tensor("f16", plain.astype(np.float16))
    w.add_tensor("bf16", quants.quantize(plain, T.BF16), raw_dtype=T.BF16)
    w.add_tensor("vector", plain[0, :5].copy())
    w.add_tensor("cube", plain.reshape(ROWS, 4, 128))
    for t in HALVES:
        w.add_tensor(t.name.lower(), blocks(r, t), raw_dtype=t)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()

    reader = GGUFReader(path)
    weights = {}
    for t in reader.tensors:
        x = quants.dequantize(t.data, t.tensor_type).astype(np.float32).reshape(tuple(reversed(t.shape.tolist())))
        weights[t.name] = torch.from_numpy(x.copy())
    save(TESTDATA / "dequantized.safetensors", weights)
    fields = [
        {"key": f.name, "types": [x.name for x in f.types], "value": f.contents()}
        for f in reader.fields.values()
        if not f.name.startswith("GGUF.")
    ]
    text = json.dumps(fields, indent=1, ensure_ascii=False) + "\n"
    (TESTDATA / "metadata.json").write_text(text)
    print(f"{path.relative_to(ROOT)}: {len(weights)} tensors, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
