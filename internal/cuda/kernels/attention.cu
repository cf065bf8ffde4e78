// Flash attention forward in BF16.
#include "attention.cuh"

// forward computes a task for one head, ROWS queries by KEYS keys at a time, with four warps of ROWS/4 queries. Scores
// and probabilities stay in registers: the sums of one product are the left operand of the next.
//
// Keys and values have a tile each. While scores are computed, the values come; while values are summed, the next keys.
template <i32 D, i32 ROWS, i32 KEYS> DEVICE void forward(const Attention &a, u16 *shared) {
  constexpr i32 THREADS = 128, M = ROWS / 64, N = KEYS / 8; // M×N fragments of scores a warp
  using P = Lines<D>;
  u16 *qs = shared, *ks = qs + ROWS * D, *vs = ks + KEYS * D;
  i32 head = block_index() % a.heads, kvHead = head / a.group;
  Task t = a.tasks[block_index() / a.heads];
  i32 lane = lane_index(), top = warp_index() * (ROWS / 4), first = t.q0 + top; // of this warp
  i32 end = min_(t.k1, t.q1 + t.diagonal);                                     // of the keys that the last query sees

  float o[M][D / 8][4], largest[M][2], total[M][2]; // total is of the columns of this lane
#pragma unroll
  for (i32 i = 0; i < M; i++) {
    clear<D / 8>(o[i]);
#pragma unroll
    for (i32 h = 0; h < 2; h++) largest[i][h] = -infinity, total[i][h] = 0;
  }

  copy_rows<D, ROWS, THREADS>(qs, a.q, t.q0, t.q1, head, a.dim);
  if (t.k0 < end) copy_rows<D, KEYS, THREADS>(ks, a.k, t.k0, end, kvHead, a.dim);
  copy_commit();
#pragma unroll 1
  for (i32 k = t.k0; k < end; k += KEYS) {
    i32 l = again(lane);
    copy_wait<0>();
    syncthreads(); // the keys are here, the values before are no longer read
    copy_rows<D, KEYS, THREADS>(vs, a.v, k, end, kvHead, a.dim);
    copy_commit();
    bool sees = first + ROWS / 4 - 1 + t.diagonal >= k; // whether a query of this warp sees a key of the tile
    float s[M][N][4];
    if (sees) {
#pragma unroll
      for (i32 i = 0; i < M; i++) clear<N>(s[i]);
#pragma unroll
      for (i32 d = 0; d < D; d += 16) {
        u32 left[M][4];
#pragma unroll
        for (i32 i = 0; i < M; i++) fragment_a<P, true>(left[i], qs, top + i * 16, d, l);
#pragma unroll
        for (i32 n = 0; n < N; n += 2) {
          u32 right[4];
          fragment_b<P, true>(right, ks, n * 8, d, l);
#pragma unroll
          for (i32 i = 0; i < M; i++) {
            mma_bf16(s[i][n], left[i], right[0], right[1]);
            mma_bf16(s[i][n + 1], left[i], right[2], right[3]);
          }
        }
      }
      if (k + KEYS > end || k + KEYS - 1 > first + t.diagonal) {
#pragma unroll
        for (i32 i = 0; i < M; i++)
#pragma unroll
          for (i32 n = 0; n < N; n++)
#pragma unroll
            for (i32 e = 0; e < 4; e++) {
              i32 key = k + n * 8 + lane % 4 * 2 + e % 2, query = first + i * 16 + e / 2 * 8 + lane / 4;
              if (key >= end || key > query + t.diagonal) s[i][n][e] = -infinity;
            }
      }
#pragma unroll
      for (i32 i = 0; i < M; i++)
#pragma unroll
        for (i32 h = 0; h < 2; h++) {
          float most = largest[i][h];
#pragma unroll
          for (i32 n = 0; n < N; n++) most = max_(most, max_(s[i][n][h * 2], s[i][n][h * 2 + 1]));
          most = max_(most, shuffle_xor(most, 1));
          most = max_(most, shuffle_xor(most, 2));
          float offset = most == -infinity ? 0 : -most * a.log2Scale; // a row may have seen nothing yet
          float shrink = exp2_approx(fma_rn(largest[i][h], a.log2Scale, offset));
          largest[i][h] = most;
          float sum = 0;
#pragma unroll
          for (i32 n = 0; n < N; n++)
#pragma unroll
            for (i32 e = h * 2; e < h * 2 + 2; e++) {
              s[i][n][e] = exp2_approx(fma_rn(s[i][n][e], a.log2Scale, offset));
              sum += s[i][n][e];
            }
          total[i][h] = total[i][h] * shrink + sum;
#pragma unroll
          for (i32 n = 0; n < D / 8; n++) o[i][n][h * 2] *= shrink, o[i][n][h * 2 + 1] *= shrink;
        }
    }
    copy_wait<0>();
    syncthreads(); // the values are here, the keys are no longer read
    if (k + KEYS < end) copy_rows<D, KEYS, THREADS>(ks, a.k, k + KEYS, end, kvHead, a.dim);
    copy_commit();
    if (sees) {
#pragma unroll
      for (i32 n = 0; n < KEYS; n += 16) {
        u32 left[M][4];
#pragma unroll
        for (i32 i = 0; i < M; i++) pack_fragment(left[i], s[i] + n / 8);
#pragma unroll
        for (i32 d = 0; d < D; d += 16) {
          u32 right[4];
          fragment_b<P, false>(right, vs, d, n, l);
#pragma unroll
          for (i32 i = 0; i < M; i++) {
            mma_bf16(o[i][d / 8], left[i], right[0], right[1]);
            mma_bf16(o[i][d / 8 + 1], left[i], right[2], right[3]);
          }
        }
      }
    }
  }
  copy_wait<0>();
  syncthreads(); // the queries have come, where there was no key

#pragma unroll
  for (i32 i = 0; i < M; i++) {
    float factor[2];
#pragma unroll
    for (i32 h = 0; h < 2; h++) {
      float sum = total[i][h];
      sum += shuffle_xor(sum, 1);
      sum += shuffle_xor(sum, 2);
      factor[h] = sum == 0 ? 0 : 1 / sum;
      i32 query = first + i * 16 + h * 8 + lane / 4;
      if (a.lse && lane % 4 == 0 && query < t.q1)
        ((float *)a.lse)[(i64)head * a.queries + query] = sum == 0 ? -infinity : (largest[i][h] * a.log2Scale + log2_approx(sum)) * LN2;
    }
    // No other warp reads these queries.
    store_fragments<D>(qs + (top + i * 16) * D, a.out, first + i * 16, t.q1, head, a.dim, o[i], factor[0], factor[1]);
  }
}

// By design two blocks a multiprocessor, of up to 255 registers a thread. Each warp has 32 queries, so that a fragment
// of keys or values is loaded for four products.
KERNEL __launch_bounds__(128, 2) attention_forward64_bf16(Attention a) {
  alignas(128) static __shared__ u16 shared[(128 + 2 * 64) * 64];
  forward<64, 128, 64>(a, shared);
}

KERNEL __launch_bounds__(128, 2) attention_forward128_bf16(Attention a) {
  alignas(128) static __shared__ u16 shared[(128 + 2 * 32) * 128];
  forward<128, 128, 32>(a, shared);
}
