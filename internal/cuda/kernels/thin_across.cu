// Products with an operand of at most eight rows, where the lines of the other one lie across k. See thin.cu.
#include "product.cuh"

constexpr i32 WARPS = 4, PIECE = 128; // elements of k whose x is in shared memory

// fetch16 loads 16 bytes where it stands; the compiler would move the load to where each part of it is used.
DEVICE v16 fetch16(const void *p) {
  v16 v;
  asm volatile("ld.global.v4.u32 {%0,%1,%2,%3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(p));
  return v;
}

// thin_across multiplies ROWS rows of x, which lie in any way, by y, whose lines are aligned to 16 bytes and multiples of
// them long. A lane has 16 bytes of a line, a warp every fourth line, a block a slice of k; the warps' sums are added in
// order.
template <class T, i32 ROWS> DEVICE void thin_across(const Product &g) {
  constexpr i32 E = per16<T>, WIDTH = 32 * E, LINES = ROWS == 8 ? 2 : 4, FOURS = 32 * 4 + 16;
  static __shared__ float xs[ROWS][PIECE];
  alignas(16) static __shared__ float parts[WARPS][ROWS][E / 4][FOURS]; // columns by fours, so that lanes meet different banks
  Offsets at = offsets_of(g.batch, g.firstMatrix);
  bool swapped = g.flags & SWAPPED;
  i32 rows = swapped ? g.n : g.m, cols = swapped ? g.m : g.n;
  i32 left = block_index() * WIDTH, col = left + lane_index() * E;
  i32 begin = block_index_y() * g.sliceK, end = min_(begin + g.sliceK, g.k);
  i64 xRow = g.flags & X_ALONG_K ? g.xStride : 1, xk = g.flags & X_ALONG_K ? 1 : g.xStride;
  const T *x = (const T *)g.x + at.x, *y = (const T *)g.y + at.y + min_(col, cols - E); // lanes beyond the end repeat the last

  float sum[ROWS][E];
#pragma unroll
  for (i32 i = 0; i < ROWS * E; i++) sum[i / E][i % E] = 0;
#pragma unroll 1
  for (i32 k = begin; k < end; k += PIECE) {
    syncthreads(); // the piece before is no longer read
#pragma unroll
    for (i32 r = 0; r < ROWS; r++)
      if (k + thread_index() < end) xs[r][thread_index()] = r < least_rows<ROWS> || r < rows ? widen(x[r * xRow + (k + thread_index()) * xk]) : 0;
    syncthreads();
#pragma unroll 1
    for (i32 j = warp_index(); j < min_(end - k, PIECE); j += WARPS * LINES) {
      v16 line[LINES]; // all under way at once
#pragma unroll
      for (i32 l = 0; l < LINES; l++)
        if (l == 0 || k + j + l * WARPS < end) line[l] = fetch16(y + (k + j + l * WARPS) * g.yStride);
#pragma unroll
      for (i32 l = 0; l < LINES; l++) {
        if (l && k + j + l * WARPS >= end) break;
        float b[E];
        unpack16<T>(b, line[l]);
#pragma unroll
        for (i32 r = 0; r < ROWS; r++)
#pragma unroll
          for (i32 e = 0; e < E; e++) sum[r][e] = fma_rn(xs[r][j + l * WARPS], b[e], sum[r][e]);
      }
    }
  }

  u8 *out = g.out + (at.out + block_index_y() * g.sliceStride) * (g.flags & OUT_F32 ? 4 : sizeof(T));
#pragma unroll
  for (i32 r = 0; r < ROWS; r++)
#pragma unroll
    for (i32 f = 0; f < E / 4; f++) store16(&parts[warp_index()][r][f][lane_index() * 4], pack16<float>(&sum[r][f * 4]));
  syncthreads();
#pragma unroll 1
  for (i32 i = thread_index(); i < rows * WIDTH; i += WARPS * 32) {
    i32 r = i / WIDTH, c = i % WIDTH;
    if (left + c >= cols) continue;
    float all = parts[0][r][c % E / 4][c / E * 4 + c % 4];
#pragma unroll
    for (i32 w = 1; w < WARPS; w++) all += parts[w][r][c % E / 4][c / E * 4 + c % 4];
    finish<T>(g, out, swapped ? left + c : r, swapped ? r : left + c, all);
  }
}

#define THIN(T, dtype)                                                                    \
  KERNEL __launch_bounds__(128) thin1_across_##dtype(Product g) { thin_across<T, 1>(g); } \
  KERNEL __launch_bounds__(128) thin4_across_##dtype(Product g) { thin_across<T, 4>(g); } \
  KERNEL __launch_bounds__(128) thin8_across_##dtype(Product g) { thin_across<T, 8>(g); }

THIN(float, f32)
THIN(bf16, bf16)
