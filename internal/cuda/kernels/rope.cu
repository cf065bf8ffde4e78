// Rotary position embedding (Su et al. 2021), half-split, alone and behind the RMSNorm of a head as Qwen3 has it. A block
// works on one token at a time: all of its heads turn by the same angles, which it keeps in shared memory.
#include "rows.cuh"

// An Angles is the cosines and sines of n tokens, [n, half] each.
struct Angles {
  u8 *cos, *sin;
  i64 cos_row, cos_column, sin_row, sin_column; // strides in elements
};

// stage_angles copies those of a token to shared memory, rounded as T has them, with the sign of the sines changed for the
// inverse rotation.
template <class T> DEVICE void stage_angles(acc<T> *to, const Angles &a, u32 token, u32 half, bool inverse) {
  using A = acc<T>;
  const A *cos = (const A *)a.cos + token * a.cos_row, *sin = (const A *)a.sin + token * a.sin_row;
  for (u32 j = thread_index(); j < half; j += block_threads()) {
    A s = sin[j * a.sin_column];
    to[j] = widen(narrow<T>(cos[j * a.cos_column]));
    to[half + j] = widen(narrow<T>(inverse ? -s : s));
  }
}

template <class A> DEVICE void rotate(A &x, A &y, A cos, A sin) {
  A t = x * cos - y * sin;
  y = y * cos + x * sin;
  x = t;
}

extern __shared__ v16 dynamic_shared[];

// rope turns each head of a block's token, V elements of either half at a time.
template <class T, u32 V> DEVICE void rope(Rows out, Rows x, const Angles &angles, u32 heads, u32 half, bool inverse) {
  using A = acc<T>;
  A *c = (A *)dynamic_shared, *s = c + half;
  u32 token = block_index(), vectors = half / V;
  stage_angles<T>(c, angles, token, half, inverse);
  syncthreads();
  for (u32 i = thread_index(); i < heads * vectors; i += block_threads()) {
    u32 head = i / vectors, j = (i - head * vectors) * V;
    const T *in = x.at<T>(token * heads + head, heads) + j;
    T *o = out.at<T>(token * heads + head, heads) + j;
    if constexpr (V == 1) {
      A a = widen(in[0]), b = widen(in[half]);
      rotate(a, b, c[j], s[j]);
      o[0] = narrow<T>(a);
      o[half] = narrow<T>(b);
    } else {
      A a[V], b[V];
      unpack16<T>(a, load16(in));
      unpack16<T>(b, load16(in + half));
#pragma unroll
      for (u32 e = 0; e < V; e++) rotate(a[e], b[e], c[j + e], s[j + e]);
      store16(o, pack16<T>(a));
      store16(o + half, pack16<T>(b));
    }
  }
}

#define ROPE(name, T, V) \
  KERNEL __launch_bounds__(256) name(Rows out, Rows x, Angles angles, u32 heads, u32 half, u32 inverse) { rope<T, V>(out, x, angles, heads, half, inverse); }

ROPE(rope_f32, float, 4)
ROPE(rope_bf16, bf16, 8)
ROPE(rope_any_f32, float, 1)
ROPE(rope_any_bf16, bf16, 1)
ROPE(rope_any_f16, f16, 1)
ROPE(rope_any_f64, double, 1)

// ---- behind RMSNorm. A head is worked on by a group of lanes, a power of two up to a warp, each of which holds one vector
// of either half. Wider heads and other layouts are made of the kernels of the two.

template <class T> DEVICE T group_sum(T v, u32 lanes) {
  for (u32 mask = lanes / 2; mask > 0; mask /= 2) v += shuffle_xor(v, mask);
  return v;
}

// A Head is a thread's part of a token's heads.
struct Head {
  u32 lane, group, groups; // the lane in its group, the group in the block and how many there are

  __device__ __attribute__((always_inline)) explicit Head(u32 lanes) : lane(thread_index() & (lanes - 1)), group(thread_index() / lanes), groups(block_threads() / lanes) {}
};

template <class T> DEVICE void load_or_zero(acc<T> *to, const T *from, bool active) { unpack16<T>(to, active ? load16(from) : v16{0, 0, 0, 0}); }

// norm_rope: a block takes tokens_per_block tokens one after the other.
template <class T>
DEVICE void norm_rope(Rows out, float *rstd, Rows x, const T *w, const Angles &angles, u32 n, u32 heads, u32 half, u32 lanes, u32 tokens_per_block, float eps) {
  constexpr u32 V = per16<T>;
  float *c = (float *)dynamic_shared, *s = c + half;
  Head at(lanes);
  u32 j = at.lane * V;
  bool inside = j < half;
  v16 *ws = (v16 *)(s + half); // loaded once for all groups
  for (u32 i = thread_index(); i < 2 * half / V; i += block_threads()) ws[i] = load16(w + i * V);
  syncthreads();
  v16 w1 = inside ? ws[j / V] : v16{0, 0, 0, 0}, w2 = inside ? ws[(half + j) / V] : v16{0, 0, 0, 0};
  u32 first = block_index() * tokens_per_block, last = first + tokens_per_block;
  last = last < n ? last : n;
  for (u32 token = first; token < last; token++) {
    syncthreads();
    stage_angles<T>(c, angles, token, half, false);
    syncthreads();
    for (u32 h = 0; h < heads; h += at.groups) { // as often for every thread, as shuffles need
      u32 head = h + at.group, row = token * heads + head;
      bool active = inside && head < heads;
      float a[V], b[V], wv[V], squares = 0;
      const T *in = x.at<T>(row, heads) + j;
      load_or_zero<T>(a, in, active);
      load_or_zero<T>(b, in + half, active);
#pragma unroll
      for (u32 e = 0; e < V; e++) squares = fma_rn(b[e], b[e], fma_rn(a[e], a[e], squares));
      squares = group_sum(squares, lanes);
      float r = div_rn(1.0f, sqrt_rn(squares / (2 * half) + eps));
      if (!active) continue;
      if (rstd && at.lane == 0) rstd[row] = r;
      unpack16<T>(wv, w1);
#pragma unroll
      for (u32 e = 0; e < V; e++) a[e] = widen(narrow<T>(widen(narrow<T>(a[e] * r)) * wv[e]));
      unpack16<T>(wv, w2);
#pragma unroll
      for (u32 e = 0; e < V; e++) {
        b[e] = widen(narrow<T>(widen(narrow<T>(b[e] * r)) * wv[e]));
        rotate(a[e], b[e], c[j + e], s[j + e]);
      }
      T *o = out.at<T>(row, heads) + j;
      store16(o, pack16<T>(a));
      store16(o + half, pack16<T>(b));
    }
  }
}

// norm_rope_backward turns dy back and goes on as RMSNorm's backward does: see norm.cuh. The sums of a block's
// heads go to partials, if that is not null.
template <class T>
DEVICE void norm_rope_backward(Rows dx, float *partials, Rows dy, Rows x, const T *w, const float *rstd, const Angles &angles, u32 n, u32 heads, u32 half, u32 lanes, u32 tokens_per_block) {
  constexpr u32 V = per16<T>;
  float *c = (float *)dynamic_shared, *s = c + half;
  Head at(lanes);
  u32 j = at.lane * V;
  bool inside = j < half;
  v16 *ws = (v16 *)(s + half); // loaded once for all groups
  for (u32 i = thread_index(); i < 2 * half / V; i += block_threads()) ws[i] = load16(w + i * V);
  syncthreads();
  v16 w1 = inside ? ws[j / V] : v16{0, 0, 0, 0}, w2 = inside ? ws[(half + j) / V] : v16{0, 0, 0, 0};
  float da[V] = {}, db[V] = {}; // of w, in either half
  u32 first = block_index() * tokens_per_block, last = first + tokens_per_block;
  last = last < n ? last : n;
  for (u32 token = first; token < last; token++) {
    syncthreads();
    stage_angles<T>(c, angles, token, half, true);
    syncthreads();
    for (u32 h = 0; h < heads; h += at.groups) {
      u32 head = h + at.group, row = token * heads + head;
      bool active = inside && head < heads;
      float a[V], b[V], ga[V], gb[V], wa[V], wb[V];
      const T *in = x.at<T>(row, heads) + j, *g = dy.at<T>(row, heads) + j;
      load_or_zero<T>(a, in, active);
      load_or_zero<T>(b, in + half, active);
      load_or_zero<T>(ga, g, active);
      load_or_zero<T>(gb, g + half, active);
      unpack16<T>(wa, w1);
      unpack16<T>(wb, w2);
      float r = active ? rstd[row] : 0, mean = 0;
#pragma unroll
      for (u32 e = 0; e < V; e++) {
        if (active) rotate(ga[e], gb[e], c[j + e], s[j + e]);
        ga[e] = widen(narrow<T>(ga[e]));
        gb[e] = widen(narrow<T>(gb[e]));
        a[e] *= r;
        b[e] *= r;
        da[e] = fma_rn(ga[e], a[e], da[e]);
        db[e] = fma_rn(gb[e], b[e], db[e]);
        ga[e] *= wa[e];
        gb[e] *= wb[e];
        mean = fma_rn(gb[e], b[e], fma_rn(ga[e], a[e], mean));
      }
      mean = group_sum(mean, lanes) / (2 * half);
      if (!active || !dx.data) continue;
#pragma unroll
      for (u32 e = 0; e < V; e++) {
        ga[e] = r * (ga[e] - a[e] * mean);
        gb[e] = r * (gb[e] - b[e] * mean);
      }
      T *o = dx.at<T>(row, heads) + j;
      store16(o, pack16<T>(ga));
      store16(o + half, pack16<T>(gb));
    }
  }
  if (!partials) return;
  float *sums = (float *)dynamic_shared;
  syncthreads();
  for (u32 i = thread_index(); i < 2 * half; i += block_threads()) sums[i] = 0;
  for (u32 turn = 0; turn < at.groups; turn++) { // one after the other: the order is part of the result
    syncthreads();
    if (at.group != turn || !inside) continue;
#pragma unroll
    for (u32 e = 0; e < V; e++) {
      sums[j + e] += da[e];
      sums[half + j + e] += db[e];
    }
  }
  syncthreads();
  for (u32 i = thread_index(); i < 2 * half; i += block_threads()) partials[(u64)block_index() * 2 * half + i] = sums[i];
}

#define NORM_ROPE(suffix, T)                                                                                                                                                        \
  KERNEL __launch_bounds__(256) normrope_forward_##suffix(Rows out, float *rstd, Rows x, const T *w, Angles angles, u32 n, u32 heads, u32 half, u32 lanes, u32 tokens, float eps) {   \
    norm_rope<T>(out, rstd, x, w, angles, n, heads, half, lanes, tokens, eps);                                                                                                      \
  }                                                                                                                                                                                 \
  KERNEL __launch_bounds__(256) normrope_backward_##suffix(Rows dx, float *partials, Rows dy, Rows x, const T *w, const float *rstd, Angles angles, u32 n, u32 heads, u32 half, u32 lanes, u32 tokens) { \
    norm_rope_backward<T>(dx, partials, dy, x, w, rstd, angles, n, heads, half, lanes, tokens);                                                                                     \
  }

NORM_ROPE(f32, float)
NORM_ROPE(bf16, bf16)
