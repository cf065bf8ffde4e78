// Products of BF16 matrices with F32 sums.
#include "tensorcore.cuh"

// Tiles of 128×128 by eight warps of 64×32 and three stages of 16 KiB. By design 128 registers a thread, so that two
// blocks share a multiprocessor of any card since Ampere: 2·48 KiB of shared memory.
#define LARGE(name, X_K, Y_K)                                                \
  KERNEL __launch_bounds__(256, 2) name(Product g) {                         \
    alignas(128) static __shared__ u16 shared[3 * (128 + 128) * DEPTH];      \
    product<bf16, 128, 128, 2, 4, 3, X_K, Y_K>(g, shared);                   \
  }

// Tiles of 64×64 by four warps of 32×32 and four stages of 8 KiB, for products that have too few large tiles to fill a
// card. By design at most 128 registers a thread, so that three blocks share a multiprocessor with 100 KiB and four one
// with more.
#define SMALL(name, X_K, Y_K)                                                \
  KERNEL __launch_bounds__(128, 4) name(Product g) {                         \
    alignas(128) static __shared__ u16 shared[4 * (64 + 64) * DEPTH];        \
    product<bf16, 64, 64, 2, 2, 4, X_K, Y_K>(g, shared);                     \
  }

// The names say how the operands lie: n as usual (x along k, y along n), t transposed.
LARGE(gemm_large_nn_bf16, true, false)
LARGE(gemm_large_nt_bf16, true, true)
LARGE(gemm_large_tn_bf16, false, false)
LARGE(gemm_large_tt_bf16, false, true)
SMALL(gemm_small_nn_bf16, true, false)
SMALL(gemm_small_nt_bf16, true, true)
SMALL(gemm_small_tn_bf16, false, false)
SMALL(gemm_small_tt_bf16, false, true)
