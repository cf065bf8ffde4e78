// A linear recurrence along an axis: out[i] = a[i]·out[i−1] + b[i]. Floats are kept in F64 on the way, integers in I64.
#include "nest.cuh"
#pragma clang fp contract(off)

// An Axis is that of the recurrence: its length, and how far its elements are apart in out, a and b. Of a recurrence from
// the end the host gives the last elements, and negative strides.
struct Axis {
  i64 length;
  i64 strides[3];
};

// scan_lanes is for many lanes, one a thread.
template <class A> DEVICE void scan_lanes(const Nest<3> &n, const Axis &axis, A start) {
  u32 i = (u32)first_element();
  if (i >= n.count) return;
  i64 at[3];
  n.locate(i, at);
  A sum = start;
#pragma unroll 1
  for (i64 k = 0; k < axis.length; k++) {
    A a = load_converted<A>(n.operands[1].data, at[1], n.operands[1].dtype);
    sum = a * sum + load_converted<A>(n.operands[2].data, at[2], n.operands[2].dtype);
    store_converted(n.operands[0].data, at[0], n.operands[0].dtype, sum);
#pragma unroll
    for (i32 o = 0; o < 3; o++) at[o] += axis.strides[o];
  }
}

// A Step is what some elements of a lane do: x becomes a·x + b. Steps compose in order (Blelloch 1990, section 1.4).
template <class A> struct Step {
  A a, b;
};
template <class A> DEVICE Step<A> then(Step<A> first, Step<A> second) {
  return {first.a * second.a, first.b * second.a + second.b};
}

// scan_rows is for few long lanes, one a block: 256 elements at a time, composed over the lanes of each warp, then over the
// warps, in an order that depends on nothing else.
template <class A> DEVICE void scan_rows(const Nest<3> &n, const Axis &axis, A start, Step<A> *shared) {
  i64 at[3];
  n.locate((u32)block_index(), at);
  A sum = start;
  // A constant is read once.
  auto load = [&](i32 o, i64 k) { return load_converted<A>(n.operands[o].data, at[o] + k * axis.strides[o], n.operands[o].dtype); };
  Step<A> constant = {load(1, 0), load(2, 0)};
#pragma unroll 1
  for (i64 first = 0; first < axis.length; first += 256) {
    i64 k = first + thread_index();
    Step<A> s = {1, 0};
    if (k < axis.length) {
      s.a = axis.strides[1] == 0 ? constant.a : load(1, k);
      s.b = axis.strides[2] == 0 ? constant.b : load(2, k);
    }
#pragma unroll
    for (i32 by = 1; by < 32; by *= 2) {
      Step<A> before = {shuffle_up(s.a, by), shuffle_up(s.b, by)};
      if (lane_index() >= by) s = then(before, s);
    }
    if (lane_index() == 31) shared[warp_index()] = s;
    syncthreads();
    // What comes into this warp, and what goes into the next 256.
    A in = sum;
#pragma unroll
    for (i32 w = 0; w < 8; w++) {
      if (w == warp_index()) in = sum;
      sum = shared[w].a * sum + shared[w].b;
    }
    if (k < axis.length) store_converted(n.operands[0].data, at[0] + k * axis.strides[0], n.operands[0].dtype, s.a * in + s.b);
    syncthreads();
  }
}

#define SCAN(suffix, A)                                                                       \
  KERNEL __launch_bounds__(256) scan_lanes_##suffix(Nest<3> n, Axis axis, A start) {          \
    scan_lanes<A>(n, axis, start);                                                         \
  }                                                                                           \
  KERNEL __launch_bounds__(256) scan_rows_##suffix(Nest<3> n, Axis axis, A start) {           \
    static __shared__ Step<A> shared[8];                                                      \
    scan_rows<A>(n, axis, start, shared);                                                  \
  }
SCAN(f64, double)
SCAN(integer, i64)
