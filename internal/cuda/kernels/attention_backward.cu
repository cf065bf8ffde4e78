// Flash attention backward in BF16, without atomics: one kernel for the gradients of keys and values, which goes through
// the queries in order, and one for those of queries, which goes through the keys. Both compute the scores again.
#include "attention.cuh"

// Stats is what backward needs of a query: log2 of its softmax's denominator, scaled as scores are (+Inf where there is
// nothing to weigh, so that all its probabilities are 0), and Σ dout·out.
struct alignas(8) Stats {
  float denominator, delta;
};

// copy_stats copies the stats of COUNT queries of a head from `first` on; those from `end` on become 0.
template <i32 COUNT> DEVICE void copy_stats(Stats *to, const Attention &a, i32 head, i32 first, i32 end) {
  i32 i = thread_index();
  if (i >= COUNT) return;
  bool exists = first + i < end;
  const Stats *from = (const Stats *)a.stats + (exists ? (i64)head * a.queries + first + i : 0);
  asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(shared_address(to + i)), "l"(from), "r"(exists ? 8 : 0) : "memory");
}

// keys_values computes a task: KEYS = 64 rows of dk and dv, 16 a warp. It computes the scores of keys × queries, so that
// a warp has all of what it sums over and probabilities stay in registers:
//
//	Sᵀ = K·Qᵀ   dPᵀ = V·dOᵀ   dV += Pᵀ·dO   dK += dSᵀ·Q   with dS = P·(dP − delta)
//
// A tile of queries and their gradients comes while the one before is used. The order of the sum is that of the visits,
// then the heads of the group, then the queries.
template <i32 D, i32 QUERIES> DEVICE void keys_values(const Attention &a, u16 *shared) {
  constexpr i32 THREADS = 128, KEYS = 64, N = QUERIES / 8, TILE = QUERIES * D;
  using P = Lines<D>;
  u16 *ks = shared, *vs = ks + KEYS * D, *tiles = vs + KEYS * D; // two stages of queries, then their gradients
  Stats *stats = (Stats *)(tiles + 4 * TILE);
  i32 kvHeads = a.heads / a.group, kvHead = block_index() % kvHeads;
  Task t = a.tasks[block_index() / kvHeads];
  i32 lane = lane_index(), top = warp_index() * 16, key = t.k0 + top; // the warp's first

  float dk[D / 8][4], dv[D / 8][4];
  clear<D / 8>(dk);
  clear<D / 8>(dv);

  // The tiles of queries are numbered as (visit, head, tile); next is the one that is copied next. Each visit has a query
  // that sees a key of the task.
  struct {
    i32 visit, head, query;
    Task t;
  } next = {0, 0, 0, {}};
  auto enter = [&] {
    next.t = a.visits[t.first + next.visit];
    next.query = max_(next.t.q0, t.k0 - next.t.diagonal); // queries before see none of the keys
  };
  auto advance = [&] { // whether there is one more
    next.query += QUERIES;
    if (next.query < next.t.q1) return true;
    if (++next.head == a.group) {
      next.head = 0;
      if (++next.visit == t.count) return false;
    }
    enter();
    return true;
  };
  auto copy = [&](i32 stage) {
    i32 head = kvHead * a.group + next.head;
    copy_rows<D, QUERIES, THREADS>(tiles + stage * 2 * TILE, a.q, next.query, next.t.q1, head, a.dim);
    copy_rows<D, QUERIES, THREADS>(tiles + stage * 2 * TILE + TILE, a.dout, next.query, next.t.q1, head, a.dim);
    copy_stats<QUERIES>(stats + stage * QUERIES, a, head, next.query, next.t.q1);
  };

  copy_rows<D, KEYS, THREADS>(ks, a.k, t.k0, t.k1, kvHead, a.dim);
  copy_rows<D, KEYS, THREADS>(vs, a.v, t.k0, t.k1, kvHead, a.dim);
  bool more = t.count > 0;
  if (more) enter(), copy(0);
  copy_commit();
  i32 stage = 0;
#pragma unroll 1
  while (more) {
    i32 query = next.query, q1 = next.t.q1, diagonal = next.t.diagonal;
    copy_wait<0>();
    syncthreads(); // this tile is here, the one before is no longer read
    more = advance();
    if (more) copy(stage ^ 1);
    copy_commit();
    const u16 *qs = tiles + stage * 2 * TILE, *ds = qs + TILE;
    const Stats *columns = stats + stage * QUERIES;
    stage ^= 1;
    if (min_(query + QUERIES, q1) - 1 + diagonal < key) continue; // no query sees a key of this warp
    i32 l = again(lane);
    float s[N][4], dp[N][4];
    clear<N>(s);
    clear<N>(dp);
#pragma unroll
    for (i32 d = 0; d < D; d += 16) {
      u32 k[4], v[4];
      fragment_a<P, true>(k, ks, top, d, l);
      fragment_a<P, true>(v, vs, top, d, l);
#pragma unroll
      for (i32 n = 0; n < N; n += 2) {
        u32 right[4];
        fragment_b<P, true>(right, qs, n * 8, d, l);
        mma_bf16(s[n], k, right[0], right[1]);
        mma_bf16(s[n + 1], k, right[2], right[3]);
        fragment_b<P, true>(right, ds, n * 8, d, l);
        mma_bf16(dp[n], v, right[0], right[1]);
        mma_bf16(dp[n + 1], v, right[2], right[3]);
      }
    }
    bool whole = query + QUERIES <= q1 && key + 15 <= query + diagonal;
#pragma unroll
    for (i32 n = 0; n < N; n++) {
      i32 column = n * 8 + l % 4 * 2;
      v16 pair = load16(columns + column);
      float denominator[2] = {bits<float>(pair.x), bits<float>(pair.z)}, delta[2] = {bits<float>(pair.y), bits<float>(pair.w)};
#pragma unroll
      for (i32 e = 0; e < 4; e++) {
        float p = exp2_approx(fma_rn(s[n][e], a.log2Scale, -denominator[e % 2]));
        float g = p * (dp[n][e] - delta[e % 2]);
        i32 q = query + column + e % 2;
        bool sees = whole || (q < q1 && key + e / 2 * 8 + l / 4 <= q + diagonal);
        s[n][e] = sees ? p : 0;
        dp[n][e] = sees ? g : 0;
      }
    }
#pragma unroll
    for (i32 n = 0; n < QUERIES; n += 16) {
      u32 p[4], g[4];
      pack_fragment(p, s + n / 8);
      pack_fragment(g, dp + n / 8);
#pragma unroll
      for (i32 d = 0; d < D; d += 16) {
        u32 right[4];
        fragment_b<P, false>(right, ds, d, n, l);
        mma_bf16(dv[d / 8], p, right[0], right[1]);
        mma_bf16(dv[d / 8 + 1], p, right[2], right[3]);
        fragment_b<P, false>(right, qs, d, n, l);
        mma_bf16(dk[d / 8], g, right[0], right[1]);
        mma_bf16(dk[d / 8 + 1], g, right[2], right[3]);
      }
    }
  }
  copy_wait<0>();
  syncthreads(); // the keys and values have come, where there was no query
  float scale = a.scale;
  store_fragments<D>(ks + top * D, a.dk, key, t.k1, kvHead, a.dim, dk, scale, scale);
  store_fragments<D>(vs + top * D, a.dv, key, t.k1, kvHead, a.dim, dv, 1, 1);
}

// By design two blocks a multiprocessor, of up to 255 registers a thread.
KERNEL __launch_bounds__(128, 2) attention_keys_values64_bf16(Attention a) {
  extern __shared__ v16 shared[]; // 2·64 + 4·64 rows of 128 bytes, 2·64 stats
  keys_values<64, 64>(a, (u16 *)shared);
}

KERNEL __launch_bounds__(128, 2) attention_keys_values128_bf16(Attention a) {
  extern __shared__ v16 shared[]; // 2·64 + 4·32 rows of 256 bytes, 2·32 stats
  keys_values<128, 32>(a, (u16 *)shared);
}

// queries computes a task for one head: 64 rows of dq, 16 a warp.
//
//	S = Q·Kᵀ   dP = dO·Vᵀ   dQ += dS·K   with dS = P·(dP − delta)
//
// Queries and their gradients stay in registers; a tile of keys and values comes while the one before is used.
template <i32 D, i32 KEYS> DEVICE void queries(const Attention &a, u16 *shared) {
  constexpr i32 THREADS = 128, ROWS = 64, N = KEYS / 8, TILE = KEYS * D;
  using P = Lines<D>;
  static_assert(4 * TILE >= 2 * ROWS * D);
  i32 head = block_index() % a.heads, kvHead = head / a.group;
  Task t = a.tasks[block_index() / a.heads];
  i32 lane = lane_index(), top = warp_index() * 16, first = t.q0 + top;
  i32 end = min_(t.k1, t.q1 + t.diagonal);

  copy_rows<D, ROWS, THREADS>(shared, a.q, t.q0, t.q1, head, a.dim);
  copy_rows<D, ROWS, THREADS>(shared + ROWS * D, a.dout, t.q0, t.q1, head, a.dim);
  copy_commit();
  float denominator[2], delta[2];
#pragma unroll
  for (i32 h = 0; h < 2; h++) {
    i32 query = first + h * 8 + lane / 4;
    denominator[h] = infinity, delta[h] = 0;
    if (query < t.q1) {
      Stats s = ((const Stats *)a.stats)[(i64)head * a.queries + query];
      denominator[h] = s.denominator, delta[h] = s.delta;
    }
  }
  copy_wait<0>();
  syncthreads();
  u32 q[D / 16][4], g[D / 16][4];
#pragma unroll
  for (i32 d = 0; d < D; d += 16) {
    fragment_a<P, true>(q[d / 16], shared, top, d, lane);
    fragment_a<P, true>(g[d / 16], shared + ROWS * D, top, d, lane);
  }
  syncthreads();

  float dq[D / 8][4];
  clear<D / 8>(dq);
  auto copy = [&](i32 stage, i32 k) {
    copy_rows<D, KEYS, THREADS>(shared + stage * 2 * TILE, a.k, k, end, kvHead, a.dim);
    copy_rows<D, KEYS, THREADS>(shared + stage * 2 * TILE + TILE, a.v, k, end, kvHead, a.dim);
  };
  if (t.k0 < end) copy(0, t.k0);
  copy_commit();
  i32 stage = 0;
#pragma unroll 1
  for (i32 k = t.k0; k < end; k += KEYS) {
    copy_wait<0>();
    syncthreads(); // this tile is here, the one before is no longer read
    if (k + KEYS < end) copy(stage ^ 1, k + KEYS);
    copy_commit();
    const u16 *ks = shared + stage * 2 * TILE, *vs = ks + TILE;
    stage ^= 1;
    if (first + 15 + t.diagonal < k) continue; // no query of this warp sees a key
    i32 l = again(lane);
    float s[N][4], dp[N][4];
    clear<N>(s);
    clear<N>(dp);
#pragma unroll
    for (i32 d = 0; d < D; d += 16) {
#pragma unroll
      for (i32 n = 0; n < N; n += 2) {
        u32 right[4];
        fragment_b<P, true>(right, ks, n * 8, d, l);
        mma_bf16(s[n], q[d / 16], right[0], right[1]);
        mma_bf16(s[n + 1], q[d / 16], right[2], right[3]);
        fragment_b<P, true>(right, vs, n * 8, d, l);
        mma_bf16(dp[n], g[d / 16], right[0], right[1]);
        mma_bf16(dp[n + 1], g[d / 16], right[2], right[3]);
      }
    }
    bool whole = k + KEYS <= end && k + KEYS - 1 <= first + t.diagonal;
#pragma unroll
    for (i32 n = 0; n < N; n++)
#pragma unroll
      for (i32 e = 0; e < 4; e++) {
        float p = exp2_approx(fma_rn(s[n][e], a.log2Scale, -denominator[e / 2]));
        i32 key = k + n * 8 + l % 4 * 2 + e % 2;
        bool sees = whole || (key < end && key <= first + e / 2 * 8 + l / 4 + t.diagonal);
        dp[n][e] = sees ? p * (dp[n][e] - delta[e / 2]) : 0;
      }
#pragma unroll
    for (i32 n = 0; n < KEYS; n += 16) {
      u32 left[4];
      pack_fragment(left, dp + n / 8);
#pragma unroll
      for (i32 d = 0; d < D; d += 16) {
        u32 right[4];
        fragment_b<P, false>(right, ks, d, n, l);
        mma_bf16(dq[d / 8], left, right[0], right[1]);
        mma_bf16(dq[d / 8 + 1], left, right[2], right[3]);
      }
    }
  }
  syncthreads(); // the last keys are no longer read
  float scale = a.scale;
  store_fragments<D>(shared + top * D, a.dq, first, t.q1, head, a.dim, dq, scale, scale);
}

// By design two blocks a multiprocessor, of up to 255 registers a thread.
KERNEL __launch_bounds__(128, 2) attention_queries64_bf16(Attention a) {
  alignas(128) static __shared__ u16 shared[4 * 64 * 64];
  queries<64, 64>(a, shared);
}

KERNEL __launch_bounds__(128, 2) attention_queries128_bf16(Attention a) {
  alignas(128) static __shared__ u16 shared[4 * 32 * 128];
  queries<128, 32>(a, shared);
}
