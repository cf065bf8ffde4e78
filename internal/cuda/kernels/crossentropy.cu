// Cross-entropy over rows of logits: log-softmax and negative log-likelihood in one pass, and its backward. A team takes a
// row, of which the targets may be parts; see backend.CrossEntropyer.
#include "exp.cuh"
#include "online.cuh"
#include "rows.cuh"

// A Targets is the classes of the rows and how to take them.
struct Targets {
  i32 *data;
  i64 stride;
  i32 ignore;  // rows with this target have no loss
  i32 first;   // the class of the first column
  i32 classes; // of the whole row
  u32 width;   // columns
  Fault *fault;

  __device__ __attribute__((always_inline)) i32 at(u32 row) const { return data[row * stride]; }
  __device__ __attribute__((always_inline)) bool bad(i32 target) const { return target != ignore && (u32)target >= (u32)classes; }
};

// A State is what is known of a row of which some parts were seen.
template <class A> struct State { A max, sum, target, logits; };

// forward sets loss and lse of rows, or with state folds a part of each row into it; loss and lse are null before the last
// part. The first `vectors` vectors of a row are loaded as such. A bad target is reported, and counts as one to ignore.
template <class T>
DEVICE void forward(Vector loss, Vector lse, State<acc<T>> *state, Rows x, const Targets &targets, u32 n, u32 vectors, u32 team_size, double smoothing) {
  using A = acc<T>;
  constexpr u32 V = per16<T>;
  __shared__ A partial[32];
  Team team(team_size);
  u32 row = block_index() * team.count + team.index;
  if (row >= n) return;
  i32 target = targets.at(row);
  if (target == targets.ignore || targets.bad(target)) {
    if (team.rank > 0) return;
    if (targets.bad(target)) report_fault(targets.fault, row, target);
    if (loss.data) *loss.at<A>(row) = 0;
    if (lse.data) *lse.at<A>(row) = 0;
    return;
  }
  u32 width = targets.width;
  const T *in = x.at<T>(row, n);
  Online<A> seen;
  A v[V], logits = 0;
  if constexpr (fast<T>) {
    for (u32 i = team.rank; i < vectors; i += team.size) {
      unpack16<T>(v, load16(in + i * V));
      seen.template add<V>(v);
#pragma unroll
      for (u32 e = 0; e < V; e++) logits += v[e];
    }
  }
  for (u32 i = vectors * V + team.rank; i < width; i += team.size) {
    v[0] = widen(in[i]);
    seen.template add<1>(v);
    logits += v[0];
  }
  seen = seen.fold(team, partial);
  if (smoothing != 0) logits = team.sum(logits, partial);
  if (team.rank > 0) return;
  u32 column = (u32)(target - targets.first);
  State<A> now = {seen.max, seen.sum, column < width ? widen(in[column]) : 0, logits};
  if (state) {
    if (targets.first > 0) {
      State<A> before = state[row];
      A m = max_(before.max, now.max);
      now.sum = (before.sum == 0 ? 0 : before.sum * exp_(before.max - m)) + (now.sum == 0 ? 0 : now.sum * exp_(now.max - m));
      now.max = m;
      if (column >= width) now.target = before.target;
      now.logits += before.logits;
    }
    state[row] = now;
    if (targets.first + (i32)width < targets.classes) return;
  }
  // The largest logit stays out of the differences, where it would cancel.
  double log_sum = maths::log((double)now.sum), max = now.max;
  double value = log_sum - (now.target - max);
  if (smoothing != 0) value = (1 - smoothing) * value + smoothing * (log_sum - (now.logits / (double)targets.classes - max));
  if (loss.data) *loss.at<A>(row) = (A)value;
  if (lse.data) *lse.at<A>(row) = (A)(log_sum + max);
}

// backward sets dlogits = scale·(softmax − target), of rows that a block shares or, with y, parts of them. It may lie over the
// logits: those narrower than they are lie lower than what is still to be read, except within what the block works on
// at a time, which is therefore read by all before any writes.
template <class D, class T>
DEVICE void backward(Rows dlogits, Rows x, Vector lse, const Targets &targets, Vector scale, u32 n, u32 vectors, double smoothing) {
  using A = acc<T>;
  constexpr u32 V = per16<D>;
  u32 row = block_index();
  i32 target = targets.at(row);
  bool ignored = target == targets.ignore || targets.bad(target);
  if (targets.bad(target) && thread_index() == 0 && block_index_y() == 0) report_fault(targets.fault, row, target);
  u32 width = targets.width;
  const T *in = x.at<T>(row, n);
  D *o = dlogits.at<D>(row, n);
  A from = ignored ? 0 : *lse.at<A>(row), factor = ignored ? 0 : *scale.at<A>(row);
  A everywhere = (A)(-(double)factor * smoothing / targets.classes), hit = (A)((double)factor * (1 - smoothing));
  u32 column = (u32)(target - targets.first);
  u32 threads = block_threads() * grid_blocks_y(), thread = block_index_y() * block_threads() + thread_index();
  if constexpr (fast<T>) {
    for (u32 base = 0; base < vectors; base += threads) {
      u32 i = base + thread;
      A v[V];
      if (i < vectors) {
#pragma unroll
        for (u32 e = 0; e < V; e += per16<T>) unpack16<T>(v + e, load16(in + i * V + e));
      }
      if (sizeof(D) != sizeof(T)) syncthreads();
      if (i < vectors) {
#pragma unroll
        for (u32 e = 0; e < V; e++) {
          v[e] = factor * exp_(v[e] - from) + everywhere;
          if (i * V + e == column) v[e] -= hit;
          if (ignored) v[e] = 0;
        }
        store16(o + i * V, pack16<D>(v));
      }
    }
  }
  for (u32 base = vectors * V; base < width; base += threads) {
    u32 i = base + thread;
    A v = i < width ? widen(in[i]) : 0;
    if (sizeof(D) != sizeof(T)) syncthreads();
    if (i >= width) break;
    v = factor * exp_(v - from) + everywhere;
    if (i == column) v -= hit;
    o[i] = narrow<D>(ignored ? 0 : v);
  }
}

#define FORWARD(suffix, T)                                                                                                                                             \
  KERNEL __launch_bounds__(512) crossentropy_forward_##suffix(Vector loss, Vector lse, State<acc<T>> *state, Rows x, Targets targets, u32 n, u32 vectors, u32 team, double smoothing) { \
    forward<T>(loss, lse, state, x, targets, n, vectors, team, smoothing);                                                                                             \
  }
#define BACKWARD(suffix, D, T)                                                                                                                                         \
  KERNEL __launch_bounds__(512) crossentropy_backward_##suffix(Rows dlogits, Rows x, Vector lse, Targets targets, Vector scale, u32 n, u32 vectors, double smoothing) { \
    backward<D, T>(dlogits, x, lse, targets, scale, n, vectors, smoothing);                                                                                            \
  }

FORWARD(f32, float)
FORWARD(bf16, bf16)
FORWARD(f16, f16)
FORWARD(f64, double)
BACKWARD(f32, float, float)
BACKWARD(bf16, bf16, bf16)
BACKWARD(f16, f16, f16)
BACKWARD(f64, double, double)
BACKWARD(f32_to_bf16, bf16, float)
