// What the kernels of attention share: arguments, tiles of rows in shared memory, and the online softmax's bookkeeping.
//
// Sources: Milakov and Gimelshein 2018 (online softmax), Dao et al. 2022 (FlashAttention), Dao 2023 (FlashAttention-2).
#pragma once
#include "fragments.cuh"

// A Task is what a block computes: query rows [q0, q1) over key rows [k0, k1). Query i sees key j if j ≤ i + diagonal.
// Rows outside all segments are tasks without keys.
//
// In the backward of keys and values it is the rows [k0, k1) over the visits [first, first + count).
struct Task {
  i32 q0, q1, k0, k1, diagonal, first, count, pad;
};

// Rows are one operand [rows, heads, dim]: its address and strides in elements.
struct Rows {
  u8 *data;
  i64 row, head;
};

// Attention is the arguments of every kernel. log2Scale multiplies scores so that powers of two are powers of e.
struct Attention {
  Rows q, k, v, out, dout, dq, dk, dv; // out is what forward sets
  u8 *lse;                             // [heads, queries], natural logarithm; may be null
  u8 *stats;                           // [heads, queries] pairs, see attention_stats
  const Task *tasks, *visits;
  double scale;
  float log2Scale;
  i32 dim, heads, group, queries; // group is how many heads of q share a head of k
  i32 f16;                        // whether 16-bit elements are F16
};

constexpr float LOG2E = 1.4426950408889634f, LN2 = 0.6931471805599453f;

template <class T> DEVICE T *row_of(const Rows &r, i32 row, i32 head) { return (T *)r.data + row * r.row + head * r.head; }

// ---- tiles of BF16 in shared memory

// A Lines<D> is a tile of rows of D elements. See fragments.cuh.
template <i32 D> struct Lines {
  static constexpr i32 CHUNKS = D / 8;
  static __device__ __attribute__((always_inline)) i32 place(i32 line, i32 chunk) { return (line * CHUNKS + (chunk ^ (line & 7))) * 8; }
};

// copy_rows copies COUNT rows of one head from row `first` on; rows from `end` on and elements from dim on become 0. It
// needs rows aligned to 16 bytes and dim a multiple of 8.
template <i32 D, i32 COUNT, i32 THREADS> DEVICE void copy_rows(u16 *tile, const Rows &from, i32 first, i32 end, i32 head, i32 dim) {
  constexpr i32 CHUNKS = D / 8, STEP = THREADS / CHUNKS;
  static_assert(COUNT % STEP == 0);
  i32 line = thread_index() / CHUNKS, chunk = thread_index() % CHUNKS;
  const u16 *p = row_of<u16>(from, first + line, head) + chunk * 8;
#pragma unroll
  for (i32 i = 0; i < COUNT; i += STEP) {
    bool exists = first + line + i < end && chunk * 8 < dim;
    copy_async16(tile + Lines<D>::place(line + i, chunk), exists ? p + i * from.row : (const u16 *)from.data, exists ? 16 : 0);
  }
}

// store_fragments rounds a warp's 16 rows of sums, each times its factor, and stores those before end. The tile is the
// warp's own 16 lines of shared memory, through which the rows become whole.
template <i32 D> DEVICE void store_fragments(u16 *tile, const Rows &to, i32 first, i32 end, i32 head, i32 dim, float (*sum)[4], float upper, float lower) {
  if (!to.data) return; // a gradient that nobody needs
  i32 lane = lane_index();
#pragma unroll
  for (i32 n = 0; n < D / 8; n++) {
    *(u32 *)(tile + Lines<D>::place(lane / 4, n) + lane % 4 * 2) = pack_bf16(sum[n][0] * upper, sum[n][1] * upper);
    *(u32 *)(tile + Lines<D>::place(lane / 4 + 8, n) + lane % 4 * 2) = pack_bf16(sum[n][2] * lower, sum[n][3] * lower);
  }
  syncwarp();
  constexpr i32 CHUNKS = D / 8, STEP = 32 / CHUNKS;
  i32 line = lane / CHUNKS, chunk = lane % CHUNKS;
  u16 *p = row_of<u16>(to, first + line, head) + chunk * 8;
#pragma unroll
  for (i32 i = 0; i < 16; i += STEP)
    if (first + line + i < end && chunk * 8 < dim) store16(p + i * to.row, load16(tile + Lines<D>::place(line + i, chunk)));
}

// probabilities makes the left operand of 16 rows by 16 columns k of two neighbouring fragments of sums.
DEVICE void pack_fragment(u32 *a, float (*s)[4]) {
  a[0] = pack_bf16(s[0][0], s[0][1]), a[1] = pack_bf16(s[0][2], s[0][3]);
  a[2] = pack_bf16(s[1][0], s[1][1]), a[3] = pack_bf16(s[1][2], s[1][3]);
}

template <i32 N> DEVICE void clear(float (*sum)[4]) {
#pragma unroll
  for (i32 n = 0; n < N; n++)
#pragma unroll
    for (i32 e = 0; e < 4; e++) sum[n][e] = 0;
}
