// Sums of squares of chunks, of which the norm of all gradients is made.
#include "rows.cuh"

// sumsquares sets out[i] = Σ x² over chunk i, a team a chunk; each chunk begins on 16 bytes where `vectors` is set.
template <class T> DEVICE void sumsquares(acc<T> *out, const T *x, i64 n, i64 chunk, u32 chunks, u32 vectors, u32 team_size) {
  using A = acc<T>;
  constexpr u32 V = per16<T>;
  __shared__ A partial[32];
  Team team(team_size);
  u32 at = block_index() * team.count + team.index;
  if (at >= chunks) return;
  const T *p = x + at * chunk;
  i64 length = min_(chunk, n - at * chunk), whole = vectors ? length / V : 0;
  A sums[V] = {};
  if constexpr (fast<T>) {
    for (i64 i = team.rank; i < whole; i += team.size) {
      A v[V];
      unpack16<T>(v, load16(p + i * V));
#pragma unroll
      for (u32 e = 0; e < V; e++) sums[e] = fma_rn(v[e], v[e], sums[e]);
    }
  }
  for (i64 i = whole * V + team.rank; i < length; i += team.size) {
    A v = widen(p[i]);
    sums[0] = fma_rn(v, v, sums[0]);
  }
  A total = 0;
#pragma unroll
  for (u32 e = 0; e < V; e++) total += sums[e];
  total = team.sum(total, partial);
  if (team.rank == 0) out[at] = total;
}

#define SUMSQUARES(suffix, T) \
  KERNEL __launch_bounds__(512) sumsquares_##suffix(acc<T> *out, const T *x, i64 n, i64 chunk, u32 chunks, u32 vectors, u32 team) { sumsquares(out, x, n, chunk, chunks, vectors, team); }

SUMSQUARES(f32, float)
SUMSQUARES(bf16, bf16)
SUMSQUARES(f16, f16)
SUMSQUARES(f64, double)
