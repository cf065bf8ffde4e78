// Products of F16 matrices with F32 sums: the small tiles of gemm.cu.
#include "tensorcore.cuh"

#define SMALL(name, X_K, Y_K)                                                \
  KERNEL __launch_bounds__(128, 4) name(Product g) {                         \
    alignas(128) static __shared__ u16 shared[4 * (64 + 64) * DEPTH];        \
    product<f16, 64, 64, 2, 2, 4, X_K, Y_K>(g, shared);                      \
  }

SMALL(gemm_small_nn_f16, true, false)
SMALL(gemm_small_nt_f16, true, true)
SMALL(gemm_small_tn_f16, false, false)
SMALL(gemm_small_tt_f16, false, true)
