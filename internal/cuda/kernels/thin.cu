// Products with an operand of at most eight rows, as decoding has them: they read all of the other operand once, so that
// they are as fast as memory. Tensor cores would wait.
#include "product.cuh"

constexpr i32 COLS = 2; // that a warp computes at once

// thin multiplies ROWS rows of x by COLS lines of y a warp, both contiguous along k and aligned to 16 bytes. Lanes share
// k in pieces of 16 bytes. SWAPPED means that x and y were exchanged: out is written transposed.
template <class T, i32 ROWS> DEVICE void thin(const Product &g) {
  constexpr i32 E = per16<T>, PIECES = ROWS == 1 ? 4 : 2;
  Offsets at = offsets_of(g.batch, g.firstMatrix);
  bool swapped = g.flags & SWAPPED;
  i32 rows = swapped ? g.n : g.m, cols = swapped ? g.m : g.n;
  i32 col = (block_index() * block_warps() + warp_index()) * COLS;
  if (col >= cols) return; // all of the warp

  const T *x[ROWS], *y[COLS]; // rows that do not exist repeat the last one
#pragma unroll
  for (i32 r = 0; r < ROWS; r++) x[r] = (const T *)g.x + at.x + (r < least_rows<ROWS> ? r : min_(r, rows - 1)) * g.xStride;
#pragma unroll
  for (i32 c = 0; c < COLS; c++) y[c] = (const T *)g.y + at.y + min_(col + c, cols - 1) * g.yStride;

  float sum[ROWS][COLS];
#pragma unroll
  for (i32 i = 0; i < ROWS * COLS; i++) sum[i / COLS][i % COLS] = 0;
  i32 whole = g.k / E * E;
#pragma unroll 1
  for (i32 first = lane_index() * E; first < whole; first += 32 * E * PIECES) {
    v16 line[PIECES][COLS]; // all under way at once; 0 beyond the end
#pragma unroll
    for (i32 p = 0; p < PIECES; p++)
#pragma unroll
      for (i32 c = 0; c < COLS; c++) line[p][c] = p == 0 || first + p * 32 * E < whole ? load16(y[c] + first + p * 32 * E) : v16{0, 0, 0, 0};
#pragma unroll
    for (i32 p = 0; p < PIECES; p++) {
      i32 k = first + p * 32 * E;
      if (p && k >= whole) break;
      float b[COLS][E];
#pragma unroll
      for (i32 c = 0; c < COLS; c++) unpack16<T>(b[c], line[p][c]);
#pragma unroll
      for (i32 r = 0; r < ROWS; r++) {
        float a[E];
        unpack16<T>(a, load16(x[r] + k));
#pragma unroll
        for (i32 c = 0; c < COLS; c++)
#pragma unroll
          for (i32 e = 0; e < E; e++) sum[r][c] = fma_rn(a[e], b[c][e], sum[r][c]);
      }
    }
  }
  if (i32 k = whole + lane_index(); k < g.k) {
#pragma unroll
    for (i32 i = 0; i < ROWS * COLS; i++)
      sum[i / COLS][i % COLS] = fma_rn(widen(x[i / COLS][k]), widen(y[i % COLS][k]), sum[i / COLS][i % COLS]);
  }

  float mine = 0; // lane i keeps the i-th sum
#pragma unroll
  for (i32 i = 0; i < ROWS * COLS; i++) {
    float all = warp_sum(sum[i / COLS][i % COLS]);
    if (lane_index() == i) mine = all;
  }
  i32 row = lane_index() / COLS;
  col += lane_index() % COLS;
  if (row >= rows || col >= cols) return;
  u8 *out = g.out + at.out * (g.flags & OUT_F32 ? 4 : sizeof(T));
  finish<T>(g, out, swapped ? col : row, swapped ? row : col, mine);
}

// F16 goes through tiles. Of eight rows three blocks fit on a multiprocessor: told nothing, ptxas makes room for more and spills.
#define THIN(T, dtype)                                                      \
  KERNEL __launch_bounds__(128) thin1_##dtype(Product g) { thin<T, 1>(g); } \
  KERNEL __launch_bounds__(128) thin4_##dtype(Product g) { thin<T, 4>(g); } \
  KERNEL __launch_bounds__(128, 3) thin8_##dtype(Product g) { thin<T, 8>(g); }

THIN(float, f32)
THIN(bf16, bf16)
