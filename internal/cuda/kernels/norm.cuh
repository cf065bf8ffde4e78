// RMSNorm (Zhang and Sennrich 2019) and LayerNorm (Ba et al. 2016), forward and backward. With mean = 0 and b = 0
// the second is the first, but for the rounding of the normalised row: both are one template.
//
//	t = (x − mean)·rstd;  out = t·w + b;  dx = rstd·(g − mean(g) − t·mean(g·t)) with g = dy·w;  dw = Σ dy·t;  db = Σ dy
//
// mean(g) is left out of RMSNorm's. Two ways: rows that are aligned and not too long are held in registers between the
// fold and what is made of it, so that they are read once; any others are read again. Gradients of the weights
// are sums of groups of rows, one block a group, which add_partials adds in their order.
#pragma once
#include "rows.cuh"

template <class A> DEVICE A rstd_of(A squares, u32 d, double eps) { return div_rn((A)1, sqrt_rn(squares / (A)d + (A)eps)); }

// apply is an element of the output.
template <class T, bool Centered> DEVICE acc<T> apply(acc<T> x, acc<T> mean, acc<T> rstd, acc<T> w, acc<T> b) {
  if constexpr (Centered) return (x - mean) * rstd * w + b;
  return widen(narrow<T>(x * rstd)) * w;
}

// stage copies d weights to shared memory, where the rows of a block find them.
template <class T> DEVICE void stage(v16 *to, const T *w, u32 d) {
  for (u32 i = thread_index(); i < d / per16<T>; i += block_threads()) to[i] = load16(w + i * per16<T>);
}

extern __shared__ v16 dynamic_shared[];

template <class T, bool Centered>
DEVICE void forward_held(Rows out, float *mean, float *rstd, Rows x, const T *w, const T *b, u32 n, u32 inner, u32 d, u32 team_size, u32 rows_per_block, double eps) {
  constexpr u32 V = per16<T>;
  __shared__ float partial[32];
  v16 *ws = dynamic_shared, *bs = dynamic_shared + d / V;
  stage(ws, w, d);
  if (Centered) stage(bs, b, d);
  syncthreads();
  Team team(team_size);
  u32 first = block_index() * rows_per_block, last = first + rows_per_block;
  last = last < n ? last : n;
  for (u32 row = first + team.index; row < last; row += team.count) {
    v16 held[held_vectors<T>];
    float v[V];
    load_held(held, x.at<T>(row, inner), d, team);
    float m = 0, squares = 0;
    if (Centered) {
#pragma unroll
      for (u32 k = 0; k < held_vectors<T>; k++) {
        unpack16<T>(v, held[k]);
#pragma unroll
        for (u32 e = 0; e < V; e++) m += v[e];
      }
      m = team.sum(m, partial) / d;
    }
#pragma unroll
    for (u32 k = 0; k < held_vectors<T>; k++) {
      unpack16<T>(v, held[k]);
      if (!Centered || held_at<T>(team, k) < d) {
#pragma unroll
        for (u32 e = 0; e < V; e++) squares = fma_rn(v[e] - m, v[e] - m, squares);
      }
    }
    float r = rstd_of(team.sum(squares, partial), d, eps);
    if (team.rank == 0) {
      if (rstd) rstd[row] = r;
      if (Centered && mean) mean[row] = m;
    }
    T *o = out.at<T>(row, inner);
#pragma unroll
    for (u32 k = 0; k < held_vectors<T>; k++) {
      u32 i = held_at<T>(team, k);
      if (i >= d) break;
      float wv[V], bv[V];
      unpack16<T>(v, held[k]);
      unpack16<T>(wv, ws[i / V]);
      if (Centered) unpack16<T>(bv, bs[i / V]);
#pragma unroll
      for (u32 e = 0; e < V; e++) v[e] = apply<T, Centered>(v[e], m, r, wv[e], Centered ? bv[e] : 0);
      store16(o + i, pack16<T>(v));
    }
  }
}

template <class T, bool Centered>
DEVICE void forward_any(Rows out, acc<T> *mean, acc<T> *rstd, Rows x, Vector w, Vector b, u32 n, u32 inner, u32 d, u32 team_size, double eps) {
  using A = acc<T>;
  __shared__ A partial[32];
  Team team(team_size);
  u32 row = block_index() * team.count + team.index;
  if (row >= n) return;
  const T *in = x.at<T>(row, inner);
  T *o = out.at<T>(row, inner);
  A m = 0, squares = 0;
  if (Centered) {
    for (u32 i = team.rank; i < d; i += team.size) m += widen(in[i]);
    m = team.sum(m, partial) / d;
  }
  for (u32 i = team.rank; i < d; i += team.size) {
    A v = widen(in[i]) - m;
    squares = fma_rn(v, v, squares);
  }
  A r = rstd_of(team.sum(squares, partial), d, eps);
  if (team.rank == 0) {
    if (rstd) rstd[row] = r;
    if (Centered && mean) mean[row] = m;
  }
  for (u32 i = team.rank; i < d; i += team.size) o[i] = narrow<T>(apply<T, Centered>(widen(in[i]), m, r, widen(*w.at<T>(i)), Centered ? widen(*b.at<T>(i)) : 0));
}

// backward_held sets dx, if it is not null, and writes the sums of each block's rows to partials, if that is not null:
// d numbers of dw and, Centered, as many of db.
template <class T, bool Centered>
DEVICE void backward_held(Rows dx, float *partials, Rows dy, Rows x, const T *w, const float *mean, const float *rstd, u32 n, u32 inner, u32 d, u32 team_size, u32 rows_per_block) {
  constexpr u32 V = per16<T>, K = held_vectors<T>;
  __shared__ float partial[32];
  v16 *ws = dynamic_shared;
  stage(ws, w, d);
  syncthreads();
  Team team(team_size);
  float dw[K][V] = {}, db[Centered ? K : 1][V] = {};
  u32 first = block_index() * rows_per_block, last = first + rows_per_block;
  last = last < n ? last : n;
  for (u32 row = first + team.index; row < last; row += team.count) {
    v16 xs[K], gs[K];
    load_held(xs, x.at<T>(row, inner), d, team);
    load_held(gs, dy.at<T>(row, inner), d, team);
    float r = rstd[row], m = Centered ? mean[row] : 0;
    float mean_g = 0, mean_gt = 0;
#pragma unroll
    for (u32 k = 0; k < K; k++) {
      u32 i = held_at<T>(team, k);
      float v[V], g[V], wv[V];
      unpack16<T>(v, xs[k]);
      unpack16<T>(g, gs[k]);
      unpack16<T>(wv, i < d ? ws[i / V] : v16{0, 0, 0, 0});
#pragma unroll
      for (u32 e = 0; e < V; e++) {
        float t = (v[e] - m) * r;
        dw[k][e] = fma_rn(g[e], t, dw[k][e]);
        if (Centered) {
          db[k][e] += g[e];
          mean_g = fma_rn(g[e], wv[e], mean_g);
        }
        mean_gt = fma_rn(g[e] * wv[e], t, mean_gt);
      }
    }
    if (!dx.data) continue;
    if (Centered) mean_g = team.sum(mean_g, partial) / d;
    mean_gt = team.sum(mean_gt, partial) / d;
    T *o = dx.at<T>(row, inner);
#pragma unroll
    for (u32 k = 0; k < K; k++) {
      u32 i = held_at<T>(team, k);
      if (i >= d) break;
      float v[V], g[V], wv[V];
      unpack16<T>(v, xs[k]);
      unpack16<T>(g, gs[k]);
      unpack16<T>(wv, ws[i / V]);
#pragma unroll
      for (u32 e = 0; e < V; e++) v[e] = r * (g[e] * wv[e] - mean_g - (v[e] - m) * r * mean_gt);
      store16(o + i, pack16<T>(v));
    }
  }
  if (!partials) return;
  // The teams of a block one after the other: the order is part of the result.
  float *sums = (float *)dynamic_shared;
  u32 width = Centered ? 2 * d : d;
  syncthreads();
  for (u32 i = thread_index(); i < width; i += block_threads()) sums[i] = 0;
  for (u32 turn = 0; turn < team.count; turn++) {
    syncthreads();
    if (team.index != turn) continue;
#pragma unroll
    for (u32 k = 0; k < K; k++) {
      u32 i = held_at<T>(team, k);
      if (i >= d) break;
#pragma unroll
      for (u32 e = 0; e < V; e++) {
        sums[i + e] += dw[k][e];
        if (Centered) sums[d + i + e] += db[k][e];
      }
    }
  }
  syncthreads();
  for (u32 i = thread_index(); i < width; i += block_threads()) partials[(u64)block_index() * width + i] = sums[i];
}

// backward_any sets dx.
template <class T, bool Centered>
DEVICE void backward_any(Rows dx, Rows dy, Rows x, Vector w, const acc<T> *mean, const acc<T> *rstd, u32 n, u32 inner, u32 d, u32 team_size) {
  using A = acc<T>;
  __shared__ A partial[32];
  Team team(team_size);
  u32 row = block_index() * team.count + team.index;
  if (row >= n) return;
  const T *in = x.at<T>(row, inner), *g = dy.at<T>(row, inner);
  T *o = dx.at<T>(row, inner);
  A r = rstd[row], m = Centered ? mean[row] : 0;
  A mean_g = 0, mean_gt = 0;
  for (u32 i = team.rank; i < d; i += team.size) {
    A gw = widen(g[i]) * widen(*w.at<T>(i));
    mean_g += gw;
    mean_gt = fma_rn(gw, (widen(in[i]) - m) * r, mean_gt);
  }
  mean_g = Centered ? team.sum(mean_g, partial) / d : 0;
  mean_gt = team.sum(mean_gt, partial) / d;
  for (u32 i = team.rank; i < d; i += team.size) {
    A gw = widen(g[i]) * widen(*w.at<T>(i));
    o[i] = narrow<T>(r * (gw - mean_g - (widen(in[i]) - m) * r * mean_gt));
  }
}

// columns writes the sums of groups of rows to partials as backward_held does, a thread a column and a block's y a group.
template <class T, bool Centered>
DEVICE void columns(acc<T> *partials, Rows dy, Rows x, const acc<T> *mean, const acc<T> *rstd, u32 n, u32 inner, u32 d, u32 rows_per_block) {
  using A = acc<T>;
  u32 i = block_index() * block_threads() + thread_index();
  if (i >= d) return;
  u32 first = block_index_y() * rows_per_block, last = first + rows_per_block;
  last = last < n ? last : n;
  A dw = 0, db = 0;
  for (u32 row = first; row < last; row++) {
    A g = widen(dy.at<T>(row, inner)[i]);
    dw = fma_rn(g, (widen(x.at<T>(row, inner)[i]) - (Centered ? mean[row] : 0)) * rstd[row], dw);
    db += g;
  }
  A *to = partials + (u64)block_index_y() * (Centered ? 2 * d : d) + i;
  *to = dw;
  if (Centered) to[d] = db;
}

#define HELD(name, suffix, T, centered)                                                                                                                                    \
  KERNEL __launch_bounds__(256) name##_forward_##suffix(Rows out, float *mean, float *rstd, Rows x, const T *w, const T *b, u32 n, u32 inner, u32 d, u32 team, u32 rows, double eps) { \
    forward_held<T, centered>(out, mean, rstd, x, w, b, n, inner, d, team, rows, eps);                                                                                     \
  }                                                                                                                                                                        \
  KERNEL __launch_bounds__(256) name##_backward_##suffix(Rows dx, float *partials, Rows dy, Rows x, const T *w, const float *mean, const float *rstd, u32 n, u32 inner, u32 d, u32 team, u32 rows) { \
    backward_held<T, centered>(dx, partials, dy, x, w, mean, rstd, n, inner, d, team, rows);                                                                               \
  }

#define ANY(name, suffix, T, centered)                                                                                                                                     \
  KERNEL __launch_bounds__(256) name##_forward_any_##suffix(Rows out, acc<T> *mean, acc<T> *rstd, Rows x, Vector w, Vector b, u32 n, u32 inner, u32 d, u32 team, double eps) { \
    forward_any<T, centered>(out, mean, rstd, x, w, b, n, inner, d, team, eps);                                                                                            \
  }                                                                                                                                                                        \
  KERNEL __launch_bounds__(256) name##_backward_any_##suffix(Rows dx, Rows dy, Rows x, Vector w, const acc<T> *mean, const acc<T> *rstd, u32 n, u32 inner, u32 d, u32 team) { \
    backward_any<T, centered>(dx, dy, x, w, mean, rstd, n, inner, d, team);                                                                                                \
  }                                                                                                                                                                        \
  KERNEL __launch_bounds__(256) name##_columns_##suffix(acc<T> *partials, Rows dy, Rows x, const acc<T> *mean, const acc<T> *rstd, u32 n, u32 inner, u32 d, u32 rows) {     \
    columns<T, centered>(partials, dy, x, mean, rstd, n, inner, d, rows);                                                                                                  \
  }
