// The largest of a row and the sum of exponentials relative to it in one pass (Milakov and Gimelshein, "Online normalizer
// calculation for softmax", 2018).
#pragma once
#include "exp.cuh"
#include "rows.cuh"

// An Online is what a thread, or a row, has seen: max, and sum of exp(x − max). A NaN makes the sum one.
template <class A> struct Online {
  A max = -(A)infinity, sum = 0;

  // origin is what exponents are relative to: max, but 0 while there is nothing but −Inf, of which exp is then 0.
  __device__ __attribute__((always_inline)) A origin() const { return max == -(A)infinity ? 0 : max; }

  // rise makes max at least m.
  __device__ __attribute__((always_inline)) void rise(A m) {
    if (m > max) {
      sum *= exp_(max - m);
      max = m;
    }
  }

  template <u32 V> __device__ __attribute__((always_inline)) void add(const A *x) {
    A m = x[0];
#pragma unroll
    for (u32 e = 1; e < V; e++) m = max_(m, x[e]);
    rise(m);
    A from = origin();
#pragma unroll
    for (u32 e = 0; e < V; e++) sum += exp_(x[e] - from);
  }

  // fold is what the threads of a team have seen together, the same bits in each. A row of nothing but −Inf gives
  // NaN, as 0/0 does.
  __device__ __attribute__((always_inline)) Online fold(const Team &team, A *partial) const {
    Online all;
    all.max = team.max(max, partial);
    // A NaN is no maximum, but is in the sum: exp(max − max) is 1 or, of infinities, NaN.
    A factor = max == all.max ? (A)1 : exp_(max - all.max);
    all.sum = team.sum(sum * factor, partial);
    return all;
  }
};
