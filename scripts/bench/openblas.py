"""The step's products in f32 by OpenBLAS: one JSON object a line, as pytorch.py prints them.

OPENBLAS_CORETYPE must be set by the caller: on an unknown virtual processor the library takes its AVX2 kernels.
"""

import argparse
import ctypes
import json
import statistics
import time

import numpy as np

from products import PRODUCTS, ROWS

NO, TRANSPOSED, ROW_MAJOR = 111, 112, 101


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--library", default="libopenblas.so.0")
    p.add_argument("--repeats", type=int, default=3)
    a = p.parse_args()
    blas = ctypes.CDLL(a.library)
    blas.openblas_get_corename.restype = ctypes.c_char_p
    blas.openblas_get_config.restype = ctypes.c_char_p
    name = f"{blas.openblas_get_config().decode().strip()} as {blas.openblas_get_corename().decode()}"

    def gemm(ta, tb, m, n, k, x, lda, y, ldb, out):
        pointer = lambda v: v.ctypes.data_as(ctypes.c_void_p)
        blas.cblas_sgemm(ROW_MAJOR, ta, tb, m, n, k, ctypes.c_float(1), pointer(x), lda, pointer(y), ldb, ctypes.c_float(0), pointer(out), n)

    rng = np.random.default_rng(1)
    for shape, k, n in PRODUCTS:
        x, w, dy = (rng.standard_normal(s, dtype=np.float32) for s in ((ROWS, k), (n, k), (ROWS, n)))
        out, dx, dw = (np.empty(s, np.float32) for s in ((ROWS, n), (ROWS, k), (n, k)))
        for kind, f in (
            ("forward", lambda: gemm(NO, TRANSPOSED, ROWS, n, k, x, k, w, k, out)),
            ("dX", lambda: gemm(NO, NO, ROWS, k, n, dy, n, w, k, dx)),
            ("dW", lambda: gemm(TRANSPOSED, NO, n, k, ROWS, dy, n, x, k, dw)),
        ):
            times = []
            for i in range(a.repeats + 1):
                start = time.perf_counter()
                f()
                times.append(time.perf_counter() - start)
            seconds = statistics.median(times[1:])
            print(json.dumps({"bench": "matmul", "dtype": "f32", "shape": f"{shape} {kind}", "gflops": 2 * ROWS * n * k / seconds / 1e9, "library": name}), flush=True)


if __name__ == "__main__":
    main()
