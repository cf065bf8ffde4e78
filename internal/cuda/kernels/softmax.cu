// Softmax over rows and its backward. Rows that are aligned and not too long are held in registers; others are read twice.
#include "exp.cuh"
#include "online.cuh"
#include "rows.cuh"

template <class T> DEVICE void forward_held(Rows out, Rows x, u32 n, u32 inner, u32 d, u32 team_size) {
  constexpr u32 V = per16<T>, K = held_vectors<T>;
  __shared__ float partial[32];
  Team team(team_size);
  u32 row = block_index() * team.count + team.index;
  if (row >= n) return;
  v16 held[K];
  load_held(held, x.at<T>(row, inner), d, team);
  float v[K][V], largest = -infinity, sum = 0;
#pragma unroll
  for (u32 k = 0; k < K; k++) {
    unpack16<T>(v[k], held[k]);
    if (held_at<T>(team, k) < d) {
#pragma unroll
      for (u32 e = 0; e < V; e++) largest = max_(largest, v[k][e]);
    }
  }
  largest = team.max(largest, partial);
#pragma unroll
  for (u32 k = 0; k < K; k++) {
    if (held_at<T>(team, k) < d) {
#pragma unroll
      for (u32 e = 0; e < V; e++) {
        v[k][e] = exp_(v[k][e] - largest);
        sum += v[k][e];
      }
    }
  }
  float scale = div_rn(1.0f, team.sum(sum, partial));
  T *o = out.at<T>(row, inner);
#pragma unroll
  for (u32 k = 0; k < K; k++) {
    u32 i = held_at<T>(team, k);
    if (i >= d) break;
#pragma unroll
    for (u32 e = 0; e < V; e++) v[k][e] *= scale;
    store16(o + i, pack16<T>(v[k]));
  }
}

// forward_any works on the first `vectors` vectors of 16 bytes of a row and on the rest one by one.
template <class T> DEVICE void forward_any(Rows out, Rows x, u32 n, u32 inner, u32 d, u32 vectors, u32 team_size) {
  using A = acc<T>;
  constexpr u32 V = per16<T>;
  __shared__ A partial[32];
  Team team(team_size);
  u32 row = block_index() * team.count + team.index;
  if (row >= n) return;
  const T *in = x.at<T>(row, inner);
  T *o = out.at<T>(row, inner);
  Online<A> seen;
  A v[V];
  if constexpr (fast<T>) {
    for (u32 i = team.rank; i < vectors; i += team.size) {
      unpack16<T>(v, load16(in + i * V));
      seen.template add<V>(v);
    }
  }
  for (u32 i = vectors * V + team.rank; i < d; i += team.size) {
    v[0] = widen(in[i]);
    seen.template add<1>(v);
  }
  seen = seen.fold(team, partial);
  A scale = div_rn((A)1, seen.sum);
  if constexpr (fast<T>) {
    for (u32 i = team.rank; i < vectors; i += team.size) {
      unpack16<T>(v, load16(in + i * V));
#pragma unroll
      for (u32 e = 0; e < V; e++) v[e] = exp_(v[e] - seen.max) * scale;
      store16(o + i * V, pack16<T>(v));
    }
  }
  for (u32 i = vectors * V + team.rank; i < d; i += team.size) o[i] = narrow<T>(exp_(widen(in[i]) - seen.max) * scale);
}

template <class T> DEVICE void backward_held(Rows dx, Rows dy, Rows y, u32 n, u32 inner, u32 d, u32 team_size) {
  constexpr u32 V = per16<T>, K = held_vectors<T>;
  __shared__ float partial[32];
  Team team(team_size);
  u32 row = block_index() * team.count + team.index;
  if (row >= n) return;
  v16 gs[K], ps[K];
  load_held(gs, dy.at<T>(row, inner), d, team);
  load_held(ps, y.at<T>(row, inner), d, team);
  float g[V], p[V], dot = 0;
#pragma unroll
  for (u32 k = 0; k < K; k++) {
    unpack16<T>(g, gs[k]);
    unpack16<T>(p, ps[k]);
#pragma unroll
    for (u32 e = 0; e < V; e++) dot = fma_rn(g[e], p[e], dot);
  }
  dot = team.sum(dot, partial);
  T *o = dx.at<T>(row, inner);
#pragma unroll
  for (u32 k = 0; k < K; k++) {
    u32 i = held_at<T>(team, k);
    if (i >= d) break;
    unpack16<T>(g, gs[k]);
    unpack16<T>(p, ps[k]);
#pragma unroll
    for (u32 e = 0; e < V; e++) g[e] = p[e] * (g[e] - dot);
    store16(o + i, pack16<T>(g));
  }
}

template <class T> DEVICE void backward_any(Rows dx, Rows dy, Rows y, u32 n, u32 inner, u32 d, u32 vectors, u32 team_size) {
  using A = acc<T>;
  constexpr u32 V = per16<T>;
  __shared__ A partial[32];
  Team team(team_size);
  u32 row = block_index() * team.count + team.index;
  if (row >= n) return;
  const T *gs = dy.at<T>(row, inner), *ps = y.at<T>(row, inner);
  T *o = dx.at<T>(row, inner);
  A g[V], p[V], dot = 0;
  if constexpr (fast<T>) {
    for (u32 i = team.rank; i < vectors; i += team.size) {
      unpack16<T>(g, load16(gs + i * V));
      unpack16<T>(p, load16(ps + i * V));
#pragma unroll
      for (u32 e = 0; e < V; e++) dot = fma_rn(g[e], p[e], dot);
    }
  }
  for (u32 i = vectors * V + team.rank; i < d; i += team.size) dot = fma_rn(widen(gs[i]), widen(ps[i]), dot);
  dot = team.sum(dot, partial);
  if constexpr (fast<T>) {
    for (u32 i = team.rank; i < vectors; i += team.size) {
      unpack16<T>(g, load16(gs + i * V));
      unpack16<T>(p, load16(ps + i * V));
#pragma unroll
      for (u32 e = 0; e < V; e++) g[e] = p[e] * (g[e] - dot);
      store16(o + i * V, pack16<T>(g));
    }
  }
  for (u32 i = vectors * V + team.rank; i < d; i += team.size) o[i] = narrow<T>(widen(ps[i]) * (widen(gs[i]) - dot));
}

#define HELD(suffix, T)                                                                                                                                            \
  KERNEL __launch_bounds__(256) softmax_forward_##suffix(Rows out, Rows x, u32 n, u32 inner, u32 d, u32 team) { forward_held<T>(out, x, n, inner, d, team); }        \
  KERNEL __launch_bounds__(256) softmax_backward_##suffix(Rows dx, Rows dy, Rows y, u32 n, u32 inner, u32 d, u32 team) { backward_held<T>(dx, dy, y, n, inner, d, team); }

#define ANY(suffix, T)                                                                                                                                             \
  KERNEL __launch_bounds__(512) softmax_forward_any_##suffix(Rows out, Rows x, u32 n, u32 inner, u32 d, u32 vectors, u32 team) {                                     \
    forward_any<T>(out, x, n, inner, d, vectors, team);                                                                                                            \
  }                                                                                                                                                                \
  KERNEL __launch_bounds__(512) softmax_backward_any_##suffix(Rows dx, Rows dy, Rows y, u32 n, u32 inner, u32 d, u32 vectors, u32 team) {                            \
    backward_any<T>(dx, dy, y, n, inner, d, vectors, team);                                                                                                        \
  }

HELD(f32, float)
HELD(bf16, bf16)
ANY(f32, float)
ANY(bf16, bf16)
ANY(f16, f16)
ANY(f64, double)
