// Attention of few queries over many keys, as decoding has it. One block of queries would leave most of a card idle, so
// the keys are split among blocks and a second kernel merges what they found, in the order of the keys ("flash decoding",
// Dao et al. 2023).
#include "attention.cuh"

constexpr i32 ROWS = 16; // of a block: the queries of a task in all heads that share a key head

// Found is what a block knows of a row: the largest score times log2Scale, and the sum of powers of two of the scores
// less that.
struct alignas(8) Found {
  float largest, total;
};

// few computes a task, whose keys are a part of a segment's, for one key head. Row r is query q0 + r/group of the head
// r%group of the group. Four warps have 16 of 64 keys each and sums of their own, which are merged in the end. Sums go to
// partial [tasks, key heads, ROWS, D].
template <i32 D> DEVICE void few(const Attention &a, float *partial, Found *found, u16 *shared) {
  constexpr i32 THREADS = 128, KEYS = 64, TILE = KEYS * D, CHUNKS = D / 8, STEP = THREADS / CHUNKS, WIDTH = D + 8;
  using P = Lines<D>;
  u16 *qs = shared, *tiles = qs + ROWS * D; // two stages of keys and values
  i32 kvHeads = a.heads / a.group, kvHead = block_index() % kvHeads;
  Task t = a.tasks[block_index() / kvHeads];
  i32 lane = lane_index(), warp = warp_index(), rows = (t.q1 - t.q0) * a.group, end = min_(t.k1, t.q1 + t.diagonal);

  i32 line = thread_index() / CHUNKS, chunk = thread_index() % CHUNKS;
#pragma unroll
  for (i32 i = line; i < ROWS; i += STEP) {
    bool exists = i < rows && chunk * 8 < a.dim;
    const u16 *from = row_of<u16>(a.q, t.q0 + i / a.group, kvHead * a.group + i % a.group) + chunk * 8;
    copy_async16(qs + P::place(i, chunk), exists ? from : (const u16 *)a.q.data, exists ? 16 : 0);
  }
  auto copy = [&](i32 stage, i32 k) {
    copy_rows<D, KEYS, THREADS>(tiles + stage * 2 * TILE, a.k, k, end, kvHead, a.dim);
    copy_rows<D, KEYS, THREADS>(tiles + stage * 2 * TILE + TILE, a.v, k, end, kvHead, a.dim);
  };
  if (t.k0 < end) copy(0, t.k0);
  copy_commit();

  float o[D / 8][4], largest[2] = {-infinity, -infinity}, total[2] = {0, 0};
  clear<D / 8>(o);
  i32 stage = 0;
#pragma unroll 1
  for (i32 k = t.k0; k < end; k += KEYS) {
    copy_wait<0>();
    syncthreads(); // this tile is here, the one before is no longer read
    if (k + KEYS < end) copy(stage ^ 1, k + KEYS);
    copy_commit();
    const u16 *ks = tiles + stage * 2 * TILE, *vs = ks + TILE;
    stage ^= 1;
    i32 first = k + warp * 16;
    if (first >= end) continue;
    float s[2][4];
    clear<2>(s);
#pragma unroll
    for (i32 d = 0; d < D; d += 16) {
      u32 left[4], right[4];
      fragment_a<P, true>(left, qs, 0, d, lane);
      fragment_b<P, true>(right, ks, warp * 16, d, lane);
      mma_bf16(s[0], left, right[0], right[1]);
      mma_bf16(s[1], left, right[2], right[3]);
    }
#pragma unroll
    for (i32 h = 0; h < 2; h++) {
      i32 sees = min_(end - 1, t.q0 + (lane / 4 + h * 8) / a.group + t.diagonal); // the last key that the row sees
      float most = largest[h];
#pragma unroll
      for (i32 i = 0; i < 4; i++) {
        float *x = &s[i / 2][h * 2 + i % 2];
        *x = first + i / 2 * 8 + lane % 4 * 2 + i % 2 <= sees ? *x * a.log2Scale : -infinity;
        most = max_(most, *x);
      }
      most = max_(most, shuffle_xor(most, 1));
      most = max_(most, shuffle_xor(most, 2));
      float offset = most == -infinity ? 0 : most, shrink = exp2_approx(largest[h] - offset);
      largest[h] = most;
      total[h] *= shrink;
#pragma unroll
      for (i32 i = 0; i < 4; i++) {
        float *x = &s[i / 2][h * 2 + i % 2];
        *x = exp2_approx(*x - offset);
        total[h] += *x;
      }
#pragma unroll
      for (i32 n = 0; n < D / 8; n++) o[n][h * 2] *= shrink, o[n][h * 2 + 1] *= shrink;
    }
    u32 left[4];
    pack_fragment(left, s);
#pragma unroll
    for (i32 d = 0; d < D; d += 16) {
      u32 right[4];
      fragment_b<P, false>(right, vs, d, warp * 16, lane);
      mma_bf16(o[d / 8], left, right[0], right[1]);
      mma_bf16(o[d / 8 + 1], left, right[2], right[3]);
    }
  }
  copy_wait<0>();
  syncthreads(); // the tiles are no longer read

  // The warps' sums, each times what its largest score was less than the largest of all, are added in order.
  float *sums = (float *)tiles;             // [warp][row][WIDTH]
  Found *parts = (Found *)(sums + 4 * ROWS * WIDTH); // [warp][row]
#pragma unroll
  for (i32 h = 0; h < 2; h++) {
    i32 row = lane / 4 + h * 8;
    float sum = total[h];
    sum += shuffle_xor(sum, 1);
    sum += shuffle_xor(sum, 2);
    if (lane % 4 == 0) parts[warp * ROWS + row] = {largest[h], sum};
#pragma unroll
    for (i32 n = 0; n < D / 8; n++) {
      float *to = sums + (warp * ROWS + row) * WIDTH + n * 8 + lane % 4 * 2;
      *(u64 *)to = (u64)bits<u32>(o[n][h * 2 + 1]) << 32 | bits<u32>(o[n][h * 2]);
    }
  }
  syncthreads();
  i64 at = (i64)block_index() * ROWS;
#pragma unroll 1
  for (i32 i = thread_index(); i < rows * (D / 4); i += THREADS) {
    i32 row = i / (D / 4), d = i % (D / 4) * 4;
    float most = -infinity, all = 0, sum[4] = {0, 0, 0, 0};
#pragma unroll
    for (i32 w = 0; w < 4; w++) most = max_(most, parts[w * ROWS + row].largest);
#pragma unroll
    for (i32 w = 0; w < 4; w++) {
      Found part = parts[w * ROWS + row];
      float factor = exp2_approx(part.largest - (most == -infinity ? 0 : most));
      v16 v = load16(sums + (w * ROWS + row) * WIDTH + d);
      all = fma_rn(part.total, factor, all);
      sum[0] = fma_rn(bits<float>(v.x), factor, sum[0]), sum[1] = fma_rn(bits<float>(v.y), factor, sum[1]);
      sum[2] = fma_rn(bits<float>(v.z), factor, sum[2]), sum[3] = fma_rn(bits<float>(v.w), factor, sum[3]);
    }
    store16(partial + (at + row) * D + d, pack16<float>(sum));
    if (d == 0) found[at + row] = {most, all};
  }
}

// merge adds up what few found of the rows of a task's queries, one row a warp: of its blocks first, first + 1, … count.
template <i32 D> DEVICE void merge(const Attention &a, const float *partial, const Found *found) {
  i32 kvHeads = a.heads / a.group, kvHead = block_index() % kvHeads, lane = lane_index();
  Task t = a.tasks[block_index() / kvHeads];
  i32 rows = (t.q1 - t.q0) * a.group;
#pragma unroll 1
  for (i32 row = warp_index(); row < rows; row += block_warps()) {
    float most = -infinity, all = 0, sum[D / 32];
#pragma unroll
    for (i32 i = 0; i < D / 32; i++) sum[i] = 0;
#pragma unroll 1
    for (i32 block = 0; block < t.count; block++) most = max_(most, found[((i64)(t.first + block) * kvHeads + kvHead) * ROWS + row].largest);
#pragma unroll 1
    for (i32 block = 0; block < t.count; block++) {
      i64 at = ((i64)(t.first + block) * kvHeads + kvHead) * ROWS + row;
      Found part = found[at];
      float factor = exp2_approx(part.largest - (most == -infinity ? 0 : most));
      all = fma_rn(part.total, factor, all);
#pragma unroll
      for (i32 i = 0; i < D / 32; i++) sum[i] = fma_rn(partial[at * D + i * 32 + lane], factor, sum[i]);
    }
    i32 query = t.q0 + row / a.group, head = kvHead * a.group + row % a.group;
    float factor = all == 0 ? 0 : 1 / all;
    bf16 *out = row_of<bf16>(a.out, query, head);
#pragma unroll
    for (i32 i = 0; i < D / 32; i++)
      if (i * 32 + lane < a.dim) out[i * 32 + lane] = narrow<bf16>(sum[i] * factor);
    if (a.lse && lane == 0) ((float *)a.lse)[(i64)head * a.queries + query] = all == 0 ? -infinity : (most + log2_approx(all)) * LN2;
  }
}

// By design three blocks a multiprocessor with 228 KiB of shared memory, two of one with 164 KiB.
#define FEW(D)                                                                                               \
  KERNEL __launch_bounds__(128) attention_few##D##_bf16(Attention a, float *partial, Found *found) {         \
    extern __shared__ v16 shared[];                                                                          \
    few<D>(a, partial, found, (u16 *)shared);                                                                \
  }                                                                                                          \
  KERNEL __launch_bounds__(128) attention_merge##D##_bf16(Attention a, const float *partial, const Found *found) { \
    merge<D>(a, partial, found);                                                                             \
  }
FEW(64)
FEW(128)
