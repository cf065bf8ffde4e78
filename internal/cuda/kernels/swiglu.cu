// SwiGLU (Shazeer 2020): silu(gate)·up. A thread works on V elements of a row; a row is cut into as many blocks as it needs.
#include "rows.cuh"
#include "exp.cuh"

template <class A> DEVICE A swiglu(A gate, A up) { return gate * sigmoid(gate) * up; }

// swiglu_slope sets the gradients of gate and up from that of the result, d.
template <class A> DEVICE void swiglu_slope(A &dgate, A &dup, A d, A gate, A up) {
  A s = sigmoid(gate);
  dup = d * gate * s;
  dgate = d * up * s * (1 + gate * (1 - s));
}

template <class T, u32 V> DEVICE void load_vector(acc<T> *to, const T *from) {
  if constexpr (V == 1) *to = widen(*from);
  else unpack16<T>(to, load16(from));
}
template <class T, u32 V> DEVICE void store_vector(T *to, const acc<T> *from) {
  if constexpr (V == 1) *to = narrow<T>(*from);
  else store16(to, pack16<T>(from));
}

// place finds a thread's row and the first of its elements; false if it has none.
DEVICE bool place(u32 &row, u32 &i, u32 d, u32 blocks_per_row, u32 elements) {
  row = block_index() / blocks_per_row;
  i = ((block_index() - row * blocks_per_row) * block_threads() + thread_index()) * elements;
  return i < d;
}

template <class T, u32 V> DEVICE void forward(Rows out, Rows gate, Rows up, u32 n, u32 d, u32 blocks_per_row) {
  u32 row, i;
  if (!place(row, i, d, blocks_per_row, V)) return;
  acc<T> g[V], u[V];
  load_vector<T, V>(g, gate.at<T>(row, n) + i);
  load_vector<T, V>(u, up.at<T>(row, n) + i);
#pragma unroll
  for (u32 e = 0; e < V; e++) g[e] = swiglu(g[e], u[e]);
  store_vector<T, V>(out.at<T>(row, n) + i, g);
}

// backward leaves out what is null of dgate and dup.
template <class T, u32 V> DEVICE void backward(Rows dgate, Rows dup, Rows dy, Rows gate, Rows up, u32 n, u32 d, u32 blocks_per_row) {
  u32 row, i;
  if (!place(row, i, d, blocks_per_row, V)) return;
  acc<T> y[V], g[V], u[V];
  load_vector<T, V>(y, dy.at<T>(row, n) + i);
  load_vector<T, V>(g, gate.at<T>(row, n) + i);
  load_vector<T, V>(u, up.at<T>(row, n) + i);
#pragma unroll
  for (u32 e = 0; e < V; e++) swiglu_slope(g[e], u[e], y[e], g[e], u[e]);
  if (dgate.data) store_vector<T, V>(dgate.at<T>(row, n) + i, g);
  if (dup.data) store_vector<T, V>(dup.at<T>(row, n) + i, u);
}

#define SWIGLU(suffix, T, V)                                                                                                                        \
  KERNEL __launch_bounds__(256) swiglu_forward_##suffix(Rows out, Rows gate, Rows up, u32 n, u32 d, u32 blocks_per_row) {                            \
    forward<T, V>(out, gate, up, n, d, blocks_per_row);                                                                                             \
  }                                                                                                                                                 \
  KERNEL __launch_bounds__(256) swiglu_backward_##suffix(Rows dgate, Rows dup, Rows dy, Rows gate, Rows up, u32 n, u32 d, u32 blocks_per_row) {      \
    backward<T, V>(dgate, dup, dy, gate, up, n, d, blocks_per_row);                                                                                 \
  }

SWIGLU(f32, float, 4)
SWIGLU(bf16, bf16, 8)
SWIGLU(any_f32, float, 1)
SWIGLU(any_bf16, bf16, 1)
SWIGLU(any_f16, f16, 1)
SWIGLU(any_f64, double, 1)
