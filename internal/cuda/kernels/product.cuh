// What the kernels of matrix products share: their arguments, which tile a block computes, and how sums become
// elements of the result.
#pragma once
#include "device.cuh"

enum ProductFlags : i32 {
  OUT_F32 = 1,    // out is F32, not the operands' dtype
  ACCUMULATE = 2, // out += x·y
  VECTOR = 4,     // out and residual may be accessed four elements at a time, and n is a multiple of four
  X_ALONG_K = 8,  // x is contiguous along k, not along m
  Y_ALONG_K = 16, // y is contiguous along k, not along n
  SWAPPED = 32,   // x and y have changed places: yᵀ·xᵀ is computed, see thin.cu
};

// A Batch is up to four axes of matrices, the innermost first, with the strides of the operands in elements.
struct Batch {
  i32 shape[4];
  i64 x[4], y[4], out[4];
};

// Product is out = x·y + bias + residual, or out += x·y, where x is [m, k], y is [k, n], for each matrix of a batch.
// An operand has stride 1 along one of its axes and xStride or yStride along the other.
//
// k may be cut into slices of sliceK, of which each goes to an F32 matrix of its own, sliceStride elements behind the
// one before; ProductSum adds them up.
struct Product {
  u8 *out;
  const u8 *x, *y, *bias, *residual;
  i64 outStride, xStride, yStride, residualStride, sliceStride;
  i32 m, n, k, sliceK;
  i32 flags;
  i32 firstMatrix; // of the batch, which block_index_z() 0 computes
  Batch batch;
};

// Offsets are where a matrix of a batch begins, in elements.
struct Offsets {
  i64 x, y, out;
};

DEVICE Offsets offsets_of(const Batch &b, i32 firstMatrix = 0) {
  Offsets at = {0, 0, 0};
  i32 index = firstMatrix + block_index_z();
#pragma unroll
  for (i32 axis = 0; axis < 4; axis++) {
    i32 rest = index / b.shape[axis], i = index - rest * b.shape[axis];
    at.x += i * b.x[axis], at.y += i * b.y[axis], at.out += i * b.out[axis];
    index = rest;
  }
  return at;
}

// A Tile is the first row and column of what a block computes.
struct Tile {
  i32 row, col;
};

// tile_of numbers the tiles of a matrix so that blocks that run at the same time share operands: eight rows of tiles at
// a time, column by column, whose operands stay in the L2 cache.
template <i32 ROWS, i32 COLS> DEVICE Tile tile_of(i32 index, i32 m, i32 n) {
  const i32 GROUP = 8;
  i32 down = (m + ROWS - 1) / ROWS, across = (n + COLS - 1) / COLS;
  i32 group = index / (GROUP * across), first = group * GROUP, height = min_(down - first, GROUP);
  index -= group * GROUP * across;
  return {(first + index % height) * ROWS, index / height * COLS};
}

// ---- four elements of the result

template <class T> DEVICE void load4(acc<T> *to, const T *p) {
  if constexpr (sizeof(T) == 2) {
    u64 v = *(const u64 *)p;
#pragma unroll
    for (i32 i = 0; i < 4; i++) to[i] = widen(T{(u16)(v >> (16 * i))});
  } else {
#pragma unroll
    for (i32 i = 0; i < 4; i += per16<T>) unpack16<T>(to + i, load16(p + i));
  }
}

template <class T> DEVICE void store4(T *p, const acc<T> *v) {
  if constexpr (sizeof(T) == 2) {
    u32 lo, hi;
    if constexpr (__is_same(T, bf16)) {
      lo = pack_bf16(v[0], v[1]), hi = pack_bf16(v[2], v[3]);
    } else {
      lo = (u32)narrow<T>(v[1]).raw << 16 | narrow<T>(v[0]).raw, hi = (u32)narrow<T>(v[3]).raw << 16 | narrow<T>(v[2]).raw;
    }
    *(u64 *)p = (u64)hi << 32 | lo;
  } else {
#pragma unroll
    for (i32 i = 0; i < 4; i += per16<T>) store16(p + i, pack16<T>(v + i));
  }
}

// out_f32 tells what out is; where T is float there is no choice, and no code for one.
template <class T> DEVICE bool out_f32(const Product &g) { return __is_same(T, float) || g.flags & OUT_F32; }

// finish rounds a sum to an element of out, which exists, with all that is added to it.
template <class T> DEVICE void finish(const Product &g, u8 *out, i32 row, i32 col, acc<T> sum) {
  if (g.bias) sum += widen(((const T *)g.bias)[col]);
  if (g.residual) sum += widen(((const T *)g.residual)[row * g.residualStride + col]);
  i64 at = row * g.outStride + col;
  if (out_f32<T>(g)) {
    float *p = (float *)out + at;
    *p = (float)(g.flags & ACCUMULATE ? sum + *p : sum);
  } else {
    T *p = (T *)out + at;
    *p = narrow<T>(g.flags & ACCUMULATE ? sum + widen(*p) : sum);
  }
}

// finish4 does ROWS rows of four columns each, STEP rows apart, with wide loads, all of which are under way at once. It
// needs VECTOR; the columns exist, and of several rows perhaps some.
template <class T, i32 ROWS, i32 STEP> DEVICE void finish4(const Product &g, u8 *out, i32 row, i32 col, acc<T> (*sum)[4]) {
  auto exists = [&](i32 r) { return ROWS == 1 || row + r * STEP < g.m; };
  if (g.bias) {
    acc<T> bias[4];
    load4<T>(bias, (const T *)g.bias + col);
#pragma unroll
    for (i32 r = 0; r < ROWS; r++)
#pragma unroll
      for (i32 i = 0; i < 4; i++) sum[r][i] += bias[i];
  }
  acc<T> more[ROWS][4];
  if (g.residual) {
#pragma unroll
    for (i32 r = 0; r < ROWS; r++)
      if (exists(r)) load4<T>(more[r], (const T *)g.residual + (row + r * STEP) * g.residualStride + col);
#pragma unroll
    for (i32 r = 0; r < ROWS; r++)
#pragma unroll
      for (i32 i = 0; i < 4; i++) sum[r][i] += more[r][i];
  }
  i64 at = row * g.outStride + col, step = STEP * g.outStride;
  if (out_f32<T>(g)) {
    float *p = (float *)out + at;
    float wide[ROWS][4], before[ROWS][4];
    if (g.flags & ACCUMULATE) {
#pragma unroll
      for (i32 r = 0; r < ROWS; r++)
        if (exists(r)) load4<float>(before[r], p + r * step);
#pragma unroll
      for (i32 r = 0; r < ROWS; r++)
#pragma unroll
        for (i32 i = 0; i < 4; i++) sum[r][i] += before[r][i];
    }
#pragma unroll
    for (i32 r = 0; r < ROWS; r++) {
#pragma unroll
      for (i32 i = 0; i < 4; i++) wide[r][i] = (float)sum[r][i];
      if (exists(r)) store4<float>(p + r * step, wide[r]);
    }
    return;
  }
  T *p = (T *)out + at;
  if (g.flags & ACCUMULATE) {
#pragma unroll
    for (i32 r = 0; r < ROWS; r++)
      if (exists(r)) load4<T>(more[r], p + r * step);
#pragma unroll
    for (i32 r = 0; r < ROWS; r++)
#pragma unroll
      for (i32 i = 0; i < 4; i++) sum[r][i] += more[r][i];
  }
#pragma unroll
  for (i32 r = 0; r < ROWS; r++)
    if (exists(r)) store4<T>(p + r * step, sum[r]);
}

// Of the kernels for products with few rows, each is for more of them than the one before: least_rows is the fewest.
template <i32 ROWS> constexpr i32 least_rows = ROWS == 8 ? 5 : ROWS == 4 ? 2 : 1;

// stage_width is the number of floats in a line of staged sums: eight of padding let the lanes of an mma fragment, and
// four floats of neighbouring lanes, fall into different banks.
template <i32 COLS> constexpr i32 stage_width = COLS + 8;

// leave finishes the sums of ROWS×COLS that lie in shared memory. Global memory sees whole lines.
template <class T, i32 ROWS, i32 COLS, i32 THREADS> DEVICE void leave(const Product &g, u8 *out, const float *stage, i32 row, i32 col) {
  constexpr i32 WIDTH = stage_width<COLS>, LINES = THREADS / (COLS / 4), BATCH = 2;
  static_assert(ROWS % (LINES * BATCH) == 0);
  if (g.flags & VECTOR) {
    i32 line = thread_index() / (COLS / 4), c = thread_index() % (COLS / 4) * 4;
    if (col + c >= g.n) return;
#pragma unroll 1
    for (i32 r = line; r < ROWS; r += LINES * BATCH) {
      float v[BATCH][4];
#pragma unroll
      for (i32 i = 0; i < BATCH; i++) load4<float>(v[i], stage + (r + i * LINES) * WIDTH + c);
      finish4<T, BATCH, LINES>(g, out, row + r, col + c, v);
    }
  } else {
#pragma unroll 1
    for (i32 i = thread_index(); i < ROWS * COLS; i += THREADS) {
      i32 r = row + i / COLS, c = col + i % COLS;
      if (r < g.m && c < g.n) finish<T>(g, out, r, c, stage[i / COLS * WIDTH + i % COLS]);
    }
  }
}
