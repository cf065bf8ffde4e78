// Attention of any dtype, head dimension and alignment: the same algorithm as attention.cu and attention_backward.cu with
// fused multiply-adds. It is right for everything, and the oracle of the kernels on tensor cores.
#include "attention.cuh"
#include "maths64.cuh"

DEVICE float power(float x) { return exp2_approx(x); }
DEVICE double power(double x) { return maths::exp2(x); }
DEVICE float logarithm(float x) { return log2_approx(x) * LN2; }
DEVICE double logarithm(double x) { return maths::log(x); }

// A half is a BF16 or, if a.f16, an F16: one kernel for both.
struct half {
  u16 raw;
};

template <class T> DEVICE acc<T> read(const Attention &a, const T *p) {
  if constexpr (__is_same(T, half)) {
    return a.f16 ? widen(f16{p->raw}) : widen(bf16{p->raw});
  } else {
    return *p;
  }
}

template <class T> DEVICE void write(const Attention &a, T *p, acc<T> x) {
  if constexpr (__is_same(T, half)) {
    p->raw = a.f16 ? narrow<f16>(x).raw : narrow<bf16>(x).raw;
  } else {
    *p = x;
  }
}

// log2_scale is a.scale times log2 e.
template <class A> DEVICE A log2_scale(const Attention &a) { return (A)(a.scale * 1.4426950408889634074); }

// A block is one warp with ROWS rows of one head; its lanes share the rows on the other side in pieces of 32.
constexpr i32 ROWS = 4, PIECE = 32;

// load_rows copies rows [first, first + ROWS) of one head to shared memory; rows from `end` on become 0.
template <class T> DEVICE void load_rows(const Attention &a, acc<T> *to, const Rows &from, i32 first, i32 end, i32 head) {
#pragma unroll 1
  for (i32 r = 0; r < ROWS; r++)
#pragma unroll 1
    for (i32 d = lane_index(); d < a.dim; d += 32) to[r * a.dim + d] = first + r < end ? read(a, row_of<T>(from, first + r, head) + d) : 0;
}

// store_rows stores rows [first, end), at most ROWS, each times factor(r).
template <class T, class F> DEVICE void store_rows(const Attention &a, const acc<T> *from, const Rows &to, i32 first, i32 end, i32 head, F factor) {
  if (!to.data) return;
#pragma unroll
  for (i32 r = 0; r < ROWS; r++) {
    if (r && first + r >= end) return;
#pragma unroll 1
    for (i32 d = lane_index(); d < a.dim; d += 32) write(a, row_of<T>(to, first + r, head) + d, from[r * a.dim + d] * factor(r));
  }
}

template <class A> DEVICE void clear_rows(A *rows, i32 dim) {
#pragma unroll 1
  for (i32 i = lane_index(); i < ROWS * dim; i += 32) rows[i] = 0;
}

// dot adds row · each of the ROWS rows in shared memory to sum.
template <class T> DEVICE void dot(const Attention &a, acc<T> *sum, const T *row, const acc<T> *rows) {
  i32 d = 0;
  auto step = [&](i32 count) {
    acc<T> x[4];
#pragma unroll
    for (i32 i = 0; i < count; i++) x[i] = read(a, row + d + i);
#pragma unroll
    for (i32 i = 0; i < count; i++)
#pragma unroll
      for (i32 r = 0; r < ROWS; r++) sum[r] = fma_rn(x[i], rows[r * a.dim + d + i], sum[r]);
  };
#pragma unroll 1
  for (; d + 4 <= a.dim; d += 4) step(4);
#pragma unroll 1
  for (; d < a.dim; d++) step(1);
}

// add_rows adds Σ weight[r][j] · row j to each of the ROWS rows in shared memory, count rows from `first` on.
template <class T> DEVICE void add_rows(const Attention &a, acc<T> *rows, const acc<T> *weights, const Rows &from, i32 first, i32 count, i32 head) {
#pragma unroll 1
  for (i32 d = lane_index(); d < a.dim; d += 32) {
    acc<T> sum[ROWS];
#pragma unroll
    for (i32 r = 0; r < ROWS; r++) sum[r] = rows[r * a.dim + d];
    const T *p = row_of<T>(from, first, head) + d;
    i32 j = 0;
    auto step = [&](i32 rowsOfStep) {
      acc<T> x[4];
#pragma unroll
      for (i32 i = 0; i < rowsOfStep; i++) x[i] = read(a, p + (j + i) * from.row);
#pragma unroll
      for (i32 i = 0; i < rowsOfStep; i++)
#pragma unroll
        for (i32 r = 0; r < ROWS; r++) sum[r] = fma_rn(weights[r * PIECE + j + i], x[i], sum[r]);
    };
#pragma unroll 1
    for (; j + 4 <= count; j += 4) step(4);
#pragma unroll 1
    for (; j < count; j++) step(1);
#pragma unroll
    for (i32 r = 0; r < ROWS; r++) rows[r * a.dim + d] = sum[r];
  }
}

// forward computes the queries of a task: at most four.
template <class T> DEVICE void forward(const Attention &a, acc<T> *shared) {
  using A = acc<T>;
  i32 head = block_index() % a.heads, kvHead = head / a.group, lane = lane_index();
  Task t = a.tasks[block_index() / a.heads];
  A *q = shared, *o = q + ROWS * a.dim, *weights = o + ROWS * a.dim;
  i32 first = t.q0, end = min_(t.k1, t.q1 + t.diagonal);
  load_rows<T>(a, q, a.q, first, t.q1, head);
  clear_rows(o, a.dim);
  A largest[ROWS], total[ROWS];
#pragma unroll
  for (i32 r = 0; r < ROWS; r++) largest[r] = -infinity, total[r] = 0;
  A scale = log2_scale<A>(a);
#pragma unroll 1
  for (i32 k = t.k0; k < end; k += PIECE) {
    syncwarp();
    A s[ROWS];
#pragma unroll
    for (i32 r = 0; r < ROWS; r++) s[r] = 0;
    i32 key = k + lane;
    if (key < end) dot<T>(a, s, row_of<T>(a.k, key, kvHead), q);
#pragma unroll
    for (i32 r = 0; r < ROWS; r++) {
      A x = key < end && key <= first + r + t.diagonal ? s[r] * scale : -infinity;
      A most = max_(largest[r], warp_max(x));
      A offset = most == -infinity ? 0 : most;
      A shrink = power(largest[r] - offset), p = power(x - offset);
      largest[r] = most;
      total[r] = total[r] * shrink + p;
      weights[r * PIECE + lane] = p;
#pragma unroll 1
      for (i32 d = lane; d < a.dim; d += 32) o[r * a.dim + d] *= shrink;
    }
    syncwarp();
    add_rows<T>(a, o, weights, a.v, k, min_(end - k, PIECE), kvHead);
  }
  syncwarp(); // where there was no key
  A factor[ROWS];
#pragma unroll
  for (i32 r = 0; r < ROWS; r++) {
    A sum = warp_sum(total[r]);
    factor[r] = sum == 0 ? 0 : 1 / sum;
    if (a.lse && lane == 0 && (r == 0 || first + r < t.q1))
      ((A *)a.lse)[(i64)head * a.queries + first + r] = sum == 0 ? -infinity : largest[r] * (A)0.69314718055994530942 + logarithm(sum);
  }
  store_rows<T>(a, o, a.out, first, t.q1, head, [&](i32 r) { return factor[r]; });
}

// Stats of a query: see attention_backward.cu.
template <class A> struct alignas(2 * sizeof(A)) Stats {
  A denominator, delta;
};

// stats computes those of eight queries of a head a block, one a warp: grid (queries · heads / 8).
template <class T> DEVICE void stats(const Attention &a) {
  using A = acc<T>;
  i64 i = (i64)block_index() * 8 + warp_index();
  if (i >= (i64)a.queries * a.heads) return;
  i32 query = i / a.heads, head = i % a.heads, lane = lane_index();
  const T *dout = row_of<T>(a.dout, query, head), *out = row_of<T>(a.out, query, head);
  A sum = 0;
#pragma unroll 1
  for (i32 d = lane; d < a.dim; d += 32) sum = fma_rn(read(a, dout + d), read(a, out + d), sum);
  sum = warp_sum(sum);
  if (lane) return;
  i64 at = (i64)head * a.queries + query;
  A lse = ((const A *)a.lse)[at];
  ((Stats<A> *)a.stats)[at] = {lse == -infinity ? infinity : lse * (A)1.4426950408889634074, sum};
}

// queries computes dq of the queries of a task: at most four.
template <class T> DEVICE void queries(const Attention &a, acc<T> *shared) {
  using A = acc<T>;
  i32 head = block_index() % a.heads, kvHead = head / a.group, lane = lane_index();
  Task t = a.tasks[block_index() / a.heads];
  A *q = shared, *g = q + ROWS * a.dim, *dq = g + ROWS * a.dim, *weights = dq + ROWS * a.dim;
  i32 first = t.q0, end = min_(t.k1, t.q1 + t.diagonal);
  load_rows<T>(a, q, a.q, first, t.q1, head);
  load_rows<T>(a, g, a.dout, first, t.q1, head);
  clear_rows(dq, a.dim);
  Stats<A> row[ROWS];
#pragma unroll
  for (i32 r = 0; r < ROWS; r++) {
    row[r] = {infinity, 0};
    if (r == 0 || first + r < t.q1) row[r] = ((const Stats<A> *)a.stats)[(i64)head * a.queries + first + r];
  }
  A scale = log2_scale<A>(a);
#pragma unroll 1
  for (i32 k = t.k0; k < end; k += PIECE) {
    syncwarp();
    A s[ROWS], dp[ROWS];
#pragma unroll
    for (i32 r = 0; r < ROWS; r++) s[r] = 0, dp[r] = 0;
    i32 key = k + lane;
    if (key < end) {
      dot<T>(a, s, row_of<T>(a.k, key, kvHead), q);
      dot<T>(a, dp, row_of<T>(a.v, key, kvHead), g);
    }
#pragma unroll
    for (i32 r = 0; r < ROWS; r++) {
      bool sees = key <= first + r + t.diagonal; // the weights of keys from end on are not read
      weights[r * PIECE + lane] = sees ? power(s[r] * scale - row[r].denominator) * (dp[r] - row[r].delta) : 0;
    }
    syncwarp();
    add_rows<T>(a, dq, weights, a.k, k, min_(end - k, PIECE), kvHead);
  }
  syncwarp();
  store_rows<T>(a, dq, a.dq, first, t.q1, head, [&](i32) { return (A)a.scale; });
}

// keys_values computes dk and dv of the keys of a task: at most four.
template <class T> DEVICE void keys_values(const Attention &a, acc<T> *shared) {
  using A = acc<T>;
  i32 kvHeads = a.heads / a.group, kvHead = block_index() % kvHeads, lane = lane_index();
  Task t = a.tasks[block_index() / kvHeads];
  A *k = shared, *v = k + ROWS * a.dim, *dk = v + ROWS * a.dim, *dv = dk + ROWS * a.dim, *p = dv + ROWS * a.dim, *g = p + ROWS * PIECE;
  load_rows<T>(a, k, a.k, t.k0, t.k1, kvHead);
  load_rows<T>(a, v, a.v, t.k0, t.k1, kvHead);
  clear_rows(dk, 2 * a.dim); // and dv, which is behind it
  A scale = log2_scale<A>(a);
#pragma unroll 1
  for (i32 i = 0; i < t.count; i++) {
    Task visit = a.visits[t.first + i];
#pragma unroll 1
    for (i32 head = kvHead * a.group; head < (kvHead + 1) * a.group; head++) {
#pragma unroll 1
      for (i32 q = max_(visit.q0, t.k0 - visit.diagonal); q < visit.q1; q += PIECE) {
        syncwarp();
        A s[ROWS], dp[ROWS];
#pragma unroll
        for (i32 r = 0; r < ROWS; r++) s[r] = 0, dp[r] = 0;
        i32 query = q + lane;
        Stats<A> column = {infinity, 0};
        if (query < visit.q1) {
          column = ((const Stats<A> *)a.stats)[(i64)head * a.queries + query];
          dot<T>(a, s, row_of<T>(a.q, query, head), k);
          dot<T>(a, dp, row_of<T>(a.dout, query, head), v);
        }
#pragma unroll
        for (i32 r = 0; r < ROWS; r++) {
          bool sees = t.k0 + r <= query + visit.diagonal; // the weights of queries from q1 on are not read
          A weight = sees ? power(s[r] * scale - column.denominator) : 0;
          p[r * PIECE + lane] = weight;
          g[r * PIECE + lane] = weight * (dp[r] - column.delta);
        }
        syncwarp();
        i32 count = min_(visit.q1 - q, PIECE);
        add_rows<T>(a, dv, p, a.dout, q, count, head);
        add_rows<T>(a, dk, g, a.q, q, count, head);
      }
    }
  }
  syncwarp();
  store_rows<T>(a, dk, a.dk, t.k0, t.k1, kvHead, [&](i32) { return (A)a.scale; });
  store_rows<T>(a, dv, a.dv, t.k0, t.k1, kvHead, [](i32) { return (A)1; });
}

// Shared memory is dynamic: see attention.go.
#define OTHER(T, dtype)                                                     \
  KERNEL __launch_bounds__(32) attention_forward_##dtype(Attention a) {     \
    extern __shared__ v16 shared[];                                         \
    forward<T>(a, (acc<T> *)shared);                                        \
  }                                                                         \
  KERNEL __launch_bounds__(256) attention_stats_##dtype(Attention a) { stats<T>(a); } \
  KERNEL __launch_bounds__(32) attention_queries_##dtype(Attention a) {     \
    extern __shared__ v16 shared[];                                         \
    queries<T>(a, (acc<T> *)shared);                                        \
  }                                                                         \
  KERNEL __launch_bounds__(32, 8) attention_keys_values_##dtype(Attention a) { \
    extern __shared__ v16 shared[];                                         \
    keys_values<T>(a, (acc<T> *)shared);                                    \
  }

OTHER(float, f32)
OTHER(double, f64)
OTHER(half, half)
