"""Has the reference implementation read what package safetensors writes.

    pip install safetensors==0.8.0 numpy
    python check_with_python.py

It needs Go, and is run by hand after changes of the writer or the reader. It
checks that

- the reference reads every file by Write, and writes the same bytes for what it
  read (its deserializer gives bytes, so that every dtype takes part);
- NumPy sees the right values;
- of the malformed files of the Go tests the reference accepts only those that
  break a rule on which this package is stricter, and prints them.
"""

import os
import pathlib
import subprocess
import tempfile

import numpy as np
from make_goldens import DTYPES
from safetensors import SafetensorError, TensorSpec, deserialize, safe_open, serialize
from safetensors.numpy import load_file

PACKAGE = pathlib.Path(__file__).parent.parent

# What the package refuses and the reference does not.
STRICTER = {
    # the description forbids it, serde_json lets it pass
    "space before the object",
    "newline as padding",
    "name twice",
    "name twice, once escaped",
    "metadata key twice",
    "metadata of null",
    "entry of an array",
    # a misspelled or misunderstood field would pass in silence
    "unknown field",
    # beyond what Go programs here use
    "four-bit dtype",
}


def reserialized(content, metadata):
    keep, specs = [], {}
    for name, t in deserialize(content):
        data = np.frombuffer(bytes(t["data"]), dtype=np.uint8)
        keep.append(data)
        specs[name] = TensorSpec(
            dtype=DTYPES[t["dtype"]][0],
            shape=t["shape"],
            data_ptr=data.ctypes.data,
            data_len=data.nbytes,
        )
    return bytes(serialize(specs, metadata=metadata))


def main():
    with tempfile.TemporaryDirectory() as out:
        subprocess.run(
            ["go", "test", "-count=1", "-run", "TestWriteFilesForTheReference", "."],
            check=True,
            cwd=PACKAGE,
            env={**os.environ, "HONE_SAFETENSORS_OUT": out},
        )
        good = sorted(pathlib.Path(out).glob("good-*"))
        for path in good:
            content = path.read_bytes()
            with safe_open(path, framework="numpy") as f:
                metadata = f.metadata()
            assert reserialized(content, metadata) == content, path
        x = load_file(pathlib.Path(out) / "floats.safetensors")["x"]
        assert np.array_equal(x, np.float32([[0, 1], [-2.5, np.inf]])), x

        accepted = set()
        bad = sorted(pathlib.Path(out).glob("bad-*"))
        for path in bad:
            try:
                deserialize(path.read_bytes())
                accepted.add(path.stem.split(" ", 1)[1])
            except SafetensorError:
                pass
        print(f"{len(good)} written files: read, and the same bytes")
        print(f"{len(bad)} malformed files: the reference accepts {sorted(accepted)}")
        assert accepted == STRICTER, accepted ^ STRICTER


if __name__ == "__main__":
    main()
