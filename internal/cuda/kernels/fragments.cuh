// Fragments of matrices for tensor cores, loaded by ldmatrix from shared memory in which each line of an operand is cut
// into chunks of eight 16-bit elements. P::place(line, chunk) is where a chunk lies, such that the same chunk of eight
// neighbouring lines lies in different banks.
#pragma once
#include "device.cuh"

// mma_f16 is mma_bf16 of F16.
DEVICE void mma_f16(float *d, const u32 *a, u32 b0, u32 b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

template <class T> DEVICE void mma(float *d, const u32 *a, u32 b0, u32 b1) {
  if constexpr (__is_same(T, bf16)) {
    mma_bf16(d, a, b0, b1);
  } else {
    mma_f16(d, a, b0, b1);
  }
}

// again is x, of which the compiler knows nothing: addresses made of it are computed where they are used, and do not
// occupy registers all along a loop.
DEVICE i32 again(i32 x) { asm volatile("" : "+r"(x)); return x; }

// fragment_a loads the 16×16 block of the left operand at (row, k): see mma_bf16 for what lane l holds.
template <class P, bool ALONG_K> DEVICE void fragment_a(u32 *a, const u16 *panel, i32 row, i32 k, i32 l) {
  if constexpr (ALONG_K) {
    ldmatrix4(a, panel + P::place(row + (l & 15), k / 8 + (l >> 4)));
  } else {
    ldmatrix4_transposed(a, panel + P::place(k + (l & 7) + (l >> 4) * 8, row / 8 + (l >> 3 & 1)));
  }
}

// fragment_b loads the 16×16 block of the right operand at (k, col), two fragments of eight columns each.
template <class P, bool ALONG_K> DEVICE void fragment_b(u32 *b, const u16 *panel, i32 col, i32 k, i32 l) {
  if constexpr (ALONG_K) {
    ldmatrix4(b, panel + P::place(col + (l & 7) + (l >> 4) * 8, k / 8 + (l >> 3 & 1)));
  } else {
    ldmatrix4_transposed(b, panel + P::place(k + (l & 15), col / 8 + (l >> 4)));
  }
}
